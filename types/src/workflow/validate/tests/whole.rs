//! Child workflows, options of jobs, hooks.

use super::kinds::{beside_a, only_mistake};
use super::*;
use crate::workflow::Work;

/// Rows 73 and 74: what a definition holds is checked as deep as it goes.
#[test]
fn child_workflows_are_checked_too() {
    let definition = tasks(
        r#"{"name":"a","task_type":"t"},{"name":"b","child_workflow_def":{"name":"","tasks":[
            {"name":"x y","task_type":"t"},
            {"name":"c","child_workflow_def":{"name":"inner","tasks":[]}}]}}"#,
    );
    let prefix = "tasks[1].child_workflow_def";
    assert_eq!(
        mistakes(&definition),
        [
            format!("{prefix}.name: the workflow has no name; give it one"),
            format!(
                "{prefix}.tasks[0].name: the task name `x y` contains ' '; use letters, digits and \
                 any of . _ - / @ + # $ % & = ~ ! *"
            ),
            format!(
                "{prefix}.tasks[1].child_workflow_def.tasks: the workflow has no tasks; give it at \
                 least one"
            ),
        ]
    );
}

/// Row 74.
#[test]
fn child_workflows_are_nested_sixteen_deep_at_most() {
    let nested = |depth: usize| {
        let mut definition = graph("a");
        for _ in 0..depth {
            let mut parent = graph("a");
            parent.tasks[0].task_type.clear();
            parent.tasks[0].child_workflow_def = Some(Box::new(definition));
            definition = parent;
        }
        definition
    };
    let plan = accepted(&nested(16));
    let Work::Child { definition, .. } = &plan.task(0).work else {
        panic!("{plan:?}");
    };
    let text = std::str::from_utf8(definition).expect("text");
    accepted(&WorkflowDefinition::from_json(text).expect("definition"));
    let told = mistakes(&nested(17));
    assert_eq!(told.len(), 1);
    let path = vec!["tasks[0].child_workflow_def"; 17].join(".");
    assert!(
        told[0].starts_with(&format!("{path}: the definitions are more than 16 deep")),
        "{told:?}"
    );
}

#[test]
fn options_follow_the_rules_of_jobs() {
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("\"n{n}\"")).collect();
        names.join(",")
    };
    let job = |fields: &str| format!(r#""task_type":"t",{fields}"#);
    let table = [
        (
            format!(r#""limits":[{}]"#, many(9)),
            "limits: 9 limit keys, at most 8 are allowed; leave some out",
        ),
        (
            format!(r#""tags":[{}]"#, many(65)),
            "tags: 65 tags, at most 64 are allowed; leave some out",
        ),
        (
            format!(r#""headers":{{"h":"{}"}}"#, "x".repeat(16 * 1024)),
            "headers: 16385 bytes, at most 16384 are allowed; shorten them",
        ),
        (
            r#""max_duration":"0s""#.to_owned(),
            "max_duration: must be longer than zero; leave it out for no limit",
        ),
        (
            r#""schedule_to_start_timeout":0"#.to_owned(),
            "schedule_to_start_timeout: must be longer than zero; leave it out for no limit",
        ),
        (
            r#""heartbeat_timeout":0"#.to_owned(),
            "heartbeat_timeout: must be longer than zero; leave it out for no limit",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(only_mistake(&job(&fields)), format!("tasks[1].{expected}"));
    }
    let plan = accepted(&beside_a(&job(&format!(
        r#""limits":[{},"n0"],"tags":[{}],"max_duration":"1m","heartbeat_timeout":"2s",
           "schedule_to_start_timeout":"3s","timeout":"4s","audited":true,"version":"7",
           "headers":{{"h":"v"}},"priority":9,"payload":[1]"#,
        many(7),
        many(64)
    ))));
    let spec = plan.job_spec(1).expect("job");
    assert_eq!(
        (spec.limits.len(), spec.tags.len(), spec.audited),
        (7, 64, true),
        "each once"
    );
    let seconds = |limit: Option<std::time::Duration>| limit.map(|limit| limit.as_secs());
    assert_eq!(
        [
            spec.timeout,
            spec.max_duration,
            spec.heartbeat_timeout,
            spec.schedule_to_start_timeout
        ]
        .map(seconds),
        [Some(4), Some(60), Some(2), Some(3)]
    );
    assert_eq!(
        (spec.priority, &spec.headers["h"]),
        (Priority::new(9), &"v".to_owned())
    );
    assert_eq!(spec.version.as_ref().map(|it| it.as_str()), Some("7"));
    assert_eq!(spec.payload, "[1]");
    assert!(
        accepted(&beside_a(r#""type":"signal""#))
            .job_spec(1)
            .is_none()
    );
}

/// Row 81.
#[test]
fn hooks_are_checked() {
    let with = |hooks: &str| {
        definition(&format!(
            r#"{{"name":"w","default_priority":9,"retry_policy":{{"max_attempts":2}},
                 "tasks":[{{"name":"a","task_type":"t"}}],"hooks":{hooks}}}"#
        ))
    };
    let plan = accepted(&with(
        r#"{"on_init":{"task_type":"h","payload":{"x":"{{no template}}"},"timeout":"2s"},
            "on_exit":{"task_type":"h"}}"#,
    ));
    let init = plan.hook(crate::workflow::Hook::Init).expect("hook");
    assert_eq!(
        (init.task_type.as_str(), init.timeout.map(|it| it.as_secs())),
        ("h", Some(2))
    );
    assert_eq!(init.payload, r#"{"x":"{{no template}}"}"#);
    let hooks: Vec<_> = plan.hooks().map(|(hook, _)| hook.as_str()).collect();
    assert_eq!(hooks, ["on_init", "on_exit"]);
    assert!(plan.hook(crate::workflow::Hook::Failure).is_none());
    assert_eq!(plan.default_priority(), Priority::new(9));
    assert_eq!(
        plan.retry_policy().map(|policy| policy.max_attempts),
        Some(2)
    );
    assert_eq!(
        mistakes(&with(
            r#"{"on_success":{"task_type":"","payload":"seventeen bytes ."},
                "on_failure":{"task_type":"h","timeout":0}}"#
        )),
        [
            "hooks.on_success.payload: 19 bytes, at most 16 are allowed; pass a reference to the \
             data, or raise the limit",
            "hooks.on_success.task_type: the task type is empty; give it 1 to 128 characters",
            "hooks.on_failure.timeout: must be longer than zero; leave it out for the handler's own",
        ]
    );
    let mut policy = with("{}");
    policy.retry_policy = Some(crate::RetryPolicy {
        max_attempts: 0,
        ..crate::RetryPolicy::default()
    });
    assert_eq!(
        mistakes(&policy),
        ["retry_policy.max_attempts: must be at least 1"]
    );
}
