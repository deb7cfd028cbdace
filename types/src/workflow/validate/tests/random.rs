//! Definitions of every kind of task, mostly wrong ones.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

/// What may stand in a task; names are those of the others, mostly.
const FIELDS: [&str; 34] = [
    r#""task_type":"t""#,
    r#""type":"condition""#,
    r#""type":"map""#,
    r#""type":"signal""#,
    r#""type":"subflow""#,
    r#""depends_on":["a"]"#,
    r#""depends_on":["a","b"]"#,
    r#""depends_on":["c","nobody","c"]"#,
    r#""condition_routes":{"0":"a"}"#,
    r#""condition_routes":{"0":"b","1":"d"}"#,
    r#""condition_routes":{"7":"e","1":"c"}"#,
    r#""condition":"tasks.a.output.x gt 1""#,
    r#""condition":"input.x exists""#,
    r#""condition":"no""#,
    r#""max_iterations":2"#,
    r#""payload":"{{tasks.a.output}}""#,
    r#""payload":{"x":["{{item}}","{{index}} of {{input.n}}"]}"#,
    r#""payload":"{{""#,
    r#""items":[1,2]"#,
    r#""items":"{{tasks.b.output.list}}""#,
    r#""items":7"#,
    r#""window":2"#,
    r#""result_from":"a""#,
    r#""result_from":["a","b"]"#,
    r#""signal":"go""#,
    r#""timeout":"1s""#,
    r#""tags":["x","x"]"#,
    r#""allow_failure":true"#,
    r#""preconditions":[{"type":"upstream_output","task":"a","path":"$.x","expected":"1"}]"#,
    r#""preconditions":[{"type":"other"}]"#,
    r#""child_workflow_def":{"name":"w","tasks":[{"name":"a","task_type":"t"}]}"#,
    r#""child_workflow_def":{"name":"","tasks":[]}"#,
    r#""version":"1""#,
    r#""priority":-3"#,
];

/// Tasks that hold together.
const SOUND: [&str; 6] = [
    r#"{"name":"a","task_type":"t"}"#,
    r#"{"name":"b","task_type":"t","depends_on":["a"]}"#,
    r#"{"name":"c","type":"condition","task_type":"t","depends_on":["b"],
        "condition_routes":{"0":"a","1":"d"}}"#,
    r#"{"name":"d","task_type":"t","result_from":"c","depends_on":["c"]}"#,
    r#"{"name":"m","type":"map","task_type":"t","items":"{{input}}"}"#,
    r#"{"name":"s","type":"signal","timeout":"1h"}"#,
];

fn definitions() -> impl Strategy<Value = String> {
    let name = select(vec!["x", "y", "e", "a", "m#1", "a#1", "__hook.on_init", ""]);
    let fields = subsequence(FIELDS.to_vec(), 0..6);
    let task = (name, fields).prop_map(|(name, fields)| {
        let mut keys = std::collections::HashSet::new();
        let fields = fields
            .iter()
            .filter(|field| keys.insert(field.split(':').next()));
        let fields: Vec<&str> = fields.copied().collect();
        format!(r#"{{"name":"{name}",{}"#, fields.join(","))
            .trim_end_matches(',')
            .to_owned()
            + "}"
    });
    let sound = subsequence(SOUND.to_vec(), 0..=SOUND.len());
    (sound, proptest::collection::vec(task, 0..3)).prop_map(|(sound, others)| {
        let tasks: Vec<&str> = sound
            .into_iter()
            .chain(others.iter().map(String::as_str))
            .collect();
        format!(r#"{{"name":"w","tasks":[{}]}}"#, tasks.join(","))
    })
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Whatever is written, it is either accepted, and then restored from what is kept of it, or
    /// told with places that are in it.
    #[test]
    fn any_definition_is_accepted_or_told(text in definitions()) {
        let Ok(definition) = WorkflowDefinition::from_json(&text) else {
            return Ok(());
        };
        let _ = Plan::restore(&definition);
        let taken = section::Taken(&["d"]);
        let section = &definition.tasks;
        if Plan::of_section(section, "a", Priority::default(), &taken, 64).is_ok() {
            prop_assert!(Plan::restore_section(section, "a", Priority::default()).is_ok());
        }
        match definition.validate(64) {
            Ok(plan) => {
                let kept = serde_json::to_string(&definition).expect("json");
                let read = WorkflowDefinition::from_json(&kept).expect("definition");
                let restored = Plan::restore(&read).expect("plan");
                prop_assert_eq!(format!("{plan:?}"), format!("{restored:?}"));
            }
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    let told = mistake.to_string();
                    let in_task = mistake.path.strip_prefix("tasks[");
                    let place = in_task.and_then(|rest| rest.split(']').next()?.parse().ok());
                    prop_assert!(place.is_none_or(|place: usize| place < definition.tasks.len()), "{}", told);
                    prop_assert!(mistake.problem.len() > 10, "{}", told);
                }
            }
        }
    }
}
