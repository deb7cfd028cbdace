//! What follows from a task that fails.

use paceline_client::{RetryError, Step, WaitError, WorkflowBuilder};
use paceline_node::CancelReason;
use paceline_tests::{Env, SOON, attempts, eventually, feature_test, within};
use paceline_types::{JobStatus, WorkflowStatus};
use serde_json::{Value, json};

use crate::stage::{NOBODY, Stage, What, act, failing, held};
use crate::theatre::{Theatre, ended, tasks};

fn dispatched(tale: &[String]) -> Vec<&str> {
    let dispatched = tale
        .iter()
        .filter_map(|event| event.strip_prefix("workflow.task.dispatched "));
    dispatched.collect()
}

feature_test! {
    /// Row 67, W28.
    async fn a_fatal_failure_stops_everything_and_ends_when_all_have_settled(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let stubborn = json!({ "hold": true, "stubborn": true });
        let workflow = WorkflowBuilder::new("fatal").tasks([
            act("bad").payload(json!({ "hold": true, "fail": "boom: no such table" })),
            act("running").payload(stubborn),
            Step::new("queued", NOBODY),
            act("after-bad").after(["bad"]),
            act("after-running").after(["running"]),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("bad").await;
        stage.began("running").await;
        stage.release("bad");
        stage.saw("running", What::Told(CancelReason::Requested), 1).await;

        // It has been told, but has not ended: so has the workflow not.
        let ending = theatre.client.workflow(handle.id()).await.unwrap().unwrap();
        assert_eq!(ending.status, WorkflowStatus::Running);
        assert_eq!(
            tasks(&ending),
            [
                "bad dead",
                "running running",
                "queued cancelled",
                "after-bad cancelled",
                "after-running cancelled",
            ]
        );
        assert_eq!(ending.error.as_deref(), Some("task bad failed: boom: no such table"));

        stage.release("running");
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Failed);
        assert_eq!(workflow.error.as_deref(), Some("task bad failed: boom: no such table"));
        assert_eq!(
            tasks(&workflow),
            [
                "bad dead",
                "running cancelled",
                "queued cancelled",
                "after-bad cancelled",
                "after-running cancelled",
            ]
        );
        assert_eq!((workflow.tasks[3].job_id, workflow.output.clone()), (None, None));
        assert_eq!(stage.order().len(), 2, "nothing else ever ran");

        let tale = theatre.tale(handle.id()).await;
        assert_eq!(dispatched(&tale), ["bad", "queued", "running"]);
        assert_eq!(tale.last().map(String::as_str), Some("workflow.failed"));
        for told in [
            "job.dead bad",
            "job.cancelled running",
            "job.cancelled queued",
            "workflow.task.failed bad",
            "workflow.task.failed running",
            "workflow.task.failed queued",
        ] {
            assert_eq!(tale.iter().filter(|event| *event == told).count(), 1, "{told}");
        }
        let error = handle.output::<Value>().await.unwrap_err();
        assert!(matches!(error, WaitError::Failed { .. }), "{error}");
        theatre.assert_ended(&[handle.id()]).await;
    }

    /// Row 68.
    async fn an_allowed_failure_counts_as_done(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let flaky = act("tries").payload(json!({ "flaky": 9 })).retry_policy(attempts(2));
        let workflow = WorkflowBuilder::new("allowed").tasks([
            failing("at-once").allow_failure(),
            flaky.allow_failure(),
            act("next").after(["at-once", "tries"]),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        assert_eq!(tasks(&workflow), ["at-once dead", "tries dead", "next completed"]);
        assert_eq!(workflow.tasks[1].error.as_deref(), Some("attempt 2"));
        assert_eq!(stage.begins("tries"), 2);
        assert!(theatre.tale(handle.id()).await.contains(&"workflow.task.failed tries".to_owned()));
        let letters = theatre.client.dead_letters().list().await.unwrap();
        assert_eq!(letters.items, [], "dead letters hold single jobs");
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn attempts_that_are_used_up_fail_the_workflow_with_the_last_error(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let tries = act("tries").payload(json!({ "flaky": 9 })).retry_policy(attempts(3));
        let workflow =
            WorkflowBuilder::new("used-up").task(tries).task(act("next").after(["tries"]));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Failed);
        assert_eq!(workflow.error.as_deref(), Some("task tries failed: attempt 3"));
        assert_eq!((stage.begins("tries"), stage.begins("next")), (3, 0));
    }

    /// Row 67.
    async fn of_two_failures_the_first_is_the_cause_and_the_end_is_told_once(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let bad = |name: &str| {
            act(name).payload(json!({ "hold": true, "stubborn": true, "fail": name }))
        };
        let workflow = WorkflowBuilder::new("two").tasks([bad("one"), bad("other")]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("one").await;
        stage.began("other").await;
        stage.release("other");
        stage.saw("one", What::Told(CancelReason::Requested), 1).await;
        stage.release("one");
        let workflow = ended(&handle).await;
        assert_eq!(workflow.error.as_deref(), Some("task other failed: other"));
        assert_eq!(tasks(&workflow), ["one cancelled", "other dead"]);
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_task_that_is_cancelled_by_hand_fails_its_workflow(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let workflow = WorkflowBuilder::new("by-hand")
            .task(held("running"))
            .task(Step::new("queued", NOBODY).allow_failure())
            .task(act("next").after(["running"]));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("running").await;
        let jobs = theatre.client.workflow(handle.id()).await.unwrap().unwrap().tasks;
        let (running, queued) = (jobs[0].job_id.unwrap(), jobs[1].job_id.unwrap());

        // What is allowed to fail may be cancelled, and the rest goes on.
        theatre.client.cancel(queued).await.unwrap();
        eventually("that is noticed", SOON, async || {
            theatre.tale(handle.id()).await.contains(&"workflow.task.failed queued".to_owned())
        })
        .await;
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Running));

        theatre.client.cancel(running).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Failed);
        assert_eq!(workflow.error.as_deref(), Some("task running was cancelled"));
        assert_eq!(stage.begins("next"), 0);
        let error = theatre.client.retry(running).await.unwrap_err();
        assert!(matches!(error, RetryError::InWorkflow { .. }), "{error}");
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_panic_and_a_timeout_are_failures_that_are_named(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let never = paceline_node::HandlerOptions {
            retry_policy: Some(paceline_types::RetryPolicy::never()),
            ..Default::default()
        };
        let _node = env
            .node()
            .handle_raw("panics", never.clone(), |_, _| async { panic!("the sky falls") })
            .handle_raw("hangs", never, |_, _| async { std::future::pending().await })
            .start()
            .await
            .unwrap();
        let limit = std::time::Duration::from_millis(200);
        for (step, error) in [
            (Step::new("p", "panics"), "task p failed: handler panicked: the sky falls"),
            (
                Step::new("h", "hangs").timeout(limit),
                "task h failed: handler exceeded its timeout of 200ms",
            ),
        ] {
            let workflow = WorkflowBuilder::new("harm").task(step);
            let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
            let workflow = within("its end", SOON, handle.wait()).await.unwrap();
            let told = workflow.error.unwrap();
            assert!(told.starts_with(error), "{told}");
            assert_eq!(workflow.tasks[0].status, JobStatus::Dead);
        }
    }
}
