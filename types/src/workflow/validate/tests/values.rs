//! Templates, preconditions and results: what may be referred to from where.

use super::*;

fn with_a_and_b(fields: &str) -> WorkflowDefinition {
    tasks(&format!(
        r#"{{"name":"ship","task_type":"t"}},{{"name":"pack","task_type":"t"}},
           {{"name":"x","depends_on":["ship"],{fields}}}"#
    ))
}

fn told(fields: &str) -> Vec<String> {
    let errors = with_a_and_b(fields).validate(1024).expect_err(fields);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_payload_refers_to_tasks_that_are_depended_on() {
    let plan = accepted(&with_a_and_b(
        r#""task_type":"t","payload":{"a":"{{tasks.ship.output.id}}",
           "b":["{{input.x}} {{tasks.ship.output}}"]}"#,
    ));
    let task = plan.task(2);
    assert_eq!((&*task.references, task.uses_input), (&[0][..], true));
    assert_eq!(
        task.template.as_ref().map(|it| it.references().len()),
        Some(3)
    );
    assert!(task.payload.starts_with(b"{\"a\":\"{{"));
    assert_eq!(
        told(
            r#""task_type":"t","payload":{"order":{"id":"{{tasks.shpi.output.id}}"},
               "list":["","{{tasks.pack.output}}","{{item}}","{{outptu}}"],"n":"{{index}}!"}"#
        ),
        [
            "tasks[2].payload.list[3]: \"outptu\" is not a reference; write input.…, \
             tasks.NAME.output.…, item.… or index",
        ],
        "what cannot be read hides the rest"
    );
    assert_eq!(
        told(
            r#""task_type":"t","payload":{"order":{"id":"{{tasks.shpi.output.id}}"},
               "list":["","{{tasks.pack.output}}","{{item}}"],"n":"{{index}}!"}"#
        ),
        [
            "tasks[2].payload.order.id: no task is named \"shpi\"; did you mean \"ship\"?",
            "tasks[2].payload.list[1]: \"pack\" is not in depends_on; add it there",
            "tasks[2].payload.list[2]: \"item\" is of an element of a map, and stands in the \
             payload of a map alone",
            "tasks[2].payload.n: \"index\" is of an element of a map, and stands in the payload of \
             a map alone",
        ]
    );
    let whole = told(r#""task_type":"t","payload":"{{tasks.nobody.output}}""#);
    assert_eq!(
        whole,
        ["tasks[2].payload: no task is named \"nobody\"; name a task of this workflow"]
    );
    assert_eq!(
        told(r#""task_type":"t","payload":"{{tasks.x.output}}""#),
        ["tasks[2].payload: \"x\" is not in depends_on; add it there"]
    );
}

#[test]
fn elements_are_referred_to_in_the_payload_of_a_map_alone() {
    let map = r#""type":"map","task_type":"t""#;
    let plan = accepted(&with_a_and_b(&format!(
        r#"{map},"items":"{{{{tasks.ship.output.l}}}}","payload":["{{{{item.x}}}}","{{{{index}}}}"]"#
    )));
    assert_eq!(
        (&*plan.task(2).references, plan.task(2).uses_input),
        (&[0][..], false)
    );
    assert_eq!(
        told(&format!(
            r#"{map},"items":["{{{{item}}}}","{{{{tasks.pack.output}}}}"]"#
        )),
        [
            "tasks[2].items[0]: \"item\" is of an element of a map, and stands in the payload of a \
             map alone",
            "tasks[2].items[1]: \"pack\" is not in depends_on; add it there",
        ]
    );
}

#[test]
fn an_expression_refers_to_tasks_that_are_depended_on() {
    let condition = |text: &str| {
        format!(r#""type":"condition","condition":"{text}","condition_routes":{{"0":"ship"}}"#)
    };
    let plan = accepted(&with_a_and_b(&condition("tasks.ship.output.n gt 1")));
    assert_eq!(
        (&*plan.task(2).references, plan.task(2).uses_input),
        (&[0][..], false)
    );
    assert!(
        accepted(&with_a_and_b(&condition("input.n gt 1")))
            .task(2)
            .uses_input
    );
    for (text, problem) in [
        (
            "tasks.pack.output exists",
            "\"pack\" is not in depends_on; add it there",
        ),
        (
            "tasks.shi.output exists",
            "no task is named \"shi\"; did you mean \"ship\"?",
        ),
        (
            "item.x exists",
            "\"item.x\" is of an element of a map, and stands in the payload of a map alone",
        ),
    ] {
        assert_eq!(
            told(&condition(text)),
            [format!("tasks[2].condition: {problem}")]
        );
    }
}

/// Row 76.
#[test]
fn preconditions_are_checked() {
    let of = |precondition: &str| format!(r#""task_type":"t","preconditions":[{precondition}]"#);
    let plan = accepted(&with_a_and_b(&of(
        r#"{"type":"upstream_output","task":"ship","path":"$.a.b[0]","expected":"7"},
           {"type":"upstream_output","task":"ship"}"#,
    )));
    let [first, second] = &*plan.task(2).preconditions else {
        panic!("{plan:?}");
    };
    assert_eq!(
        (first.task, first.expected.as_str(), first.text.as_str()),
        (0, "7", "$.a.b[0]")
    );
    let value = serde_json::json!({"a": {"b": [7]}});
    assert_eq!(first.path.find(&value), Some(&serde_json::json!(7)));
    assert!(second.path.is_whole());
    assert_eq!(
        told(&of(
            r#"{"type":"output","task":"ship"},{"type":"upstream_output","task":"pack"},
               {"type":"upstream_output","task":"ship","path":"a..b"},{"type":""}"#
        )),
        [
            "tasks[2].preconditions[0].type: \"output\" is not a type of precondition; \
             \"upstream_output\" is the only one",
            "tasks[2].preconditions[1].task: \"pack\" is not in depends_on; add it there",
            "tasks[2].preconditions[2].path: \"a..b\" names no field between two dots; write it as \
             a.b[0].c",
            "tasks[2].preconditions[3].type: \"\" is not a type of precondition; \
             \"upstream_output\" is the only one",
            "tasks[2].preconditions[3].task: no task is named \"\"; name a task of this workflow",
        ]
    );
}

/// A payload full of mistakes costs one more reading, and not one for each of them.
#[test]
fn many_mistakes_in_one_payload_are_told_in_short() {
    let references: Vec<String> = (0..2_000)
        .map(|n| format!("\"{{{{tasks.t{n}.output}}}}\""))
        .collect();
    let definition = tasks(&format!(
        r#"{{"name":"x","task_type":"t","payload":[{}]}}"#,
        references.join(",")
    ));
    let errors = definition.validate(1 << 20).expect_err("mistakes");
    assert_eq!(errors.len(), 1_001);
    assert_eq!(errors[999].path, "tasks[0].payload[999]");
    assert_eq!(
        errors[1_000].problem,
        "1000 more mistakes; mend these first"
    );
}
