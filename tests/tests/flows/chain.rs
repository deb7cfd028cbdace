//! Workflows that go on as new ones (row 87).

use paceline_client::{CancelWorkflowError, SignalError, Step, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, SOON, Serve, feature_test, notes, within};
use paceline_types::{Bytes, JobError, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Scene, count, echo, tried};

/// A scene with a handler that counts in the input of its workflow, up to three.
async fn counting(env: &Env) -> Scene {
    Scene::with(env, |node| {
        node.serve("count", tried(1), (), async |(), context: Context, _| {
            let n: u64 = context.workflow_input_as().await?;
            if n < 3 {
                return Err(JobError::continue_as_new(n + 1));
            }
            Ok(Bytes::from(format!("\"{n} is enough\"")))
        })
    })
    .await
}

feature_test! {
    /// Contract row 87: each is an instance of its own, with the same definition; whoever waits for
    /// the first is told what the last came to.
    async fn a_chain_ends_with_its_last_link(env: Env) {
        let scene = counting(&env).await;
        let workflow = WorkflowBuilder::new("chain")
            .task(echo("first", json!("{{input}}")))
            .task(Step::new("count", "count").after(["first"]));
        let handle = scene.submit(workflow, json!(0)).await;
        let output: String = within("the output", SOON, handle.output()).await.unwrap();
        assert_eq!(output, "3 is enough");
        let mut id = handle.id();
        for n in 0..3 {
            let link = scene.client.workflow(id).await.unwrap().unwrap();
            assert_eq!(link.status, WorkflowStatus::Continued);
            assert_eq!(link.input.as_deref(), Some(n.to_string().as_bytes()));
            let tale = scene.tale(id).await;
            assert_eq!(count(&tale, "workflow.completed"), 1, "{tale:#?}");
            id = id.of_successor();
        }
        let last = crate::ended(&handle).await.unwrap();
        assert_eq!((last.id, last.status), (id, WorkflowStatus::Completed));
        assert_eq!(last.input.as_deref(), Some(&b"3"[..]));
        scene.stop().await;
    }

    /// Contract rows 81 and 87: hooks frame the chain; the old ones point on.
    async fn hooks_frame_the_whole_chain(env: Env) {
        let (pen, mut ran) = notes();
        let scene = Scene::with(&env, |node| {
            node.serve("hook", tried(1), pen, async |pen, context: Context, _| {
                pen.note(context.workflow_task().unwrap().to_string());
                Ok(Bytes::from_static(b"1"))
            })
        })
        .await;
        let workflow = WorkflowBuilder::new("hooked")
            .task(
                Step::expression("more", "input.left gt 0").routes(["go-on", "end"]),
            )
            .task(
                Step::new("go-on", "continue")
                    .after(["more"])
                    .payload(json!({ "input": { "left": 0 } })),
            )
            .task(echo("end", json!("end")).after(["more"]))
            .on_init("hook")
            .on_success("hook")
            .on_exit("hook");
        let handle = scene.submit(workflow, json!({ "left": 1 })).await;
        let last = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&last), json!({ "go-on": null, "end": "end" }));
        scene.told(last.id, "workflow.hook.completed __hook.on_exit").await;
        assert_eq!(ran.take(3).await, ["__hook.on_init", "__hook.on_success", "__hook.on_exit"]);
        assert_eq!(ran.rest(), Vec::<String>::new());

        let next = handle.id().of_successor();
        match handle.cancel("").await.unwrap_err() {
            CancelWorkflowError::Continued { next: told, .. } => assert_eq!(told, next),
            other => panic!("{other}"),
        }
        match handle.signal("x", 1).await.unwrap_err() {
            SignalError::Continued { next: told, .. } => assert_eq!(told, next),
            other => panic!("{other}"),
        }
        scene.stop().await;
    }

    /// Contract rows 74 and 87: the parent waits for the last of the chain.
    async fn a_child_that_goes_on_is_still_the_child(env: Env) {
        let scene = counting(&env).await;
        let child = WorkflowBuilder::new("inner").task(Step::new("count", "count"));
        let workflow = WorkflowBuilder::new("outer")
            .task(Step::child("c", child).payload("{{input}}"))
            .task(Step::new("after", "echo").after(["c"]).result_from("c"));
        let output = scene.output(workflow, json!(1)).await;
        assert_eq!(output["upstream"], json!("3 is enough"));
        scene.stop().await;
    }

    /// Contract row 87: outside of a workflow, and of a task that others depend on, it is the result.
    async fn elsewhere_it_is_a_result(env: Env) {
        let scene = Scene::open(&env).await;
        let job = scene.client.submit_raw("continue", json!({ "input": 7 })).await.unwrap();
        assert_eq!(within("the job", SOON, job.output()).await.unwrap(), json!(7));
        let workflow = WorkflowBuilder::new("inside")
            .task(Step::new("a", "continue").payload(json!({ "input": 7 })))
            .task(Step::new("b", "echo").after(["a"]).result_from("a"));
        let output = scene.output(workflow, Value::Null).await;
        assert_eq!(output, json!({ "upstream": 7, "original": null }));
        scene.stop().await;
    }
}
