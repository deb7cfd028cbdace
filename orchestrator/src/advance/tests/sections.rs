//! Tasks that handlers add.

use super::*;

fn answer(tasks: &str) -> String {
    let list: Vec<serde_json::Value> = tasks
        .split_whitespace()
        .map(|word| {
            let task = crate::graph::graph(word).tasks.remove(0);
            serde_json::to_value(task).expect("json")
        })
        .collect();
    format!("done g {}", serde_json::json!({ "tasks": list }))
}

/// W14: what depends on one another inside runs one after the other; the generator's dependents
/// wait for all of it.
#[test]
fn an_added_chain_runs_one_by_one() {
    let mut run = Run::new("g() z<g");
    run.after(&["start"]);
    assert_eq!(
        run.say(&answer("a<g b<a,g c<b")),
        "run a ! task.dispatched a"
    );
    run.script(&[
        "done a => run b ! task.completed a, task.dispatched b",
        "done b => run c ! task.completed b, task.dispatched c",
        "done c => run z ! task.completed c, task.completed g, task.dispatched z",
        "done c => late: the task has ended already",
        "done g => late: the task has ended already",
        "done z => close completed, retire ! task.completed z, completed",
    ]);
}

/// Row 73: nothing is an answer as well.
#[test]
fn no_tasks_at_all_end_the_generator() {
    let mut run = Run::new("g() z<g");
    run.after(&["start"]);
    assert_eq!(
        run.say("done g {\"tasks\":[]}"),
        "run z ! task.completed g, task.dispatched z"
    );
}

/// Row 73: an answer that does not hold fails the generator, with every mistake.
#[test]
fn an_answer_that_does_not_hold_fails_the_generator() {
    for (tasks, mistakes) in [
        ("a<b b<a", vec!["in a circle: a"]),
        ("a<nobody b<z", vec!["nobody", "\"z\""]),
        ("z", vec!["\"z\""]),
        ("g", vec!["\"g\""]),
        ("a a", vec!["\"a\""]),
    ] {
        let mut run = Run::new("g() z<g");
        run.after(&["start", &answer(tasks)]);
        let ending = run.instance.stage().ending().map(ToString::to_string);
        let ending = ending.unwrap_or_default();
        for mistake in mistakes {
            assert!(ending.contains(mistake), "{tasks}: {ending}");
        }
    }
    let mut run = Run::new("g()? z<g");
    run.after(&["start", "done g 7"]);
    assert_eq!(run.open(), ["z"]);
    assert!(matches!(
        run.record("g"),
        Some(TaskRecord::FailedAllowed { .. })
    ));
}

/// Row 73: a dead task of a section ends the workflow, even if its generator may fail; what waits
/// for its section is cancelled then.
#[test]
fn a_dead_task_of_a_section_is_fatal() {
    let mut run = Run::new("g()? z<g");
    run.after(&["start", &answer("a b c?")]);
    run.script(&[
        "dead c x    => ! task.failed c (x)",
        "dead a boom => stop b ! task.failed a (boom)",
        "stopped b   => close failed, retire ! task.failed b (its job was cancelled), \
         task.failed g (its job was cancelled), failed (task a failed: boom)",
    ]);
}

/// Row 73: what is added may be of any kind, and add tasks itself, sixteen levels deep.
#[test]
fn sections_may_be_nested() {
    let mut run = Run::new("g()");
    run.after(&["start"]);
    let mut name = "g".to_owned();
    for level in 0..16 {
        let next = format!("s{level}");
        let line = format!(
            "done {name} {{\"tasks\":[{{\"name\":\"{next}\",\"task_type\":\"x\",\"type\":\"subflow\"}}]}}"
        );
        run.after(&[&line]);
        assert_eq!(run.open(), [next.as_str()], "level {level}");
        name = next;
    }
    let mut deepest = run.clone();
    deepest.after(&["done s15 {\"tasks\":[{\"name\":\"x\",\"task_type\":\"x\"}]}"]);
    let ending = deepest.instance.stage().ending().map(ToString::to_string);
    assert!(ending.is_some_and(|ending| ending.contains("16 levels deep")));
    let written = run.say("done s15 {\"tasks\":[]}");
    assert!(
        written.starts_with("close completed, retire ! task.completed s15, task.completed s14")
    );
}

/// Row 69 in row 73: a section has conditions and loops of its own.
#[test]
fn a_section_has_routes_of_its_own() {
    let mut run = Run::new("g() z<g");
    run.after(&["start", &answer("a c>a,x,y<a x<c y<c")]);
    run.script(&[
        "done a             => run c ! task.completed a, task.dispatched c",
        "done c {\"route\":0} => run a@1 ! task.completed c, task.dispatched a",
        "done a             => run c@1 ! task.completed a, task.dispatched c",
        "done c {\"route\":2} => run y ! task.completed c, task.completed x (skipped: no route led \
         here), task.dispatched y",
        "done y             => run z ! task.completed y, task.completed g, task.dispatched z",
    ]);
}

/// Row 73: limits are kept where their keys lead, and the tasks of a section run where the workflow is.
#[test]
fn limits_of_a_section_lead_to_the_shard_of_the_workflow() {
    use paceline_types::ShardIndex;
    let key_of = |shard: u16| {
        let keys = (0..).map(|n| format!("k{n}"));
        let mut led = keys.filter(|key| ShardIndex::of_key(key, 4) == ShardIndex(shard));
        led.next().expect("a key")
    };
    for (keys, problem) in [
        (vec![key_of(0)], None),
        (
            vec![key_of(1)],
            Some("kept in another shard than the workflow"),
        ),
        (vec![key_of(0), key_of(1)], Some("lead to different shards")),
    ] {
        let mut run = Run::new("g()");
        run.after(&["start"]);
        let task = serde_json::json!({"name": "p", "task_type": "x", "limits": keys});
        run.after(&[&format!("done g {}", serde_json::json!({"tasks": [task]}))]);
        let ending = run.instance.stage().ending().map(ToString::to_string);
        match problem {
            None => assert_eq!(run.open(), ["p"]),
            Some(problem) => assert!(ending.is_some_and(|ending| ending.contains(problem))),
        }
    }
}

/// Row 73: ten mistakes are told, and how many there are beside.
#[test]
fn mistakes_of_a_section_are_told_and_counted() {
    let task = |n: usize| serde_json::json!({"name": format!("p{n}"), "task_type": "x", "depends_on": ["nobody"]});
    let tasks: Vec<_> = (0..12).map(task).collect();
    let mut run = Run::new("g()");
    run.after(&["start"]);
    run.after(&[&format!("done g {}", serde_json::json!({"tasks": tasks}))]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    let ending = ending.expect("an end");
    assert_eq!(
        ending.matches("no task is named \"nobody\"").count(),
        10,
        "{ending}"
    );
    assert!(
        ending.ends_with("; 2 more mistakes; mend these first"),
        "{ending}"
    );
}

/// Rows 73 and 89: what an element of a map may be called is no other task's name, whichever of both
/// comes first, and wherever they stand.
#[test]
fn elements_of_maps_in_sections_are_called_as_no_other_task() {
    let mut run = Run::new("g() h() m#3 z<g,h");
    run.after(&["start", &answer("a")]);
    assert!(
        fails(&run, "h", "m[]").contains("\"m#3\""),
        "a task of the definition"
    );

    let mut run = Run::new("g() h() z<g,h");
    run.after(&["start", &answer("a n#7")]);
    let why = "an element of the map \"n\" may be called \"n#7\"";
    assert!(fails(&run, "h", "n[]").contains(why), "a task of a section");
    assert!(!fails(&run, "h", "n").contains("task h failed"), "no map");

    // It waits for `a`: it has no elements yet.
    let mut run = Run::new("g() h() z<g,h");
    run.after(&["start", &answer("a n[]<a=a")]);
    let why = "the workflow has a task \"n#7\" already";
    assert!(fails(&run, "h", "n#7").contains(why), "an element of a map");
    assert!(
        !fails(&run, "h", "n#x").contains("task h failed"),
        "no place"
    );
}

/// What becomes of the workflow when a subflow answers these tasks.
fn fails(run: &Run, subflow: &str, tasks: &str) -> String {
    let mut run = run.clone();
    let answer = answer(tasks).replacen('g', subflow, 1);
    run.after(&[&answer]);
    let ending = run.instance.stage().ending().map(ToString::to_string);
    ending.unwrap_or_default()
}
