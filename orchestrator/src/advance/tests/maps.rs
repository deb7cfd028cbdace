//! Maps: one task for each element of an array.

use bytes::Bytes;
use paceline_types::WorkflowDefinition;
use serde_json::json;

use super::*;

fn payloads(transition: &Transition) -> Vec<String> {
    let jobs = transition.effects.iter().filter_map(|effect| match effect {
        Effect::Dispatch(job) => Some(String::from_utf8_lossy(&job.spec.payload).into_owned()),
        _ => None,
    });
    jobs.collect()
}

fn defined(text: &serde_json::Value) -> Run {
    let definition = WorkflowDefinition::from_json(&text.to_string()).expect("a definition");
    Run::of(&definition)
}

/// Row 89: a task for each element, at most a window of them at once; results in the order of the
/// array.
#[test]
fn elements_run_within_a_window_and_results_keep_their_order() {
    let mut run = Run::new("l m[2]<l=l z<m");
    run.after(&["start"]);
    run.script(&[
        "done l [10,20,30,40] => run m#0, run m#1 ! task.completed l, task.dispatched m, \
         task.dispatched m#0, task.dispatched m#1",
        "done m#1 \"b\"         => run m#2 ! task.completed m#1, task.dispatched m#2",
        "skip m#2             => run m#3 ! task.completed m#2, task.dispatched m#3",
        "done m#3 {\"d\":1}    => ! task.completed m#3",
        "done m#0 1           => m is [1,\"b\",null,{\"d\":1}], run z ! task.completed m#0, \
         task.completed m, task.dispatched z",
        "done m#0             => late: the task has ended already",
        "done z               => close completed, retire ! task.completed z, completed",
    ]);
}

/// Row 89: no elements, no tasks; no array, no map.
#[test]
fn an_empty_array_is_done_and_anything_else_fails() {
    let mut run = Run::new("l m[]<l=l");
    run.after(&["start"]);
    assert_eq!(
        run.say("done l []"),
        "m is [], close completed, retire ! task.completed l, task.completed m, completed"
    );
    for (answer, what) in [
        ("{\"a\":1}", "an object"),
        ("null", "null"),
        ("7", "a number"),
        ("\"x\"", "a text"),
        ("true", "a boolean"),
    ] {
        let mut run = Run::new("l m[]<l=l");
        run.after(&["start", &format!("done l {answer}")]);
        let expected = format!("task m failed: map \"m\": its items are {what}, not an array");
        let ending = run.instance.stage().ending().map(ToString::to_string);
        assert_eq!(ending, Some(expected));
    }
}

/// Row 89: elements are handed on byte for byte; payloads refer to element, place, input and tasks.
#[test]
fn an_element_is_given_what_its_payload_says() {
    let mut run = Run::new("l m[]<l=l");
    run.after(&["start"]);
    let event = run.event("done l [123456789012345678901, {\"b\": 1,\"a\":\"x\"},null]");
    let transition = run.apply(&event).expect("applied");
    assert_eq!(
        payloads(&transition),
        ["123456789012345678901", "{\"b\": 1,\"a\":\"x\"}", "null"]
    );

    let text = json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "x"},
        {"name": "m", "type": "map", "task_type": "y", "depends_on": ["a"],
         "items": ["p", {"q": "{{tasks.a.output.n}}"}],
         "payload": {"it": "{{item}}", "n": "{{index}}", "say": "{{input.who}}: {{item}}"}}
    ]});
    let mut run = defined(&text);
    run.kept.input = Some(Bytes::from_static(b"{\"who\":\"you\"}"));
    run.instance = run.reloaded();
    run.after(&["start"]);
    let event = run.event("done a {\"n\":7}");
    let transition = run.apply(&event).expect("applied");
    assert_eq!(
        payloads(&transition),
        [
            "{\"it\":\"p\",\"n\":0,\"say\":\"you: p\"}",
            "{\"it\":{\"q\":7},\"n\":1,\"say\":\"you: {\\\"q\\\":7}\"}"
        ]
    );
}

/// Row 89: what is not there fails the element that asks for it.
#[test]
fn an_element_that_cannot_be_rendered_fails() {
    let text = json!({"name": "w", "tasks": [{"name": "m", "type": "map", "task_type": "y",
        "items": [{"k": 1}, {}, {"k": 3}], "payload": {"it": "{{item.k}}"}, "allow_failure": true}]});
    let mut run = defined(&text);
    run.script(&[
        "start => run m#0, m#1 is {\"error\":\"payload: item.k is not there\"}, run m#2 ! started, \
         task.dispatched m, task.dispatched m#0, task.failed m#1 (payload: item.k is not there), \
         task.dispatched m#2",
        "done m#2 3 => ! task.completed m#2",
        "done m#0 1 => m is [1,null,3], close completed, retire ! task.completed m#0, \
         task.completed m, completed",
    ]);
}

/// Row 89: an element is bounded as any payload is, however large the array may be.
#[test]
fn an_element_that_is_too_large_fails() {
    let mut run = Run::new("l m[]?<l=l");
    run.limits.max_payload = 16;
    run.instance = run.reloaded();
    run.after(&["start"]);
    let written = run.say("done l [\"0123456789abcd\",\"0123456789abcde\"]");
    let error = "m#1 is {\"error\":\"payload: 17 bytes, at most 16 are allowed; pass a reference to \
                 the data\"}";
    assert!(
        written.starts_with(&format!("run m#0, {error} ! ")),
        "{written}"
    );
}

/// Rows 73 and 89: elements and tasks are counted, and too many of them fail the map with that reason.
#[test]
fn a_map_has_no_more_elements_than_there_is_room_for() {
    let ending = |run: &Run| run.instance.stage().ending().map(ToString::to_string);
    let mut run = Run::new("l m[]<l=l");
    let many = serde_json::to_string(&vec![0; 10_001]).expect("json");
    run.after(&["start", &format!("done l {many}")]);
    let problem = "task m failed: map \"m\": it has 10001 items, at most 10000 are allowed";
    assert_eq!(ending(&run).as_deref(), Some(problem));

    let mut definition = crate::graph::graph("m0[] m1[] m2[] m3[] m4[] m5[] m6[] m7[] m8[] m9[]");
    for task in &mut definition.tasks {
        task.items = serde_json::value::to_raw_value(&vec![0; 10_000]).ok();
    }
    let mut run = Run::of(&definition);
    run.after(&["start"]);
    let problem = "task m9 failed: task \"m9\" adds 10000 tasks to 90010, and a workflow may have \
                   100000 at most";
    assert_eq!(ending(&run).as_deref(), Some(problem));
}

/// Row 89: without leave to fail, the first dead element is the end of the map and of the workflow.
#[test]
fn a_dead_element_fails_the_map() {
    let mut run = Run::new("l m[2]<l=l z<m");
    run.after(&["start", "done l [1,2,3]"]);
    run.script(&[
        "dead m#1 boom => stop m#0 ! task.failed m#1 (boom), task.failed m (element 1 failed: boom)",
        "done m#0      => close failed, retire ! task.completed m#0, \
         failed (task m failed: element 1 failed: boom)",
    ]);
    let mut run = Run::new("l m[2]<l=l");
    run.after(&["start", "done l [1,2,3]", "stopped m#0", "stopped m#1"]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    assert_eq!(
        ending.as_deref(),
        Some("task m failed: element 0 was cancelled")
    );
}

/// Row 89: with it, the element's result is null.
#[test]
fn an_element_may_fail_where_the_map_may() {
    let mut run = Run::new("l m[]?<l=l");
    run.after(&["start", "done l [1,2,3]", "dead m#1 boom", "stopped m#0"]);
    run.script(&[
        "done m#2 9 => m is [null,null,9], close completed, retire ! task.completed m#2, \
         task.completed m, completed",
    ]);
}

/// Results that are too large together fail the map, with the reason.
#[test]
fn results_that_are_too_large_fail_the_map() {
    let mut run = Run::new("l m[]<l=l");
    run.limits.max_payload = 20;
    run.instance = run.reloaded();
    run.after(&[
        "start",
        "done l [1,2]",
        "done m#0 \"0123456789\"",
        "done m#1 \"0123456789\"",
    ]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    assert_eq!(
        ending.as_deref(),
        Some(
            "task m failed: the results of its elements have more than 20 bytes in all; let each \
             answer less"
        )
    );
}

/// What is no JSON becomes text, which is larger.
#[test]
fn results_that_grow_too_large_fail_the_map() {
    let mut run = Run::new("l m[]<l=l");
    run.limits.max_payload = 20;
    run.instance = run.reloaded();
    run.after(&["start", "done l [1]", "done m#0 \"\"\"\"\"\"\"\"\"\"\"\""]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    assert!(ending.is_some_and(|ending| ending.contains("more than 20 bytes")));
}

/// A leader that comes new to a map asks for its array and the results again, a bounded number at a
/// time.
#[test]
fn what_a_map_knew_is_read_again() {
    let mut run = Run::new("l m[1]<l=l");
    run.after(&["start", "done l [1,2]"]);
    run.eager = false;
    run.instance = run.reloaded();
    run.script(&[
        "done m#0 5 => want l, more ! task.completed m#0",
        "continue   => want l, more",
    ]);
    run.eager = true;
    run.script(&["continue => run m#1 ! task.dispatched m#1"]);
    run.eager = false;
    run.instance = run.reloaded();
    run.script(&["done m#1 6 => want m#0, want m#1, more ! task.completed m#1"]);
    run.eager = true;
    run.script(&["continue => m is [5,6], close completed, retire ! task.completed m, completed"]);
}
