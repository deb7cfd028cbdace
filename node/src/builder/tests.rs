use bytes::Bytes;
use paceline_types::{JobError, Outcome, Task};
use serde::{Deserialize, Serialize};

use super::*;
use crate::context::Context;

#[derive(Serialize, Deserialize)]
struct Tick;

impl Task for Tick {
    const TYPE: &'static str = "tick";
    type Output = ();
}

async fn tick(_: Context, _: Tick) -> Result<(), JobError> {
    Ok(())
}

async fn raw(_: Context, payload: Bytes) -> Outcome {
    Ok(payload)
}

fn first(_: &str, messages: Vec<Bytes>) -> Result<Bytes, JobError> {
    Ok(messages.into_iter().next().unwrap_or_default())
}

fn error(builder: NodeBuilder) -> String {
    match builder.build() {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_is_one_sentence() {
    let new = NodeBuilder::default;
    let options = HandlerOptions::default;
    let table = [
        (new().handle(tick).handle_raw("*", options(), raw), ""),
        (
            new().handle(tick).handle_raw("tick", options(), raw),
            "`tick` has two handlers; register each task type and pattern once",
        ),
        (
            new()
                .handle(tick)
                .handle_raw("a.*", options(), raw)
                .aggregate("a.b", first)
                .aggregate_task::<Tick, _>(|_, _| Ok(Tick)),
            "",
        ),
        (
            new().handle(tick).aggregate("tock", first),
            "the aggregator of `tock` has no handler behind it; register one for that task \
             type as well",
        ),
        (
            new()
                .handle(tick)
                .aggregate("tick", first)
                .aggregate("tick", first),
            "`tick` has two aggregators; register one for each task type",
        ),
        (
            new().handle_raw("a:b", options(), raw),
            "a handler cannot be registered: the task type `a:b` contains ':'; \
             use letters, digits and any of . _ - / @ + # $ % & = ~ ! *",
        ),
        (
            new().handle_with(
                HandlerOptions {
                    concurrency: Some(0),
                    ..options()
                },
                tick,
            ),
            "the handler of `tick` cannot be used: concurrency must be at least 1",
        ),
        (
            new().lease(Duration::from_millis(500)),
            "the lease is 500ms, but must be at least 1s",
        ),
        (
            new().leader_lease(Duration::ZERO),
            "the leader's lease is 0s, but must be at least 1s",
        ),
        (
            new().settings_interval(Duration::from_secs(11)),
            "the interval of settings is 11s, but must be between 100ms and 10s",
        ),
        (
            new().reconcile_interval(Duration::from_millis(99)),
            "the interval of walks is 99ms, but must be between 100ms and 1h",
        ),
        (
            new().concurrency(0),
            "concurrency is 0, but must be at least 1",
        ),
        (
            new().roles([]),
            "the list of roles is empty, but must be at least one of worker, scheduler, \
             orchestrator and api",
        ),
        (
            new().roles([Role::Worker, Role::Scheduler]),
            "the list of roles is worker, scheduler, but must be with both of scheduler and \
             orchestrator or with neither, since one leader does both",
        ),
        (new().roles([Role::Worker, Role::Api]), ""),
        (
            new().max_payload(9 << 20),
            "the payload limit is 9437184, but must be between 1 byte and 8 MiB",
        ),
    ];
    for (builder, expected) in table {
        assert_eq!(error(builder), expected);
    }
    assert!(!error(new().redis("http://x")).is_empty());
    assert!(error(new().namespace("a{b")).starts_with("the namespace `a{b`"));
}
