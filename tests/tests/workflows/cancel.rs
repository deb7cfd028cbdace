//! Workflows that are cancelled, and workflows that run out of time.

use std::time::Duration;

use paceline_client::{CancelWorkflowError, Step, WaitError, WorkflowBuilder};
use paceline_node::CancelReason;
use paceline_tests::{Env, feature_test};
use paceline_types::{JobStatus, ShardIndex, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::stage::{NOBODY, Stage, What, act, held};
use crate::theatre::{Theatre, ended, tasks};

feature_test! {
    async fn a_cancelled_workflow_ends_when_its_running_task_has(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let stubborn = json!({ "hold": true, "stubborn": true });
        let workflow = WorkflowBuilder::new("cancel").tasks([
            act("done"),
            act("running").after(["done"]).payload(stubborn),
            Step::new("queued", NOBODY),
            act("blocked").after(["running"]),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("running").await;
        handle.cancel("enough").await.unwrap();
        stage.saw("running", What::Told(CancelReason::Requested), 1).await;
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Running));
        // A second wish while it ends is accepted, and changes nothing.
        handle.cancel("more than enough").await.unwrap();
        stage.release("running");

        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Cancelled);
        assert_eq!(workflow.error.as_deref(), Some("cancelled: enough"));
        assert_eq!(
            tasks(&workflow),
            ["done completed", "running cancelled", "queued cancelled", "blocked cancelled"]
        );
        let error = handle.output::<Value>().await.unwrap_err();
        assert!(matches!(error, WaitError::Cancelled { .. }), "{error}");

        // Of one that has ended it is a conflict.
        for _ in 0..2 {
            match handle.cancel("again").await.unwrap_err() {
                CancelWorkflowError::Ended { status, .. } => {
                    assert_eq!(status, WorkflowStatus::Cancelled);
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(stage.begins("blocked"), 0);
        let tale = theatre.tale(handle.id()).await;
        assert_eq!(tale.last().map(String::as_str), Some("workflow.cancelled"));
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_workflow_that_is_cancelled_before_it_begins_runs_nothing(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let workflow = WorkflowBuilder::new("early").task(act("a")).task(act("b").after(["a"]));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Pending));
        handle.cancel("").await.unwrap();

        let stage = Stage::default();
        let _node = stage.node(&env).start().await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Cancelled);
        assert_eq!(workflow.error.as_deref(), Some("cancelled"));
        let all_cancelled = workflow.tasks.iter().all(|task| task.status == JobStatus::Cancelled);
        assert!(all_cancelled, "{:?}", workflow.tasks);
        // A later one runs, and the cancelled one has not.
        let later = WorkflowBuilder::new("later").task(act("c"));
        ended(&theatre.client.submit_workflow(later, None).await.unwrap()).await;
        assert_eq!(stage.order(), ["c"]);
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn what_is_unknown_or_has_completed_is_not_cancelled(env: Env) {
        let (_stage, theatre) = Stage::open(&env).await;
        let nobody = WorkflowId::from_parts(1, ShardIndex(0), 1);
        let error = theatre.client.cancel_workflow(nobody, "why").await.unwrap_err();
        assert!(matches!(error, CancelWorkflowError::Unknown { .. }), "{error}");

        let workflow = WorkflowBuilder::new("done").task(act("a"));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        ended(&handle).await;
        let error = handle.cancel("too late").await.unwrap_err().to_string();
        assert_eq!(error, format!("{} cannot be cancelled: it is completed", handle.id()));
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Completed));
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_workflow_that_runs_out_of_time_fails_and_its_handlers_are_told(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let limit = Duration::from_secs(600);
        let workflow = WorkflowBuilder::new("late").execution_timeout(limit).tasks([
            act("done"),
            held("running").after(["done"]),
            Step::new("queued", NOBODY),
            act("blocked").after(["running"]),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("running").await;
        env.run_out(handle.id()).await;
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Failed);
        assert_eq!(workflow.error.as_deref(), Some("execution timed out"));
        assert_eq!(
            tasks(&workflow),
            ["done completed", "running cancelled", "queued cancelled", "blocked cancelled"]
        );
        assert!(workflow.deadline.unwrap() >= workflow.created_at + 600_000);
        stage.saw("running", What::Told(CancelReason::Requested), 1).await;
        let tale = theatre.tale(handle.id()).await;
        assert_eq!(tale.last().map(String::as_str), Some("workflow.timed_out"));
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_workflow_that_ends_in_time_is_not_timed_out(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let quick = WorkflowBuilder::new("quick").execution_timeout(Duration::from_secs(600));
        let handle = theatre.client.submit_workflow(quick.task(act("a")), None).await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
        // A ring that was on its way finds that it has ended, and is taken away.
        env.ring_late(handle.id()).await;
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Completed));
        // By the server's clock: another one runs out of its time, and not before.
        let limit = Duration::from_millis(700);
        let slow = WorkflowBuilder::new("slow").execution_timeout(limit).task(held("b"));
        let other = theatre.client.submit_workflow(slow, None).await.unwrap();
        let late = ended(&other).await;
        assert_eq!(late.status, WorkflowStatus::Failed);
        let took = late.completed_at.unwrap() - late.created_at;
        assert!(took >= 700, "it ended {took} ms after it was accepted");
        assert_eq!(stage.begins("a"), 1);
        theatre.assert_ended(&[handle.id(), other.id()]).await;
    }
}
