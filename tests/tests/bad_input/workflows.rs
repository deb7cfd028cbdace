//! Definitions of workflows.

use paceline_client::{Step, WorkflowBuilder, WorkflowDefinition, WorkflowSubmitError};
use paceline_tests::{Env, feature_test};
use serde_json::{Value, json};

use crate::{assert_sentence, stored};

fn task(name: &str, on: &[&str]) -> Value {
    json!({ "name": name, "task_type": "t", "depends_on": on })
}

/// What is wrong with a workflow of these tasks.
fn workflow(tasks: Value) -> Value {
    json!({ "name": "wrong", "tasks": tasks })
}

/// Wrong definitions, and the parts of what is said about each.
fn wrong_definitions() -> Vec<(Value, Vec<&'static str>)> {
    let named = |name: &str| workflow(json!([task("a", &[]), task(name, &[])]));
    let with = |field: &str, value: Value| {
        let mut task = task("a", &[]);
        task[field] = value;
        workflow(json!([task]))
    };
    vec![
        (
            with("dependson", json!([])),
            vec![
                "tasks[0].dependson: unknown field `dependson`",
                "`depends_on`",
            ],
        ),
        (
            json!({ "name": "x", "tasks": [], "timeout": "1s" }),
            vec!["timeout: unknown field `timeout`", "`execution_timeout`"],
        ),
        (
            with("task_type", json!(7)),
            vec!["tasks[0].task_type: invalid type: integer `7`, expected a string"],
        ),
        (
            json!({ "name": "x", "tasks": {} }),
            vec!["tasks: invalid type: map, expected a sequence"],
        ),
        (
            with("timeout", json!("soon")),
            vec!["tasks[0].timeout: `soon` is not a duration; write a number and a unit"],
        ),
        (
            with("result_from", json!(1)),
            vec![
                "tasks[0].result_from: ",
                "expected the name of a task, or a list of names",
            ],
        ),
        (
            with("retry_policy", json!({ "max_attempts": 0 })),
            vec!["tasks[0].retry_policy.max_attempts: must be at least 1"],
        ),
        (json!({ "tasks": [] }), vec!["missing field `name`"]),
        (
            workflow(json!([
                task("a", &["c"]),
                task("b", &["a"]),
                task("c", &["b"]),
                task("d", &["a"])
            ])),
            vec![
                "tasks[0].depends_on: tasks wait for each other in a circle: a → c → b → a; take one of these dependencies out",
            ],
        ),
        (
            workflow(json!([task("a", &["a"])])),
            vec!["tasks[0].depends_on[0]: ", "itself"],
        ),
        (
            workflow(json!([task("fetch", &[]), task("load", &["fetsh"])])),
            vec!["tasks[1].depends_on[0]: no task is named \"fetsh\"; did you mean \"fetch\"?"],
        ),
        (
            workflow(json!([
                task("fetch", &[]),
                task("load", &["nothing-like-it"])
            ])),
            vec!["no task is named \"nothing-like-it\"; name a task of this workflow"],
        ),
        (
            with("result_from", json!("fetch")),
            vec!["tasks[0].result_from: no task is named \"fetch\""],
        ),
        (
            named("a"),
            vec![
                "tasks[1].name: \"a\" is also the name of tasks[0]; give each task a name of its own",
            ],
        ),
        (
            named(""),
            vec!["tasks[1].name: the task name is empty; give it 1 to 128 characters"],
        ),
        (
            named("a{b"),
            vec!["tasks[1].name: the task name `a{b` contains '{'; use letters, digits and any of"],
        ),
        (
            named("a:b"),
            vec!["tasks[1].name: the task name `a:b` contains ':'; use letters, digits and any of"],
        ),
        (
            with("task_type", json!("a}b")),
            vec!["tasks[0].task_type: the task type `a}b` contains '}'; use letters"],
        ),
        (
            with("version", json!("")),
            vec!["tasks[0].version: the version is empty; give it 1 to 64 characters"],
        ),
        (
            json!({ "name": " ", "tasks": [task("a", &[])] }),
            vec!["name: the workflow has no name; give it one"],
        ),
        (
            workflow(json!([])),
            vec!["tasks: the workflow has no tasks; give it at least one"],
        ),
        (
            json!({ "name": "x", "execution_timeout": "0s", "tasks": [task("a", &[])] }),
            vec!["execution_timeout: must be longer than zero; leave it out for no timeout"],
        ),
        (
            with("payload", json!("x".repeat(262_143))),
            vec!["tasks[0].payload: 262145 bytes, at most 262144 are allowed; pass a reference"],
        ),
    ]
}

feature_test! {
    /// Rows 64 and 90: validating tells what submitting would, and stores nothing.
    async fn each_mistake_of_a_workflow_is_named_with_its_place_and_its_remedy(env: Env) {
        let client = env.client().await;
        for (definition, parts) in wrong_definitions() {
            let said = match WorkflowDefinition::from_json(&definition.to_string()) {
                Err(error) => error.to_string(),
                Ok(definition) => {
                    let mistakes = client.validate(definition.clone());
                    let error = client.submit_workflow(definition, None).await.unwrap_err();
                    assert!(!error.maybe_stored());
                    let WorkflowSubmitError::Invalid(told) = &error else { panic!("{error}") };
                    assert_eq!(told, &mistakes);
                    assert_eq!(told.len(), 1, "{error}");
                    error.to_string()
                }
            };
            assert_sentence(&said, &parts);
        }
        assert_eq!(stored(&env).await, Vec::<String>::new());
    }

    async fn every_mistake_of_a_workflow_is_told_at_once(env: Env) {
        let client = env.client().await;
        let keys = std::collections::HashMap::from([((1, 2), 3)]);
        let unwritable = WorkflowBuilder::new("w").task(Step::new("a", "x").payload(&keys));
        let error = client.submit_workflow(unwritable, None).await.unwrap_err().to_string();
        assert_sentence(&error, &["tasks[0].payload: cannot be written as JSON"]);

        let steps = [
            Step::new("a:", "x"),
            Step::new("b", "x").after(["c"]).result_from("a"),
            Step::new("c", "").after(["b", "b"]),
        ];
        let many = WorkflowBuilder::new("").tasks(steps);
        let mistakes = client.validate(many.clone());
        let places: Vec<&str> = mistakes.iter().map(|mistake| &*mistake.path).collect();
        assert_eq!(
            places,
            [
                "name",
                "tasks[0].name",
                "tasks[1].result_from",
                "tasks[2].depends_on[1]",
                "tasks[2].task_type",
                "tasks[1].depends_on",
            ]
        );
        let error = client.submit_workflow(many, None).await.unwrap_err();
        assert!(matches!(error, WorkflowSubmitError::Invalid(told) if told == mistakes));
        assert_eq!(stored(&env).await, Vec::<String>::new());
    }
}
