//! The next state of workflows: what changes in their records, and which of them wait or end.

use std::time::Duration;

use paceline_types::id::ID_LEN;
use paceline_types::workflow::{Header, Section, TaskRecord};
use paceline_types::{EventKind, JobId, JobSpec, TaskName, TaskType, WorkflowId};
use redis::RedisWrite as _;

use crate::calls::turn::{UpstreamRef, WorkflowRef};
use crate::script::Invocation;
use crate::wire::alarm::{self, Alarm};
use crate::wire::millis;
use crate::wire::post::Post;
use crate::wire::workflow::{encode_header, encode_section, encode_task};

/// The next state of one workflow.
#[derive(Clone, Debug)]
pub struct Commit<'a> {
    /// Which.
    pub workflow: WorkflowId,
    /// The revision that the decision rests on.
    pub expected: u64,
    /// The header, if it changed.
    pub header: Option<&'a Header>,
    /// Tasks that changed.
    pub tasks: &'a [(u32, TaskRecord)],
    /// Starts of tasks that are over, kept beside the new ones.
    pub history: &'a [(u32, TaskRecord)],
    /// Tasks that were added; one replaces an older one of its generator.
    pub sections: &'a [Section],
    /// Tasks that went with their section: their records go to the history, after all that this
    /// commit writes of them.
    pub dropped: &'a [u32],
    /// Results of what ran on no node.
    pub conclusions: Vec<Conclusion<'a>>,
    /// What other instances must be told, in order.
    pub posts: Vec<Post>,
    /// The instance that this one goes on as, and the job whose result is its input. It is made with
    /// this commit.
    pub successor: Option<(WorkflowId, JobId)>,
    /// Jobs to make.
    pub dispatches: Vec<Dispatch<'a>>,
    /// Jobs to cancel.
    pub cancels: &'a [JobId],
    /// Why they are cancelled.
    pub reason: &'a str,
    /// For the log, in order.
    pub events: Vec<WorkflowEvent<'a>>,
    /// There is more to do for it, beyond this batch.
    pub more: bool,
    /// Moments to wait for, by the server's clock from the commit on; none: not any more.
    pub alarms: Vec<(Alarm, Option<Duration>)>,
    /// It comes to its outcome: its retention begins, and who waits for it is told.
    pub close: bool,
    /// Nothing of it is under way any more: it is not among the active ones, and has no alarms.
    pub retire: bool,
}

impl Commit<'_> {
    /// One that changes nothing but the revision.
    #[must_use]
    pub fn new(workflow: WorkflowId, expected: u64) -> Self {
        Commit {
            workflow,
            expected,
            header: None,
            tasks: &[],
            history: &[],
            sections: &[],
            dropped: &[],
            conclusions: Vec::new(),
            posts: Vec::new(),
            successor: None,
            dispatches: Vec::new(),
            cancels: &[],
            reason: "",
            events: Vec::new(),
            more: false,
            alarms: Vec::new(),
            close: false,
            retire: false,
        }
    }
}

/// The result of what ran on no node. One that is there already stays.
#[derive(Clone, Copy, Debug)]
pub struct Conclusion<'a> {
    /// Under which job it is kept; that has no record beside it.
    pub job: JobId,
    /// What.
    pub result: ConcludedBy<'a>,
}

/// Where a concluded result comes from.
#[derive(Clone, Copy, Debug)]
pub enum ConcludedBy<'a> {
    /// It is this JSON.
    Value(&'a [u8]),
    /// It is the payload of a signal, which is taken by that.
    Signal(u64),
}

/// The job of a task.
#[derive(Clone, Debug)]
pub struct Dispatch<'a> {
    /// Its id.
    pub job: JobId,
    /// Whose task it is.
    pub place: WorkflowRef,
    /// What is asked for.
    pub spec: &'a JobSpec,
    /// Whose results it is given.
    pub upstream: Option<UpstreamRef>,
}

/// An event of a workflow.
#[derive(Clone, Debug)]
pub struct WorkflowEvent<'a> {
    /// What happened.
    pub kind: &'a EventKind,
    /// The task, its type (none where it runs on no node), its job and its iteration; none for the
    /// workflow itself.
    pub task: Option<(&'a TaskName, Option<&'a TaskType>, JobId, u32)>,
    /// Why.
    pub error: Option<&'a str>,
}

/// What changes in the record of a workflow.
pub(super) fn add_fields(call: &mut Invocation, commit: &Commit<'_>) {
    let pairs =
        1 + usize::from(commit.header.is_some()) + commit.tasks.len() + commit.sections.len();
    call.arg(pairs).arg("r").arg(commit.expected + 1);
    if let Some(header) = commit.header {
        call.arg("s").arg(encode_header(header));
    }
    for (index, record) in commit.tasks {
        call.write_arg_fmt(format_args!("t{index}"));
        call.arg(encode_task(commit.workflow, *index, record));
    }
    for section in commit.sections {
        call.write_arg_fmt(format_args!("x{}", section.generator));
        call.arg(encode_section(section));
    }
}

/// Which of the workflows end, what they wait for, and which have more to do.
pub(super) fn add_marks(call: &mut Invocation, commits: &[&Commit<'_>]) {
    let those = |wanted: fn(&Commit<'_>) -> bool| {
        let of = move |commit: &&&Commit<'_>| wanted(commit);
        commits.iter().filter(of).map(|commit| commit.workflow)
    };
    add_ids(call, those(|commit| commit.close));
    add_ids(call, those(|commit| commit.retire));
    // What is retired waits for nothing: the script sees to it, but for its signals.
    let alarms = || {
        let of = |commit: &&Commit<'_>| {
            let (workflow, retired) = (commit.workflow, commit.retire);
            let alarms = commit.alarms.clone().into_iter();
            alarms.filter_map(move |(which, wait)| match (retired, which) {
                (false, _) => Some((alarm::encode(workflow, which), wait)),
                (true, Alarm::Signal { .. }) => Some((alarm::encode(workflow, which), None)),
                (true, Alarm::Deadline | Alarm::Retry) => None,
            })
        };
        commits.iter().flat_map(of)
    };
    call.arg(alarms().count());
    for (member, wait) in alarms() {
        call.arg(member);
        match wait {
            None => call.arg("-"),
            Some(after) => call.arg(millis(after)),
        };
    }
    add_ids(call, those(|commit| commit.more && !commit.retire));
    add_ids(call, those(|commit| !commit.more || commit.retire));
}

/// How many, and which.
pub(super) fn add_ids(call: &mut Invocation, workflows: impl Iterator<Item = WorkflowId> + Clone) {
    call.arg(workflows.clone().count());
    for workflow in workflows {
        call.arg(workflow.bare(&mut [0; ID_LEN]) as &str);
    }
}
