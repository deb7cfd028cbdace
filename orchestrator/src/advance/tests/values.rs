//! What jobs are composed of.

use serde_json::json;

use super::*;
use crate::ports::{Composition, Upstream, UpstreamJob};

/// Rows 72, 75 and 79: a job says what its payload refers to; what was skipped or passed by has no
/// job, and reads as null.
#[test]
fn a_job_says_what_it_is_composed_of() {
    let text = json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "x"},
        {"name": "s", "task_type": "x"},
        {"name": "c", "task_type": "x", "type": "condition", "condition_routes": {"0": "y", "1": "n"}},
        {"name": "y", "task_type": "x", "depends_on": ["c"]},
        {"name": "n", "task_type": "x", "depends_on": ["c"]},
        {"name": "z", "task_type": "x", "depends_on": ["a", "s", "n", "y"], "result_from": "s",
         "payload": ["{{tasks.a.output.v}}", "{{input}}", "{{tasks.n.output}}"]},
        {"name": "plain", "task_type": "x", "depends_on": ["a"], "payload": {"k": 1}}
    ]});
    let definition = paceline_types::WorkflowDefinition::from_json(&text.to_string());
    let mut run = Run::of(&definition.expect("a definition"));
    run.after(&["start", "done c {\"route\":0}", "skip s", "done y"]);
    let event = run.event("done a {\"v\":1}");
    let transition = run.apply(&event).expect("applied");
    let jobs: Vec<_> = transition
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Dispatch(job) => Some((job.task.to_string(), job.composition.clone())),
            _ => None,
        })
        .collect();
    let of = |task: &str, index: Option<u32>| UpstreamJob {
        task: paceline_types::TaskName::new(task).expect(task),
        job: index.map(|index| run.instance.job_of(index, 0)),
    };
    let composed = Composition {
        template: true,
        input: true,
        references: vec![of("a", Some(0)), of("n", None)],
        upstream: Upstream::One(of("s", None)),
    };
    assert_eq!(
        jobs,
        [
            ("plain".to_owned(), Composition::default()),
            ("z".to_owned(), composed)
        ]
    );
}

/// Rows 68 and 71: what failed where it may reads as its error.
#[test]
fn an_allowed_failure_reads_as_its_error() {
    for (end, chosen) in [
        ("dead a boom", "x"),
        ("dead a other", "y"),
        ("done a {}", "y"),
    ] {
        let mut run = Run::new("a? c&tasks.a.output.error_eq_boom>x,y<a x<c y<c");
        run.after(&["start", end]);
        assert_eq!(run.open(), [chosen], "{end}");
    }
}
