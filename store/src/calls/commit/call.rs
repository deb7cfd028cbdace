//! The call of a commit: what it carries, in the order of the script's arguments.

use std::time::Duration;

use paceline_types::id::ID_LEN;
use paceline_types::{BatchId, WorkflowId};

use super::batches::{self, BatchCommit};
use super::workflows::{self, Commit};
use super::{consequences, packing};
use crate::StoreError;
use crate::keys::Keys;
use crate::script::{Invocation, Script};
use crate::wire::{millis, plain};

static COMMIT: Script = script!("commit");

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

/// What one try writes: what is not known to differ.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) commits: Vec<&'a Commit<'a>>,
    pub(super) batches: Vec<&'a BatchCommit<'a>>,
}

impl Batch<'_> {
    /// One try. Nothing is consumed, parked or unmarked by it unless it is whole.
    pub(super) fn call(
        &self,
        keys: &Keys,
        term: u64,
        event_cap: u64,
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
            .arg(event_cap)
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
            workflows::add_fields(&mut call, commit);
        }
        workflows::add_marks(&mut call, commits);
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
        let nothing = Batch::default();
        let rest = if whole { self } else { &nothing };
        add_list(&mut call, rest.consumed.iter());
        add_list(&mut call, rest.parked.iter());
        workflows::add_ids(&mut call, rest.unmarked.iter().copied());
        call.arg(rest.unmarked_batches.len());
        for id in &rest.unmarked_batches {
            call.arg(id.bare(&mut [0; ID_LEN]) as &str);
        }
        let (after, count) = self.read_ahead.unwrap_or((None, 0));
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
