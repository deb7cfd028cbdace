//! Signals (row 84).

use std::time::Duration;

use paceline_client::{SignalError, Step, WorkflowBuilder, WorkflowId};
use paceline_node::Context;
use paceline_tests::{Env, Serve, feature_test, notes};
use paceline_types::{Bytes, ShardIndex};
use serde_json::{Value, json};

use crate::{Scene, begun, count, echo, held, tried};

fn approval() -> WorkflowBuilder {
    WorkflowBuilder::new("approval")
        .task(held("before"))
        .task(
            Step::signal("decision")
                .after(["before"])
                .timeout(Duration::from_secs(600)),
        )
        .task(
            Step::new("after", "echo")
                .after(["decision"])
                .result_from("decision"),
        )
}

feature_test! {
    /// Contract row 84: durable, so it may come before its task waits, or after; its payload is the
    /// result.
    async fn a_signal_may_come_before_or_after_its_task_waits(env: Env) {
        let mut scene = Scene::open(&env).await;
        let early = scene.submit(approval(), Value::Null).await;
        assert_eq!(scene.begun.next().await, begun("before", 0));
        assert_eq!(early.signal("decision", json!({ "by": "early" })).await.unwrap(), 1);
        assert_eq!(early.signals(0).await.unwrap().len(), 1);
        scene.gate.open();
        let ended = crate::ended(&early).await.unwrap();
        assert_eq!(crate::output(&ended)["upstream"], json!({ "by": "early" }));

        let late = scene.submit(approval(), Value::Null).await;
        scene.told(late.id(), "workflow.task.dispatched decision").await;
        assert_eq!(late.signal("decision", json!(["late"])).await.unwrap(), 1);
        let ended = crate::ended(&late).await.unwrap();
        assert_eq!(crate::output(&ended)["upstream"], json!(["late"]));
        let tale = scene.tale(late.id()).await;
        assert_eq!(count(&tale, "workflow.signal.received"), 1, "{tale:#?}");
        assert_eq!(late.signals(0).await.unwrap(), []);
        scene.stop().await;
    }

    /// Contract row 84: in order, each is taken once, and by its name.
    async fn signals_are_taken_in_their_order_and_once(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("three")
            .task(Step::signal("first").named("go"))
            .task(Step::signal("second").named("go").after(["first"]))
            .task(Step::signal("other").after(["second"]))
            .task(Step::new("all", "echo").after(["first", "second", "other"]).results_from(["first", "second", "other"]));
        let handle = scene.submit(workflow, Value::Null).await;
        for (name, payload) in [("other", 1), ("go", 2), ("nobody", 3), ("go", 4), ("go", 5)] {
            handle.signal(name, payload).await.unwrap();
        }
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended)["upstream"], json!({ "first": 2, "second": 4, "other": 1 }));
        scene.stop().await;
    }

    /// Contract rows 71, 76 and 84: what is decided by a payload is decided when it is taken; so with
    /// all that runs on no node.
    async fn decisions_see_what_was_left_a_moment_before(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("decides")
            .task(Step::signal("decision"))
            .task(
                Step::expression("approved", "tasks.decision.output.yes eq true")
                    .after(["decision"])
                    .routes(["each", "no"]),
            )
            .task(Step::map("each", "echo").after(["approved", "decision"]).items("{{tasks.decision.output.list}}"))
            .task(Step::map("none", "echo").after(["each"]).items("{{tasks.each.output}}").precondition("each", "", "[]"))
            .task(Step::expression("empty", "tasks.none.output eq []").after(["none"]).route(0, "yes"))
            .task(echo("yes", json!("yes")).after(["empty"]))
            .task(echo("no", json!("no")).after(["approved"]));
        for early in [true, false] {
            let handle = scene.submit(workflow.clone(), Value::Null).await;
            if !early {
                scene.told(handle.id(), "workflow.task.dispatched decision").await;
            }
            handle.signal("decision", json!({ "yes": true, "list": [] })).await.unwrap();
            let ended = crate::ended(&handle).await.unwrap();
            assert_eq!(crate::output(&ended), json!({ "yes": "yes", "no": null }));
        }
        scene.stop().await;
    }

    /// Contract row 84: what nobody sends in time fails the task.
    async fn a_task_does_not_wait_longer_than_its_timeout(env: Env) {
        let scene = Scene::open(&env).await;
        let wait = || Step::signal("go").timeout(Duration::from_secs(1));
        let workflow = WorkflowBuilder::new("late").task(wait());
        let error = scene.error(workflow, Value::Null).await;
        assert_eq!(error, "task go failed: no signal \"go\" came within 1s");
        let workflow = WorkflowBuilder::new("late")
            .task(wait().allow_failure())
            .task(echo("after", json!("{{tasks.go.output.error}}")).after(["go"]));
        let output = scene.output(workflow, Value::Null).await;
        assert_eq!(output, json!("no signal \"go\" came within 1s"));
        scene.stop().await;
    }

    /// Contract row 84: a key counts once, what has ended takes none, and nobody knows what is
    /// unknown.
    async fn signals_are_refused_with_a_reason(env: Env) {
        let mut scene = Scene::open(&env).await;
        let handle = scene.submit(approval(), Value::Null).await;
        scene.begun.next().await;
        assert_eq!(handle.signal("note", 1).key("k").await.unwrap(), 1);
        match handle.signal("note", 2).key("k").await.unwrap_err() {
            SignalError::Duplicate { key, number, .. } => assert_eq!((&*key, number), ("k", 1)),
            other => panic!("{other}"),
        }
        assert_eq!(handle.signal("note", 2).key("other").await.unwrap(), 2);
        let error = handle.signal("no name", 1).await.unwrap_err();
        assert!(matches!(error, SignalError::Name(_)) && !error.maybe_stored(), "{error}");
        let error = handle.signal("note", "x".repeat(300_000)).await.unwrap_err();
        assert!(matches!(error, SignalError::TooLarge { size: 300_002, .. }), "{error}");
        let payloads: Vec<_> = handle.signals(0).await.unwrap().into_iter().map(|it| it.payload).collect();
        assert_eq!(payloads, [Some(Bytes::from("1")), Some(Bytes::from("2"))]);

        handle.cancel("").await.unwrap();
        crate::ended(&handle).await.unwrap();
        match handle.signal("note", 1).await.unwrap_err() {
            error @ SignalError::Ended { .. } => {
                assert_eq!(error.to_string(), format!("{} takes no signals: it is cancelled", handle.id()));
            }
            other => panic!("{other}"),
        }
        let nobody = WorkflowId::from_parts(1, ShardIndex(0), 1);
        let error = scene.client.signal(nobody, "note", 1).await.unwrap_err();
        assert!(matches!(error, SignalError::Unknown { .. }), "{error}");
        scene.stop().await;
    }

    /// Contract row 84: reading and acknowledging is at least once; what is not acknowledged is
    /// there again.
    async fn a_handler_reads_and_takes_signals(env: Env) {
        let (pen, mut seen) = notes();
        let scene = Scene::with(&env, |node| {
            node.serve("read", tried(1), pen, async |pen, context: Context, _| {
                let signals = context.signals(0).await?;
                pen.note(signals.iter().map(|it| (it.number, it.name.to_string())).collect::<Vec<_>>());
                if let Some(first) = signals.first() {
                    assert!(context.ack_signal(first.number).await?);
                    assert!(!context.ack_signal(first.number).await?, "it is taken");
                }
                Ok(Bytes::from_static(b"1"))
            })
        })
        .await;
        let workflow = WorkflowBuilder::new("reads")
            .task(Step::signal("start"))
            .task(Step::new("one", "read").after(["start"]))
            .task(Step::new("two", "read").after(["one"]))
            .task(Step::new("three", "read").after(["two"]));
        let handle = scene.submit(workflow, Value::Null).await;
        for name in ["a", "b", "start"] {
            handle.signal(name, 1).await.unwrap();
        }
        crate::ended(&handle).await.unwrap();
        let named = |numbers: &[(u64, &str)]| {
            numbers.iter().map(|(number, name)| (*number, (*name).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(seen.next().await, named(&[(1, "a"), (2, "b")]));
        assert_eq!(seen.next().await, named(&[(2, "b")]));
        assert_eq!(seen.next().await, named(&[]));
        scene.stop().await;
    }
}
