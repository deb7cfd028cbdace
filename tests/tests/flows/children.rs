//! Child workflows, in whatever shard they are (row 74; W22, W25, W28).

use std::time::Duration;

use futures::TryStreamExt;
use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_tests::{Env, SOON, eventually, feature_test};
use paceline_types::{Workflow, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::{LONG, Scene, begun, count, echo, failing, held, tasks};

/// A workflow of one task.
fn inner(step: Step) -> WorkflowBuilder {
    WorkflowBuilder::new("inner").task(step)
}

/// Workflows of a name, whatever shard they live in.
async fn named(client: &Client, name: &str) -> Vec<Workflow> {
    let all = client.workflows(None).stream();
    let mut found: Vec<Workflow> = all.try_collect().await.unwrap();
    found.retain(|workflow| workflow.workflow_name == name);
    found
}

/// Waits until every child has ended.
async fn all_ended(client: &Client, name: &str, status: WorkflowStatus) -> Vec<WorkflowId> {
    eventually("the children have ended", SOON, async || {
        let children = named(client, name).await;
        if !children.is_empty() && children.iter().all(|child| child.status == status) {
            Ok(children.into_iter().map(|child| child.id).collect())
        } else {
            Err(format!("{children:?}"))
        }
    })
    .await
}

feature_test! {
    /// Contract row 74: a child whose input cannot be made is never made, and nobody is sent to it.
    async fn a_child_that_is_never_made_is_not_told_of(env: Env) {
        let scene = Scene::open(&env).await;
        let made = Step::child("made", inner(failing("x"))).allow_failure();
        let unmade = Step::child("unmade", inner(echo("x", json!(1)))).payload("{{input.order}}");
        let workflow = WorkflowBuilder::new("outer").task(made).task(unmade.after(["made"]));
        let handle = scene.submit(workflow, json!({})).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(tasks(&ended), ["made dead", "unmade dead"]);
        let told: Vec<_> = ended.tasks.iter().map(|task| task.child_workflow_id).collect();
        let children = named(&scene.client, "inner").await;
        let [made] = &children[..] else { panic!("{children:?}") };
        assert_eq!(told, [Some(made.id), None]);
        scene.stop().await;
    }

    /// Contract row 74, W22, W25: the child is given the payload and leaves its output; roots and
    /// many at once, which on a cluster live in several shards.
    async fn a_child_takes_its_input_and_leaves_its_output(env: Env) {
        let scene = Scene::open(&env).await;
        let doubled = || inner(echo("x", json!(["{{input.n}}", "{{input.n}}"])));
        let child = |n: usize| Step::child(format!("c{n}"), doubled()).payload(json!({ "n": n }));
        let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
        let workflow = WorkflowBuilder::new("outer")
            .tasks((0..8).map(child))
            .task(
                Step::child("last", doubled())
                    .payload(json!({ "n": "{{tasks.c3.output[0]}}/{{input.x}}" }))
                    .after(names.clone()),
            )
            .task(Step::new("all", "echo").after(names.iter().map(String::as_str).chain(["last"])).results_from(["c7", "last"]));
        let output = scene.output(workflow, json!({ "x": "y" })).await;
        assert_eq!(output["upstream"], json!({ "c7": [7, 7], "last": ["3/y", "3/y"] }));
        let children = named(&scene.client, "inner").await;
        assert_eq!(children.len(), 9);
        scene.stop().await;
    }

    /// Contract row 74, W22: a child that fails or runs out of time fails its task, which may be
    /// allowed.
    async fn a_parent_mirrors_how_its_child_ended(env: Env) {
        let scene = Scene::open(&env).await;
        let late = inner(held("slow")).execution_timeout(Duration::from_millis(100));
        let table = [
            (inner(failing("bad")), "task bad failed: boom"),
            (late, "execution timed out"),
        ];
        for (definition, why) in table {
            let parent = WorkflowBuilder::new("outer").task(Step::child("c", definition.clone()));
            let error = scene.error(parent, Value::Null).await;
            assert!(error.starts_with("task c failed: child workflow wf_") && error.contains(why), "{error}");
            let parent = WorkflowBuilder::new("outer")
                .task(Step::child("c", definition).allow_failure())
                .task(Step::new("after", "echo").after(["c"]).result_from("c"));
            let output = scene.output(parent, Value::Null).await;
            let error = output["upstream"]["error"].as_str().unwrap_or_default();
            assert!(error.contains(why), "{output}");
        }
        scene.stop().await;
    }

    /// Contract row 74, W28: cancelling goes down, however deep.
    async fn cancelling_a_parent_cancels_its_children(env: Env) {
        let mut scene = Scene::open(&env).await;
        let deepest = WorkflowBuilder::new("deepest").task(held("slow")).task(held("next").after(["slow"]));
        let middle = inner(Step::child("down", deepest));
        let workflow = WorkflowBuilder::new("outer")
            .task(Step::child("c", middle))
            .task(echo("never", json!(1)).after(["c"]));
        let handle = scene.submit(workflow, Value::Null).await;
        assert_eq!(scene.begun.next().await, begun("slow", 0));
        handle.cancel("enough").await.unwrap();
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(ended.status, WorkflowStatus::Cancelled);
        assert_eq!(ended.error.as_deref(), Some("cancelled: enough"));
        assert_eq!(tasks(&ended), ["c cancelled", "never cancelled"]);
        for name in ["inner", "deepest"] {
            let children = all_ended(&scene.client, name, WorkflowStatus::Cancelled).await;
            assert_eq!(children.len(), 1);
        }
        scene.stop().await;
    }

    /// Contract rows 74 and 83: a failure of the parent, or its time, ends the children as well.
    async fn a_parent_that_ends_takes_its_children_along(env: Env) {
        let mut scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("outer")
            .task(Step::child("c", inner(held("slow"))))
            .execution_timeout(LONG);
        let handle = scene.submit(workflow, Value::Null).await;
        assert_eq!(scene.begun.next().await, begun("slow", 0));
        env.run_out(handle.id()).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(ended.error.as_deref(), Some("execution timed out"));
        all_ended(&scene.client, "inner", WorkflowStatus::Cancelled).await;
        let tale = scene.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.timed_out"), 1);
        scene.stop().await;
    }

    /// Contract row 74: sixteen generations, and no more.
    async fn generations_are_bounded(env: Env) {
        let scene = Scene::open(&env).await;
        let nested = |depth: usize| {
            (0..depth).fold(inner(echo("x", json!("deep"))), |child, _| {
                inner(Step::child("c", child))
            })
        };
        assert_eq!(scene.output(nested(16), Value::Null).await, json!("deep"));
        let refused = scene.client.validate(nested(17));
        if refused.is_empty() {
            let error = scene.error(nested(17), Value::Null).await;
            assert!(error.contains("16"), "{error}");
        }
        scene.stop().await;
    }
}
