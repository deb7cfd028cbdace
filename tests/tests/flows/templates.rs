//! Values that payloads refer to (rows 72, 75, 76, 79; W19, W25, W26).

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, feature_test};
use paceline_types::JobId;
use serde_json::{Value, json};

use crate::{Scene, count, echo, failing, held, task, tasks};

feature_test! {
    /// Contract row 79, W25: every task may refer to the input, and to results before it.
    async fn payloads_are_put_together_where_they_run(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("values")
            .task(echo("a", json!({ "total": 1.5, "lines": [{ "sku": "x\"y" }], "none": null })))
            .task(echo("b", json!({
                "whole": "{{tasks.a.output}}",
                "typed": "{{ tasks.a.output.total }}",
                "text": "order {{input.id}}: {{tasks.a.output.total}} for {{tasks.a.output.lines[0].sku}}",
                "null": "{{tasks.a.output.none}}",
                "in-text": "<{{tasks.a.output.none}}>",
                "braces": "{{{{input}}",
                "{{input.id}}": "keys are left alone",
            })).after(["a"]));
        let a = json!({ "total": 1.5, "lines": [{ "sku": "x\"y" }], "none": null });
        let expected = json!({
            "whole": a,
            "typed": 1.5,
            "text": "order 7: 1.5 for x\"y",
            "null": null,
            "in-text": "<>",
            "braces": "{{input}}",
            "{{input.id}}": "keys are left alone",
        });
        assert_eq!(scene.output(workflow, json!({ "id": 7 })).await, expected);
        scene.stop().await;
    }

    /// First values are put in, then it is wrapped.
    async fn a_payload_is_wrapped_after_it_was_put_together(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("wrapped")
            .task(echo("a", json!(["{{input}}"])))
            .task(echo("b", json!(2)))
            .task(
                echo("c", json!({ "b": "{{tasks.b.output}}" }))
                    .after(["a", "b"])
                    .result_from("a"),
            )
            .task(
                echo("d", json!("{{tasks.c.output.upstream[0].n}}"))
                    .after(["a", "b", "c"])
                    .results_from(["b", "a"]),
            );
        let input = json!({ "n": 1 });
        let d = json!({ "upstream": { "b": 2, "a": [{ "n": 1 }] }, "original": 1 });
        assert_eq!(scene.output(workflow, input).await, d);
        scene.stop().await;
    }

    /// Contract row 75, W19: what is missing fails the run for good, with its place.
    async fn what_is_not_there_fails_the_task_for_good(env: Env) {
        let scene = Scene::open(&env).await;
        let table = [
            ("{{tasks.a.output.total}}", "payload: tasks.a.output.total is not there"),
            ("x {{tasks.a.output.lines[3]}}", "payload: tasks.a.output.lines[3] is not there"),
            ("{{input.order}}", "payload: input.order is not there"),
        ];
        for (reference, sentence) in table {
            let workflow = WorkflowBuilder::new("missing")
                .task(echo("a", json!({ "lines": [1] })))
                .task(echo("b", json!({ "deep": [reference] })).after(["a"]));
            let handle = scene.submit(workflow, json!({ "id": 7 })).await;
            let ended = crate::ended(&handle).await.unwrap();
            assert_eq!(ended.error.as_deref(), Some(&*format!("task b failed: {sentence}")));
            let tale = scene.tale(handle.id()).await;
            assert_eq!((count(&tale, "job.started b"), count(&tale, "job.dead b")), (1, 1));
        }
        // Allowed to fail, it is as any other failure.
        let workflow = WorkflowBuilder::new("allowed")
            .task(echo("a", json!({})))
            .task(echo("b", json!("{{tasks.a.output.total}}")).after(["a"]).allow_failure())
            .task(echo("c", json!("{{tasks.b.output.error}}")).after(["b"]));
        let error = "payload: tasks.a.output.total is not there";
        assert_eq!(scene.output(workflow, Value::Null).await, json!(error));
        scene.stop().await;
    }

    /// Contract row 75, W19, W26: a result that was removed fails the task that is given it.
    async fn a_result_that_is_gone_fails_the_task_for_good(env: Env) {
        let mut scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("gone")
            .task(held("a"))
            .task(echo("b", json!(1)).after(["a"]).result_from("a"));
        let handle = scene.submit(workflow, Value::Null).await;
        scene.begun.next().await;
        handle.suspend().await.unwrap();
        scene.gate.open();
        scene.told(handle.id(), "workflow.task.completed a").await;
        let job = JobId::of_task(handle.id(), 0, 0);
        let mut bare = [0; 26];
        let (stem, last) = job.bare(&mut bare).split_at(25);
        let mut remove = redis::cmd("HDEL");
        remove.arg(format!("{{{}:{}}}:s:{stem}", env.namespace(), job.shard())).arg(last);
        let removed: u32 = remove.query_async(&mut env.raw().await).await.unwrap();
        assert_eq!(removed, 1);
        handle.resume().await.unwrap();
        let ended = crate::ended(&handle).await.unwrap();
        let sentence = "task b failed: the result of upstream task a is missing";
        assert_eq!(ended.error.as_deref(), Some(sentence));
        scene.stop().await;
    }

    /// Contract row 72: what a task that was skipped would have had is null, at any depth.
    async fn below_what_was_skipped_everything_is_null(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("null")
            .task(echo("a", json!({ "go": "no" })))
            .task(echo("skipped", json!(1)).after(["a"]).precondition("a", "$.go", "yes"))
            .task(failing("failed").allow_failure())
            .task(echo("b", json!({
                "deep": "{{tasks.skipped.output.some.where[7]}}",
                "error": "{{tasks.failed.output.error}}",
                "input": "{{input.any}}",
            })).after(["skipped", "failed"]).result_from("skipped"));
        let ended = scene.run(workflow, Value::Null).await;
        let expected = json!({
            "upstream": null,
            "original": { "deep": null, "error": "boom", "input": null },
        });
        assert_eq!(crate::output(&ended), expected);
        assert_eq!(
            tasks(&ended),
            ["a completed", "skipped skipped", "failed dead", "b completed"]
        );
        scene.stop().await;
    }

    /// Contract row 76, W21: by the table of comparisons; dependents run, a last task that is
    /// skipped completes the workflow.
    async fn preconditions_skip_and_let_dependents_run(env: Env) {
        let scene = Scene::open(&env).await;
        let a = json!({ "n": 1.50, "yes": true, "list": [1, { "a": null }], "null": null, "text": "x" });
        let holds = [
            ("$.n", "1.5"), ("n", "1.5"), ("yes", "true"), ("list[0]", "1"), ("text", "x"),
            ("list", r#"[1,{"a":null}]"#), ("null", ""), ("missing", ""), ("list[1].a", ""),
        ];
        let fails = [("n", "1.50"), ("yes", "True"), ("text", ""), ("missing", "x"), ("list", "")];
        let step = |kind: &str, place: usize, path: &str, expected: &str| {
            echo(&format!("{kind}{place}"), json!(kind)).after(["a"]).precondition("a", path, expected)
        };
        let mut workflow = WorkflowBuilder::new("preconditions").task(echo("a", a));
        for (place, (path, expected)) in holds.into_iter().enumerate() {
            workflow = workflow.task(step("holds", place, path, expected));
        }
        for (place, (path, expected)) in fails.into_iter().enumerate() {
            workflow = workflow.task(step("fails", place, path, expected));
        }
        let last = Step::new("last", "echo")
            .after(["fails0", "holds0"])
            .precondition("fails0", "", "never");
        let ended = scene.run(workflow.task(last), Value::Null).await;
        for state in &ended.tasks[1..] {
            let skipped = !state.name.as_str().starts_with("holds");
            assert_eq!(state.skipped, skipped, "{state:?}");
        }
        let reason = task(&ended, "fails0").skip_reason.clone().unwrap_or_default();
        assert!(reason.contains(r#"tasks.a.output.n is "1.5", not "1.50""#), "{reason}");
        assert_eq!(crate::output(&ended)["last"], Value::Null);
        scene.stop().await;
    }

    /// W26: results stay readable however many tasks there are.
    async fn results_of_wide_workflows_stay_readable(env: Env) {
        let scene = Scene::open(&env).await;
        let names: Vec<String> = (0..120).map(|n| format!("t{n}")).collect();
        let steps = names.iter().map(|name| echo(name, json!(name)));
        let payload: serde_json::Map<_, _> = names
            .iter()
            .map(|name| (name.clone(), json!(format!("{{{{tasks.{name}.output}}}}"))))
            .collect();
        let workflow = WorkflowBuilder::new("wide")
            .tasks(steps)
            .task(echo("all", payload.into()).after(names.clone()));
        let output = scene.output(workflow, Value::Null).await;
        for name in &names {
            assert_eq!(output[name], json!(name));
        }
        scene.stop().await;
    }
}
