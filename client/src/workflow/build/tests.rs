use std::time::Duration;

use paceline_types::handler::Tasks;
use paceline_types::workflow::ResultReuse;
use paceline_types::{Priority, RetryPolicy, WorkflowDefinition};
use serde_json::json;

use super::{HookStep, Step, WorkflowBuilder};

#[test]
fn a_built_definition_is_the_one_that_its_json_reads_as() {
    let built = WorkflowBuilder::new("etl")
        .task(Step::new("a", "x").payload(json!({"n": 1})).priority(8))
        .task(
            Step::new("b", "y")
                .after(["a"])
                .result_from("a")
                .allow_failure()
                .timeout(Duration::from_secs(90))
                .header("h", "v"),
        )
        .task(
            Step::new("c", "y")
                .after(["a"])
                .after(["b"])
                .results_from(["a", "b"]),
        )
        .execution_timeout(Duration::from_secs(60))
        .default_priority(Priority::LOW)
        .build()
        .expect("definition");
    let read = WorkflowDefinition::from_json(
        r#"{"name":"etl","execution_timeout":"1m","default_priority":1,"tasks":[
          {"name":"a","task_type":"x","payload":{"n":1},"priority":8},
          {"name":"b","task_type":"y","depends_on":["a"],"result_from":"a",
           "allow_failure":true,"timeout":"1m30s","headers":{"h":"v"}},
          {"name":"c","task_type":"y","depends_on":["a","b"],"result_from":["a","b"]}]}"#,
    )
    .expect("definition");
    let json = |definition: &WorkflowDefinition| serde_json::to_string(definition).expect("json");
    assert_eq!(json(&built), json(&read));
}

#[test]
fn payloads_without_a_json_form_are_told_with_their_places() {
    let pairs = std::collections::HashMap::from([((1, 2), 3)]);
    let mistakes = WorkflowBuilder::new("w")
        .tasks([
            Step::new("a", "x").payload(&pairs),
            Step::new("b", "x").payload(1),
            Step::new("c", "x").payload(&pairs),
            Step::new("d", "x").payload(&pairs).payload("mended"),
        ])
        .build()
        .expect_err("keys are pairs");
    let paths: Vec<_> = mistakes.iter().map(|mistake| &mistake.path[..]).collect();
    assert_eq!(paths, ["tasks[0].payload", "tasks[2].payload"]);
}

#[test]
fn what_a_definition_cannot_hold_is_told_with_its_place() {
    let pairs = std::collections::HashMap::from([((1, 2), 3)]);
    let child = WorkflowBuilder::new("c").task(Step::new("x", "x").payload(&pairs));
    let mistakes = WorkflowBuilder::new("w")
        .task(Step::new("a", "x").tag("ok").tag("not one").tag("fine"))
        .task(Step::new("b", "x").limit("").limit("tenant: 7"))
        .task(Step::map("c", "x").items(&pairs))
        .task(Step::child("d", child))
        .on_exit(HookStep::new("x").payload(&pairs))
        .on_init(HookStep::new("x").payload(&pairs))
        .on_init("x")
        .build()
        .expect_err("five mistakes");
    let paths: Vec<_> = mistakes.iter().map(|mistake| &mistake.path[..]).collect();
    assert_eq!(
        paths,
        [
            "tasks[0].tags",
            "tasks[1].limits",
            "tasks[2].items",
            "tasks[3].child_workflow_def.tasks[0].payload",
            "hooks.on_exit.payload"
        ]
    );
    let told = mistakes[0].to_string();
    assert!(told.contains("the tag `not one` contains ' '"), "{told}");
}

/// What the handler of a subflow answers.
#[test]
fn a_step_is_written_and_read_as_its_definition() {
    let step = Step::condition("c", "t").after(["a"]).routes(["a", "b"]);
    let text = serde_json::to_string(&Tasks::from([step])).expect("JSON");
    assert_eq!(
        text,
        r#"{"tasks":[{"name":"c","task_type":"t","depends_on":["a"],"type":"condition","condition_routes":{"0":"a","1":"b"}}]}"#
    );
    let read: Tasks<Step> = serde_json::from_str(&text).expect("steps");
    assert_eq!(serde_json::to_string(&read).ok(), Some(text));
    let pairs = std::collections::HashMap::from([((1, 2), 3)]);
    let error = serde_json::to_string(&Step::new("a", "x").payload(&pairs)).expect_err("pairs");
    assert!(
        error.to_string().starts_with("task a: payload: cannot"),
        "{error}"
    );
}

/// Every field that a definition has can be built.
#[test]
fn a_workflow_of_every_kind_of_task_is_the_one_that_its_json_reads_as() {
    let minute = Duration::from_secs(60);
    let policy = RetryPolicy {
        max_attempts: 2,
        ..RetryPolicy::default()
    };
    let built = WorkflowBuilder::new("all")
        .task(
            Step::condition("c", "check")
                .after(["m"])
                .route(0, "m")
                .route(7, "s")
                .max_iterations(3),
        )
        .task(Step::expression("e", "input.large eq true").routes(["s"]))
        .task(Step::subflow("sub", "plan").result_reuse(ResultReuse::Never))
        .task(
            Step::map("m", "one")
                .after(["sub"])
                .over("sub")
                .window(5)
                .allow_failure(),
        )
        .task(
            Step::map("n", "one")
                .items("{{input.files}}")
                .payload("{{item}}"),
        )
        .task(Step::child("k", WorkflowBuilder::new("inner").task(Step::new("x", "x"))).payload(1))
        .task(
            Step::signal("s")
                .named("approval")
                .timeout(minute)
                .after(["c", "e"]),
        )
        .task(
            Step::new("j", "x")
                .after(["s"])
                .precondition("s", "$.by", "owner")
                .schedule_to_start_timeout(minute)
                .max_duration(minute)
                .heartbeat_timeout(minute)
                .limits(["tenant 7"])
                .tags(["red"])
                .audited()
                .version("v2"),
        )
        .retry_policy(policy.clone())
        .on_init("begin")
        .on_success(HookStep::new("done").payload(7).timeout(minute))
        .on_failure("oh")
        .on_exit("clean")
        .build()
        .expect("definition");
    let read = WorkflowDefinition::from_json(&format!(
        r#"{{"name":"all","retry_policy":{},"hooks":{{"on_init":{{"task_type":"begin"}},
          "on_success":{{"task_type":"done","payload":7,"timeout":"1m"}},
          "on_failure":{{"task_type":"oh"}},"on_exit":{{"task_type":"clean"}}}},"tasks":[
          {{"name":"c","task_type":"check","depends_on":["m"],"type":"condition",
            "condition_routes":{{"0":"m","7":"s"}},"max_iterations":3}},
          {{"name":"e","type":"condition","condition":"input.large eq true","condition_routes":{{"0":"s"}}}},
          {{"name":"sub","task_type":"plan","type":"subflow","result_reuse":"never"}},
          {{"name":"m","task_type":"one","type":"map","depends_on":["sub"],"result_from":"sub",
            "window":5,"allow_failure":true}},
          {{"name":"n","task_type":"one","type":"map","items":"{{{{input.files}}}}","payload":"{{{{item}}}}"}},
          {{"name":"k","child_workflow_def":{{"name":"inner","tasks":[{{"name":"x","task_type":"x"}}]}},
            "payload":1}},
          {{"name":"s","type":"signal","signal":"approval","timeout":"1m","depends_on":["c","e"]}},
          {{"name":"j","task_type":"x","depends_on":["s"],"version":"v2","audited":true,
            "preconditions":[{{"type":"upstream_output","task":"s","path":"$.by","expected":"owner"}}],
            "schedule_to_start_timeout":"1m","max_duration":"1m","heartbeat_timeout":"1m",
            "limits":["tenant 7"],"tags":["red"]}}]}}"#,
        serde_json::to_string(&policy).expect("JSON")
    ))
    .expect("definition");
    let json = |definition: &WorkflowDefinition| serde_json::to_string(definition).expect("json");
    assert_eq!(json(&built), json(&read));
}
