//! Conditions, joins and loops (rows 69 to 71; W15 to W19).

use paceline_client::{Route, Step, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, Serve, feature_test, notes};
use paceline_types::{Bytes, JobError, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Scene, count, echo, failing, place, tasks, tried};

/// A condition that takes this route.
fn choose(name: &str, route: Value) -> Step {
    Step::condition(name, "route").payload(json!({ "route": route }))
}

feature_test! {
    /// Contract row 69, W18: what lies below a branch that was not chosen does not run, however
    /// deep; a join with one live edge does.
    async fn a_route_leads_to_one_branch_and_passes_the_other_by(env: Env) {
        let scene = Scene::open(&env).await;
        let branch = |name: &str, after: &str| echo(name, json!(name)).after([after]);
        let workflow = WorkflowBuilder::new("branches")
            .task(choose("if", json!("{{input}}")).routes(["yes", "no"]))
            .tasks([branch("yes", "if"), branch("yes-2", "yes"), branch("yes-3", "yes-2")])
            .tasks([branch("no", "if"), branch("no-2", "no"), branch("no-3", "no-2")])
            .task(Step::new("join", "echo").after(["yes-3", "no-3"]).results_from(["yes-3", "no-3"]));
        for (route, taken, other) in [(0, "yes", "no"), (1, "no", "yes")] {
            let handle = scene.submit(workflow.clone(), json!(route)).await;
            let ended = crate::ended(&handle).await.unwrap();
            let mut results = json!({ "yes-3": null, "no-3": null });
            results[format!("{taken}-3")] = json!(format!("{taken}-3"));
            assert_eq!(crate::output(&ended)["upstream"], results);
            let states = tasks(&ended);
            for depth in ["", "-2", "-3"] {
                assert!(states.contains(&format!("{taken}{depth} completed")), "{states:?}");
                assert!(states.contains(&format!("{other}{depth} skipped")), "{states:?}");
            }
            let tale = scene.tale(handle.id()).await;
            assert_eq!(count(&tale, &format!("workflow.task.dispatched {other}-2")), 0);
            assert_eq!(count(&tale, &format!("workflow.task.completed {other}-2")), 1);
        }
        scene.stop().await;
    }

    /// Contract rows 69 and 70, W19: an answer that leads nowhere fails the condition at once.
    async fn an_answer_that_leads_nowhere_fails_the_condition(env: Env) {
        let scene = Scene::open(&env).await;
        let table = [
            (
                choose("c", json!(7)),
                "task c failed: condition \"c\" answered route 7, which it does not have; its routes \
                 are 0, 1",
            ),
            (Step::condition("c", "noop"), "task c failed: condition \"c\""),
            (
                Step::condition("c", "echo").payload(json!({ "route": "1" })),
                "task c failed: condition \"c\"",
            ),
        ];
        for (condition, sentence) in table {
            let workflow = WorkflowBuilder::new("unknown")
                .task(condition.routes(["a", "b"]))
                .task(echo("a", json!(1)).after(["c"]))
                .task(echo("b", json!(1)).after(["c"]));
            let error = scene.error(workflow, Value::Null).await;
            assert!(error.starts_with(sentence), "{error}");
        }
        // Allowed to fail, it took no route: both are passed by.
        let workflow = WorkflowBuilder::new("allowed")
            .task(choose("c", json!(7)).routes(["a", "b"]).allow_failure())
            .task(echo("a", json!(1)).after(["c"]))
            .task(echo("b", json!(1)).after(["c"]));
        let ended = scene.run(workflow, Value::Null).await;
        assert_eq!(ended.status, WorkflowStatus::Completed);
        assert_eq!(tasks(&ended), ["c dead", "a skipped", "b skipped"]);
        scene.stop().await;
    }

    /// Contract row 70, W16, W17: the body starts afresh, what is outside of it keeps what it came
    /// to, and waits for the last turn; what was not chosen in the end is passed by.
    async fn a_loop_runs_its_body_again_and_nothing_else(env: Env) {
        let (pen, mut runs) = notes();
        let scene = Scene::with(&env, |node| {
            node.serve("turn", tried(1), pen, async |pen, context: Context, _| {
                let task = context.workflow_task().unwrap().to_string();
                let iteration = context.workflow_iteration().unwrap();
                pen.note((task, iteration));
                Ok(Bytes::from(iteration.to_string()))
            })
        })
        .await;
        let turn = |name: &str| Step::new(name, "turn");
        let workflow = WorkflowBuilder::new("loop")
            .task(turn("outside"))
            .task(turn("first"))
            .task(turn("second").after(["first", "outside"]))
            .task(
                Step::condition("again", "route")
                    .payload(json!({ "route": 0, "times": 3, "default": 1 }))
                    .after(["second", "outside"])
                    .route(0, "first")
                    .route(1, "done")
                    .route(2, "never"),
            )
            .task(echo("done", json!("{{tasks.second.output}}")).after(["again", "second"]))
            .task(echo("never", json!(1)).after(["again"]))
            .task(echo("watcher", json!("{{tasks.first.output}}")).after(["first"]));
        let handle = scene.submit(workflow, Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!({ "done": 3, "never": null, "watcher": 3 }));
        let mut seen = runs.rest();
        seen.sort();
        let mut expected = vec![("outside".to_owned(), 0)];
        for iteration in 0..4 {
            expected.push(("first".to_owned(), iteration));
            expected.push(("second".to_owned(), iteration));
        }
        expected.sort();
        assert_eq!(seen, expected, "each turn once");
        let tale = scene.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.task.dispatched again"), 4);
        assert_eq!(count(&tale, "workflow.task.dispatched watcher"), 1);
        scene.stop().await;
    }

    /// Contract row 70: so many evaluations, and the next one fails it; the count is that of the
    /// row's own example.
    async fn a_loop_ends_with_its_last_evaluation(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = |condition: Step| {
            WorkflowBuilder::new("endless")
                .task(echo("a", json!(1)))
                .task(condition.after(["a"]).route(0, "a").max_iterations(3))
        };
        let handle = scene.submit(workflow(choose("x", json!(0))), Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        let sentence = "task x failed: condition \"x\" exceeded max iterations (3)";
        assert_eq!(ended.error.as_deref(), Some(sentence));
        let tale = scene.tale(handle.id()).await;
        let dispatched = |task: &str| count(&tale, &format!("workflow.task.dispatched {task}"));
        assert_eq!((dispatched("a"), dispatched("x")), (4, 3));
        // An expression is evaluated as often.
        let expression = Step::expression("x", "tasks.a.output eq 1");
        assert_eq!(scene.error(workflow(expression), Value::Null).await, sentence);
        scene.stop().await;
    }

    /// Contract row 71: every operator, on what is there and on what is not.
    async fn expressions_choose_without_a_handler(env: Env) {
        let scene = Scene::open(&env).await;
        let a = json!({ "n": 1.5, "s": "abc", "list": [1, "x"], "deep": [{ "k": true }], "null": null });
        let table = [
            ("tasks.a.output.n eq 1.50", true),
            ("tasks.a.output.n ne 1.5", false),
            ("tasks.a.output.n gt 1", true),
            ("not tasks.a.output.n lte 1", true),
            ("tasks.a.output.s lt abd", true),
            ("tasks.a.output.s gte \"abc\"", true),
            ("tasks.a.output.s gt 1", false),
            ("tasks.a.output.s in [\"x\", \"abc\"]", true),
            ("tasks.a.output.list contains \"x\"", true),
            ("tasks.a.output.s contains bc", true),
            ("tasks.a.output.deep[0].k eq true", true),
            ("tasks.a.output.deep[1].k exists", false),
            ("tasks.a.output.missing eq 1", false),
            ("tasks.a.output.missing ne 1", true),
            ("not tasks.a.output.missing exists", true),
            ("input.flag eq true", true),
        ];
        let mut workflow = WorkflowBuilder::new("expressions").task(echo("a", a));
        for (place, (condition, _)) in table.iter().enumerate() {
            let (name, yes, no) = (format!("c{place}"), format!("yes{place}"), format!("no{place}"));
            workflow = workflow
                .task(Step::expression(&name, *condition).after(["a"]).routes([&yes, &no]))
                .task(echo(&yes, json!(1)).after([&name]))
                .task(echo(&no, json!(1)).after([&name]));
        }
        // An if without an else.
        workflow = workflow
            .task(Step::expression("if", "tasks.a.output.n gt 2").after(["a"]).route(0, "then"))
            .task(echo("then", json!(1)).after(["if"]));
        let ended = scene.run(workflow, json!({ "flag": true })).await;
        assert_eq!(ended.status, WorkflowStatus::Completed, "{ended:?}");
        for (place, (condition, expected)) in table.iter().enumerate() {
            let ran = |name: String| !crate::task(&ended, &name).skipped;
            let (yes, no) = (ran(format!("yes{place}")), ran(format!("no{place}")));
            assert_eq!((yes, no), (*expected, !expected), "{condition}");
        }
        assert!(crate::task(&ended, "then").skipped);
        scene.stop().await;
    }

    /// Contract row 69: a condition that is skipped takes no route; a failed branch is fatal.
    async fn a_skipped_condition_takes_no_route(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle_raw("skip", tried(1), async |_, _| Err(JobError::skip("not now")))
        })
        .await;
        let workflow = WorkflowBuilder::new("skipped")
            .task(Step::condition("c", "skip").routes(["a", "b"]))
            .task(failing("a").after(["c"]))
            .task(failing("b").after(["c"]))
            .task(echo("end", json!(1)).after(["a", "b"]));
        let ended = scene.run(workflow, Value::Null).await;
        assert_eq!(tasks(&ended), ["c skipped", "a skipped", "b skipped", "end skipped"]);
        assert_eq!(ended.status, WorkflowStatus::Completed);
        scene.stop().await;
    }

    /// Contract rows 65 and 77: what becomes ready together goes by priority, then by name.
    async fn what_becomes_ready_together_goes_by_priority(env: Env) {
        let scene = Scene::with(&env, |node| {
            node.handle_raw("pick", tried(1), async |_, _| {
                Ok(serde_json::to_vec(&Route(0))?.into())
            })
        })
        .await;
        let leaf = |name: &str, priority: i64| echo(name, json!(1)).after(["z"]).priority(priority);
        let workflow = WorkflowBuilder::new("order")
            .task(Step::condition("c", "pick").route(0, "z"))
            .task(echo("z", json!(1)).after(["c"]))
            .tasks([leaf("b", 5), leaf("a", 5), leaf("low", 1), leaf("high", 9)]);
        let handle = scene.submit(workflow, Value::Null).await;
        crate::ended(&handle).await.unwrap();
        let tale = scene.tale(handle.id()).await;
        let places = ["high", "a", "b", "low"].map(|name| place(&tale, &format!("workflow.task.dispatched {name}")));
        assert!(places.is_sorted(), "{tale:#?}");
        scene.stop().await;
    }
}
