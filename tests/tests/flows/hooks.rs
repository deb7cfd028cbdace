//! Hooks: exactly once, in order, whatever the end (row 81; W24).

use std::time::Duration;

use paceline_client::{HookStep, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, Notes, Pen, Serve, attempts, feature_test, notes};
use paceline_types::{Bytes, Priority, WorkflowStatus};
use serde_json::{Value, json};

use crate::{LONG, Scene, begun, count, echo, failing, held, place, tried};

/// A hook that ran: which, what it was given, its priority.
type Ran = (String, Value, Priority);

async fn scene(env: &Env) -> (Scene, Notes<Ran>) {
    let (pen, ran) = notes();
    let scene = Scene::with(env, |node| node.serve("hook", tried(1), pen, hook)).await;
    (scene, ran)
}

async fn hook(pen: Pen<Ran>, context: Context, payload: Bytes) -> paceline_types::Outcome {
    let name = context.workflow_task().unwrap().to_string();
    let given = serde_json::from_slice(&payload).unwrap();
    pen.note((name, given, context.priority()));
    Ok(payload)
}

/// With all four hooks.
fn hooked(name: &str) -> WorkflowBuilder {
    let hook = |word: &str| HookStep::new("hook").payload(word);
    WorkflowBuilder::new(name)
        .on_init(hook("init"))
        .on_success(hook("success"))
        .on_failure(hook("failure"))
        .on_exit(hook("exit"))
        .default_priority(Priority::HIGH)
}

const INIT: &str = "__hook.on_init";
const SUCCESS: &str = "__hook.on_success";
const FAILURE: &str = "__hook.on_failure";
const EXIT: &str = "__hook.on_exit";

/// Checks that these hooks ran, each once and one after the other, and no other.
#[track_caller]
fn assert_in_turn(tale: &[String], hooks: &[&str]) {
    let of_hooks: Vec<&String> = tale
        .iter()
        .filter(|told| told.starts_with("workflow.hook."))
        .collect();
    let expected: Vec<String> = hooks
        .iter()
        .flat_map(|hook| {
            [
                format!("workflow.hook.dispatched {hook}"),
                format!("workflow.hook.completed {hook}"),
            ]
        })
        .collect();
    assert_eq!(of_hooks, expected.iter().collect::<Vec<_>>(), "{tale:#?}");
}

feature_test! {
    /// Contract rows 78 and 81: init before the roots, success, then exit; each is told of its
    /// workflow and given its payload, with the workflow's priority.
    async fn hooks_frame_a_workflow_that_completes(env: Env) {
        let (scene, mut ran) = scene(&env).await;
        let handle = scene.submit(hooked("good").task(echo("a", json!(1))), Value::Null).await;
        let ended = crate::ended(&handle).await.unwrap();
        assert_eq!(crate::output(&ended), json!(1), "hooks are not in the output");
        let tale = scene.told(handle.id(), &format!("workflow.hook.completed {EXIT}")).await;
        assert_in_turn(&tale, &[INIT, SUCCESS, EXIT]);
        assert!(place(&tale, "workflow.started") < place(&tale, &format!("workflow.hook.dispatched {INIT}")));
        assert!(place(&tale, &format!("workflow.hook.completed {INIT}")) < place(&tale, "workflow.task.dispatched a"));
        assert!(place(&tale, "workflow.completed") < place(&tale, &format!("job.started {SUCCESS}")));
        for (name, word, status) in [(INIT, "init", "running"), (SUCCESS, "success", "completed"), (EXIT, "exit", "completed")] {
            let (hook, given, priority) = ran.next().await;
            assert_eq!((&*hook, priority), (name, Priority::HIGH));
            assert_eq!(given["original"], json!(word));
            let workflow = &given["workflow"];
            assert_eq!(workflow["id"], json!(handle.id()));
            assert_eq!((&workflow["name"], &workflow["status"]), (&json!("good"), &json!(status)));
            assert_eq!(workflow["error"], Value::Null, "{given}");
        }
        assert_eq!(ran.rest(), []);
        scene.stop().await;
    }

    /// Contract row 81, W24: a failure, a timeout and a cancellation run on_failure and on_exit,
    /// once each, with the reason.
    async fn every_bad_end_runs_its_hooks_with_the_reason(env: Env) {
        let (mut scene, mut ran) = scene(&env).await;
        let late = hooked("late").task(held("slow")).execution_timeout(LONG);
        let table = [
            ("bad", hooked("bad").task(failing("a")), "failed", "task a failed: boom", "workflow.failed"),
            ("late", late, "failed", "execution timed out", "workflow.timed_out"),
            ("gone", hooked("gone").task(held("slow")), "cancelled", "cancelled: enough", "workflow.cancelled"),
        ];
        for (name, workflow, status, reason, event) in table {
            let handle = scene.submit(workflow, Value::Null).await;
            if name != "bad" {
                assert_eq!(scene.begun.next().await, begun("slow", 0));
            }
            match name {
                "late" => env.run_out(handle.id()).await,
                "gone" => handle.cancel("enough").await.unwrap(),
                _ => {}
            }
            let ended = crate::ended(&handle).await.unwrap();
            assert_eq!(ended.error.as_deref(), Some(reason));
            let tale = scene.told(handle.id(), &format!("workflow.hook.completed {EXIT}")).await;
            assert_in_turn(&tale, &[INIT, FAILURE, EXIT]);
            assert_eq!(count(&tale, event), 1);
            assert!(place(&tale, event) < place(&tale, &format!("job.started {FAILURE}")));
            assert_eq!(ran.next().await.0, INIT);
            for (hook, word) in [(FAILURE, "failure"), (EXIT, "exit")] {
                let (ran, given, _) = ran.next().await;
                assert_eq!((&*ran, &given["original"]), (hook, &json!(word)));
                let workflow = &given["workflow"];
                assert_eq!((&workflow["status"], &workflow["error"]), (&json!(status), &json!(reason)));
            }
            assert_eq!(ran.rest(), [], "{name}");
        }
        scene.stop().await;
    }

    /// Contract row 81: what a hook comes to changes nothing; its timeout holds.
    async fn a_hook_that_fails_changes_nothing(env: Env) {
        let (scene, _ran) = scene(&env).await;
        let fail = || HookStep::new("fail").payload(json!({ "permanent": true }));
        let slow = HookStep::new("sleep").payload(json!({ "duration": "1h" })).timeout(Duration::from_millis(200));
        let workflow = WorkflowBuilder::new("w")
            .on_init(fail())
            .task(echo("a", json!(1)))
            .on_success(fail())
            .on_exit("hook");
        let handle = scene.submit(workflow, Value::Null).await;
        assert_eq!(crate::output(&crate::ended(&handle).await.unwrap()), json!(1));
        let tale = scene.told(handle.id(), &format!("workflow.hook.completed {EXIT}")).await;
        let hooks: Vec<_> = tale.iter().filter(|told| told.starts_with("workflow.hook.")).collect();
        let of = |what: &str, hook: &str| format!("workflow.hook.{what} {hook}");
        assert_eq!(hooks, [
            &of("dispatched", INIT), &of("failed", INIT),
            &of("dispatched", SUCCESS), &of("failed", SUCCESS),
            &of("dispatched", EXIT), &of("completed", EXIT),
        ]);
        // One attempt after the other is cut off, and then it is over.
        let workflow = WorkflowBuilder::new("w").on_exit(slow).task(echo("a", json!(1)));
        let handle = scene.submit(workflow, Value::Null).await;
        let tale = scene.told(handle.id(), &format!("job.failed {EXIT}")).await;
        assert_eq!(count(&tale, "workflow.completed"), 1);
        scene.stop().await;
    }

    /// Contract rows 81 and 82, W24: an attempt that is tried again is no outcome; what is retried
    /// by hand comes to a new one.
    async fn an_automatic_retry_is_no_outcome(env: Env) {
        let (scene, mut ran) = scene(&env).await;
        let workflow = hooked("again").task(failing("a")).retry_policy(attempts(2));
        let handle = scene.submit(workflow, Value::Null).await;
        crate::ended(&handle).await.unwrap();
        let tale = scene.told(handle.id(), &format!("workflow.hook.completed {EXIT}")).await;
        assert_in_turn(&tale, &[INIT, FAILURE, EXIT]);
        assert_eq!(count(&tale, "workflow.task.dispatched a"), 2);
        assert_eq!(ran.take(3).await.len(), 3);

        paceline_tests::eventually("the hooks are over", paceline_tests::SOON, async || {
            handle.retry().await.map_err(|error| error.to_string())
        })
        .await;
        let again = ran.take(2).await;
        assert_eq!([&*again[0].0, &*again[1].0], [FAILURE, EXIT]);
        scene.until(handle.id(), WorkflowStatus::Failed).await;
        scene.stop().await;
    }

    /// Contract row 124: built-ins serve as hooks.
    async fn builtins_are_told_of_the_workflow(env: Env) {
        let scene = Scene::open(&env).await;
        let workflow = WorkflowBuilder::new("w")
            .task(failing("a"))
            .on_exit(HookStep::new("shell").payload(json!({ "argv": ["grep", "-q", "\"status\":\"failed\""] })));
        let handle = scene.submit(workflow, Value::Null).await;
        scene.told(handle.id(), &format!("workflow.hook.completed {EXIT}")).await;
        scene.stop().await;
    }
}
