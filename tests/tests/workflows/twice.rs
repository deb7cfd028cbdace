//! The inbox delivers at least once: every entry is put there a second time.

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, Repeater, feature_test, inboxes_empty, parked};
use paceline_types::{EventKind, WorkflowStatus};
use serde_json::json;

use crate::stage::{NOBODY, Stage, act, failing, held};
use crate::theatre::{Theatre, ended, output, tasks};

feature_test! {
    async fn every_entry_twice_changes_nothing(env: Env) {
        let stage = Stage::default();
        let theatre = Theatre::without_nodes(&env).await;
        let repeater = Repeater::start(&env).await;
        let fails = json!({ "hold": true, "fail": "boom" });
        let echoes = json!({ "hold": true, "echo": true });
        let workflow = || {
            WorkflowBuilder::new("twice").tasks([
                held("a").allow_failure(),
                held("b").after(["a"]),
                act("c").after(["a"]).payload(&fails).allow_failure(),
                held("d").after(["b", "c"]),
                act("e").after(["d"]).results_from(["d"]).payload(&echoes),
            ])
        };
        let handle = theatre.client.submit_workflow(workflow(), None).await.unwrap();
        repeater.reached(1).await;
        let _node = stage.node(&env).start().await.unwrap();
        // One end after the other, so that each entry is seen before it is consumed.
        for (count, task) in (2..).zip(["a", "b", "c", "d", "e"]) {
            stage.began(task).await;
            stage.release(task);
            repeater.reached(count).await;
        }
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        let given = json!({ "upstream": { "d": null }, "original": echoes });
        assert_eq!(output(&workflow), given);
        assert_eq!(
            tasks(&workflow),
            ["a completed", "b completed", "c dead", "d completed", "e completed"]
        );
        empty(&env).await;
        assert_eq!(repeater.count(), 6, "the start and five ends");
        assert_eq!(stage.order().len(), 5, "each task ran once: {:?}", stage.order());
        let history = theatre.assert_ended(&[handle.id()]).await;
        assert_eq!(history.count(&EventKind::WorkflowTaskDispatched), 5);
        assert_eq!(history.count(&EventKind::WorkflowTaskCompleted), 4);
        assert_eq!(history.count(&EventKind::WorkflowTaskFailed), 1);
    }

    async fn a_cancellation_twice_is_one(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let repeater = Repeater::start(&env).await;
        let workflow = WorkflowBuilder::new("twice cancelled")
            .task(held("a"))
            .task(Step::new("b", NOBODY));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("a").await;
        let before = repeater.count();
        handle.cancel("enough").await.unwrap();
        repeater.reached(before + 1).await;
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Cancelled);
        assert_eq!(tasks(&workflow), ["a cancelled", "b cancelled"]);
        empty(&env).await;
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_crowd_of_workflows_is_not_confused_by_entries_that_come_twice(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let repeater = Repeater::start(&env).await;
        let mut handles = Vec::new();
        for place in 0..30 {
            let last = match place % 3 {
                0 => failing("last"),
                _ => act("last"),
            };
            let workflow = WorkflowBuilder::new("crowd")
                .tasks([act("a"), act("b"), act("c").after(["a", "b"])])
                .task(failing("d").allow_failure().after(["a"]))
                .task(last.after(["c", "d"]));
            handles.push(theatre.client.submit_workflow(workflow, None).await.unwrap());
        }
        for (place, handle) in handles.iter().enumerate() {
            let status = match place % 3 {
                0 => WorkflowStatus::Failed,
                _ => WorkflowStatus::Completed,
            };
            assert_eq!(ended(handle).await.status, status);
        }
        empty(&env).await;
        assert!(repeater.count() > 30, "the fault bit: {}", repeater.count());
        assert_eq!(stage.order().len(), 150);
        let ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
        let history = theatre.assert_ended(&ids).await;
        assert_eq!(history.count(&EventKind::WorkflowTaskDispatched), 150);
        assert_eq!(history.count(&EventKind::WorkflowTaskFailed), 40);
    }
}

/// Waits until the leaders have seen everything, copies included, and parked none of it.
async fn empty(env: &Env) {
    inboxes_empty(env).await;
    let none = Vec::<String>::new();
    assert_eq!(
        parked(env).await,
        none,
        "a repeated entry is late, not impossible"
    );
}
