//! How workflows read.

use paceline_types::workflow::{Hook, MapProgress, Section, SectionBody, TaskKind, TaskRecord};
use paceline_types::{JobId, JobStatus, TaskName, WorkflowId, WorkflowStatus};
use serde_json::json;

use crate::{Hand, Left, at, completed, dispatched, name, plain};

fn flow() -> serde_json::Value {
    json!({
        "name": "whole",
        "retry_policy": { "max_attempts": 3 },
        "hooks": { "on_exit": { "task_type": "tidy" } },
        "tasks": [
            { "name": "gate", "type": "condition", "condition": "input.n gt 1",
              "condition_routes": { "0": "gen", "1": "no" } },
            { "name": "gen", "type": "subflow", "task_type": "plan", "depends_on": ["gate"] },
            { "name": "no", "task_type": "work", "depends_on": ["gate"] },
            { "name": "each", "type": "map", "task_type": "work", "items": [1, 2, 3, 4],
              "depends_on": ["gen"] },
            { "name": "child", "depends_on": ["gen"],
              "child_workflow_def": { "name": "c", "tasks": [{ "name": "x", "task_type": "t" }] } },
            { "name": "wait", "type": "signal", "signal": "paid", "depends_on": ["gen"] },
            { "name": "last", "task_type": "work", "depends_on": ["each", "child", "wait"] },
        ],
    })
}

/// Rows 70 to 89: what each kind of task shows.
#[tokio::test]
async fn every_kind_of_task_reads_as_it_stands() {
    let hand = Hand::new().await;
    let id = hand.begin(&flow()).await;
    let added = json!([{ "name": "inner", "task_type": "work" },
                       { "name": "more", "type": "subflow", "task_type": "plan" }]);
    let section = |generator, iteration, base, body| Section {
        generator,
        iteration,
        base,
        body,
    };
    hand.commit(id, |next| {
        next.sections = vec![
            section(
                1,
                1,
                7,
                SectionBody::Subflow(serde_json::from_value(added).unwrap()),
            ),
            section(3, 0, 9, SectionBody::Map { count: 4 }),
            // Of a start that is over.
            section(8, 0, 40, SectionBody::Map { count: 4 }),
        ];
        next.job(9, "each#0", |_| ());
        next.conclusions = vec![(JobId::of_task(id, 0, 2), Left::Value("null".to_owned()))];
        next.tasks = vec![
            (
                0,
                TaskRecord::Routed {
                    iteration: 2,
                    route: Some(0),
                    evaluations: 3,
                },
            ),
            (1, TaskRecord::Expanded { iteration: 1 }),
            (2, TaskRecord::Bypassed { iteration: 0 }),
            (3, TaskRecord::Expanded { iteration: 0 }),
            (4, dispatched(0)),
            (5, dispatched(0)),
            (
                8,
                TaskRecord::Again {
                    iteration: 1,
                    evaluations: 0,
                },
            ),
            (9, dispatched(0)),
            (10, completed(0)),
            (
                11,
                TaskRecord::FailedAllowed {
                    iteration: 0,
                    error: "boom".to_owned(),
                },
            ),
            (Hook::Exit.index(), completed(0)),
        ];
    })
    .await;
    let view = hand.store.workflow(id).await.unwrap().unwrap();
    assert_eq!((view.attempt, view.max_attempts), (1, 3));
    let names: Vec<&str> = view.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "gate", "gen", "no", "each", "child", "wait", "last", "inner", "more"
        ]
    );
    let task = |name: &str| {
        view.tasks
            .iter()
            .find(|task| task.name.as_str() == name)
            .unwrap()
    };
    let gate = task("gate");
    assert_eq!(
        (gate.kind, gate.status),
        (TaskKind::Condition, JobStatus::Completed)
    );
    assert_eq!(
        (gate.condition_route, gate.condition_iterations),
        (Some(0), 3)
    );
    assert_eq!(
        (gate.iteration, gate.job_id, &gate.task_type),
        (2, None, &None)
    );
    assert!(gate.finished_at.is_some(), "its result was there then");
    let subflow = task("gen");
    assert_eq!(subflow.status, JobStatus::Running);
    assert_eq!(subflow.subflow_tasks, ["inner", "more"].map(name));
    let no = task("no");
    assert_eq!((no.status, no.skipped), (JobStatus::Completed, true));
    assert_eq!(no.skip_reason.as_deref(), Some("no route led here"));
    let each = task("each").elements.unwrap();
    let expected = MapProgress {
        total: 4,
        running: 1,
        done: 2,
        failed: 1,
    };
    assert_eq!(each, expected);
    let child = task("child");
    assert_eq!(
        child.child_workflow_id,
        Some(WorkflowId::of_child(id, 4, 0, 1))
    );
    assert_eq!(child.status, JobStatus::Running);
    assert_eq!(
        (task("wait").status, task("wait").kind),
        (JobStatus::Running, TaskKind::Signal)
    );
    assert_eq!(task("last").status, JobStatus::Pending);
    assert_eq!(task("inner").generated_by, Some(name("gen")));
    assert_eq!(task("more").status, JobStatus::Pending);
    let exit = &view.hook_states["on_exit"];
    assert_eq!(
        (exit.status, exit.name.as_str()),
        (JobStatus::Completed, "__hook.on_exit")
    );

    let whole = hand
        .store
        .workflow_with_elements(id)
        .await
        .unwrap()
        .unwrap();
    let elements: Vec<(&TaskName, JobStatus)> = whole
        .tasks
        .iter()
        .filter(|task| task.generated_by == Some(name("each")))
        .map(|task| (&task.name, task.status))
        .collect();
    let statuses = [
        JobStatus::Pending,
        JobStatus::Completed,
        JobStatus::Dead,
        JobStatus::Pending,
    ];
    assert_eq!(elements.len(), 4);
    for ((element, status), (place, expected)) in elements.iter().zip(statuses.iter().enumerate()) {
        assert_eq!(
            (element.as_str(), status),
            (format!("each#{place}").as_str(), expected)
        );
    }
    let result = hand
        .store
        .task_result(id, "each#2", None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(result.error.as_deref(), Some("boom"));
    assert_eq!(
        hand.store.task_result(id, "each#3", None).await.unwrap(),
        None
    );

    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["tasks"][0]["type"], "condition");
    assert_eq!(json["tasks"][0]["condition_route"], 0);
    assert_eq!(json["tasks"][6].get("type"), None);
    assert_eq!(
        json["tasks"][4]["child_workflow_id"],
        child.child_workflow_id.unwrap().to_string()
    );
    assert_eq!(json["hook_states"]["on_exit"]["status"], "completed");
}

/// Row 80: also of leaves that ran on no node, and of those that left nothing.
#[tokio::test]
async fn the_output_is_composed_of_what_leaves_left() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b", "c", "d", "e"])).await;
    hand.commit(id, |next| {
        next.tasks = vec![
            (0, completed(3)),
            (
                1,
                TaskRecord::Skipped {
                    iteration: 0,
                    reason: "no".to_owned(),
                },
            ),
            (2, TaskRecord::Bypassed { iteration: 1 }),
            (
                3,
                TaskRecord::FailedAllowed {
                    iteration: 0,
                    error: "boom".to_owned(),
                },
            ),
            (
                4,
                TaskRecord::Routed {
                    iteration: 0,
                    route: None,
                    evaluations: 1,
                },
            ),
        ];
        next.conclusions = [(0, 3, "\"new\""), (0, 2, "\"old\""), (2, 0, "\"not this\"")]
            .map(|(task, iteration, value)| {
                (
                    JobId::of_task(id, task, iteration),
                    Left::Value(value.to_owned()),
                )
            })
            .into();
    })
    .await;
    let view = hand.store.workflow(id).await.unwrap().unwrap();
    assert_eq!((view.status, view.output), (WorkflowStatus::Running, None));
    hand.close(id, paceline_types::workflow::Stage::Completed)
        .await;
    let view = hand.store.workflow(id).await.unwrap().unwrap();
    let output: serde_json::Value = serde_json::from_slice(&view.output.unwrap()).unwrap();
    let expected = json!({ "a": "new", "b": null, "c": null, "d": { "error": "boom" }, "e": null });
    assert_eq!(output, expected);
}

/// Row 82: a workflow that waits for its next attempt has not given its tasks up.
#[tokio::test]
async fn while_it_rests_its_other_tasks_are_pending() {
    use paceline_types::workflow::{Ending, Stage};
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    for (stage, status) in [
        (Stage::Resting(Ending::TimedOut), JobStatus::Pending),
        (Stage::Ending(Ending::TimedOut), JobStatus::Cancelled),
    ] {
        hand.commit(id, |next| next.header = Some(at(stage))).await;
        let view = hand.store.workflow(id).await.unwrap().unwrap();
        assert_eq!(view.tasks[1].status, status);
        assert_eq!(view.error.as_deref(), Some("execution timed out"));
    }
}
