//! Saving the next state of workflows, with all that follows from it.

use std::time::Duration;

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{EventKind, JobId, JobSpec, ShardIndex, TaskName, TaskType, WorkflowId};

use super::inbox::InboxEntry;
use super::turn::{UpstreamRef, WorkflowRef};
use super::{CallError, Fenced, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::workflow::{encode_header, encode_task};
use crate::wire::{US, inbox, job, millis, plain};
use crate::{Store, StoreError};

pub(crate) static COMMIT: Script = script!("commit");

/// How long ended workflows are kept, with their jobs, unless said otherwise: 7 days.
pub const RETENTION_WORKFLOWS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everything that one turn of the orchestrator writes; bounded by its maker.
#[derive(Clone, Debug, Default)]
pub struct Batch<'a> {
    /// At most one for each workflow.
    pub commits: Vec<Commit<'a>>,
    /// Inbox entries that are done with.
    pub consumed: Vec<&'a str>,
    /// What could not be applied, for people to read.
    pub parked: Vec<String>,
    /// Workflows that lose their marks as unfinished and overdue, with what is parked.
    pub unmarked: Vec<WorkflowId>,
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
    /// What becomes of its deadline.
    pub deadline: DeadlineChange,
    /// It ends.
    pub close: bool,
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
    /// The task, its type, its job and its iteration; none for the workflow itself.
    pub task: Option<(&'a TaskName, &'a TaskType, JobId, u32)>,
    /// Why.
    pub error: Option<&'a str>,
}

/// What becomes of a deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlineChange {
    /// Stays.
    #[default]
    Keep,
    /// Passes after this, by the server's clock.
    Arm(Duration),
    /// There is none any more.
    Disarm,
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
    ) -> Result<(Vec<Committed>, Vec<InboxEntry>), CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::with_capacity(
            &COMMIT,
            &[&keys.events, &keys.inbox, &keys.leader],
            64 * (batch.commits.len() + 1),
            512 * (batch.commits.len() + 1),
        );
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(millis(RETENTION_WORKFLOWS));
        call.arg(batch.consumed.len());
        for entry in &batch.consumed {
            call.arg(*entry);
        }
        call.arg(batch.parked.len());
        for item in &batch.parked {
            call.arg(item);
        }
        call.arg(batch.unmarked.len());
        for workflow in &batch.unmarked {
            call.arg(workflow.bare(&mut [0; 26]) as &str);
        }
        let (after, count) = batch.read_ahead.unwrap_or((None, 0));
        call.arg(after.unwrap_or_default()).arg(count);
        call.arg(batch.commits.len());
        for commit in &batch.commits {
            add_commit(&mut call, commit);
        }

        let mut reply = expect_ok("commit", self.link.call(&call).await?)?;
        let outcomes = reply
            .nested()?
            .rest()?
            .iter()
            .map(|text| outcome(text))
            .collect::<Result<_, _>>()?;
        let mut ahead = reply.nested()?;
        let mut entries = Vec::with_capacity(ahead.len());
        while ahead.len() > 0 {
            let mut entry = ahead.nested()?;
            entries.push(InboxEntry {
                id: entry.text()?,
                items: inbox::parse(&entry.text()?),
            });
        }
        Ok((outcomes, entries))
    }
}

fn add_commit(call: &mut Invocation, commit: &Commit<'_>) {
    let workflow = commit.workflow.bare(&mut [0; 26]).to_owned();
    call.arg(&workflow)
        .arg(commit.expected)
        .arg(commit.header.map(encode_header).unwrap_or_default())
        .arg(i32::from(commit.more))
        .arg(match commit.deadline {
            DeadlineChange::Keep => String::new(),
            DeadlineChange::Disarm => "-".to_owned(),
            DeadlineChange::Arm(after) => millis(after).to_string(),
        })
        .arg(i32::from(commit.close));
    call.arg(commit.tasks.len());
    for (index, record) in commit.tasks {
        call.arg(format!("t{index}"))
            .arg(encode_task(commit.workflow, *index, record));
    }
    call.arg(commit.dispatches.len());
    for dispatch in &commit.dispatches {
        call.arg(dispatch.job.bare(&mut [0; 26]) as &str);
        call.bytes(&job::encode(
            dispatch.spec,
            Some(&dispatch.place),
            dispatch.upstream.as_ref(),
        ));
    }
    call.arg(commit.cancels.len())
        .arg(plain(commit.reason, 500).as_ref());
    for job in commit.cancels {
        call.arg(job.bare(&mut [0; 26]) as &str);
    }
    call.arg(commit.events.len());
    for event in &commit.events {
        call.arg(event.kind.as_str())
            .arg(event_item(&workflow, event));
    }
}

/// workflow US task US task type US job US iteration US error; empty ends are left out.
fn event_item(workflow: &str, event: &WorkflowEvent<'_>) -> String {
    let mut item = workflow.to_owned();
    if let Some((task, task_type, job, iteration)) = event.task {
        let job = job.bare(&mut [0; 26]).to_owned();
        item.push_str(&format!(
            "{US}{task}{US}{task_type}{US}{job}{US}{iteration}"
        ));
    } else if event.error.is_some() {
        item.extend([US; 4]);
    }
    if let Some(error) = event.error {
        item.push(US);
        item.push_str(&plain(error, 500));
    }
    item
}

fn outcome(text: &str) -> Result<Committed, StoreError> {
    match text {
        "s" => Ok(Committed::Stale),
        "m" => Ok(Committed::Missing),
        _ => text
            .strip_prefix('c')
            .and_then(|revision| revision.parse().ok())
            .map(Committed::At)
            .ok_or_else(|| StoreError::protocol("commit", "an outcome", &text)),
    }
}
