//! What tasks are given, and what workflows come to.

use paceline_client::{Step, WaitError, WorkflowBuilder};
use paceline_tests::{Env, SOON, attempts, feature_test, within};
use paceline_types::{ShardIndex, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::stage::{Stage, act, failing, held};
use crate::theatre::{Theatre, ended, output, tasks};

feature_test! {
    async fn upstream_results_are_handed_on_as_they_are(env: Env) {
        let (_stage, theatre) = Stage::open(&env).await;
        let echo = json!({ "echo": true });
        let sources = ["full", "skipped", "failed", "text"];
        let one = |task: &str| {
            act(&format!("of-{task}")).after([task]).result_from(task).payload(&echo)
        };
        let workflow = WorkflowBuilder::new("results")
            .task(act("full").payload(json!({ "returns": { "n": [1, { "deep": null }] } })))
            .task(act("skipped").payload(json!({ "skip": "nothing new" })))
            .task(failing("failed").allow_failure())
            .task(act("text").payload(json!({ "returns": "ünïcode \"quoted\"" })))
            .tasks(sources.map(one))
            .task(act("of-all").after(sources).results_from(sources).payload(&echo))
            .task(act("of-none").after(sources).payload(&echo));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:?}");
        let upstream = json!({
            "full": { "n": [1, { "deep": null }] },
            "skipped": null,
            "failed": { "error": "boom" },
            "text": "ünïcode \"quoted\"",
        });
        let given = |upstream: &Value| json!({ "upstream": upstream, "original": echo });
        assert_eq!(
            output(&workflow),
            json!({
                "of-full": given(&upstream["full"]),
                "of-skipped": given(&Value::Null),
                "of-failed": given(&upstream["failed"]),
                "of-text": given(&upstream["text"]),
                "of-all": given(&upstream),
                "of-none": echo,
            })
        );
        let task = |name: &str| {
            let mut tasks = workflow.tasks.iter();
            tasks.find(|task| task.name.as_str() == name).unwrap()
        };
        assert!(task("skipped").skipped);
        assert_eq!(task("failed").error.as_deref(), Some("boom"));
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn the_input_is_seen_by_every_task(env: Env) {
        let (_stage, theatre) = Stage::open(&env).await;
        let workflow = || {
            let tell = |name| act(name).payload(json!({ "input": true }));
            WorkflowBuilder::new("input").task(tell("first")).task(tell("second").after(["first"]))
        };
        let wide = json!({ "day": "2026-01-31", "nested": [1, 2.5, "{}:\n"] });
        for (input, seen) in [(Some(wide.clone()), wide), (None, json!("none"))] {
            let handle = theatre.client.submit_workflow(workflow(), input.clone()).await.unwrap();
            let workflow = ended(&handle).await;
            assert_eq!(output(&workflow), seen);
            let kept = workflow.input.map(|input| serde_json::from_slice::<Value>(&input).unwrap());
            assert_eq!(kept, input);
        }
    }

    async fn the_output_is_that_of_the_leaves(env: Env) {
        let (_stage, theatre) = Stage::open(&env).await;
        let returns = |name: &str| act(name).payload(json!({ "returns": name }));
        let cases = [
            (vec![returns("a"), returns("b").after(["a"])], json!("b")),
            (
                vec![returns("a"), returns("b"), returns("c")],
                json!({ "a": "a", "b": "b", "c": "c" }),
            ),
            (
                vec![
                    returns("a"),
                    act("s").payload(json!({ "skip": "no" })),
                    failing("f").allow_failure(),
                ],
                json!({ "a": "a", "s": null, "f": { "error": "boom" } }),
            ),
            (vec![act("nothing")], Value::Null),
        ];
        for (steps, expected) in cases {
            let workflow = WorkflowBuilder::new("leaves").tasks(steps);
            let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
            assert_eq!(output(&ended(&handle).await), expected);
            let typed: Value = handle.output().await.unwrap();
            assert_eq!(typed, expected);
        }
    }

    async fn bytes_of_a_result_are_not_touched_on_their_way(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let raw = r#"{ "big": 123456789012345678901234567890, "exact": 1.10, "z": 1, "a": 2 }"#;
        let _node = env
            .node()
            .handle_raw("source", Default::default(), move |_, _| async move { Ok(raw.into()) })
            .handle_raw("same", Default::default(), |_, payload| async move { Ok(payload) })
            .start()
            .await
            .unwrap();
        let workflow = WorkflowBuilder::new("bytes")
            .task(Step::new("s", "source"))
            .task(Step::new("t", "same").after(["s"]).result_from("s"));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let output = ended(&handle).await.output.unwrap();
        let output = std::str::from_utf8(&output).unwrap();
        assert_eq!(output, format!(r#"{{"upstream":{raw},"original":null}}"#));
    }

    async fn a_task_is_retried_by_its_policy_and_dispatched_once(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let flaky = act("flaky")
            .payload(json!({ "flaky": 2, "returns": 7 }))
            .retry_policy(attempts(3));
        let workflow =
            WorkflowBuilder::new("retry").task(flaky).task(act("next").after(["flaky"]));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(tasks(&workflow), ["flaky completed", "next completed"]);
        assert_eq!(workflow.tasks[0].attempt, 3);
        assert_eq!((stage.begins("flaky"), stage.begins("next")), (3, 1));
        let tale = theatre.tale(handle.id()).await;
        let count = |event: &str| tale.iter().filter(|told| *told == event).count();
        assert_eq!(count("workflow.task.dispatched flaky"), 1);
        assert_eq!(count("job.failed flaky"), 2);
        assert_eq!(count("job.started flaky"), 3);
        assert_eq!(count("workflow.task.completed flaky"), 1);
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_handle_waits_for_the_end_and_only_for_that(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let workflow = WorkflowBuilder::new("wait").task(held("slow")).task(act("quick"));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        stage.began("slow").await;
        let short = std::time::Duration::from_millis(100);
        let early = handle.output_within::<Value>(short).await.unwrap_err();
        assert!(matches!(early, WaitError::TimedOut { .. }), "{early}");
        assert_eq!(handle.status().await.unwrap(), Some(WorkflowStatus::Running));

        // Many wait, in this client and in another one.
        let other = env.client().await.workflow_handle(handle.id());
        let waits: Vec<_> = [handle.clone(), handle.clone(), other]
            .into_iter()
            .map(|handle| tokio::spawn(async move { handle.wait().await }))
            .collect();
        stage.release("slow");
        for wait in waits {
            let workflow = within("a waiter", SOON, wait).await.unwrap().unwrap();
            assert_eq!(workflow.status, WorkflowStatus::Completed);
        }
        let again = ended(&handle).await;
        assert_eq!(again.status, WorkflowStatus::Completed, "after the end");
        assert!(again.completed_at >= Some(again.created_at));

        let nobody = WorkflowId::from_parts(1, ShardIndex(0), 1);
        let unknown = theatre.client.workflow_handle(nobody);
        let error = within("an answer", SOON, unknown.wait()).await.unwrap_err();
        assert!(matches!(error, WaitError::Unknown { .. }), "{error}");
        assert_eq!(unknown.status().await.unwrap(), None);
        assert_eq!(theatre.client.workflow(nobody).await.unwrap(), None);
    }
}
