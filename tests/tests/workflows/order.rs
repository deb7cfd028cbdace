//! What runs when: dependencies and priorities.

use std::collections::BTreeSet;

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, SOON, eventually, feature_test, rng};
use paceline_types::{JobStatus, Priority, WorkflowStatus};
use rand::RngExt;
use serde_json::{Value, json};

use crate::stage::{Mark, Stage, What, act, held};
use crate::theatre::{Theatre, ended, output, tasks};

feature_test! {
    async fn each_transition_of_a_chain_is_told_once_and_in_order(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let chain = WorkflowBuilder::new("chain").task(act("b").after(["a"])).task(act("a"));
        let handle = theatre.client.submit_workflow(chain, None).await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        assert_eq!(tasks(&workflow), ["b completed", "a completed"]);
        assert_eq!(stage.order(), ["a", "b"]);
        assert_eq!(
            theatre.tale(handle.id()).await,
            [
                "workflow.started",
                "workflow.task.dispatched a",
                "job.enqueued a",
                "job.started a",
                "job.completed a",
                "workflow.task.completed a",
                "workflow.task.dispatched b",
                "job.enqueued b",
                "job.started b",
                "job.completed b",
                "workflow.task.completed b",
                "workflow.completed",
            ]
        );
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn a_diamond_waits_for_both_arms(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let diamond = WorkflowBuilder::new("diamond").tasks([
            act("top").payload(json!({ "returns": 1 })),
            held("left").after(["top"]),
            act("right").after(["top"]),
            act("bottom").after(["left", "right"]),
        ]);
        let handle = theatre.client.submit_workflow(diamond, None).await.unwrap();
        stage.began("left").await;
        let halfway = eventually("the right arm is done", SOON, async || {
            let workflow = theatre.client.workflow(handle.id()).await.unwrap().unwrap();
            (workflow.tasks[2].status == JobStatus::Completed).then_some(workflow)
        })
        .await;
        assert_eq!(
            tasks(&halfway),
            ["top completed", "left running", "right completed", "bottom pending"]
        );
        assert_eq!(halfway.status, WorkflowStatus::Running);
        assert_eq!((halfway.tasks[3].job_id, halfway.output), (None, None));

        stage.release("left");
        let workflow = ended(&handle).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        for arm in ["left", "right"] {
            assert!(stage.when("top", What::Ended) < stage.when(arm, What::Began));
            assert!(stage.when(arm, What::Ended) < stage.when("bottom", What::Began));
        }
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn many_arms_fan_out_and_in(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let arms: Vec<String> = (0..150).map(|arm| format!("arm-{arm:03}")).collect();
        let fan = WorkflowBuilder::new("fan")
            .task(act("out"))
            .tasks(arms.iter().map(|arm| {
                act(arm).after(["out"]).payload(json!({ "returns": arm }))
            }))
            .task(act("in").after(&arms).results_from(&arms).payload(json!({ "echo": true })));
        let handle = theatre.client.submit_workflow(fan, None).await.unwrap();
        let workflow = ended(&handle).await;
        let output = output(&workflow);
        for arm in &arms {
            assert_eq!(output["upstream"][arm], json!(arm));
            assert!(stage.when(arm, What::Ended) < stage.when("in", What::Began));
        }
        assert_eq!(stage.order().len(), 152);
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn no_task_of_a_random_graph_starts_before_its_dependencies_have_ended(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let mut random = rng("graphs");
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for task in 1..60 {
            let most = random.random_range(0..4_usize).min(task);
            let on: BTreeSet<usize> = (0..most).map(|_| random.random_range(0..task)).collect();
            edges.extend(on.into_iter().map(|on| (task, on)));
        }
        let name = |task: usize| format!("t{task}");
        // In any order of the definition: not only backwards.
        let graph = WorkflowBuilder::new("random").tasks((0..60).map(|place| {
            let task = (place * 7) % 60;
            let on = edges.iter().filter(|(of, _)| *of == task).map(|(_, on)| name(*on));
            act(&name(task)).after(on)
        }));
        let handle = theatre.client.submit_workflow(graph, None).await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
        let tale = theatre.tale(handle.id()).await;
        let at = |event: String| tale.iter().position(|told| *told == event).expect("told");
        for (task, on) in edges {
            let (task, on) = (name(task), name(on));
            assert!(stage.when(&on, What::Ended) < stage.when(&task, What::Began), "{task} {on}");
            let enqueued = at(format!("job.enqueued {task}"));
            assert!(at(format!("job.completed {on}")) < enqueued, "{task} {on}");
        }
        assert_eq!(stage.order().len(), 60, "each ran once");
        theatre.assert_ended(&[handle.id()]).await;
    }

    async fn what_becomes_ready_together_is_dispatched_by_priority_and_then_by_name(env: Env) {
        let stage = Stage::default();
        let theatre = Theatre::without_nodes(&env).await;
        let task = |name: &str, priority| act(name).after(["root"]).priority(priority);
        let workflow = WorkflowBuilder::new("priorities").task(act("root")).tasks([
            task("last", -3),
            task("low", 1),
            task("three", 3),
            task("b-default", 0),
            task("seven", 7),
            task("a-five", 5),
            task("top", 11),
            task("ten", 10),
        ]);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let _node = stage.node(&env).concurrency(1).start().await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
        let tale = theatre.tale(handle.id()).await;
        let dispatched: Vec<_> = tale
            .iter()
            .filter_map(|event| event.strip_prefix("workflow.task.dispatched "))
            .collect();
        assert_eq!(
            dispatched,
            ["root", "top", "ten", "seven", "a-five", "b-default", "three", "low", "last"]
        );
        // Between tiers the shares decide, within one the order of the dispatches.
        let order = stage.order();
        let of = |tier: &[&str]| -> Vec<String> {
            order.iter().filter(|task| tier.contains(&task.as_str())).cloned().collect()
        };
        let normal = ["seven", "a-five", "b-default", "three", "last"];
        assert_eq!(of(&normal), normal);
        let high = ["top", "ten"];
        assert_eq!(of(&high), high);
    }

    async fn tasks_without_a_priority_have_that_of_the_workflow(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        for (default, of_a, of_b) in [(None, 5, 8), (Some(Priority::LOW), 1, 8)] {
            let mut workflow =
                WorkflowBuilder::new("default").task(act("a")).task(act("b").priority(8));
            if let Some(default) = default {
                workflow = workflow.default_priority(default);
            }
            let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
            ended(&handle).await;
            let marks = stage.marks();
            let seen = |task: &str| {
                let of_it = |mark: &&Mark| mark.task == task && mark.workflow == handle.id();
                marks.iter().find(of_it).unwrap().priority.get()
            };
            assert_eq!((seen("a"), seen("b")), (of_a, of_b));
        }
    }

    async fn a_task_of_a_version_waits_for_a_node_that_serves_it(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let old = Step::new("old", "dated").version("1");
        let workflow = WorkflowBuilder::new("versions").task(act("any")).task(old.after(["any"]));
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let waits = eventually("it is dispatched", SOON, async || {
            let workflow = theatre.client.workflow(handle.id()).await.unwrap().unwrap();
            workflow.tasks[1].job_id.is_some().then_some(workflow)
        })
        .await;
        assert_eq!(tasks(&waits), ["any completed", "old pending"]);
        let of_version = |version: &str| {
            let options = paceline_node::HandlerOptions {
                version: Some(paceline_types::Version::new(version).unwrap()),
                ..Default::default()
            };
            let version = json!(version).to_string();
            env.node().handle_raw("dated", options, move |_, _| {
                let version = version.clone();
                async move { Ok(version.into()) }
            })
        };
        let _new = of_version("2").start().await.unwrap();
        let _old = of_version("1").start().await.unwrap();
        let workflow = ended(&handle).await;
        assert_eq!(output(&workflow), json!("1"));
        assert_eq!(stage.order(), ["any"]);
    }

    async fn headers_and_time_limits_of_a_step_reach_its_run(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let _node = env
            .node()
            .handle_raw("tell", Default::default(), |context, _| async move {
                let headers = json!(context.headers());
                let limited = context.deadline().is_some();
                let told = json!({
                    "headers": headers, "limited": limited, "task": context.workflow_task(),
                    "attempts": context.max_attempts(),
                });
                Ok(told.to_string().into())
            })
            .start()
            .await
            .unwrap();
        let step = Step::new("only", "tell")
            .header("trace", "abc, d")
            .timeout(SOON)
            .retry_policy(paceline_tests::attempts(7));
        let workflow = WorkflowBuilder::new("options").task(step);
        let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
        let told: Value = output(&ended(&handle).await);
        let expected = json!({
            "headers": { "trace": "abc, d" }, "limited": true, "task": "only", "attempts": 7,
        });
        assert_eq!(told, expected);
    }
}
