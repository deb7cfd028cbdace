//! Suspending and resuming (row 85; W20).

use std::time::Duration;

use paceline_client::{
    ResumeWorkflowError, Step, SuspendWorkflowError, WorkflowBuilder, WorkflowId,
};
use paceline_tests::{Env, feature_test, throughout};
use paceline_types::{ShardIndex, WorkflowStatus};
use serde_json::{Value, json};

use crate::{LONG, Scene, begun, count, echo, held, tasks};

fn chain() -> WorkflowBuilder {
    WorkflowBuilder::new("chain")
        .task(held("one"))
        .task(held("beside"))
        .task(held("two").after(["one"]))
        .task(echo("three", json!("done")).after(["two", "beside"]))
}

feature_test! {
    /// Contract row 85, W20: what runs ends, and does not wake the workflow; nothing new begins
    /// until it is resumed; both may be repeated.
    async fn nothing_new_begins_while_it_is_suspended(env: Env) {
        let mut scene = Scene::open(&env).await;
        let handle = scene.submit(chain(), Value::Null).await;
        let mut first = scene.begun.take(2).await;
        first.sort_by(|a, b| a.task.cmp(&b.task));
        assert_eq!(first, [begun("beside", 0), begun("one", 0)]);
        assert!(handle.suspend().await.unwrap());
        assert!(!handle.suspend().await.unwrap(), "it was");
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Suspended));
        scene.gate.admit(2);
        scene.told(handle.id(), "workflow.task.completed one").await;
        scene.told(handle.id(), "workflow.task.completed beside").await;
        let (begun_tasks, client) = (&mut scene.begun, &scene.client);
        throughout("it stays suspended", Duration::from_millis(500), async || {
            let status = client.workflow(handle.id()).await.unwrap().unwrap().status;
            begun_tasks.rest().is_empty() && status == WorkflowStatus::Suspended
        })
        .await;
        assert!(handle.resume().await.unwrap());
        assert!(!handle.resume().await.unwrap(), "it does");
        assert_eq!(scene.begun.next().await, begun("two", 0));
        scene.gate.open();
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!("done"));
        let tale = scene.tale(handle.id()).await;
        assert_eq!((count(&tale, "workflow.suspended"), count(&tale, "workflow.resumed")), (1, 1));
        assert_eq!(count(&tale, "workflow.task.dispatched two"), 1);
        scene.stop().await;
    }

    /// Contract row 85: the time goes on, and so does a cancellation.
    async fn a_suspended_workflow_may_end(env: Env) {
        let mut scene = Scene::open(&env).await;
        let late = chain().execution_timeout(LONG);
        let handle = scene.submit(late, Value::Null).await;
        scene.begun.take(2).await;
        handle.suspend().await.unwrap();
        env.run_out(handle.id()).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(ended.error.as_deref(), Some("execution timed out"));
        let states = ["one cancelled", "beside cancelled", "two cancelled", "three cancelled"];
        assert_eq!(tasks(&ended), states);

        let handle = scene.submit(chain(), Value::Null).await;
        scene.begun.take(2).await;
        handle.suspend().await.unwrap();
        handle.cancel("enough").await.unwrap();
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(ended.status, WorkflowStatus::Cancelled);
        scene.stop().await;
    }

    /// Contract rows 84 and 85: a signal that comes meanwhile is kept.
    async fn a_signal_that_comes_meanwhile_is_kept(env: Env) {
        let mut scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("waits")
            .task(Step::signal("go"))
            .task(held("after").after(["go"]));
        let handle = scene.submit(workflow, Value::Null).await;
        scene.told(handle.id(), "workflow.task.dispatched go").await;
        handle.suspend().await.unwrap();
        handle.signal("go", 7).await.unwrap();
        let begun_tasks = &mut scene.begun;
        throughout("nothing begins", Duration::from_millis(300), async || begun_tasks.rest().is_empty()).await;
        handle.resume().await.unwrap();
        assert_eq!(scene.begun.next().await, begun("after", 0));
        scene.gate.open();
        crate::ended(&handle).await.unwrap();
        scene.stop().await;
    }

    /// Contract row 85: only what runs can be suspended.
    async fn the_wrong_state_is_a_conflict(env: Env) {
        let scene = Scene::open(&env).await;
        let done = scene.submit(WorkflowBuilder::new("w").task(echo("a", json!(1))), Value::Null).await;
        crate::ended(&done).await.unwrap();
        let error = done.suspend().await.unwrap_err();
        assert!(matches!(error, SuspendWorkflowError::WrongStatus { status: WorkflowStatus::Completed, .. }));
        let sentence = format!("{} is completed; only a workflow that runs can be suspended", done.id());
        assert_eq!(error.to_string(), sentence);
        let error = done.resume().await.unwrap_err();
        assert!(matches!(error, ResumeWorkflowError::WrongStatus { .. }), "{error}");
        let nobody = scene.client.workflow_handle(WorkflowId::from_parts(1, ShardIndex(0), 1));
        assert!(matches!(nobody.suspend().await, Err(SuspendWorkflowError::Unknown { .. })));
        assert!(matches!(nobody.resume().await, Err(ResumeWorkflowError::Unknown { .. })));
        scene.stop().await;
    }
}
