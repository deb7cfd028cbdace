//! What handlers of workflows see and answer, with types (rows 36, 69, 73, 75, 79; W25).

use std::collections::BTreeMap;

use paceline_client::{Route, Step, Task, Tasks, Upstream, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, Serve, feature_test, notes};
use paceline_types::{Bytes, JobError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Scene, begun, echo, held, tried};

#[derive(Serialize, Deserialize)]
struct Sum;

impl Task for Sum {
    const TYPE: &'static str = "sum";
    type Output = u64;
}

#[derive(Serialize, Deserialize)]
struct IsLarge {
    limit: u64,
}

impl Task for IsLarge {
    const TYPE: &'static str = "is-large";
    type Output = Route;
}

#[derive(Serialize, Deserialize)]
struct Days {
    count: u32,
}

impl Task for Days {
    const TYPE: &'static str = "days";
    type Output = Tasks<Step>;
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u32,
}

feature_test! {
    /// Contract rows 69, 73 and 75: with nothing but types.
    async fn typed_handlers_are_conditions_subflows_and_joins(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle(|_: Context, job: Upstream<BTreeMap<String, Option<u64>>, Sum>| async move {
                Ok(job.upstream.values().flatten().sum())
            })
            .handle(|_: Context, job: Upstream<u64, IsLarge>| async move {
                Ok(Route(if job.upstream > job.original.limit { 0 } else { 1 }))
            })
            .handle(|_: Context, job: Days| async move {
                let day = |n: u32| echo(&format!("day-{n}"), json!(n));
                Ok((0..job.count).map(day).collect())
            })
        })
        .await;
        let workflow = WorkflowBuilder::new("typed")
            .task(echo("a", json!(3)))
            .task(echo("b", json!(4)))
            .task(echo("no", json!(9)).after(["a"]).precondition("a", "", "0"))
            .task(Step::of("sum", &Sum).after(["a", "b", "no"]).results_from(["a", "b", "no"]))
            .task(
                Step::condition("large", IsLarge::TYPE)
                    .payload(IsLarge { limit: 5 })
                    .after(["sum"])
                    .result_from("sum")
                    .routes(["days", "small"]),
            )
            .task(Step::subflow("days", Days::TYPE).payload(Days { count: 3 }).after(["large"]))
            .task(echo("small", json!("small")).after(["large"]))
            .task(Step::new("end", "echo").after(["days", "small"]).result_from("small"));
        let handle = scene.submit(workflow, Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!({ "upstream": null, "original": null }));
        assert_eq!(handle.task_result::<u64>("sum").await.unwrap(), 7);
        assert_eq!(handle.task_result::<Route>("large").await.unwrap(), Route(0));
        assert_eq!(handle.task_result::<u32>("day-2").await.unwrap(), 2);
        let none = handle.task_result::<Value>("small").await.unwrap_err();
        assert!(none.to_string().contains("task small of"), "{none}");
        let unknown = handle.task_result::<Value>("smal").await.unwrap_err();
        assert!(unknown.to_string().contains("has no task \"smal\" that has begun"), "{unknown}");
        scene.stop().await;
    }

    /// Contract row 75: a payload that does not fit names its place, and is not tried again.
    async fn upstream_results_that_do_not_fit_are_told_with_their_place(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle(|_: Context, job: Upstream<u64, IsLarge>| async move {
                Ok(Route(u32::from(job.upstream > job.original.limit)))
            })
        })
        .await;
        let workflow = WorkflowBuilder::new("typed")
            .task(echo("a", json!(3)))
            .task(Step::new("c", IsLarge::TYPE).payload(json!({ "limit": "x" })).after(["a"]).result_from("a"));
        let error = scene.error(workflow, Value::Null).await;
        let sentence = "task c failed: the payload is not a is-large at `original.limit`";
        assert!(error.starts_with(sentence), "{error}");
        scene.stop().await;
    }

    /// Contract rows 36 and 79, W25: the input and the place of the task are in the context.
    async fn a_handler_sees_its_place_and_the_input(env: Env) {
        let (pen, mut told) = notes();
        let scene = Scene::with(&env, |node| {
            node.serve("look", tried(1), pen, async |pen, context: Context, _| {
                let order: Order = context.workflow_input_as().await?;
                let bytes = context.workflow_input().await?;
                pen.note((
                    context.workflow_id(),
                    context.workflow_task().map(ToString::to_string),
                    context.workflow_iteration(),
                    order.id,
                    bytes,
                ));
                Ok(Bytes::from_static(b"1"))
            })
        })
        .await;
        let workflow = || {
            WorkflowBuilder::new("look")
                .task(Step::new("first", "look"))
                .task(
                    Step::condition("again", "route")
                        .payload(json!({ "route": 0, "times": 1, "default": 1 }))
                        .after(["first"])
                        .routes(["first", "second"]),
                )
                .task(Step::new("second", "look").after(["again"]))
        };
        let handle = scene.submit(workflow(), json!({ "id": 7 })).await;
        crate::ended(&handle).await.unwrap();
        let input = Some(Bytes::from_static(br#"{"id":7}"#));
        for (task, iteration) in [("first", 0), ("first", 1), ("second", 0)] {
            let seen = told.next().await;
            let task = Some(task.to_owned());
            assert_eq!(seen, (Some(handle.id()), task, Some(iteration), 7, input.clone()));
        }
        // What is not an order fails at once, with the field; no input reads as null.
        for (input, part) in [(json!({ "id": "x" }), "at `id`"), (Value::Null, "invalid type: null")] {
            let error = scene.error(workflow(), input).await;
            let sentence = "task first failed: the input of the workflow cannot be read";
            assert!(error.starts_with(sentence) && error.contains(part), "{error}");
        }
        scene.stop().await;
    }

    /// Contract row 25: outcomes of tasks are those of jobs.
    async fn a_handler_that_skips_leaves_null(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle_raw("skip", tried(1), async |_, _| Err(JobError::skip("nothing new")))
        })
        .await;
        let workflow = WorkflowBuilder::new("skip")
            .task(Step::new("a", "skip"))
            .task(Step::new("b", "echo").after(["a"]).result_from("a"));
        let output = scene.output(workflow, Value::Null).await;
        assert_eq!(output, json!({ "upstream": null, "original": null }));
        scene.stop().await;
    }

    /// Contract row 124: conditions and subflows without a line of Rust.
    async fn scripts_answer_routes_and_tasks(env: Env) {
        let mut scene = Scene::open(&env).await;
        let tasks = r#"{"tasks":[{"name":"one","task_type":"hold","payload":1},
            {"name":"two","task_type":"echo","payload":"{{tasks.one.output}}","depends_on":["one"]}]}"#;
        let workflow = WorkflowBuilder::new("scripts")
            .task(
                Step::condition("choose", "shell")
                    .payload(json!({ "script": r#"test "$PACELINE_ITERATION" = 0 && echo '{"route":1}'"# }))
                    .routes(["never", "plan"]),
            )
            .task(echo("never", json!(1)).after(["choose"]))
            .task(
                Step::subflow("plan", "shell")
                    .payload(json!({ "argv": ["cat"], "input": serde_json::from_str::<Value>(&tasks.replace("{{", "{{{{")).unwrap() }))
                    .after(["choose"]),
            )
            .task(held("after").after(["plan"]));
        let handle = scene.submit(workflow, Value::Null).await;
        assert_eq!(scene.begun.next().await, begun("one", 0));
        scene.gate.open();
        assert_eq!(scene.begun.next().await, begun("after", 0));
        crate::ended(&handle).await.unwrap();
        assert_eq!(handle.task_result::<u8>("two").await.unwrap(), 1);
        scene.stop().await;
    }
}
