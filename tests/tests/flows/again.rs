//! Workflows that are tried again, by policy and by hand (row 82; W27).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use paceline_client::{ResultReuse, RetryPolicy, RetryWorkflowError, Step, WorkflowBuilder};
use paceline_tests::{Env, Serve, attempts, feature_test, log};
use paceline_types::{Bytes, EventKind, JobError, ShardIndex, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::{LONG, Scene, count, echo, held, place, task, tried};

/// A scene with a handler that fails for good so many times, over all of its jobs.
async fn failing_first(env: &Env, times: u32) -> Scene {
    let left = Arc::new(AtomicU32::new(times));
    Scene::with(env, |node| {
        node.serve("flaky", tried(1), left, async |left, _, payload: Bytes| {
            let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
            match before {
                Ok(_) => Err(JobError::permanent("not yet")),
                Err(_) => Ok(payload),
            }
        })
    })
    .await
}

fn flaky() -> WorkflowBuilder {
    WorkflowBuilder::new("flaky")
        .task(echo("kept", json!(1)))
        .task(echo("fresh", json!(2)).result_reuse(ResultReuse::Never))
        .task(
            Step::new("flaky", "flaky")
                .payload("ok")
                .after(["kept", "fresh"]),
        )
        .task(echo("after", json!("{{tasks.flaky.output}}")).after(["flaky"]))
}

feature_test! {
    /// Contract row 82: what failed runs again after the policy's delay, what completed is kept,
    /// unless it says otherwise.
    async fn a_policy_tries_what_failed_again(env: Env) {
        let scene = failing_first(&env, 2).await;
        let delay = Duration::from_millis(400);
        let policy = RetryPolicy { initial_delay: delay, max_delay: delay, ..attempts(3) };
        let handle = scene.submit(flaky().retry_policy(policy), Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!("ok"));
        let tale = scene.tale(handle.id()).await;
        let dispatched = |name: &str| count(&tale, &format!("workflow.task.dispatched {name}"));
        assert_eq!((dispatched("kept"), dispatched("fresh")), (1, 3));
        assert_eq!((dispatched("flaky"), dispatched("after")), (3, 1));
        assert_eq!((count(&tale, "workflow.retrying"), count(&tale, "workflow.started")), (2, 1));
        assert_eq!((count(&tale, "workflow.failed"), count(&tale, "workflow.completed")), (0, 1));
        // By the server's clock, as the events have it. The delay counts from a script that comes
        // after the end of the job, and whose own events are dated when it ends.
        let events: Vec<_> = log(&scene.store).await.into_iter().filter(|it| it.workflow_id == Some(handle.id())).collect();
        let failed = events.iter().find(|it| it.kind == EventKind::JobDead).unwrap();
        let retried = events.iter().find(|it| it.kind == EventKind::WorkflowRetrying).unwrap();
        assert!(retried.timestamp >= failed.timestamp + 400, "{failed:?} {retried:?}");
        scene.stop().await;
    }

    /// Contract row 82: so many attempts, and then it has failed.
    async fn attempts_of_a_workflow_are_used_up(env: Env) {
        let scene = failing_first(&env, 9).await;
        let handle = scene.submit(flaky().retry_policy(attempts(2)), Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(ended.error.as_deref(), Some("task flaky failed: not yet"));
        let tale = scene.tale(handle.id()).await;
        assert_eq!((count(&tale, "workflow.retrying"), count(&tale, "workflow.failed")), (1, 1));
        assert_eq!(count(&tale, "workflow.task.dispatched flaky"), 2);
        scene.stop().await;
    }

    /// Contract row 82, W27: by hand, of what failed and of what was cancelled; loops count anew.
    async fn a_retry_by_hand_goes_on_from_what_completed(env: Env) {
        let mut scene = failing_first(&env, 1).await;
        let handle = scene.submit(flaky(), Value::Null).await;
        assert_eq!(crate::ended(&handle).await.unwrap().status, WorkflowStatus::Failed);
        handle.retry().await.unwrap();
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!("ok"));
        assert_eq!(ended.error, None);
        let tale = scene.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.task.dispatched kept"), 1);

        let workflow = WorkflowBuilder::new("cancelled")
            .task(echo("kept", json!(1)))
            .task(held("slow").after(["kept"]))
            .task(echo("after", json!(2)).after(["slow"]));
        let handle = scene.submit(workflow, Value::Null).await;
        scene.begun.next().await;
        handle.cancel("by mistake").await.unwrap();
        assert_eq!(crate::ended(&handle).await.unwrap().status, WorkflowStatus::Cancelled);
        handle.retry().await.unwrap();
        let again = scene.begun.next().await;
        assert_eq!((&*again.task, again.iteration), ("slow", 1));
        scene.gate.open();
        assert_eq!(crate::output(&crate::ended(&handle).await.unwrap()), json!(2));
        let tale = scene.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.task.dispatched kept"), 1);
        assert_eq!(count(&tale, "workflow.task.dispatched after"), 1);
        scene.stop().await;
    }

    /// Contract row 82, W27: a loop that used up its evaluations may go round again.
    async fn a_loop_counts_anew_when_it_is_retried(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("loop")
            .task(echo("a", json!(1)))
            .task(
                Step::condition("x", "route")
                    .payload(json!({ "route": 0, "times": 3, "default": 1 }))
                    .after(["a"])
                    .routes(["a", "end"])
                    .max_iterations(2),
            )
            .task(echo("end", json!("end")).after(["x"]));
        let handle = scene.submit(workflow, Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        let sentence = "task x failed: condition \"x\" exceeded max iterations (2)";
        assert_eq!(ended.error.as_deref(), Some(sentence));
        handle.retry().await.unwrap();
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!("end"), "{ended:?}");
        scene.stop().await;
    }

    /// Contract row 82, W27: the execution timeout begins anew; running out of time is not tried
    /// again by itself.
    async fn each_attempt_has_the_whole_time(env: Env) {
        let mut scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("late")
            .task(held("slow"))
            .execution_timeout(LONG)
            .retry_policy(attempts(5));
        let handle = scene.submit(workflow, Value::Null).await;
        let mut last = None;
        for _ in 0..2 {
            assert_eq!(scene.begun.next().await.task, "slow");
            let running = scene.until(handle.id(), WorkflowStatus::Running).await;
            assert!(running.deadline > last, "{running:?}");
            last = running.deadline;
            env.run_out(handle.id()).await;
            let ended = crate::ended(&handle).await.unwrap();
            assert_eq!(ended.error.as_deref(), Some("execution timed out"));
            handle.retry().await.unwrap();
        }
        let tale = scene.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.timed_out"), 2);
        scene.gate.open();
        crate::output(&crate::ended(&handle).await.unwrap());
        scene.stop().await;
    }

    /// Contract row 82: only what failed or was cancelled.
    async fn only_what_ended_badly_can_be_retried(env: Env) {
        let mut scene = Scene::open(&env).await;
        let running = scene.submit(WorkflowBuilder::new("w").task(held("a")), Value::Null).await;
        scene.begun.next().await;
        let error = running.retry().await.unwrap_err();
        assert!(matches!(error, RetryWorkflowError::WrongStatus { status: WorkflowStatus::Running, .. }), "{error}");
        scene.gate.open();
        crate::ended(&running).await.unwrap();
        let error = running.retry().await.unwrap_err();
        let sentence = format!(
            "{} is completed; only a workflow that failed or was cancelled can be retried",
            running.id()
        );
        assert_eq!(error.to_string(), sentence);
        let nobody = scene.client.workflow_handle(WorkflowId::from_parts(1, ShardIndex(0), 1));
        let error = nobody.retry().await.unwrap_err();
        assert!(matches!(error, RetryWorkflowError::Unknown { .. }) && !error.maybe_stored());
        scene.stop().await;
    }

    /// Contract rows 74 and 82: children of what is retried start afresh.
    async fn a_child_that_failed_is_made_anew(env: Env) {
        let scene = failing_first(&env, 1).await;
        let child = WorkflowBuilder::new("inner").task(Step::new("x", "flaky").payload("ok"));
        let workflow = WorkflowBuilder::new("outer")
            .task(Step::child("c", child))
            .task(Step::new("after", "echo").after(["c"]).result_from("c"))
            .retry_policy(attempts(2));
        let handle = scene.submit(workflow, Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended)["upstream"], json!("ok"));
        assert_eq!(task(&ended, "c").name.as_str(), "c");
        let tale = scene.tale(handle.id()).await;
        assert!(place(&tale, "workflow.retrying") < place(&tale, "workflow.task.completed c"));
        scene.stop().await;
    }
}
