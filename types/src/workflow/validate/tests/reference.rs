//! Documents of the predecessor, and what may be written in their place.

use super::*;
use crate::workflow::{ResultFrom, TaskKind};

/// Every field of its definitions, spelled as it writes them.
const DOCUMENT: &str = r#"{
  "name": "order", "execution_timeout": 3600000000000, "default_priority": 8,
  "retry_policy": {"max_attempts": 3, "initial_delay": 5000000000, "max_delay": 300000000000,
    "multiplier": 2, "jitter": 0.1, "non_retryable_errors": ["gone"],
    "pause_after_err_count": 3, "pause_retry_delay": 60000000000},
  "hooks": {
    "on_init": {"task_type": "note", "payload": {"at": "init"}, "timeout": 30000000000},
    "on_success": {"task_type": "note"}, "on_failure": {"task_type": "note", "timeout": "30s"},
    "on_exit": {"task_type": "note"}},
  "tasks": [
    {"name": "check", "task_type": "order.check", "payload": {"id": 7}, "priority": 10,
     "type": ""},
    {"name": "decide", "task_type": "order.decide", "depends_on": ["check"], "type": "condition",
     "condition_routes": {"0": "ship", "1": "check", "2": "refuse"}, "max_iterations": 5},
    {"name": "ship", "task_type": "order.ship", "depends_on": ["decide", "check"],
     "allow_failure": true, "result_from": "check",
     "preconditions": [{"type": "upstream_output", "task": "check", "path": "$.stock.ok",
                        "expected": "true"}]},
    {"name": "refuse", "task_type": "", "depends_on": ["decide"],
     "child_workflow_def": {"name": "refusal", "tasks": [{"name": "mail", "task_type": "mail"}]}},
    {"name": "spread", "task_type": "order.spread", "depends_on": ["ship"], "type": "subflow"}
  ]
}"#;

/// Row 64.
#[test]
fn a_document_with_every_field_is_accepted_as_it_is() {
    let definition = definition(DOCUMENT);
    let plan = accepted(&definition);
    assert_eq!(plan.execution_timeout().map(|it| it.as_secs()), Some(3600));
    assert_eq!(
        plan.task(1)
            .work
            .routes()
            .map(|routes| routes.max_iterations),
        Some(5)
    );
    assert_eq!(
        definition.tasks[2].result_from,
        Some(ResultFrom::One("check".into()))
    );
    assert_eq!(definition.tasks[0].kind, TaskKind::Static);
    assert_eq!(names(&plan, plan.body(1, 0)), ["check", "decide"]);
    assert_eq!(names(&plan, plan.deciders(2)), ["decide"]);
    assert_eq!(plan.hooks().count(), 4);
    let hook = plan
        .hook(crate::workflow::Hook::Init)
        .and_then(|hook| hook.timeout);
    assert_eq!(hook.map(|it| it.as_secs()), Some(30));

    let written = serde_json::to_string(&definition).expect("json");
    let again = WorkflowDefinition::from_json(&written).expect("definition");
    assert_eq!(serde_json::to_string(&again).expect("json"), written);
    let restored = Plan::restore(&again).expect("plan");
    assert_eq!(restored.body(1, 0), plan.body(1, 0));
    assert_eq!(restored.task(1).work.routes(), plan.task(1).work.routes());
    for task in 0..plan.task_count() {
        assert_eq!(restored.waits(task), plan.waits(task));
        assert_eq!(restored.waiters(task), plan.waiters(task));
    }
}

#[test]
fn what_is_not_a_route_is_told_with_its_place() {
    let read = |routes: &str| {
        let text = format!(
            r#"{{"name":"w","tasks":[{{"name":"c","type":"condition","task_type":"t",
                 "condition_routes":{routes}}}]}}"#
        );
        WorkflowDefinition::from_json(&text)
            .expect_err(routes)
            .to_string()
    };
    for (routes, problem) in [
        (
            r#"{"a":"x"}"#,
            "invalid value: string \"a\", expected the number of a route, from 0",
        ),
        (
            r#"{"-1":"x"}"#,
            "invalid value: string \"-1\", expected the number of a route, from 0",
        ),
        (
            r#"{"0":"x","00":"y"}"#,
            "route 0 is there twice; take one out",
        ),
        (
            r#"["x"]"#,
            "invalid type: sequence, expected an object of tasks by the number of the route",
        ),
    ] {
        let told = read(routes);
        assert!(
            told.starts_with("tasks[0].condition_routes") && told.contains(problem),
            "{told}"
        );
    }
}
