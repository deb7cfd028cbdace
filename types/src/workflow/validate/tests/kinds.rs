//! What each kind of task needs, takes and does not take.

use super::*;
use crate::workflow::{MapItems, Routes, Work};

/// A definition of a root `a`, and a task `x` with these fields that may depend on it.
pub(super) fn beside_a(fields: &str) -> WorkflowDefinition {
    tasks(&format!(
        r#"{{"name":"a","task_type":"t"}},{{"name":"x",{fields}}}"#
    ))
}

pub(super) fn only_mistake(fields: &str) -> String {
    let definition = beside_a(fields);
    let errors = definition.validate(1024).expect_err(fields);
    assert_eq!(errors.len(), 1, "{fields}: {errors:?}");
    errors[0].to_string()
}

/// What each form needs.
const FORMS: [(&str, &str); 7] = [
    ("a task without a type", r#""task_type":"t""#),
    (
        "a child workflow",
        r#""child_workflow_def":{"name":"c","tasks":[{"name":"a","task_type":"t"}]}"#,
    ),
    (
        "a condition",
        r#""type":"condition","task_type":"t","condition_routes":{"0":"a"},"depends_on":["a"]"#,
    ),
    (
        "a condition with an expression",
        r#""type":"condition","condition":"input.x exists","condition_routes":{"0":"a"},
           "depends_on":["a"]"#,
    ),
    ("a subflow", r#""type":"subflow","task_type":"t""#),
    ("a map", r#""type":"map","task_type":"t","items":[1,2]"#),
    ("a task that waits for a signal", r#""type":"signal""#),
];

#[test]
fn a_form_takes_the_fields_that_mean_something_for_it() {
    // Which of the forms above take it.
    let table = [
        (r#""payload":1"#, "payload", [1, 1, 1, 0, 1, 1, 0]),
        (
            r#""max_iterations":3"#,
            "max_iterations",
            [0, 0, 1, 1, 0, 0, 0],
        ),
        (r#""window":3"#, "window", [0, 0, 0, 0, 0, 1, 0]),
        (r#""signal":"go""#, "signal", [0, 0, 0, 0, 0, 0, 1]),
        (
            r#""retry_policy":{}"#,
            "retry_policy",
            [1, 0, 1, 0, 1, 1, 0],
        ),
        (r#""timeout":"1s""#, "timeout", [1, 0, 1, 0, 1, 1, 1]),
        (
            r#""schedule_to_start_timeout":"1s""#,
            "schedule_to_start_timeout",
            [1, 0, 1, 0, 1, 1, 0],
        ),
        (
            r#""max_duration":"1s""#,
            "max_duration",
            [1, 0, 1, 0, 1, 1, 0],
        ),
        (
            r#""heartbeat_timeout":"1s""#,
            "heartbeat_timeout",
            [1, 0, 1, 0, 1, 1, 0],
        ),
        (r#""limits":["l"]"#, "limits", [1, 0, 1, 0, 1, 1, 0]),
        (r#""tags":["l"]"#, "tags", [1, 0, 1, 0, 1, 1, 0]),
        (r#""audited":true"#, "audited", [1, 0, 1, 0, 1, 1, 0]),
        (r#""version":"1""#, "version", [1, 0, 1, 0, 1, 1, 0]),
        (r#""headers":{"h":"v"}"#, "headers", [1, 0, 1, 0, 1, 1, 0]),
        (r#""priority":7"#, "priority", [1; 7]),
        (r#""allow_failure":true"#, "allow_failure", [1; 7]),
        (r#""result_reuse":"never""#, "result_reuse", [1; 7]),
    ];
    for (field, name, takes) in table {
        for ((form, needs), takes) in FORMS.iter().zip(takes) {
            let fields = format!("{needs},{field}");
            if takes == 1 {
                accepted(&beside_a(&fields));
            } else {
                let expected = format!("tasks[1].{name}: {form} has no {name}; take it out");
                assert_eq!(only_mistake(&fields), expected);
            }
        }
    }
}

#[test]
fn a_task_runs_a_handler_or_another_workflow() {
    let child = r#""child_workflow_def":{"name":"c","tasks":[{"name":"a","task_type":"t"}]}"#;
    assert_eq!(
        only_mistake(&format!(r#"{child},"task_type":"t""#)),
        "tasks[1].task_type: a task has a task_type or a child_workflow_def, not both; take one out"
    );
    assert_eq!(
        only_mistake(&format!(r#"{child},"type":"subflow","task_type":"t""#)),
        "tasks[1].child_workflow_def: a subflow has no child_workflow_def; take it out"
    );
    assert_eq!(
        only_mistake(r#""priority":1"#),
        "tasks[1].task_type: the task type is empty; give it 1 to 128 characters"
    );
    assert_eq!(
        only_mistake(
            r#""type":"condition","condition":"input.x exists","task_type":"t",
               "condition_routes":{"0":"a"},"depends_on":["a"]"#
        ),
        "tasks[1].task_type: a condition has a task_type or an expression, not both; take one out"
    );
    assert_eq!(
        only_mistake(r#""type":"signal","task_type":"t""#),
        "tasks[1].task_type: a task that waits for a signal has no task_type; take it out"
    );
}

#[test]
fn routes_belong_to_conditions_alone() {
    for (form, needs) in FORMS {
        let is_condition = form.starts_with("a condition");
        if !is_condition {
            let fields = format!(r#"{needs},"condition_routes":{{"0":"a"}}"#);
            let expected =
                format!("tasks[1].condition_routes: {form} has no condition_routes; take it out");
            assert_eq!(only_mistake(&fields), expected);
        }
    }
    assert_eq!(
        only_mistake(r#""type":"condition","task_type":"t""#),
        "tasks[1].condition_routes: a condition needs at least one route, such as {\"0\": \"ship\"}"
    );
    assert_eq!(
        only_mistake(
            r#""type":"condition","condition":"input.x exists","condition_routes":{"2":"a"},
               "depends_on":["a"]"#
        ),
        "tasks[1].condition_routes.2: an expression takes route 0 if it holds, else route 1; take \
         this out"
    );
    assert_eq!(
        only_mistake(
            r#""type":"condition","condition":"input.x is 1","condition_routes":{"1":"a"},
               "depends_on":["a"]"#
        ),
        "tasks[1].condition: \"is\" is not an operator; did you mean \"in\"?"
    );
}

#[test]
fn a_map_has_one_array() {
    let of = |plan: &Plan| match plan.task(1).work.clone() {
        Work::Map { items, window, .. } => (items, window),
        other => panic!("{other:?}"),
    };
    let map = |fields: &str| format!(r#""type":"map","task_type":"t","depends_on":["a"],{fields}"#);
    let plan = accepted(&beside_a(&map(r#""items":[1, "x"]"#)));
    assert!(matches!(of(&plan), (Some(MapItems::Given(items)), 100) if items == r#"[1, "x"]"#));
    let plan = accepted(&beside_a(&map(r#""result_from":"a","window":7"#)));
    assert!(matches!(of(&plan), (None, 7)));
    // Without a payload, an element is given itself.
    let template = plan.task(1).template.as_ref().expect("template");
    assert_eq!(template.references()[0].as_str(), "item");
    for items in [r#""{{tasks.a.output.list}}""#, r#"["{{input.x}}", 2]"#] {
        let plan = accepted(&beside_a(&map(&format!(r#""items":{items}"#))));
        assert!(
            matches!(of(&plan), (Some(MapItems::Rendered(_)), 100)),
            "{items}"
        );
    }

    let table = [
        (
            r#""priority":1"#,
            "items: a map needs an array: give it items, or result_from",
        ),
        (
            r#""items":[],"result_from":"a""#,
            "result_from: a map has items or result_from, not both; take one out, and refer to \
             other results in the payload",
        ),
        (
            r#""result_from":["a"]"#,
            "result_from: the array of a map is the result of one task; name one, without a list",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(only_mistake(&map(fields)), format!("tasks[1].{expected}"));
    }
    for items in [
        "{}",
        "7",
        r#""{{input.x}} ""#,
        r#"{"a":"{{input.x}}"}"#,
        r#""[]""#,
    ] {
        assert_eq!(
            only_mistake(&map(&format!(r#""items":{items}"#))),
            "tasks[1].items: is neither an array nor one reference to an array, such as \
             \"{{input.files}}\"",
            "{items}"
        );
    }
    let elements = vec!["1"; MAX_ELEMENTS + 1].join(",");
    let many = beside_a(&map(&format!(r#""items":[{elements}]"#)));
    let errors = many.validate(1 << 20).expect_err("too many");
    assert_eq!(
        errors[0].to_string(),
        "tasks[1].items: 10001 elements, at most 10000 are allowed; use a batch, or split them"
    );
}

#[test]
fn names_that_the_instance_gives_itself_are_reserved() {
    let map = |name: &str, other: &str| {
        tasks(&format!(
            r#"{{"name":"{name}","type":"map","task_type":"t","items":[]}},
               {{"name":"{other}","task_type":"t"}}"#
        ))
    };
    assert_eq!(
        mistakes(&map("m", "m#12")),
        ["tasks[1].name: \"m#12\" is what an element of tasks[0] may be called; call it otherwise"]
    );
    for other in ["m#", "m#x", "n#1", "m#1x", "m"] {
        assert!(map("q", other).validate(16).is_ok(), "{other}");
    }
    let plan = accepted(&map("m", "m#x"));
    for (name, taken) in [
        ("m", true),
        ("m#7", true),
        ("m#x", true),
        ("m#x#1", false),
        ("n", false),
    ] {
        assert_eq!(plan.has_name(name), taken, "{name}");
    }
    for (name, other) in [("m", "m#7"), ("m", "m#x"), ("ma", "m#7")] {
        let plan = accepted(&graph(other));
        let expected = (name == "m" && other == "m#7").then_some(other);
        assert_eq!(plan.element_of(name).map(TaskName::as_str), expected);
    }
    accepted(&map(&"m".repeat(116), "x"));
    assert_eq!(
        mistakes(&map(&"m".repeat(117), "x")),
        ["tasks[0].name: the name of a map has 117 bytes, at most 116 are allowed; shorten it"]
    );
    assert_eq!(
        mistakes(&graph("__hook.on_exit")),
        [
            "tasks[0].name: \"__hook.on_exit\" begins with __hook., as the tasks of hooks do; call \
             it otherwise"
        ]
    );
    accepted(&graph("__hook"));
}

#[test]
fn a_signal_is_called_as_its_task_unless_it_has_a_name() {
    let name = |fields: &str| match &accepted(&beside_a(fields)).task(1).work {
        Work::Signal { name } => name.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(r#""type":"signal""#), "x");
    assert_eq!(
        name(r#""type":"signal","signal":"approved","timeout":"1h""#),
        "approved"
    );
    assert_eq!(
        only_mistake(r#""type":"signal","signal":"a b""#),
        "tasks[1].signal: the signal name `a b` contains ' '; use letters, digits and any of . _ - \
         / @ + # $ % & = ~ ! *"
    );
}

#[test]
fn conditions_are_allowed_a_number_of_evaluations() {
    let most = |fields: &str| {
        let fields = format!(
            r#""type":"condition","task_type":"t","condition_routes":{{"0":"a","12":"a"}},
               "depends_on":["a"]{fields}"#
        );
        let plan = accepted(&beside_a(&fields));
        let routes = plan.task(1).work.routes().cloned().expect("routes");
        assert_eq!(routes.numbers(), "0, 12");
        assert!(routes.get(12).expect("route").back && routes.get(1).is_none());
        routes.max_iterations
    };
    assert_eq!((most(""), Routes::MAX_ITERATIONS), (100, 100));
    assert_eq!(most(r#","max_iterations":3"#), 3);
}
