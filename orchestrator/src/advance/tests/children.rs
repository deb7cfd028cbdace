//! Child workflows.

use bytes::Bytes;
use paceline_types::workflow::Origin;
use paceline_types::{WorkflowDefinition, WorkflowId};
use serde_json::json;

use super::*;
use crate::ports::Spawn;

fn spawned(transition: &Transition) -> Vec<Spawn> {
    let spawns = transition.effects.iter().filter_map(|effect| match effect {
        Effect::Spawn(spawn) => Some((**spawn).clone()),
        _ => None,
    });
    spawns.collect()
}

/// Row 74, W25: roots may be children; the child's id is a function of its task.
#[test]
fn a_child_is_spawned_and_ends_its_task() {
    let mut run = Run::new("k{} z<k=k");
    let started = run.apply(&Event::Start { shards: 4 }).expect("started");
    let spawns = spawned(&started);
    let id = run.instance.id();
    assert_eq!(spawns.len(), 1);
    assert_eq!(spawns[0].child, WorkflowId::of_child(id, 0, 0, 4));
    assert_eq!(spawns[0].input, None);
    let origin = Origin {
        parent: id,
        task: 0,
        iteration: 0,
        depth: 1,
    };
    assert_eq!(spawns[0].origin, origin);
    run.script(&[
        "done k 7 => run z ! task.completed k, task.dispatched z",
        "done k   => late: the task has ended already",
    ]);
}

/// Row 74, W22: however the child ends, its parent's task ends so, and the parent does not hang.
#[test]
fn a_parent_task_mirrors_its_child() {
    for (end, what) in [
        (
            "dead k child workflow wf_x failed: boom",
            "task k failed: child workflow wf_x failed: boom",
        ),
        (
            "dead k child workflow wf_x failed: execution timed out",
            "task k failed: child workflow wf_x failed: execution timed out",
        ),
        ("stopped k", "task k was cancelled"),
    ] {
        let mut run = Run::new("k{} z<k");
        run.after(&["start", end]);
        let ending = run.instance.stage().ending().map(ToString::to_string);
        assert_eq!(ending.as_deref(), Some(what));
        assert!(run.instance.stage().is_closed());

        // W22: what may fail may fail as a child; those that read it are told why.
        let mut run = Run::new("k{}? z<k");
        run.after(&["start"]);
        let written = run.say(end);
        assert!(written.starts_with("k is {\"error\":"), "{written}");
        assert_eq!(run.open(), ["z"], "{end}");
    }
}

/// Rows 74 and 86: a parent that ends cancels its children, and waits for them.
#[test]
fn a_parent_that_ends_cancels_its_children() {
    check(
        "k{} a",
        &[
            "start      => run a, spawn k ! started, task.dispatched a, task.dispatched k",
            "cancel why => stop child, stop a",
            "stopped a  => ! task.failed a (its job was cancelled)",
            "done k     => close cancelled, retire ! task.completed k, cancelled (cancelled: why)",
        ],
    );
}

/// Row 74: the input of a child is its payload, rendered, and wrapped as a job's would be.
#[test]
fn a_child_is_given_its_payload() {
    let text = json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "x"},
        {"name": "k", "depends_on": ["a"], "result_from": "a",
         "payload": {"n": "{{tasks.a.output.n}}", "who": "{{input.who}}"},
         "child_workflow_def": {"name": "c", "tasks": [{"name": "only", "task_type": "x"}]}}
    ]});
    let definition = WorkflowDefinition::from_json(&text.to_string()).expect("a definition");
    for (input, answer, expected) in [
        (
            "{\"who\":\"you\"}",
            "{\"n\":7}",
            Some("{\"upstream\":{\"n\":7},\"original\":{\"n\":7,\"who\":\"you\"}}"),
        ),
        ("{\"who\":\"you\"}", "{}", None),
        ("{}", "{\"n\":7}", None),
    ] {
        let mut run = Run::of(&definition);
        run.kept.input = Some(Bytes::from(input));
        run.instance = run.reloaded();
        run.after(&["start"]);
        let event = run.event(&format!("done a {answer}"));
        let transition = run.apply(&event).expect("applied");
        let inputs: Vec<_> = spawned(&transition)
            .into_iter()
            .map(|spawn| spawn.input)
            .collect();
        match expected {
            Some(expected) => assert_eq!(inputs, [Some(Bytes::from(expected))]),
            None => {
                assert!(inputs.is_empty());
                let ending = run.instance.stage().ending().map(ToString::to_string);
                let ending = ending.unwrap_or_default();
                assert!(ending.starts_with("task k failed: payload: "), "{ending}");
                assert!(ending.ends_with(" is not there"), "{ending}");
            }
        }
    }
}

/// Row 74: sixteen ancestors, and no more.
#[test]
fn children_are_sixteen_deep_at_most() {
    for (depth, allowed) in [(15, true), (16, false)] {
        let plan = new_instance("k{}").plan().clone();
        let mut run = Run::with(plan, |kept| {
            kept.origin = Some(Origin {
                parent: WorkflowId::from_parts(1, paceline_types::ShardIndex(0), 1),
                task: 0,
                iteration: 0,
                depth,
            });
        });
        let started = run.apply(&Event::Start { shards: 1 }).expect("started");
        assert_eq!(spawned(&started).len(), usize::from(allowed));
        assert_eq!(run.instance.stage().is_closed(), !allowed);
    }
}

/// Row 74: what a child is given is bounded as any payload is, together with what it is wrapped in.
#[test]
fn a_child_that_would_be_given_too_much_fails() {
    let mut run = Run::new("l k{}<l=l");
    run.limits.max_payload = 40;
    run.instance = run.reloaded();
    run.after(&["start"]);
    let mut small = run.clone();
    small.after(&["done l \"123456789\""]);
    assert_eq!(small.open(), ["k"]);
    run.after(&["done l \"1234567890\""]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    let problem =
        "task k failed: payload: 41 bytes, at most 40 are allowed; pass a reference to the data";
    assert_eq!(ending.as_deref(), Some(problem));
}
