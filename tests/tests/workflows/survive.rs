//! Nodes come and go while a workflow runs.

use paceline_client::WorkflowBuilder;
use paceline_tests::{Env, SOON, eventually, feature_test};
use paceline_types::{EventKind, WorkflowStatus};
use serde_json::json;

use crate::stage::{Stage, What, act, bare_node, held};
use crate::theatre::{Theatre, ended, tasks};

feature_test! {
    async fn a_task_whose_node_goes_is_run_by_another_and_the_workflow_completes(env: Env) {
        let (stage, mut theatre) = Stage::open(&env).await;
        let doomed = theatre.nodes.pop().unwrap();
        let workflow = WorkflowBuilder::new("crash").tasks([
            act("first"),
            held("hit").after(["first"]),
            act("last").after(["hit"]),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("hit").await;
        let victim = doomed.id();
        theatre.nodes.push(stage.node(&env).start().await.unwrap());
        drop(doomed);

        stage.saw("hit", What::Began, 2).await;
        stage.release("hit");
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        assert_eq!(tasks(&workflow), ["first completed", "hit completed", "last completed"]);
        let ran: Vec<_> = stage
            .marks()
            .into_iter()
            .filter(|mark| mark.task == "hit" && mark.what == What::Began)
            .map(|mark| mark.node == victim)
            .collect();
        assert_eq!(ran, [true, false], "first on the node that went, then on the other");
        assert_eq!((stage.begins("first"), stage.begins("last")), (1, 1));
        theatre.assert_ended(&[handle.id()]).await;
    }

    /// Row 66, W6, W7.
    async fn another_leader_finishes_what_the_first_one_began(env: Env) {
        let stage = Stage::default();
        let mut theatre = Theatre::without_nodes(&env).await;
        // It leads and runs nothing, so that nothing waits for its stop.
        let first = bare_node(&env).start().await.unwrap();
        let shards = usize::from(env.shards());
        eventually("it leads", SOON, async || first.leads().len() == shards).await;
        let second = stage.node(&env).start().await.unwrap();

        let mut handles = Vec::new();
        for _ in 0..8 {
            let workflow = WorkflowBuilder::new("handed over").tasks([
                act("a"),
                held("b").after(["a"]),
                act("c").after(["a"]).payload(json!({ "returns": "c" })),
                act("d").after(["b", "c"]).result_from("c").payload(json!({ "echo": true })),
            ]);
            handles.push(theatre.client.submit_workflow(workflow, None).await.unwrap());
        }
        stage.saw("b", What::Began, 8).await;
        assert!(second.leads().is_empty());
        // What ends while nobody leads waits in the inbox.
        let stopping = tokio::spawn(first.stop());
        stage.release("b");
        for handle in &handles {
            let workflow = ended(handle).await;
            assert_eq!(workflow.status, WorkflowStatus::Completed);
        }
        stopping.await.unwrap();
        eventually("the other leads", SOON, async || second.leads().len() == shards).await;
        theatre.nodes.push(second);
        assert_eq!(stage.order().len(), 32, "each task ran once");
        let ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
        let history = theatre.assert_ended(&ids).await;
        assert_eq!(history.count(&EventKind::LeaderElected), 2 * shards);
        assert_eq!(history.count(&EventKind::LeaderLost), shards);
        assert_eq!(history.count(&EventKind::WorkflowTaskDispatched), 32);
    }

    async fn a_workflow_waits_for_a_node_as_long_as_it_takes(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let workflow = WorkflowBuilder::new("patient").task(act("a"));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Pending));
        let _leader = bare_node(&env).start().await.unwrap();
        eventually("it is begun", SOON, async || {
            handle.status().await.unwrap() == Some(WorkflowStatus::Running)
        })
        .await;
        let stage = Stage::default();
        let _worker = stage.node(&env).start().await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
    }
}
