//! Dependencies, priorities, failures and ends: what holds without routes and sections.

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{ShardIndex, TaskName, WorkflowId};

use super::*;
use crate::instance::{Instance, Limits};
use crate::ports::{Upstream, UpstreamJob};

#[test]
fn tasks_run_when_what_they_depend_on_is_done() {
    check(
        "a b<a c<a d<b,c",
        &[
            "start  => run a ! started, task.dispatched a",
            "done a => run b, run c ! task.completed a, task.dispatched b, task.dispatched c",
            "done c => ! task.completed c",
            "done b => run d ! task.completed b, task.dispatched d",
            "done d => close completed, retire ! task.completed d, completed",
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
            "stopped c    => close failed, retire ! task.failed c (its job was cancelled), \
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
            "done a    => close failed, retire ! task.completed a, failed (task b failed: no)",
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
            "done b   => close completed, retire ! task.completed b, completed",
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
            "stopped a => close failed, retire ! task.failed a (its job was cancelled), \
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
            "gone a => close failed, retire ! task.failed a (its job is not there any more; it was \
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
            "stopped a  => close cancelled, retire ! task.failed a (its job was cancelled), \
             cancelled (cancelled: why)",
        ]
        .map(|line| line.trim_end_matches('!')),
    );
    check(
        "a",
        &[
            "cancel => close cancelled, retire ! cancelled (cancelled)",
            "start  => late: the workflow has ended",
        ],
    );
}

#[test]
fn a_workflow_that_runs_too_long_times_out() {
    check(
        "@60s a b<a",
        &[
            "start     => arm deadline 60s, run a ! started, task.dispatched a",
            "deadline  => disarm deadline, stop a",
            "stopped a => close failed, retire ! task.failed a (its job was cancelled), \
             timed_out (execution timed out)",
            "deadline  => late: the workflow has ended",
        ],
    );
    check(
        "@60s a",
        &[
            "start  => arm deadline 60s, run a ! started, task.dispatched a",
            "done a => disarm deadline, close completed, retire ! task.completed a, completed",
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
    check(
        "a",
        &[
            "start    => run a ! started, task.dispatched a",
            "done a@1 => impossible: task a is at iteration 0, not 1",
        ],
    );
    let mut run = Run::new("a");
    run.after(&["start"]);
    for job in [
        JobId::of_task(run.instance.id(), 7, 0),
        JobId::from_parts(1, ShardIndex(0), 4),
    ] {
        let foreign = Event::TaskEnded {
            task: TaskName::new("a").expect("name"),
            iteration: 0,
            job,
            outcome: TaskOutcome::Completed,
        };
        let refusal = run.apply(&foreign).expect_err("foreign");
        assert!(matches!(
            refusal,
            Refusal::Impossible(Impossible::ForeignJob { .. })
        ));
    }
}

/// W4: an end that is delivered again, or of a start that is over, changes nothing.
#[test]
fn a_superseded_iteration_is_late() {
    let fresh = new_instance("a");
    let mut run = Run::with(fresh.plan().clone(), |kept| {
        kept.tasks.insert(
            0,
            TaskRecord::Dispatched {
                iteration: 2,
                evaluations: 0,
            },
        );
        kept.header = Header {
            stage: Stage::Running,
            ..Header::NEW
        };
    });
    run.script(&["stopped a@1 => late: the task was started again since, as iteration 2"]);
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
            "done b    => close cancelled, retire ! task.completed b, cancelled (cancelled)",
        ],
    );
    check_limited(
        "a",
        0,
        &[
            "start => more ! started",
            "cancel => close cancelled, retire ! cancelled (cancelled)",
        ],
    );
}

#[test]
fn a_dispatch_says_where_the_results_are() {
    let mut run = Run::new("a b? c d<a,b,c=a,b,c e<a,c=c");
    let name = |task: &str| TaskName::new(task).expect(task);
    run.after(&["start", "done a", "dead b boom", "skip c"]);
    let from = |task: &str, index| UpstreamJob {
        task: name(task),
        job: Some(JobId::of_task(run.instance.id(), index, 0)),
    };
    let skipped = UpstreamJob {
        task: name("c"),
        job: None,
    };
    let many = Upstream::Many(vec![from("a", 0), from("b", 1), skipped.clone()]);
    let upstream = |index| {
        let job = run.instance.task_job(index, 0).expect("a job");
        job.composition.upstream
    };
    assert_eq!(upstream(3), many);
    assert_eq!(upstream(4), Upstream::One(skipped));
    assert_eq!(upstream(0), Upstream::None);
}

#[test]
fn a_record_of_no_task_is_refused() {
    let mut run = Run::new("a");
    let iteration = 0;
    run.kept
        .tasks
        .insert(1, TaskRecord::Cancelling { iteration });
    let plan = run.instance.plan().clone();
    let stored = run.kept.stored();
    let error = Instance::restore(run.instance.id(), plan, stored, Limits::default());
    assert!(error.expect_err("no task").to_string().contains("task 1"));
}

/// The way back from a job to its task, of any index and start.
#[test]
fn a_job_tells_its_task() {
    let workflow = WorkflowId::from_parts(77, ShardIndex(3), 0xdead_beef_1234_5678);
    for index in [0, 1, 31, 32, 33, 99_999, u32::MAX - 7, u32::MAX] {
        for iteration in [0, 1, 2, 100, 1 << 20, u32::MAX] {
            let job = JobId::of_task(workflow, index, iteration);
            assert_eq!(place_of(workflow, job), Some((index, iteration)));
        }
    }
    let other = WorkflowId::from_parts(78, ShardIndex(3), 1);
    assert_eq!(place_of(workflow, JobId::of_task(other, 1, 0)), None);
}
