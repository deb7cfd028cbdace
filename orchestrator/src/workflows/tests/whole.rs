//! Workflows with everything that they can have, under leaders that are replaced around every
//! commit and every delivery, with every entry delivered twice.

use serde_json::{Value, json};

use super::*;
use crate::theatre::{Story, Troupe, answer, check_over, definition, story, work};

/// Hooks, a loop around a map, a subflow, an expression that closes one way, a signal, a child with
/// a loop of its own, and a failure that only the second attempt of the workflow survives.
pub(super) fn everything() -> Value {
    let child = json!({"name": "child", "tasks": [
        {"name": "c1", "task_type": "t"},
        {"name": "c2", "task_type": "t", "type": "condition", "depends_on": ["c1"],
         "payload": {"answers": [{"ok": {"route": 0}}, {"ok": {"route": 1}}]},
         "condition_routes": {"0": "c1", "1": "c3"}},
        {"name": "c3", "task_type": "t", "depends_on": ["c2"],
         "payload": {"answers": [{"ok": {"sum": 6}}]}},
    ]});
    json!({
        "name": "everything",
        "execution_timeout": 3_600_000_000_000_i64,
        "retry_policy": {"max_attempts": 2, "initial_delay": 1_000_000_000},
        "hooks": {
            "on_init": {"task_type": "h"},
            "on_success": {"task_type": "h"},
            "on_failure": {"task_type": "h"},
            "on_exit": {"task_type": "h", "payload": {"answers": [{"dead": "hook"}]}},
        },
        "tasks": [
            {"name": "start", "task_type": "t",
             "payload": {"answers": [{"ok": {"files": [1, 2, 3], "go": "yes"}}]}},
            {"name": "each", "type": "map", "task_type": "t", "depends_on": ["start"],
             "items": "{{tasks.start.output.files}}", "window": 2},
            {"name": "again", "type": "condition", "task_type": "t", "depends_on": ["each"],
             "payload": {"answers": [{"ok": {"route": 0}}, {"ok": {"route": 0}},
                                      {"ok": {"route": 1}}]},
             "condition_routes": {"0": "each", "1": "after"}},
            {"name": "after", "task_type": "t", "depends_on": ["again"]},
            {"name": "more", "type": "subflow", "task_type": "t", "depends_on": ["after"],
             "payload": {"answers": [{"ok": {"tasks": [
                 {"name": "m1", "task_type": "t"},
                 {"name": "m2", "task_type": "t", "depends_on": ["m1"], "allow_failure": true,
                  "payload": {"answers": [{"dead": "allowed"}]}},
                 {"name": "m3", "task_type": "t", "depends_on": ["m2"],
                  "payload": {"answers": [{"skip": "nothing to do"}]}}]}}]}},
            {"name": "gate", "type": "condition", "depends_on": ["start"],
             "condition": "tasks.start.output.go eq yes",
             "condition_routes": {"0": "open", "1": "closed"}},
            {"name": "open", "task_type": "t", "depends_on": ["gate"]},
            {"name": "closed", "task_type": "t", "depends_on": ["gate"]},
            {"name": "behind", "task_type": "t", "depends_on": ["closed"]},
            {"name": "wait", "type": "signal", "signal": "go", "depends_on": ["start"],
             "timeout": 60_000_000_000_i64},
            {"name": "child", "child_workflow_def": child, "depends_on": ["open", "start"],
             "payload": {"files": "{{tasks.start.output.files}}"}},
            {"name": "flaky", "task_type": "t",
             "depends_on": ["more", "behind", "open", "wait", "child"],
             "payload": {"answers": [{"dead": "boom"}, {"ok": 1}]}},
            {"name": "end", "task_type": "t", "depends_on": ["flaky"], "result_from": "flaky"},
        ],
    })
}

pub(super) fn signal(ledger: &MemoryLedger, workflow: WorkflowId) {
    let name = paceline_types::SignalName::new("go").expect("name");
    ledger.signal(workflow, &name, bytes::Bytes::from_static(b"{\"by\":7}"));
}

/// A stage on which everything is played; the signal is given at once, or after a while.
struct Stage {
    ledger: Arc<MemoryLedger>,
    workflow: WorkflowId,
}

impl Stage {
    fn set(repeat: bool) -> Stage {
        let ledger = ledger();
        if repeat {
            ledger.repeat_deliveries();
        }
        let workflow = ledger.submit(&definition(&everything()));
        signal(&ledger, workflow);
        Stage { ledger, workflow }
    }

    fn check(&self, expected: &Story) {
        check_over(&self.ledger);
        let (statuses, told) = story(&self.ledger);
        assert_eq!(statuses, expected.0);
        for (line, times) in &told {
            assert_eq!(Some(times), expected.1.get(line), "{line:?}");
        }
        assert_eq!(told.len(), expected.1.len());
    }
}

/// How it goes without faults, and how many turns and deliveries that takes.
async fn undisturbed() -> (Story, u64, u64) {
    let stage = Stage::set(false);
    Troupe::new(&stage.ledger, 1).finish().await;
    check_over(&stage.ledger);
    let tally = stage.ledger.tally();
    (story(&stage.ledger), tally.turns, tally.deliveries)
}

/// Rows 69 to 74, 81, 82, 84 and 89.
#[tokio::test]
async fn everything_comes_to_its_end() {
    let stage = Stage::set(false);
    let ledger = &stage.ledger;
    let mut troupe = Troupe::new(ledger, 1);
    troupe.finish().await;
    check_over(ledger);
    assert_eq!(troupe.desk.footprint(), 0, "what is over is not cached");
    assert_eq!(
        ledger.status(stage.workflow),
        Some(WorkflowStatus::Completed)
    );
    let log = ledger.full_log(stage.workflow);
    let times = |line: &str| log.iter().filter(|told| told.as_str() == line).count();
    for (line, expected) in [
        ("workflow.started", 1),
        ("workflow.retrying", 1),
        ("workflow.completed", 1),
        ("workflow.failed", 0),
        ("workflow.task.dispatched each 2", 1),
        ("workflow.task.completed each#2 0", 3),
        ("workflow.task.completed m3 0", 1),
        ("workflow.task.completed behind 0", 1),
        ("workflow.task.failed flaky 0", 1),
        ("workflow.task.completed flaky 1", 1),
        ("workflow.hook.completed __hook.on_init 0", 1),
        ("workflow.hook.completed __hook.on_success 1", 1),
        ("workflow.hook.failed __hook.on_exit 1", 1),
        ("workflow.hook.dispatched __hook.on_failure 0", 0),
    ] {
        assert_eq!(times(line), expected, "{line}: {log:#?}");
    }
    let children: Vec<_> = ledger
        .workflows()
        .into_iter()
        .filter(|(_, origin)| origin.is_some())
        .collect();
    assert_eq!(children.len(), 1);
    let input = ledger.input(children[0].0).expect("an input");
    assert_eq!(&input[..], br#"{"files":[1,2,3]}"#);
    let output = ledger.output(children[0].0).expect("an output");
    assert_eq!(&output[..], br#"{"sum":6}"#);
    assert_eq!(ledger.pending_signals(stage.workflow), 0);
}

/// Rows 65, 66 and 81: no task is dispatched twice for one start, each event and each hook is there
/// once.
#[tokio::test]
async fn leaders_replaced_around_every_commit_tell_the_same_story() {
    let (expected, turns, _) = undisturbed().await;
    for fault in [Fault::Before, Fault::After] {
        for place in 0..turns {
            let stage = Stage::set(place % 2 == 0);
            let ledger = &stage.ledger;
            let mut number = 1;
            let mut troupe = Troupe::new(ledger, number);
            let mut failed = false;
            for round in 0.. {
                assert!(round < 1_000, "it goes round in circles");
                if !failed && ledger.tally().turns >= place {
                    ledger.fail_commit(fault);
                    failed = true;
                }
                match troupe.round().await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(_) => {
                        number += 1;
                        troupe = Troupe::new(ledger, number);
                        continue;
                    }
                }
                let claimed = ledger.claim(100);
                if !claimed.is_empty() {
                    work(ledger, claimed);
                } else if !ledger.pass_to_next_alarm() {
                    break;
                }
            }
            stage.check(&expected);
        }
    }
}

/// Row 74.
#[tokio::test]
async fn deliveries_that_fail_before_or_after_tell_the_same_story() {
    let (expected, _, deliveries) = undisturbed().await;
    assert!(deliveries >= 2, "a child is made, and its parent told");
    for fault in [Fault::Before, Fault::After] {
        for place in 0..deliveries {
            let stage = Stage::set(true);
            let ledger = &stage.ledger;
            let mut troupe = Troupe::new(ledger, 1);
            let mut failed = false;
            for round in 0.. {
                assert!(round < 1_000, "it goes round in circles");
                if !failed && ledger.tally().deliveries >= place {
                    ledger.fail_delivery(fault);
                    failed = true;
                }
                if troupe.round().await.expect("a round") || !ledger.outbox().is_empty() {
                    continue;
                }
                let claimed = ledger.claim(100);
                if !claimed.is_empty() {
                    work(ledger, claimed);
                } else if !ledger.pass_to_next_alarm() {
                    break;
                }
            }
            stage.check(&expected);
        }
    }
}

/// Row 85.
#[tokio::test]
async fn suspended_workflows_launch_nothing_and_go_on_where_they_were() {
    let (expected, turns, _) = undisturbed().await;
    for place in 0..turns {
        let stage = Stage::set(false);
        let (ledger, workflow) = (&stage.ledger, stage.workflow);
        let mut troupe = Troupe::new(ledger, 1);
        let mut suspended = None;
        for round in 0.. {
            assert!(round < 1_000, "it goes round in circles");
            if suspended.is_none() && ledger.tally().turns >= place {
                suspended = Some(ledger.suspend(workflow));
            }
            if troupe.round().await.expect("a round") {
                continue;
            }
            let claimed = ledger.claim(1);
            if !claimed.is_empty() {
                work(ledger, claimed);
            } else if suspended == Some(true) {
                let jobs = ledger.tally().dispatches;
                troupe.settle().await.expect("settled");
                assert_eq!(ledger.tally().dispatches, jobs);
                assert!(ledger.resume(workflow));
                suspended = Some(false);
            } else if !ledger.pass_to_next_alarm() {
                break;
            }
        }
        check_over(ledger);
        let told = story(ledger).1;
        let own = |line: &str| told.get(&(workflow, line.to_owned())).copied();
        let lines = |told: &std::collections::BTreeMap<(WorkflowId, String), usize>| {
            let mut told = told.clone();
            told.retain(|(_, line), _| line != "workflow.suspended" && line != "workflow.resumed");
            told
        };
        assert_eq!(lines(&told), lines(&expected.1), "suspended at {place}");
        assert_eq!(own("workflow.suspended"), own("workflow.resumed"));
    }
}

/// A child of a child of a child, so many below the first.
fn nested(depth: usize) -> Value {
    let mut inner = json!({"name": "d0", "tasks": [
        {"name": "leaf", "task_type": "t", "payload": {"answers": [{"ok": {"depth": 0}}]}},
    ]});
    for level in 1..=depth {
        inner = json!({"name": format!("d{level}"), "tasks": [
            {"name": "inner", "child_workflow_def": inner},
        ]});
    }
    inner
}

/// Row 74.
#[tokio::test]
async fn children_go_sixteen_deep_and_every_parent_is_told() {
    let ledger = ledger();
    ledger.repeat_deliveries();
    let workflow = ledger.submit(&definition(&nested(16)));
    let mut troupe = Troupe::new(&ledger, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.workflows().len(), 17);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let output = ledger.output(workflow).expect("an output");
    assert_eq!(&output[..], br#"{"depth":0}"#, "through all of them");
    let deepest = ledger
        .workflows()
        .into_iter()
        .flat_map(|(_, origin)| origin);
    assert_eq!(deepest.map(|origin| origin.depth).max(), Some(16));
}

/// Rows 74 and 86.
#[tokio::test]
async fn cancelling_the_first_cancels_all_of_them() {
    let ledger = ledger();
    let workflow = ledger.submit(&definition(&nested(5)));
    let mut troupe = Troupe::new(&ledger, 1);
    troupe.settle().await.expect("settled");
    let running = ledger.claim(1);
    assert_eq!(running.len(), 1);
    ledger.cancel(workflow, "enough");
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    work(&ledger, running);
    troupe.finish().await;
    check_over(&ledger);
    for (child, _) in ledger.workflows() {
        assert_eq!(ledger.status(child), Some(WorkflowStatus::Cancelled));
    }
}

/// Rows 74 and 87.
#[tokio::test]
async fn a_child_that_goes_on_as_another_tells_its_parent_at_last() {
    let child = json!({"name": "pages", "tasks": [{"name": "page", "task_type": "pages"}]});
    let ledger = ledger();
    let workflow = ledger.submit(&definition(&json!({"name": "parent", "tasks": [
        {"name": "all", "child_workflow_def": child, "payload": 3},
        {"name": "end", "task_type": "t", "depends_on": ["all"], "result_from": "all"},
    ]})));
    let mut troupe = Troupe::new(&ledger, 1);
    loop {
        troupe.settle().await.expect("settled");
        let claimed = ledger.claim(1);
        let Some(&id) = claimed.first() else { break };
        let job = ledger.job(id).expect("a job");
        let input = ledger.input(job.workflow);
        let left: Option<u64> = input.and_then(|input| serde_json::from_slice(&input).ok());
        let (outcome, result) = match (job.task.as_str(), left) {
            ("page", Some(0)) => (TaskOutcome::Completed, json!("done")),
            ("page", Some(left)) => (TaskOutcome::Continued, json!(left - 1)),
            _ => (answer(&job).0, Value::Null),
        };
        ledger.end_with([(id, outcome, result.to_string().into())]);
    }
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let statuses = story(&ledger).0;
    let of = |status| statuses.values().filter(|&&other| other == status).count();
    assert_eq!(
        (of(WorkflowStatus::Continued), of(WorkflowStatus::Completed)),
        (3, 2)
    );
    let result = ledger.result(JobId::of_task(workflow, 0, 0));
    assert_eq!(result.as_deref(), Some(&b"\"done\""[..]));
}

/// Rows 81 and 82.
#[tokio::test]
async fn what_failed_is_tried_again_by_hand_and_its_hooks_run_for_each_outcome() {
    let ledger = ledger();
    ledger.repeat_deliveries();
    let workflow = ledger.submit(&definition(&json!({
        "name": "by hand",
        "hooks": {"on_failure": {"task_type": "h"}, "on_success": {"task_type": "h"},
                  "on_exit": {"task_type": "h"}},
        "tasks": [
            {"name": "a", "task_type": "t"},
            {"name": "b", "task_type": "t", "depends_on": ["a"],
             "payload": {"answers": [{"dead": "one"}, {"dead": "two"}, {"ok": 3}]}},
        ],
    })));
    let mut troupe = Troupe::new(&ledger, 1);
    for _ in 0..2 {
        troupe.finish().await;
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
        assert!(ledger.retired(workflow) && ledger.retry(workflow));
    }
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let log = ledger.full_log(workflow);
    let times = |line: &str| log.iter().filter(|told| told.as_str() == line).count();
    for (line, expected) in [
        ("workflow.task.dispatched a 0", 1),
        ("workflow.task.dispatched b 2", 1),
        ("workflow.hook.dispatched __hook.on_failure 0", 1),
        ("workflow.hook.dispatched __hook.on_failure 1", 1),
        ("workflow.hook.dispatched __hook.on_exit 2", 1),
        ("workflow.hook.dispatched __hook.on_success 2", 1),
        ("workflow.retrying", 2),
    ] {
        assert_eq!(times(line), expected, "{line}: {log:#?}");
    }
}
