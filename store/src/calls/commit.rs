//! Saving the next state of workflows, with all that follows from it.

use std::time::Duration;

use paceline_types::id::ID_LEN;
use paceline_types::workflow::{DroppedStart, Header, Section, TaskRecord};
use paceline_types::{
    BatchId, EventKind, JobId, JobSpec, ShardIndex, TaskName, TaskType, WorkflowId,
};
use redis::RedisWrite as _;

use super::inbox::{InboxEntry, read_entries};
use super::turn::{UpstreamRef, WorkflowRef};
use super::{CallError, Fenced, expect_one_of};
use crate::keys::Keys;
use crate::script::{Invocation, Script};
use crate::wire::workflow::{encode_header, encode_section, encode_task};
use crate::wire::{alarm, millis, plain};
use crate::{Store, StoreError};

mod batches;
mod consequences;
mod packing;

pub use batches::{BatchCommit, BatchEvent, ItemStart, OnetimeJob};

pub use crate::wire::alarm::Alarm;
pub use crate::wire::post::{ChildOf, Post};

pub(crate) static COMMIT: Script = script!("commit");

/// How long ended workflows are kept, with their jobs, unless said otherwise: 7 days.
pub const RETENTION_WORKFLOWS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everything that one turn of the orchestrator writes; bounded by its maker.
#[derive(Clone, Debug, Default)]
pub struct Batch<'a> {
    /// At most one for each workflow.
    pub commits: Vec<Commit<'a>>,
    /// At most one for each batch.
    pub batches: Vec<BatchCommit<'a>>,
    /// Inbox entries that are done with.
    pub consumed: Vec<&'a str>,
    /// What could not be applied, for people to read.
    pub parked: Vec<String>,
    /// Workflows that lose their marks as unfinished and overdue, with what is parked.
    pub unmarked: Vec<WorkflowId>,
    /// Batches that lose theirs.
    pub unmarked_batches: Vec<BatchId>,
    /// Asks for inbox entries with the reply: after which, and at most how many.
    pub read_ahead: Option<(Option<&'a str>, usize)>,
}

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
    /// Starts of tasks that went with their section: their records and jobs are removed, after all
    /// that this commit writes of them.
    pub dropped: &'a [DroppedStart],
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

/// What became of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Written; the new revision.
    At(u64),
    /// The workflow has another revision; nothing of this commit was written, and no entry was
    /// consumed.
    Stale,
    /// There is no such workflow; nothing of this commit was written, and marks (unfinished,
    /// overdue) that were left of it are gone.
    Missing,
}

/// What became of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// One for each commit of a workflow, in order.
    pub outcomes: Vec<Committed>,
    /// One for each commit of a batch, in order.
    pub batches: Vec<Committed>,
    /// The inbox entries that were asked for.
    pub next: Vec<InboxEntry>,
}

/// What one try writes: what is not known to differ.
#[derive(Default)]
struct Parts<'a> {
    commits: Vec<&'a Commit<'a>>,
    batches: Vec<&'a BatchCommit<'a>>,
}

impl Store {
    /// Writes a batch: each commit whole or not at all. Entries are consumed and things parked
    /// unless a commit was stale.
    ///
    /// # Errors
    /// [`Fenced`]: nothing was written. After a lost reply the same batch comes back as stale.
    pub async fn commit(
        &self,
        shard: ShardIndex,
        term: u64,
        batch: &Batch<'_>,
    ) -> Result<Written, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let expected = batch.commits.iter().map(|commit| commit.expected);
        let of_batches = batch.batches.iter().map(|commit| commit.expected);
        let mut outcomes: Vec<Committed> = expected
            .chain(of_batches)
            .map(|expected| Committed::At(expected + 1))
            .collect();
        let workflows = batch.commits.len();
        // Those that are not as expected are left out of the next try. Each of them may have
        // changed meanwhile, so there may be several.
        loop {
            let is_open = |index: &usize| matches!(outcomes[*index], Committed::At(_));
            let open: Vec<usize> = (0..outcomes.len()).filter(is_open).collect();
            let mut parts = Parts::default();
            for &index in &open {
                match batch.commits.get(index) {
                    Some(commit) => parts.commits.push(commit),
                    None => parts.batches.push(&batch.batches[index - workflows]),
                }
            }
            let whole = !outcomes.contains(&Committed::Stale);
            let call = self.commit_call(keys, term, batch, &parts, whole)?;
            let value = self.link.call(&call).await?;
            let (answer, mut reply) = expect_one_of("commit", value, &["ok", "differs"])?;
            if answer == "ok" {
                let batches = outcomes.split_off(workflows);
                return Ok(Written {
                    outcomes,
                    batches,
                    next: read_entries(reply.nested()?)?,
                });
            }
            for (index, letter) in open.into_iter().zip(reply.text()?.chars()) {
                outcomes[index] = match letter {
                    '.' => continue,
                    's' => Committed::Stale,
                    'm' => Committed::Missing,
                    other => {
                        return Err(StoreError::protocol("commit", "a letter", &other).into());
                    }
                };
            }
        }
    }

    fn commit_call(
        &self,
        keys: &Keys,
        term: u64,
        batch: &Batch<'_>,
        parts: &Parts<'_>,
        whole: bool,
    ) -> Result<Invocation, StoreError> {
        let commits = &parts.commits[..];
        let mut call = Invocation::with_capacity(
            &COMMIT,
            &[&keys.events, &keys.inbox, &keys.leader],
            24 + 14 * commits.len(),
            512 * (commits.len() + 1),
        );
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(millis(RETENTION_WORKFLOWS));
        call.arg(commits.len());
        for commit in commits {
            call.arg(commit.workflow.bare(&mut [0; ID_LEN]) as &str)
                .arg(commit.expected);
        }
        call.arg(parts.batches.len());
        for commit in &parts.batches {
            call.arg(commit.batch.bare(&mut [0; ID_LEN]) as &str)
                .arg(commit.expected);
        }
        for commit in commits {
            add_fields(&mut call, commit);
        }
        add_marks(&mut call, commits);
        packing::add_jobs(&mut call, commits);
        consequences::add(&mut call, commits)?;
        call.arg(
            commits
                .iter()
                .map(|commit| commit.cancels.len())
                .sum::<usize>(),
        );
        for commit in commits {
            for job in commit.cancels {
                call.arg(job.bare(&mut [0; ID_LEN]) as &str)
                    .arg(plain(commit.reason, 500).as_ref());
            }
        }
        packing::add_events(&mut call, commits);
        for commit in &parts.batches {
            batches::add(&mut call, commit);
        }
        let (consumed, parked, unmarked) = if whole {
            (&batch.consumed[..], &batch.parked[..], &batch.unmarked[..])
        } else {
            Default::default()
        };
        add_list(&mut call, consumed.iter());
        add_list(&mut call, parked.iter());
        add_ids(&mut call, unmarked.iter().copied());
        let unmarked = if whole {
            &batch.unmarked_batches[..]
        } else {
            &[]
        };
        call.arg(unmarked.len());
        for id in unmarked {
            call.arg(id.bare(&mut [0; ID_LEN]) as &str);
        }
        let (after, count) = batch.read_ahead.unwrap_or((None, 0));
        call.arg(after.unwrap_or_default()).arg(count);
        Ok(call)
    }
}

fn add_list(call: &mut Invocation, items: impl ExactSizeIterator<Item = impl redis::ToRedisArgs>) {
    call.arg(items.len());
    for item in items {
        call.arg(item);
    }
}

fn add_ids(call: &mut Invocation, workflows: impl Iterator<Item = WorkflowId> + Clone) {
    call.arg(workflows.clone().count());
    for workflow in workflows {
        call.arg(workflow.bare(&mut [0; ID_LEN]) as &str);
    }
}

/// What changes in the record of a workflow.
fn add_fields(call: &mut Invocation, commit: &Commit<'_>) {
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
fn add_marks(call: &mut Invocation, commits: &[&Commit<'_>]) {
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
