//! Cancelling jobs.

use paceline_types::{JobId, JobStatus, ShardIndex, UniqueKey};

use super::MAX_BATCH;
use super::turn::RETENTION_FAILED;
use crate::script::{Invocation, Script};
use crate::wire::escape::escape;
use crate::wire::reply::{Reply, text_of};
use crate::wire::state::status_of;
use crate::wire::{millis, plain};
use crate::{Store, StoreError};

pub(crate) static CANCEL: Script = script!("cancel");

/// What became of one cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The job is cancelled, and never runs.
    Done,
    /// It runs: its node is told, and whatever the run comes to, the job ends cancelled.
    Requested,
    /// It had ended before, in this status; nothing was changed.
    Ended(JobStatus),
    /// There is no such job.
    Unknown,
}

impl Store {
    /// Cancels jobs, of any shards, wherever they stand. One answer for each, in order.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn cancel(&self, jobs: &[JobId], reason: &str) -> Result<Vec<Cancelled>, StoreError> {
        let mut answers = vec![Cancelled::Unknown; jobs.len()];
        for (shard, indices) in by_shard(jobs.iter().map(|job| job.shard())) {
            for indices in indices.chunks(MAX_BATCH) {
                let keys = self.keys(shard)?;
                let mut names = vec![keys.events.clone()];
                names.extend(indices.iter().map(|&index| keys.job(jobs[index])));
                let mut call = Invocation::new(&CANCEL, &names);
                call.arg(self.shared.event_cap)
                    .arg(millis(RETENTION_FAILED))
                    .arg(plain(reason, 500).as_ref());
                let mut reply = Reply::list("cancel", self.link.call(&call).await?)?;
                for &index in indices {
                    let answer = reply.text()?;
                    answers[index] = match answer.as_str() {
                        "done" => Cancelled::Done,
                        "requested" => Cancelled::Requested,
                        "unknown" => Cancelled::Unknown,
                        letter => match letter.chars().next().and_then(status_of) {
                            Some(status) => Cancelled::Ended(status),
                            None => reply.unknown(letter)?,
                        },
                    };
                }
            }
        }
        Ok(answers)
    }
}

impl Store {
    /// The job that holds a unique key, if one does.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn holder(&self, key: &UniqueKey) -> Result<Option<JobId>, StoreError> {
        let shard = ShardIndex::of_key(key.as_str(), self.shards());
        let mut command = redis::cmd("GET");
        command.arg(self.keys(shard)?.unique(&escape(key.as_str())));
        let bare = text_of("GET", self.link.command(&command).await?)?;
        if bare.is_empty() {
            return Ok(None);
        }
        JobId::from_bare(&bare)
            .map(Some)
            .map_err(|_| StoreError::protocol("GET", "an id", &bare))
    }
}

/// Indices of items by the shard that they belong to, in ascending order of shards.
pub(crate) fn by_shard(
    shards: impl Iterator<Item = ShardIndex>,
) -> std::collections::BTreeMap<ShardIndex, Vec<usize>> {
    let mut groups = std::collections::BTreeMap::<_, Vec<usize>>::new();
    for (index, shard) in shards.enumerate() {
        groups.entry(shard).or_default().push(index);
    }
    groups
}
