//! What runs tell while they are on: that they live, and how far they are.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobId, ShardIndex};

use super::MAX_BATCH;
use super::turn::RunToken;
use crate::script::{Invocation, Script};
use crate::wire::millis;
use crate::wire::reply::text_of;
use crate::{Store, StoreError};

pub(crate) static REPORT: Script = script!("report");

/// What one run tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// Proof of owning the run.
    pub token: RunToken,
    /// When the leader may take the run for silent; only of runs that have a heartbeat timeout.
    pub silent_after: Option<Duration>,
    /// How far it is, if that is new.
    pub progress: Option<Bytes>,
}

impl Store {
    /// Notes what runs of one shard tell, at most [`MAX_BATCH`], in one call. For each, in order,
    /// whether the run is the caller's still; of one that is not, nothing was noted.
    ///
    /// A run that has ended, and was the job's last one, may still tell its last progress.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn report(
        &self,
        shard: ShardIndex,
        reports: &[Report],
    ) -> Result<Vec<bool>, StoreError> {
        debug_assert!(reports.len() <= MAX_BATCH);
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.runs, &keys.timers, &keys.progress];
        let mut call = Invocation::new(&REPORT, &names);
        for report in reports {
            let wait = report.silent_after.map(|wait| millis(wait).to_string());
            call.arg(report.job.bare(&mut [0; 26]) as &str)
                .bytes(&report.token.0)
                .arg(wait.unwrap_or_default())
                .arg(i32::from(report.progress.is_some()))
                .bytes(report.progress.as_deref().unwrap_or_default());
        }
        let letters = text_of("report", self.link.call(&call).await?)?;
        if letters.len() != reports.len() {
            return Err(StoreError::protocol("report", "a letter a run", &letters));
        }
        Ok(letters.chars().map(|letter| letter == '.').collect())
    }
}
