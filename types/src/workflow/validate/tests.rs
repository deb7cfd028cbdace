use bytes::Bytes;
use proptest::prelude::ProptestConfig;

use super::*;
use crate::Priority;
use crate::workflow::UpstreamTasks;

mod kinds;
mod loops;
mod random;
mod reference;
mod routes;
mod section;
mod values;
mod whole;

/// So many random cases, unless `PROPTEST_CASES` asks for another number.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    let cases = if asked { config.cases } else { usual };
    ProptestConfig { cases, ..config }
}

fn definition(text: &str) -> WorkflowDefinition {
    WorkflowDefinition::from_json(text).expect(text)
}

fn tasks(tasks: &str) -> WorkflowDefinition {
    definition(&format!(r#"{{"name":"w","tasks":[{tasks}]}}"#))
}

/// Tasks `a`, `b<a`, …: names with what they depend on.
fn graph(line: &str) -> WorkflowDefinition {
    let mut parts = Vec::new();
    for word in line.split_whitespace() {
        let (name, on) = word.split_once('<').unwrap_or((word, ""));
        let on: Vec<&str> = on.split(',').filter(|on| !on.is_empty()).collect();
        let on = serde_json::to_string(&on).expect("json");
        parts.push(format!(
            r#"{{"name":"{name}","task_type":"t","depends_on":{on}}}"#
        ));
    }
    tasks(&parts.join(","))
}

fn mistakes(definition: &WorkflowDefinition) -> Vec<String> {
    let errors = definition.validate(16).expect_err("mistakes");
    errors.iter().map(ToString::to_string).collect()
}

/// Nothing is wrong with it.
fn accepted(definition: &WorkflowDefinition) -> Plan {
    let plan = definition.validate(1024);
    plan.unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The names of tasks, for assertions.
fn names<'p>(plan: &'p Plan, tasks: &[u32]) -> Vec<&'p str> {
    let name = |&task: &u32| plan.task(task).name.as_str();
    tasks.iter().map(name).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let definition = definition(
        r#"{"name":" ","execution_timeout":"0s","tasks":[
            {"name":"a","task_type":"t","payload":"twelve and more"},
            {"name":"ship","task_type":"x y"},
            {"name":"a","task_type":"t","depends_on":["shpi","ship","ship"]},
            {"name":"","task_type":"","timeout":"0s","version":"1:2"},
            {"name":"e{","task_type":"t","depends_on":["e{"],"result_from":"a",
             "retry_policy":{"max_attempts":0,"jitter":2}},
            {"name":"f","task_type":"t","depends_on":["a"],"result_from":["a","a","nobody"]},
            {"name":"g","task_type":"t","result_from":[]}]}"#,
    );
    assert_eq!(
        mistakes(&definition),
        [
            "name: the workflow has no name; give it one",
            "execution_timeout: must be longer than zero; leave it out for no timeout",
            "tasks[0].payload: 17 bytes, at most 16 are allowed; pass a reference to the data, or \
             raise the limit",
            "tasks[1].task_type: the task type `x y` contains ' '; use letters, digits and any of \
             . _ - / @ + # $ % & = ~ ! *",
            "tasks[2].name: \"a\" is also the name of tasks[0]; give each task a name of its own",
            "tasks[2].depends_on[0]: no task is named \"shpi\"; did you mean \"ship\"?",
            "tasks[2].depends_on[2]: \"ship\" is named twice; take one out",
            "tasks[3].name: the task name is empty; give it 1 to 128 characters",
            "tasks[3].task_type: the task type is empty; give it 1 to 128 characters",
            "tasks[3].version: the version `1:2` contains ':'; use letters, digits and any of . _ \
             - / @ + # $ % & = ~ ! *",
            "tasks[3].timeout: must be longer than zero; leave it out for the handler's own",
            "tasks[4].name: the task name `e{` contains '{'; use letters, digits and any of . _ - \
             / @ + # $ % & = ~ ! *",
            "tasks[4].depends_on[0]: task \"e{\" depends on itself; take this out",
            "tasks[4].result_from: \"a\" is not in depends_on; add it there",
            "tasks[4].retry_policy.max_attempts: must be at least 1",
            "tasks[4].retry_policy.jitter: must be between 0 and 1",
            "tasks[5].result_from[2]: no task is named \"nobody\"; name a task of this workflow",
            "tasks[5].result_from: names a task twice; take one out",
            "tasks[6].result_from: names no task; name one, or leave it out",
        ]
    );
}

#[test]
fn a_workflow_needs_a_name_and_tasks() {
    let table = [
        (
            r#"{"name":"","tasks":[]}"#,
            "name: the workflow has no name; give it one",
        ),
        (
            r#"{"name":"a\nb","tasks":[]}"#,
            "name: the workflow's name contains '\\n'; use printable characters",
        ),
        (
            r#"{"name":"w","tasks":[]}"#,
            "tasks: the workflow has no tasks; give it at least one",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(mistakes(&definition(text))[0], expected);
    }
    let long = definition(&format!(r#"{{"name":"{}","tasks":[]}}"#, "x".repeat(257)));
    assert!(mistakes(&long)[0].starts_with("name: the workflow's name has 257 bytes"));
}

#[test]
fn a_cycle_is_printed_from_its_first_task() {
    let table = [
        ("a<c b<a c<b", "tasks[0].depends_on", "a → c → b → a"),
        ("x a<b,x b<a", "tasks[1].depends_on", "a → b → a"),
        (
            "r a<d,r b<a c<b d<c,b",
            "tasks[1].depends_on",
            "a → d → b → a",
        ),
    ];
    for (line, path, cycle) in table {
        let expected = format!(
            "{path}: tasks wait for each other in a circle: {cycle}; take one of these \
             dependencies out"
        );
        assert_eq!(mistakes(&graph(line)), [expected], "{line}");
    }
}

#[test]
fn each_group_in_a_circle_is_told() {
    let mistakes = mistakes(&graph("a<b b<a c<d d<c e<a,c"));
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].contains("a → b → a") && mistakes[1].contains("c → d → c"));
}

#[test]
fn a_long_cycle_is_told_in_short_and_does_not_overflow_the_stack() {
    let count = 50_000;
    let line: Vec<String> = (0..count)
        .map(|task| format!("t{task}<t{}", (task + 1) % count))
        .collect();
    let mistakes = mistakes(&graph(&line.join(" ")));
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].contains("t9 → (49980 more) → t49990"),
        "{}",
        mistakes[0]
    );
}

#[test]
fn too_many_tasks_and_too_many_mistakes_are_told_in_short() {
    let mut many = graph("a");
    many.tasks = vec![many.tasks[0].clone(); MAX_TASKS + 1];
    assert_eq!(
        mistakes(&many),
        ["tasks: 100001 tasks, at most 100000 are allowed; split the workflow"]
    );
    many.tasks.truncate(1_502);
    let told = mistakes(&many);
    assert_eq!(told.len(), 1_001);
    assert_eq!(
        told[1_000],
        "definition: 501 more mistakes; mend these first"
    );
}

#[test]
fn a_plan_is_indexed() {
    let plan = graph("b a<b d<a,b c<b").validate(16).expect("plan");
    let index = |name| plan.index_of(name).expect(name);
    assert_eq!(
        (index("b"), index("a"), index("d"), index("c")),
        (0, 1, 2, 3)
    );
    assert_eq!(plan.index_of("x"), None);
    assert_eq!(plan.dependencies(2), [1, 0]);
    assert_eq!(plan.waiters(0), [1, 2, 3]);
    assert_eq!(plan.leaves(), [2, 3]);
    assert_eq!(
        (plan.rank(1), plan.at_rank(0), plan.task_count()),
        (0, 1, 4)
    );
    assert_eq!(plan.task(0).payload, "null");
}

#[test]
fn priority_orders_dispatch_and_is_given_to_the_job() {
    let definition = definition(
        r#"{"name":"w","default_priority":8,"tasks":[
            {"name":"low","task_type":"t","priority":2},
            {"name":"default","task_type":"t"},
            {"name":"beyond","task_type":"t","priority":70},
            {"name":"top","task_type":"t","priority":10},
            {"name":"below","task_type":"t","priority":-4}]}"#,
    );
    let plan = definition.validate(16).expect("plan");
    let order: Vec<_> = (0..5)
        .map(|rank| {
            let index = plan.at_rank(rank);
            (
                plan.task(index).name.as_str(),
                plan.job_spec(index).expect("job").priority,
            )
        })
        .collect();
    let expected = [
        ("beyond", Priority::CRITICAL),
        ("top", Priority::CRITICAL),
        ("default", Priority::HIGH),
        ("low", Priority::new(2)),
        ("below", Priority::HIGH),
    ];
    assert_eq!(order, expected);
}

#[test]
fn what_was_accepted_is_restored_even_if_a_rule_was_added_since() {
    let definition = tasks(
        r#"{"name":"a","task_type":"t","payload":"far more than sixteen bytes"},
           {"name":"b","task_type":"t","depends_on":["a"],"result_from":"a","timeout":"0s"}"#,
    );
    assert!(definition.validate(16).is_err());
    let plan = Plan::restore(&definition).expect("plan");
    assert_eq!(plan.dependencies(1), [0]);
    assert_eq!(plan.task(1).result_from, Some(UpstreamTasks::One(0)));
    assert!(Plan::restore(&graph("a<x")).is_err());
}

/// How long this thread was at work so far. Where the system does not tell, time that others took
/// from it counts as well.
fn worked() -> std::time::Duration {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}

#[test]
fn a_million_dependencies_are_indexed_quickly() {
    let (width, layers) = (100_usize, 100);
    let mut wide = graph("a");
    let model = wide.tasks.remove(0);
    for task in 0..width * layers {
        let first = (task / width).saturating_sub(1) * width;
        let before = if task < width {
            0..0
        } else {
            first..first + width
        };
        wide.tasks.push(TaskDefinition {
            name: format!("t{task}"),
            depends_on: before.map(|on| format!("t{on}")).collect(),
            ..model.clone()
        });
    }
    let begun = worked();
    let plan = wide.validate(16).expect("plan");
    let took = worked() - begun;
    // Generous, as the build is not optimized: quadratic takes minutes.
    assert!(took.as_secs() < 20, "{took:?}");
    assert_eq!(plan.dependencies(9_999).len(), 100);
    assert_eq!(plan.waiters(0).len(), 100);
    assert!(plan.footprint() > 8_000_000 && plan.footprint() < 16_000_000);
}

#[test]
fn the_output_is_the_leafs_result_or_an_object_of_results() {
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let one = graph("a b<a").validate(16).expect("plan");
    assert_eq!(one.output(&[bytes("[1, 2]")]), "[1, 2]");
    assert_eq!(one.output(&[None]), "null");
    let three = graph("c a b").validate(16).expect("plan");
    let results = [
        bytes(r#"{"n":123456789012345678901}"#),
        None,
        bytes("plain"),
    ];
    assert_eq!(
        three.output(&results),
        r#"{"c":{"n":123456789012345678901},"a":null,"b":"plain"}"#
    );
    let payload =
        crate::workflow::with_upstream(&Bytes::from_static(b"7"), &Bytes::from_static(b"null"));
    assert_eq!(payload, r#"{"upstream":7,"original":null}"#);
}
