//! Dead letters: jobs that will not be tried again, newest first.

use paceline_types::JobId;

use super::MAX_BATCH;
use super::cancel::by_shard;
use crate::script::{Invocation, Script};
use crate::wire::reply::text_of;
use crate::{Store, StoreError};

pub(crate) static PURGE_DEAD: Script = script!("purge_dead");

impl Store {
    /// Deletes dead jobs; ids that are not in the dead letters are left alone. Returns how many
    /// were deleted.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn purge_dead(&self, jobs: &[JobId]) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for (shard, indices) in by_shard(jobs.iter().map(|job| job.shard())) {
            for indices in indices.chunks(MAX_BATCH) {
                let keys = self.keys(shard)?;
                let mut call = Invocation::new(&PURGE_DEAD, &[&keys.events, &keys.dead]);
                for &index in indices {
                    call.arg(jobs[index].bare(&mut [0; 26]) as &str);
                }
                deleted += self.deleted(&call).await?;
            }
        }
        Ok(deleted)
    }

    /// Deletes all dead jobs, in steps of 100. Returns how many were deleted.
    ///
    /// # Errors
    /// When there was no answer: some may have been deleted; the same call may be sent again.
    pub async fn purge_all_dead(&self) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for shard in self.each_shard() {
            let keys = self.keys(shard)?;
            let call = Invocation::new(&PURGE_DEAD, &[&keys.events, &keys.dead]);
            loop {
                let step = self.deleted(&call).await?;
                if step == 0 {
                    break;
                }
                deleted += step;
            }
        }
        Ok(deleted)
    }

    async fn deleted(&self, call: &Invocation) -> Result<u64, StoreError> {
        let text = text_of("purge_dead", self.link.call(call).await?)?;
        text.parse()
            .map_err(|_| StoreError::protocol("purge_dead", "a count", &text))
    }
}
