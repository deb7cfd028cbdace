mod reference;
mod states;

use std::fmt::Write as _;
use std::sync::Arc;

use paceline_types::workflow::TaskRecord;
use paceline_types::{ShardIndex, WorkflowId};

use super::*;
use crate::graph::{fan, graph, layered};
use crate::ports::{Upstream, UpstreamJob};

const ALL: usize = 100;

fn new_instance(line: &str) -> Instance {
    let plan = graph(line).validate(1024).expect(line);
    Instance::new(WorkflowId::from_parts(1, ShardIndex(0), 9), Arc::new(plan))
}

fn reloaded(instance: &Instance) -> Instance {
    let records: Vec<(u32, TaskRecord)> = instance
        .records()
        .map(|(task, record)| (task, record.clone()))
        .collect();
    let header = instance.header().clone();
    Instance::restore(instance.id(), instance.plan().clone(), header, records).expect("records")
}

fn ended(instance: &Instance, task: &str, iteration: u32, outcome: TaskOutcome) -> Event {
    let index = instance.plan().index_of(task).unwrap_or(0);
    Event::TaskEnded {
        task: TaskName::new(task).expect(task),
        iteration,
        job: JobId::of_task(instance.id(), index, iteration),
        outcome,
    }
}

/// `done a`, `skip a`, `dead a why`, `stopped a`, `gone a`, `start`, `cancel why`, `deadline`,
/// `continue`.
fn event(instance: &Instance, line: &str) -> Event {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (task, why) = rest.split_once(' ').unwrap_or((rest, ""));
    let error = why.to_owned();
    match word {
        "start" => Event::Start { shards: 1 },
        "done" => ended(instance, task, 0, TaskOutcome::Completed),
        "skip" => ended(
            instance,
            task,
            0,
            TaskOutcome::Skipped {
                reason: "nothing to do".to_owned(),
            },
        ),
        "dead" => ended(instance, task, 0, TaskOutcome::Dead { error }),
        "stopped" => ended(instance, task, 0, TaskOutcome::Cancelled),
        "gone" => Event::JobGone {
            task: TaskName::new(task).expect(task),
            iteration: 0,
        },
        "cancel" => Event::CancelRequested {
            reason: rest.to_owned(),
        },
        "deadline" => Event::Rang(Alarm::Deadline),
        "continue" => Event::Continue,
        _ => panic!("no such event: {line}"),
    }
}

/// The task whose first start has this job.
fn task_of(instance: &Instance, job: JobId) -> String {
    let plan = instance.plan();
    let own = |task: &u32| JobId::of_task(instance.id(), *task, 0) == job;
    let index = (0..plan.task_count()).find(own).expect("a job of a task");
    plan.task(index).name.to_string()
}

/// Effects, `more`, then the events behind `!`, without their `workflow.`
fn written(instance: &Instance, answer: &Result<Transition, Refusal>) -> String {
    let transition = match answer {
        Ok(transition) => transition,
        Err(refusal) => return refusal.to_string(),
    };
    let mut words: Vec<String> = transition
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Dispatch(job) => Some(format!("run {}", job.task)),
            Effect::CancelJob(job) => Some(format!("stop {}", task_of(instance, *job))),
            Effect::Arm(_, after) => Some(format!("arm {after:?}")),
            Effect::Disarm(_) => Some("disarm".to_owned()),
            Effect::Close { status } => Some(format!("close {status}")),
            Effect::Retire => None,
            other => Some(format!("{other:?}")),
        })
        .collect();
    if transition.more {
        words.push("more".to_owned());
    }
    let mut text = words.join(", ");
    for (place, happening) in transition.events.iter().enumerate() {
        text.push_str(if place == 0 { " ! " } else { ", " });
        text.push_str(happening.kind.as_str().trim_start_matches("workflow."));
        if let Some(about) = &happening.task {
            let _ = write!(text, " {}", about.task);
        }
        if let Some(error) = &happening.error {
            let _ = write!(text, " ({error})");
        }
    }
    text.trim().to_owned()
}

/// Runs a script of `event => what follows`; each event is delivered twice, and the instance is
/// loaded afresh after each.
fn check_limited(line: &str, limit: usize, script: &[&str]) {
    let mut instance = new_instance(line);
    for step in script {
        let (asked, expected) = step.split_once("=>").expect("event => what follows");
        let event = event(&instance, asked.trim());
        let before = instance.clone();
        let answer = advance(&mut instance, &event, limit);
        assert_eq!(
            written(&instance, &answer),
            expected.trim(),
            "{line}: {asked}"
        );
        if answer.is_err() {
            assert_eq!(
                instance, before,
                "{line}: {asked}: a refusal changed something"
            );
        }
        assert_eq!(
            reloaded(&instance),
            instance,
            "{line}: {asked}: loaded differently"
        );
        if event != Event::Continue {
            let mut again = instance.clone();
            let repeated = advance(&mut again, &event, limit);
            assert!(repeated.is_err(), "{line}: {asked}: applied twice");
            assert_eq!(again, instance);
        }
    }
}

fn check(line: &str, script: &[&str]) {
    check_limited(line, ALL, script);
}

#[test]
fn tasks_run_when_what_they_depend_on_is_done() {
    check(
        "a b<a c<a d<b,c",
        &[
            "start  => run a ! started, task.dispatched a",
            "done a => run b, run c ! task.completed a, task.dispatched b, task.dispatched c",
            "done c => ! task.completed c",
            "done b => run d ! task.completed b, task.dispatched d",
            "done d => close completed ! task.completed d, completed",
            "start  => late: the workflow has ended",
            "cancel => late: the workflow has ended",
            "continue => late: the workflow has ended",
        ],
    );
}

#[test]
fn ready_tasks_are_dispatched_by_priority_and_then_by_name() {
    check(
        "b a c^9 e^2 d^50",
        &[
            "start => run d, run c, run a, run b, run e ! started, task.dispatched d, \
             task.dispatched c, task.dispatched a, task.dispatched b, task.dispatched e",
        ],
    );
}

#[test]
fn a_fatal_failure_stops_the_others_and_fails_the_workflow_when_they_have_ended() {
    check(
        "a b c d<a",
        &[
            "start => run a, run b, run c ! started, task.dispatched a, task.dispatched b, \
             task.dispatched c",
            "dead b boom => stop a, stop c ! task.failed b (boom)",
            "dead a late  => ! task.failed a (late)",
            "cancel why   => late: the workflow is ending already",
            "stopped c    => close failed ! task.failed c (its job was cancelled), \
             failed (task b failed: boom)",
        ],
    );
}

#[test]
fn a_task_that_ends_well_while_the_workflow_ends_makes_nothing_ready_run() {
    check(
        "a b c<a",
        &[
            "start     => run a, run b ! started, task.dispatched a, task.dispatched b",
            "dead b no => stop a ! task.failed b (no)",
            "done a    => close failed ! task.completed a, failed (task b failed: no)",
        ],
    );
}

#[test]
fn an_allowed_failure_counts_as_done() {
    check(
        "a? b<a",
        &[
            "start    => run a ! started, task.dispatched a",
            "dead a x => run b ! task.failed a (x), task.dispatched b",
            "done b   => close completed ! task.completed b, completed",
        ],
    );
    check(
        "a? b<a",
        &[
            "start     => run a ! started, task.dispatched a",
            "stopped a => run b ! task.failed a (its job was cancelled), task.dispatched b",
        ],
    );
}

#[test]
fn a_job_that_is_cancelled_by_hand_fails_the_workflow() {
    check(
        "a b<a",
        &[
            "start     => run a ! started, task.dispatched a",
            "stopped a => close failed ! task.failed a (its job was cancelled), \
             failed (task a was cancelled)",
        ],
    );
}

#[test]
fn a_job_that_is_gone_fails_its_task() {
    check(
        "a",
        &[
            "start  => run a ! started, task.dispatched a",
            "gone a => close failed ! task.failed a (its job is not there any more; it was \
             removed before the workflow ended), failed (task a failed: its job is not there any \
             more; it was removed before the workflow ended)",
        ],
    );
}

#[test]
fn a_cancelled_workflow_waits_for_its_jobs() {
    check(
        "a b<a",
        &[
            "start      => run a ! started, task.dispatched a",
            "cancel why => stop a !",
            "deadline   => impossible: the workflow has no execution timeout",
            "stopped a  => close cancelled ! task.failed a (its job was cancelled), \
             cancelled (cancelled: why)",
        ]
        .map(|line| line.trim_end_matches('!')),
    );
    check(
        "a",
        &[
            "cancel => close cancelled ! cancelled (cancelled)",
            "start  => late: the workflow has ended",
        ],
    );
}

#[test]
fn a_workflow_that_runs_too_long_times_out() {
    check(
        "@60s a b<a",
        &[
            "start     => arm 60s, run a ! started, task.dispatched a",
            "deadline  => disarm, stop a",
            "stopped a => close failed ! task.failed a (its job was cancelled), \
             timed_out (execution timed out)",
            "deadline  => late: the workflow has ended",
        ],
    );
    check(
        "@60s a",
        &[
            "start  => arm 60s, run a ! started, task.dispatched a",
            "done a => disarm, close completed ! task.completed a, completed",
        ],
    );
}

#[test]
fn what_contradicts_the_instance_is_impossible() {
    check(
        "a b<a",
        &[
            "done a => impossible: task a was never dispatched",
            "start  => run a ! started, task.dispatched a",
            "done b => impossible: task b was never dispatched",
            "done x => impossible: the workflow has no task x",
            "continue => late: nothing is left over",
        ],
    );
    let mut instance = new_instance("a");
    advance(&mut instance, &Event::Start { shards: 1 }, ALL).expect("started");
    let well = TaskOutcome::Completed;
    let future = ended(&instance, "a", 1, well.clone());
    let refusal = advance(&mut instance, &future, ALL).expect_err("future");
    assert_eq!(
        refusal.to_string(),
        "impossible: task a is at iteration 0, not 1"
    );
    let foreign = Event::TaskEnded {
        task: TaskName::new("a").expect("name"),
        iteration: 0,
        job: JobId::of_task(instance.id(), 7, 0),
        outcome: well,
    };
    let refusal = advance(&mut instance, &foreign, ALL).expect_err("foreign");
    assert!(matches!(
        refusal,
        Refusal::Impossible(Impossible::ForeignJob { .. })
    ));
}

#[test]
fn a_superseded_iteration_is_late() {
    let fresh = new_instance("a");
    let records = [(
        0,
        TaskRecord::Dispatched {
            iteration: 2,
            evaluations: 0,
        },
    )];
    let header = paceline_types::workflow::Header {
        stage: Stage::Running,
        ..paceline_types::workflow::Header::NEW
    };
    let mut instance =
        Instance::restore(fresh.id(), fresh.plan().clone(), header, records).expect("instance");
    let old = ended(&instance, "a", 1, TaskOutcome::Cancelled);
    assert_eq!(
        advance(&mut instance, &old, ALL),
        Err(Refusal::Late(Late::Superseded { current: 2 }))
    );
}

#[test]
fn what_does_not_fit_under_the_limit_is_left_over() {
    check_limited(
        "a b c d",
        2,
        &[
            "start     => run a, run b, more ! started, task.dispatched a, task.dispatched b",
            "continue  => run c, run d ! task.dispatched c, task.dispatched d",
            "continue  => late: nothing is left over",
            "cancel    => stop a, stop b, more",
            "done c    => stop d ! task.completed c",
            "stopped a => ! task.failed a (its job was cancelled)",
            "stopped d => ! task.failed d (its job was cancelled)",
            "done b    => close cancelled ! task.completed b, cancelled (cancelled)",
        ],
    );
    check_limited(
        "a",
        0,
        &[
            "start => more ! started",
            "cancel => close cancelled ! cancelled (cancelled)",
        ],
    );
}

#[test]
fn a_dispatch_says_where_the_results_are() {
    let mut instance = new_instance("a b? c d<a,b,c=a,b,c e<a,c=c");
    let name = |task: &str| TaskName::new(task).expect(task);
    advance(&mut instance, &Event::Start { shards: 1 }, ALL).expect("started");
    for line in ["done a", "dead b boom", "skip c"] {
        let event = event(&instance, line);
        advance(&mut instance, &event, ALL).expect(line);
    }
    let from = |task: &str, index| UpstreamJob {
        task: name(task),
        job: Some(JobId::of_task(instance.id(), index, 0)),
    };
    let skipped = UpstreamJob {
        task: name("c"),
        job: None,
    };
    let many = Upstream::Many(vec![from("a", 0), from("b", 1), skipped.clone()]);
    assert_eq!(instance.task_job(3, 0).composition.upstream, many);
    assert_eq!(
        instance.task_job(4, 0).composition.upstream,
        Upstream::One(skipped)
    );
    assert_eq!(instance.task_job(0, 0).composition.upstream, Upstream::None);
}

#[test]
fn a_record_of_no_task_is_refused() {
    let fresh = new_instance("a");
    let records = [(
        1,
        TaskRecord::Dispatched {
            iteration: 0,
            evaluations: 0,
        },
    )];
    let header = fresh.header().clone();
    let error = Instance::restore(fresh.id(), fresh.plan().clone(), header, records);
    assert!(error.expect_err("no task").to_string().contains("task 1"));
}

/// Runs a workflow to its end; the number of records written and of transitions.
fn run_all(definition: &paceline_types::WorkflowDefinition) -> (usize, usize) {
    let plan = Arc::new(definition.validate(1024).expect("plan"));
    let mut instance = Instance::new(WorkflowId::from_parts(1, ShardIndex(0), 1), plan);
    let (mut records, mut transitions) = (0, 0);
    let mut events = std::collections::VecDeque::from([Event::Start { shards: 1 }]);
    while let Some(event) = events.pop_front() {
        let transition = advance(&mut instance, &event, ALL).expect("applied");
        records += transition.tasks.len();
        transitions += 1;
        assert!(transition.effects.len() <= ALL + 2);
        if transition.more {
            events.push_front(Event::Continue);
        }
        for effect in transition.effects {
            if let Effect::Dispatch(job) = effect {
                let well = TaskOutcome::Completed;
                events.push_back(ended(&instance, job.task.as_str(), job.iteration, well));
            }
        }
    }
    assert_eq!(instance.stage(), &Stage::Completed);
    (records, transitions)
}

#[test]
fn large_workflows_cost_the_same_per_task_as_small_ones() {
    for definition in [fan(98), fan(9_998), layered(100, 1), layered(100, 100)] {
        let tasks = definition.tasks.len();
        let (records, transitions) = run_all(&definition);
        assert_eq!(records, tasks * 2);
        assert!(
            transitions <= tasks + tasks / ALL + 2,
            "{transitions} for {tasks}"
        );
    }
}
