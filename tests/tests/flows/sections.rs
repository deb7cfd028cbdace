//! Subflows and maps (rows 73 and 89; W14).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_client::{Step, Tasks, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, Gate, SOON, Serve, eventually, feature_test};
use paceline_types::{Bytes, JobError, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Scene, begun, count, echo, failing, held, place, task, tasks, tried};

/// A subflow whose handler answers these tasks.
fn plan(name: &str, steps: impl IntoIterator<Item = Step>) -> Step {
    Step::subflow(name, "echo").payload(steps.into_iter().collect::<Tasks<Step>>())
}

feature_test! {
    /// Contract row 73, W14: injected tasks keep their order, and what depends on the generator
    /// waits for all of them.
    async fn the_tasks_of_a_subflow_run_in_their_order(env: Env) {
        let mut scene = Scene::open(&env).await;
        let chain = [held("a"), held("b").after(["a"]), held("c").after(["b", "plan"])];
        let workflow = WorkflowBuilder::new("plan")
            .task(plan("plan", chain))
            .task(held("after").after(["plan"]).result_from("plan"));
        let handle = scene.submit(workflow, Value::Null).await;
        for name in ["a", "b", "c", "after"] {
            assert_eq!(scene.begun.next().await, begun(name, 0));
            assert_eq!(scene.begun.rest(), [], "one at a time");
            scene.gate.admit(1);
        }
        let ended = crate::ended(&handle).await.unwrap();
        let output = crate::output(&ended);
        assert_eq!(output["upstream"]["tasks"][1]["name"], json!("b"), "{output}");
        let states = tasks(&ended);
        for name in ["plan", "after", "a", "b", "c"] {
            assert!(states.contains(&format!("{name} completed")), "{states:?}");
        }
        scene.stop().await;
    }

    /// Contract row 89: what a map may come to is what its nodes are built for.
    async fn the_payload_limit_of_the_nodes_holds_for_what_the_leader_composes(env: Env) {
        let text = "x".repeat(50 * 1024);
        for (limit, fits) in [(1 << 20, true), (256 << 10, false)] {
            let scene = Scene::with(&env, |node| node.max_payload(limit)).await;
            let map = Step::map("each", "echo").items(json!([1, 2, 3, 4, 5, 6])).payload(&text);
            let handle = scene.submit(WorkflowBuilder::new("large").task(map), Value::Null).await;
            let ended = crate::ended(&handle).await.unwrap();
            assert_eq!(ended.status == WorkflowStatus::Completed, fits, "{:?}", ended.error);
            scene.stop().await;
        }
    }

    /// Contract row 73: none are as good as any; what they can be is what tasks can be.
    async fn a_subflow_may_hold_everything_or_nothing(env: Env) {
        let scene = Scene::open(&env).await;
        let none: [Step; 0] = [];
        let inner = [
            echo("x", json!(7)),
            Step::expression("big", "tasks.x.output gt 5").after(["x"]).routes(["yes", "no"]),
            echo("yes", json!(1)).after(["big"]),
            echo("no", json!(1)).after(["big"]),
            plan("deeper", [echo("deep", json!(2))]).after(["yes"]),
            Step::map("each", "echo").items(json!([1, 2, 3])).after(["deeper"]),
            failing("allowed").allow_failure(),
        ];
        let workflow = WorkflowBuilder::new("any")
            .task(plan("empty", none))
            // Its own references are for its own tasks.
            .task(Step::subflow("full", "shell").after(["empty"]).payload(json!({
                "argv": ["echo", serde_json::to_string(&Tasks::from(inner)).unwrap().replace("{{", "{{{{")],
            })))
            .task(echo("after", json!("done")).after(["full", "empty"]));
        let ended = scene.run(workflow, Value::Null).await;
        assert_eq!(crate::output(&ended), json!("done"));
        let states = tasks(&ended);
        for state in ["yes completed", "no skipped", "deep completed", "allowed dead", "each completed"] {
            assert!(states.contains(&state.to_owned()), "{state} in {states:?}");
        }
        scene.stop().await;
    }

    /// Contract row 73: an answer that is no list of valid tasks fails the generator, and is not
    /// tried again.
    async fn a_wrong_answer_fails_the_subflow_for_good(env: Env) {
        let scene = Scene::open(&env).await;
        let table = [
            (json!({ "tasks": [{ "name": "", "task_type": "echo" }] }), "empty"),
            (
                json!({ "tasks": [
                    { "name": "a", "task_type": "echo" }, { "name": "a", "task_type": "echo" },
                ] }),
                "also the name",
            ),
            (json!({ "tasks": [{ "name": "other", "task_type": "echo" }] }), "other"),
            (
                json!({ "tasks": [
                    { "name": "a", "task_type": "echo", "depends_on": ["b"] },
                    { "name": "b", "task_type": "echo", "depends_on": ["a"] },
                ] }),
                "circle",
            ),
            (
                json!({ "tasks": [{ "name": "a", "task_type": "echo", "depends_on": ["other"] }] }),
                "other",
            ),
            (json!({ "tasks": [{ "name": "a", "task_type": "echo", "dep": 1 }] }), "dep"),
            (json!([1]), "plan"),
        ];
        for (answer, part) in table {
            let workflow = WorkflowBuilder::new("wrong")
                .task(echo("other", json!(1)))
                .task(Step::subflow("plan", "echo").payload(&answer).after(["other"]))
                .task(echo("after", json!(1)).after(["plan"]));
            let handle = scene.submit(workflow, Value::Null).await;
            let ended = crate::ended(&handle).await.unwrap();
            let error = ended.error.unwrap_or_default();
            assert!(error.starts_with("task plan failed: ") && error.contains(part), "{answer}: {error}");
            let tale = scene.tale(handle.id()).await;
            assert_eq!(count(&tale, "job.started plan"), 1, "{tale:#?}");
            assert_eq!(count(&tale, "workflow.task.dispatched after"), 0);
        }
        scene.stop().await;
    }

    /// Contract row 73: an injected task that fails is as fatal as any other.
    async fn a_failure_inside_ends_the_workflow(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("inside")
            .task(plan("plan", [failing("bad"), echo("next", json!(1)).after(["bad"])]).allow_failure());
        assert_eq!(scene.error(workflow, Value::Null).await, "task bad failed: boom");
        scene.stop().await;
    }

    /// Contract row 89: results in the order of the elements, however they end.
    async fn a_map_runs_once_for_each_element_and_keeps_their_order(env: Env) {
        let scene = Scene::open(&env).await;
        let items: Vec<Value> = (0..250).map(|n| json!({ "n": n, "name": format!("e{n}") })).collect();
        let workflow = WorkflowBuilder::new("map")
            .task(echo("list", json!({ "files": items })))
            .task(
                Step::map("each", "echo")
                    .after(["list"])
                    .items("{{tasks.list.output.files}}")
                    .payload(json!({ "at": "{{index}}", "n": "{{item.n}}", "text": "{{item.name}}/{{input.x}}" }))
                    .window(17),
            )
            .task(Step::map("raw", "echo").after(["each"]).over("each"));
        let handle = scene.submit(workflow, json!({ "x": "y" })).await;
        let ended = crate::ended(&handle).await.unwrap();
        let expected: Vec<Value> = (0..250)
            .map(|n| json!({ "at": n, "n": n, "text": format!("e{n}/y") }))
            .collect();
        assert_eq!(crate::output(&ended), json!(expected));
        let tale = scene.tale(handle.id()).await;
        for n in [0, 1, 249] {
            assert_eq!(count(&tale, &format!("workflow.task.dispatched each#{n}")), 1);
        }
        assert!(place(&tale, "workflow.task.completed each") < place(&tale, "workflow.task.dispatched raw#0"));
        scene.stop().await;
    }

    /// Contract row 89: `[]` gives `[]`, and what is no array fails the task.
    async fn a_map_over_nothing_and_over_no_array(env: Env) {
        let scene = Scene::open(&env).await;
        let map = |items: Value| WorkflowBuilder::new("map").task(Step::map("m", "echo").items(items));
        assert_eq!(scene.output(map(json!([])), Value::Null).await, json!([]));
        assert_eq!(scene.output(map(json!("{{input}}")), json!([])).await, json!([]));
        let error = scene.error(map(json!("{{input}}")), json!({ "a": 1 })).await;
        assert_eq!(error, "task m failed: map \"m\": its items are an object, not an array");
        let error = scene.error(map(json!("{{input.list}}")), json!({ "a": 1 })).await;
        assert!(error.contains("input.list is not there"), "{error}");
        scene.stop().await;
    }

    /// Contract row 89: never more at once than the window.
    async fn a_window_bounds_what_is_under_way(env: Env) {
        let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let gate = Gate::default();
        let state = (Arc::clone(&most), gate.clone());
        let scene = Scene::with(&env, |node| {
            node.serve("count", tried(1), state, async |(most, gate), _: Context, payload: Bytes| {
                let running = most.0.fetch_add(1, Ordering::SeqCst) + 1;
                most.1.fetch_max(running, Ordering::SeqCst);
                gate.pass().await;
                most.0.fetch_sub(1, Ordering::SeqCst);
                Ok(payload)
            })
        })
        .await;
        let items: Vec<u32> = (0..20).collect();
        let workflow = WorkflowBuilder::new("window")
            .task(Step::map("m", "count").items(&items).window(3));
        let handle = scene.submit(workflow, Value::Null).await;
        eventually("the window is full", SOON, async || most.0.load(Ordering::SeqCst) == 3).await;
        gate.open();
        assert_eq!(crate::output(&crate::ended(&handle).await.unwrap()), json!(items));
        assert_eq!(most.1.load(Ordering::SeqCst), 3);
        scene.stop().await;
    }

    /// Contract row 89: a dead element fails the map, unless its failure is allowed.
    async fn a_dead_element_is_fatal_unless_it_is_allowed(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle_raw("odd", tried(1), async |_, payload: Bytes| {
                match &payload[..] {
                    b"2" => Err(JobError::permanent("two is even")),
                    _ => Ok(payload),
                }
            })
        })
        .await;
        let map = |step: Step| WorkflowBuilder::new("map").task(step.items(json!([1, 2, 3])));
        let ended = scene.run(map(Step::map("m", "odd")), Value::Null).await;
        let error = ended.error.unwrap_or_default();
        assert!(error.starts_with("task m#1 failed: two is even") || error.starts_with("task m failed"), "{error}");
        let output = scene.output(map(Step::map("m", "odd").allow_failure()), Value::Null).await;
        assert_eq!(output, json!([1, null, 3]));
        scene.stop().await;
    }

    /// Contract rows 70 and 73: a generator inside of a loop makes its tasks anew in every turn.
    async fn a_generator_in_a_loop_makes_new_tasks(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("turns")
            .task(plan("plan", [echo("x", json!(1))]))
            .task(Step::map("m", "echo").items(json!([1, 2])).after(["plan"]))
            .task(
                Step::condition("again", "route")
                    .payload(json!({ "route": 0, "times": 2, "default": 1 }))
                    .after(["m"])
                    .routes(["plan", "end"]),
            )
            .task(Step::new("end", "echo").after(["again", "m"]).result_from("m"));
        let handle = scene.submit(workflow, Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended)["upstream"], json!([1, 2]));
        let tale = scene.tale(handle.id()).await;
        for name in ["plan", "x", "m#0", "m#1", "again"] {
            assert_eq!(count(&tale, &format!("workflow.task.dispatched {name}")), 3, "{name}");
        }
        assert_eq!(task(&ended, "x").name.as_str(), "x");
        scene.stop().await;
    }
}
