//! What the interpreter says of workflows whose end is known.

use paceline_types::WorkflowDefinition;
use serde_json::{Value, json};

use super::super::chance::Chance;
use super::super::generate::{self, Wish};
use super::super::interpret::{Kind, Told, Unfit, tell};
use super::super::script;

/// Tasks of a table: `name: kind; on; more` with acts, as JSON.
fn told(tasks: Value) -> Told {
    let mut tasks = tasks;
    for task in tasks.as_array_mut().expect("tasks") {
        let fields = task.as_object_mut().expect("a task");
        let acts = fields.remove("acts").unwrap_or(json!([]));
        fields.insert(
            "headers".to_owned(),
            json!({ script::ACTS: acts.to_string() }),
        );
        if !["condition", "child_workflow_def"]
            .iter()
            .any(|field| fields.contains_key(*field))
        {
            fields.insert("task_type".to_owned(), json!("play"));
        }
    }
    let text = json!({ "name": "table", "tasks": tasks }).to_string();
    let definition = WorkflowDefinition::from_json(&text).expect("definition");
    let input = json!({ "gen": 0, "n": 1 });
    let first = tell(&definition, &input, &mut Chance::new(0)).expect("told");
    for seed in 1..10 {
        let again = tell(&definition, &input, &mut Chance::new(seed)).expect("told");
        assert_eq!(
            (&again.ends, &again.last),
            (&first.ends, &first.last),
            "order matters"
        );
    }
    first
}

/// `name@iteration kind`, by name.
fn picture(told: &Told) -> String {
    let one = |start: &(String, u32)| {
        let kind = match told.ends[start].kind {
            Kind::Completed => "ok".to_owned(),
            Kind::Routed(Some(route)) => format!("->{route}"),
            Kind::Routed(None) => "->".to_owned(),
            Kind::Skipped => "skipped".to_owned(),
            Kind::Bypassed => "-".to_owned(),
            Kind::FailedAllowed => "failed".to_owned(),
            Kind::Dead => "dead".to_owned(),
            Kind::Cancelled => "cancelled".to_owned(),
        };
        format!("{}@{} {kind}", start.0, start.1)
    };
    told.last.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn routes(numbers: &[u32]) -> Value {
    numbers
        .iter()
        .map(|route| json!({ "value": { "route": route } }))
        .collect()
}

/// Row 69, W18: what lies behind a route that was not taken does not run; a join does.
#[test]
fn an_untaken_branch_is_passed_by() {
    let told = told(json!([
        { "name": "c", "type": "condition", "condition_routes": { "0": "x", "1": "y" }, "acts": routes(&[1]) },
        { "name": "x", "depends_on": ["c"] },
        { "name": "xx", "depends_on": ["x"] },
        { "name": "xxx", "depends_on": ["xx"] },
        { "name": "y" },
        { "name": "j", "depends_on": ["xxx", "y"] },
    ]));
    assert_eq!(
        picture(&told),
        "c@0 ->1, j@0 ok, x@0 -, xx@0 -, xxx@0 -, y@0 ok"
    );
}

/// Row 70, W16 and W17: a dependency from outside the loop, and two ways forward.
#[test]
fn a_loop_with_a_dependency_outside_and_two_ways_out() {
    let told = told(json!([
        { "name": "out" },
        { "name": "t", "depends_on": ["out"] },
        { "name": "m", "depends_on": ["t", "out"] },
        { "name": "c", "depends_on": ["m", "out"], "type": "condition",
          "condition_routes": { "0": "t", "1": "p", "2": "q" }, "acts": routes(&[0, 0, 2]) },
        { "name": "p" }, { "name": "q" },
        { "name": "seen", "depends_on": ["t"] },
    ]));
    assert_eq!(
        picture(&told),
        "c@2 ->2, m@2 ok, out@0 ok, p@0 -, q@0 ok, seen@0 ok, t@2 ok"
    );
    assert_eq!(told.ends[&("c".to_owned(), 0)].kind, Kind::Routed(Some(0)));
}

/// Row 70: N evaluations are allowed, so the body of N = 3 runs four times.
#[test]
fn a_loop_without_end_ends() {
    let tasks = |allow: bool| {
        json!([
            { "name": "t" },
            { "name": "c", "depends_on": ["t"], "type": "condition", "max_iterations": 3,
              "allow_failure": allow, "condition_routes": { "0": "t", "1": "p" }, "acts": routes(&[0]) },
            { "name": "p", "depends_on": ["c"] },
        ])
    };
    let fatal = told(tasks(false));
    assert_eq!(picture(&fatal), "c@3 dead, t@3 ok");
    assert_eq!(
        fatal.fatals["c"],
        "condition \"c\" exceeded max iterations (3)"
    );
    assert_eq!(picture(&told(tasks(true))), "c@3 failed, p@0 -, t@3 ok");
}

/// Row 70: a loop in a loop counts anew each time.
#[test]
fn an_inner_loop_counts_anew() {
    let told = told(json!([
        { "name": "t" },
        { "name": "i", "depends_on": ["t"], "type": "condition", "max_iterations": 2,
          "condition_routes": { "0": "i", "1": "o" }, "acts": routes(&[0, 1, 0, 1]) },
        { "name": "o", "depends_on": ["i"], "type": "condition", "max_iterations": 2,
          "condition_routes": { "0": "t", "1": "end" }, "acts": routes(&[0, 1]) },
        { "name": "end" },
    ]));
    assert_eq!(picture(&told), "end@0 ok, i@3 ->1, o@1 ->1, t@1 ok");
}

/// Row 69, W19: what a condition answers is its affair, not a reason to wait for ever.
#[test]
fn a_condition_without_an_answer_fails() {
    for acts in [
        routes(&[7]),
        json!([{ "value": null }]),
        json!([{ "value": { "rout": 1 } }]),
    ] {
        let told = told(json!([
            { "name": "c", "type": "condition", "condition_routes": { "0": "x", "1": "y" }, "acts": acts },
            { "name": "x" }, { "name": "y" },
        ]));
        assert_eq!(picture(&told), "c@0 dead");
    }
}

/// A condition that took no route: skipped, or failed where that is allowed.
#[test]
fn no_route_leads_nowhere() {
    for (acts, kind) in [
        (json!([{ "skip": "no" }]), "skipped"),
        (json!([{ "dead": "no" }]), "failed"),
    ] {
        let told = told(json!([
            { "name": "c", "type": "condition", "allow_failure": true,
              "condition_routes": { "0": "x" }, "acts": acts },
            { "name": "x" }, { "name": "y", "depends_on": ["x"] },
        ]));
        assert_eq!(picture(&told), format!("c@0 {kind}, x@0 -, y@0 -"));
    }
}

/// Row 73, W14: tasks of a subflow keep their order; what waits for the generator waits for all.
#[test]
fn a_subflow_keeps_its_order() {
    let answer = json!({ "tasks": [
        { "name": "s1", "task_type": "play", "depends_on": ["g"] },
        { "name": "s2", "task_type": "play", "depends_on": ["s1"], "result_from": "s1" },
    ] });
    let told = told(json!([
        { "name": "g", "type": "subflow", "acts": [{ "value": answer }] },
        { "name": "after", "depends_on": ["g"], "result_from": "g" },
    ]));
    assert_eq!(
        picture(&told),
        "after@0 ok, g@0 ok, g@0/s1@0 ok, g@0/s2@0 ok"
    );
    for answer in [
        json!({ "tasks": [{ "name": "after", "task_type": "play" }] }),
        json!([]),
    ] {
        let wrong = told_of_subflow(&answer);
        assert_eq!(picture(&wrong), "g@0 dead");
    }
    assert_eq!(
        picture(&told_of_subflow(&json!({ "tasks": [] }))),
        "after@0 ok, g@0 ok"
    );
}

fn told_of_subflow(answer: &Value) -> Told {
    told(json!([
        { "name": "g", "type": "subflow", "acts": [{ "value": answer }] },
        { "name": "after", "depends_on": ["g"] },
    ]))
}

/// Row 76, W21: a task that is skipped as the last one ends the workflow.
#[test]
fn preconditions_skip_and_go_on() {
    let told = told(json!([
        { "name": "a", "acts": [{ "value": { "x": 1.50, "s": null } }] },
        { "name": "b", "depends_on": ["a"], "preconditions": [
            { "type": "upstream_output", "task": "a", "path": "$.x", "expected": "1.5" },
            { "type": "upstream_output", "task": "a", "path": "s", "expected": "" }] },
        { "name": "c", "depends_on": ["a"], "preconditions": [
            { "type": "upstream_output", "task": "a", "path": "x", "expected": "2" }] },
        { "name": "d", "depends_on": ["c"], "result_from": "c" },
    ]));
    assert_eq!(picture(&told), "a@0 ok, b@0 ok, c@0 skipped, d@0 ok");
    assert_eq!(
        told.output["d"],
        json!({ "upstream": null, "original": null })
    );
}

/// Row 89: an array becomes elements in order; what is no array fails.
#[test]
fn maps_map() {
    let told_of = |items: Value| {
        told(json!([
            { "name": "a", "acts": [{ "value": items }] },
            { "name": "m", "depends_on": ["a"], "type": "map", "items": "{{tasks.a.output}}",
              "payload": ["{{item}}", "no. {{index}}"] },
        ]))
    };
    let three = told_of(json!([1, 2]));
    assert_eq!(
        picture(&three),
        "a@0 ok, m@0 ok, m@0/m#0@0 ok, m@0/m#1@0 ok"
    );
    assert_eq!(three.output, json!([[1, "no. 0"], [2, "no. 1"]]));
    assert_eq!(told_of(json!([])).output, json!([]));
    assert_eq!(picture(&told_of(json!({}))), "a@0 ok, m@0 dead");
}

/// Row 74, W22: a child's end is its task's, and the parent goes on where that is allowed.
#[test]
fn children_end_as_their_tasks() {
    let child = |acts: Value| {
        told(json!([
            { "name": "k", "allow_failure": true, "child_workflow_def": { "name": "child", "tasks": [
                { "name": "x", "task_type": "play", "headers": { script::ACTS: acts.to_string() } }] } },
            { "name": "after", "depends_on": ["k"] },
        ]))
    };
    assert_eq!(
        picture(&child(json!([{ "value": 1 }]))),
        "after@0 ok, k@0 ok"
    );
    assert_eq!(
        picture(&child(json!([{ "dead": "no" }]))),
        "after@0 ok, k@0 failed"
    );
}

/// A loop that feeds another one, from outside it: what is outside both waits for both.
#[test]
fn what_follows_one_loop_waits_for_the_loop_around_its_condition() {
    let told = told(json!([
        { "name": "u" }, { "name": "t" },
        { "name": "c1", "depends_on": ["u", "t"], "type": "condition",
          "condition_routes": { "0": "u", "1": "c2" }, "acts": routes(&[0, 1, 0, 1]) },
        { "name": "c2", "depends_on": ["c1"], "type": "condition",
          "condition_routes": { "0": "t", "1": "end" }, "acts": routes(&[0, 1]) },
        { "name": "end" },
        { "name": "v", "depends_on": ["u"] },
    ]));
    assert_eq!(
        picture(&told),
        "c1@3 ->1, c2@1 ->1, end@0 ok, t@1 ok, u@2 ok, v@0 ok"
    );
}

/// Chance in the choice of the next task changes nothing, and nothing that is accepted hangs.
#[test]
fn the_order_makes_no_difference() {
    let (mut fit, mut hangs) = (0, 0);
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let wish = Wish {
            size: 10,
            depth: 2,
            in_memory: true,
        };
        let generated = generate::definition(seed, wish);
        let shape = super::super::shape::Shape::of(&generated.definition.tasks);
        if shape.is_cyclic() || generated.definition.validate(256 << 10).is_err() {
            *counts.entry("refused").or_insert(0) += 1;
            continue;
        }
        let told = tell(&generated.definition, &generated.input, &mut Chance::new(1));
        match told {
            Ok(told) => {
                fit += 1;
                *counts.entry(told.status.as_str()).or_insert(0) += 1;
                let again = tell(&generated.definition, &generated.input, &mut Chance::new(2));
                let again = again.expect("told before");
                assert_eq!(told.last, again.last, "seed {seed}");
                assert_eq!(told.ends, again.ends, "seed {seed}");
            }
            Err(Unfit::TooLong) => *counts.entry("too long").or_insert(0) += 1,
            Err(unfit) => {
                hangs += 1;
                let json = serde_json::to_string(&generated.definition).expect("json");
                if hangs < 3 {
                    panic!("seed {seed}: {unfit:?}: {json}");
                }
            }
        }
    }
    assert!(fit > 200, "{counts:?}");
}
