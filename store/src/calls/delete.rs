//! Removing jobs that have ended.

use paceline_types::{JobId, JobStatus};

use super::MAX_BATCH;
use super::cancel::by_shard;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::wire::state::status_of;
use crate::{Store, StoreError};

pub(crate) static DELETE: Script = script!("delete");

/// What became of one deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The job and all that leads to it are gone.
    Done,
    /// There is no such job, any more or at all.
    Unknown,
    /// It has not ended; nothing was changed.
    Unfinished(JobStatus),
    /// It executes a workflow's task, and is removed with its workflow; nothing was changed.
    InWorkflow,
}

impl Store {
    /// Removes jobs that have ended, of any shards. One answer for each, in order.
    ///
    /// # Errors
    /// When there was no answer: some may be gone; the same call may be sent again.
    pub async fn delete(&self, jobs: &[JobId]) -> Result<Vec<Deleted>, StoreError> {
        let mut answers = vec![Deleted::Unknown; jobs.len()];
        for (shard, indices) in by_shard(jobs.iter().map(|job| job.shard())) {
            for indices in indices.chunks(MAX_BATCH) {
                let keys = self.keys(shard)?;
                let mut names = vec![keys.events.clone(), keys.runs.clone()];
                names.extend(indices.iter().map(|&index| keys.job(jobs[index])));
                let call = Invocation::new(&DELETE, &names);
                let mut reply = Reply::list("delete", self.link.call(&call).await?)?;
                for &index in indices {
                    let answer = reply.text()?;
                    answers[index] = match answer.as_str() {
                        "done" => Deleted::Done,
                        "unknown" => Deleted::Unknown,
                        "workflow" => Deleted::InWorkflow,
                        letter => match letter.chars().next().and_then(status_of) {
                            Some(status) => Deleted::Unfinished(status),
                            None => reply.unknown(letter)?,
                        },
                    };
                }
            }
        }
        Ok(answers)
    }
}
