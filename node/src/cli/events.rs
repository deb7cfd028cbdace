//! `paceline events`: the event log, as it stands and as it grows.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use paceline_client::{Client, Cursors, Delivery, SubscribeError, Subscription};
use paceline_types::event::EventCursor;
use paceline_types::{BatchId, Event, EventKind, JobId, ShardIndex, TaskType, WorkflowId};
use serde::Serialize;

use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::Globals;
use super::output::Output;
use super::signal::StopSignals;
use super::time::moment;

/// How often it is looked whether the end that was seen at the start is reached, while a filter
/// holds everything back.
const LOOK: Duration = Duration::from_millis(100);

/// What is shown, and from where.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on as things happen, until stopped
    #[arg(long, short)]
    follow: bool,
    /// now, start, or the cursors that an earlier call ended with; now with --follow, else start
    #[arg(long, value_name = "PLACE")]
    from: Option<From>,
    /// Only events of this kind, such as job.dead; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<EventKind>,
    /// Only events of this job; may be repeated
    #[arg(long = "job", value_name = "ID")]
    jobs: Vec<JobId>,
    /// Only events of this workflow and its tasks; may be repeated
    #[arg(long = "workflow", value_name = "ID")]
    workflows: Vec<WorkflowId>,
    /// Only events of this batch and its items; may be repeated
    #[arg(long = "batch", value_name = "ID")]
    batches: Vec<BatchId>,
    /// Only events of jobs of this task type; may be repeated
    #[arg(long = "type", value_name = "TASK_TYPE")]
    task_types: Vec<TaskType>,
}

#[derive(Debug, Clone, PartialEq)]
enum From {
    Now,
    Start,
    Cursors(Cursors),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        match text {
            "now" => Ok(From::Now),
            "start" => Ok(From::Start),
            cursors => cursors
                .parse()
                .map(From::Cursors)
                .map_err(|error| format!("{error}; or write now or start")),
        }
    }
}

fn kind(text: &str) -> Result<EventKind, String> {
    match EventKind::from_name(text) {
        EventKind::Other(_) => {
            let known: Vec<_> = EventKind::ALL.iter().map(EventKind::as_str).collect();
            Err(format!(
                "`{text}` is not an event kind; use one of {}",
                known.join(", ")
            ))
        }
        kind => Ok(kind),
    }
}

/// A gap in the form of an event.
#[derive(Serialize)]
struct Gap {
    #[serde(rename = "type")]
    kind: &'static str,
    shard: ShardIndex,
    after: EventCursor,
    until: EventCursor,
    /// How many, where it can be known.
    missing: Option<u64>,
}

/// Carries the command out.
pub(crate) async fn run(events: Events, globals: &Globals, output: Output) -> Result<(), Failure> {
    let mut stop = StopSignals::catch()?;
    let client = connect(globals).await?;
    let end = match events.follow {
        true => None,
        false => Some(client.subscribe().from_now().await?.cursors().clone()),
    };
    let mut subscription = subscribe(&events, &client).await?;
    let ended = tokio::select! {
        ended = show(&mut subscription, end.as_ref(), output) => ended,
        () = stop.wait() => Ok(()),
    };
    let cursors = subscription.cursors().to_string();
    if ended.is_ok() && !cursors.is_empty() {
        output.note(&format!("to go on from here: --from {cursors}"));
    }
    ended
}

async fn subscribe(events: &Events, client: &Client) -> Result<Subscription, Failure> {
    let mut builder = client.subscribe();
    builder = match &events.from {
        Some(From::Now) => builder.from_now(),
        Some(From::Start) => builder.from_start(),
        Some(From::Cursors(cursors)) => builder.from(cursors.clone()),
        None if events.follow => builder.from_now(),
        None => builder.from_start(),
    };
    builder = builder.kinds(events.kinds.iter().cloned());
    for &id in &events.jobs {
        builder = builder.job(id);
    }
    for &id in &events.workflows {
        builder = builder.workflow(id);
    }
    for &id in &events.batches {
        builder = builder.batch(id);
    }
    for task_type in &events.task_types {
        builder = builder.task_type(task_type.as_str());
    }
    Ok(builder.await?)
}

/// Prints what comes, up to `end` if there is one.
async fn show(
    subscription: &mut Subscription,
    end: Option<&Cursors>,
    output: Output,
) -> Result<(), Failure> {
    loop {
        if end.is_some_and(|end| reached(subscription.cursors(), end)) {
            return Ok(());
        }
        let next = match end {
            None => subscription.next().await,
            Some(_) => match tokio::time::timeout(LOOK, subscription.next()).await {
                Ok(next) => next,
                Err(_) => continue,
            },
        };
        match next {
            Some(Ok(Delivery::Event(event))) => output.either(&event, || line(&event))?,
            Some(Ok(Delivery::Gap {
                shard,
                after,
                until,
                missing,
            })) => {
                let gap = Gap {
                    kind: "gap",
                    shard,
                    after,
                    until,
                    missing,
                };
                let text = || {
                    let many = missing.map_or("some".to_owned(), |count| count.to_string());
                    format!("--- {many} events of shard {shard} before {until} were trimmed away")
                };
                output.either(&gap, text)?;
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Failure::redis("the subscription ended")),
        }
    }
}

fn reached(at: &Cursors, end: &Cursors) -> bool {
    // Shards that are not read, because of the filter, are not waited for.
    at.iter()
        .all(|(shard, cursor)| end.get(shard).is_none_or(|end| cursor >= end))
}

/// One event for people.
pub(crate) fn line(event: &Event) -> String {
    let mut line = format!("{}  {:<24}", moment(event.timestamp), event.kind);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line.push_str(&format!("  {name}{value}"));
        }
    };
    add("", event.job_id.map(|id| id.to_string()));
    add("", event.task_type.as_ref().map(ToString::to_string));
    add("attempt ", event.attempt.map(|attempt| attempt.to_string()));
    add("", event.workflow_id.map(|id| id.to_string()));
    add(
        "task ",
        event.workflow_task.as_ref().map(ToString::to_string),
    );
    add("", event.batch_id.map(|id| id.to_string()));
    add("item ", event.batch_item.clone());
    let far = event.batch_progress.map(|far| {
        let (done, total, failed) = (far.done, far.total, far.failed);
        format!("{done} of {total} done, {failed} failed")
    });
    add("", far);
    add("", event.schedule_id.as_ref().map(ToString::to_string));
    add("", event.node_id.map(|id| id.to_string()));
    add("term ", event.term.map(|term| term.to_string()));
    add("", event.error.clone());
    line.trim_end().to_owned()
}

impl std::convert::From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Failure {
        let kind = match error {
            SubscribeError::Store(_) => Kind::Redis,
            _ => Kind::Usage,
        };
        Failure::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_words_or_cursors() {
        assert_eq!("now".parse(), Ok(From::Now));
        assert_eq!("start".parse(), Ok(From::Start));
        assert!(matches!("0:5-1.2".parse(), Ok(From::Cursors(_))));
        let error = "yesterday".parse::<From>().expect_err("no place");
        assert!(error.ends_with("; or write now or start"), "{error}");
    }

    #[test]
    fn unknown_kinds_are_told_with_the_known_ones() {
        assert_eq!(kind("job.dead"), Ok(EventKind::JobDead));
        let error = kind("job.deed").expect_err("unknown");
        assert!(
            error.contains("use one of job.enqueued, job.scheduled"),
            "{error}"
        );
    }

    #[test]
    fn the_end_is_reached_when_every_shard_that_is_read_has_come_there() {
        let cursors = |text: &str| text.parse::<Cursors>().expect(text);
        let end = cursors("0:5-0.0,1:7-0.0");
        for (at, expected) in [
            ("0:5-0.0,1:7-0.0", true),
            ("0:5-0.1,1:7-1.0", true),
            ("0:5-0.0,1:6-9.9", false),
            ("1:7-0.0", true),
        ] {
            assert_eq!(reached(&cursors(at), &end), expected, "{at}");
        }
    }
}
