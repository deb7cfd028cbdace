//! Firings that somebody asks for: one now, or those of a range of time.

use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use paceline_store::CallError;
use paceline_store::calls::schedule::ByHandRefusal;
use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{
    Advance, FiringCounts, FiringKind, FiringStep, MAX_BACKFILL, NewFiring, PlannedFiring,
};
use paceline_types::{NameError, Schedule, ScheduleId, UnixMillis};

use super::{ScheduleError, TRIES, checked_id};
use crate::Client;
use crate::submit::new_job_id;

/// Firings that were asked for by hand; await it.
#[must_use = "nothing is fired until it is awaited"]
pub struct FireByHand {
    client: Client,
    id: Result<ScheduleId, NameError>,
    range: Option<(UnixMillis, UnixMillis)>,
    overlap: Option<OverlapPolicy>,
}

impl FireByHand {
    /// Under this overlap policy in place of the schedule's own.
    pub fn overlap(mut self, policy: OverlapPolicy) -> Self {
        self.overlap = Some(policy);
        self
    }
}

impl IntoFuture for FireByHand {
    type Output = Result<FiringCounts, ScheduleError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let id = self.id?;
            self.client
                .fire_by_hand(&id, self.range, self.overlap)
                .await
        })
    }
}

impl Client {
    /// Fires a schedule once now, also when it is paused; its next firing stays. Its overlap
    /// policy holds, unless the call says otherwise: the counts tell what became of the firing.
    ///
    /// # Errors
    /// When awaited: see [`ScheduleError`].
    pub fn run_schedule(&self, id: impl AsRef<str>) -> FireByHand {
        FireByHand {
            client: self.clone(),
            id: checked_id(id),
            range: None,
            overlap: None,
        }
    }

    /// Fires what a schedule names from `start` to `end`, both included, oldest first; its next
    /// firing stays. A firing of that time that took place is repeated. At most 100 firings.
    ///
    /// The schedule's overlap policy holds, unless the call says otherwise: with SKIP one firing of
    /// the range becomes a job, with BUFFER_ALL one after the other.
    ///
    /// # Errors
    /// When awaited: see [`ScheduleError`].
    pub fn backfill_schedule(
        &self,
        id: impl AsRef<str>,
        start: UnixMillis,
        end: UnixMillis,
    ) -> FireByHand {
        FireByHand {
            client: self.clone(),
            id: checked_id(id),
            range: Some((start, end)),
            overlap: None,
        }
    }

    async fn fire_by_hand(
        &self,
        id: &ScheduleId,
        range: Option<(UnixMillis, UnixMillis)>,
        overlap: Option<OverlapPolicy>,
    ) -> Result<FiringCounts, ScheduleError> {
        if range.is_some_and(|(start, end)| start > end) {
            return Err(ScheduleError::Backwards);
        }
        let shard = self.store().shard_of_schedule(id);
        for _ in 0..TRIES {
            let (known, now) = self.known_schedule(id).await?;
            let schedule = &known.definition.schedule;
            let (times, kind) = match range {
                None => (vec![now], FiringKind::ByHand),
                Some((start, end)) => {
                    let found = firings_between(schedule, start, end, known.anchored_at);
                    (found, FiringKind::Backfill)
                }
            };
            if times.len() > MAX_BACKFILL {
                return Err(ScheduleError::TooMany { id: id.clone() });
            }
            let spec = known.definition.job.spec();
            let firings = times.into_iter().map(|at| NewFiring {
                firing: PlannedFiring { at, kind },
                job: new_job_id(shard),
                delay: Duration::ZERO,
                spec: known.definition.firing(&spec, at, kind.is_backfill()),
            });
            let step = FiringStep {
                id: id.clone(),
                revision: known.revision.to_string(),
                advance: Advance::Stay,
                overlap: overlap.unwrap_or(schedule.overlap_policy),
                drains: false,
                firings: firings.collect(),
            };
            match self.store().fire_by_hand(&step).await {
                Ok(counts) => return Ok(counts),
                Err(CallError::Refused(ByHandRefusal::Changed)) => {}
                Err(CallError::Refused(ByHandRefusal::Unknown)) => {
                    return Err(ScheduleError::Unknown { id: id.clone() });
                }
                Err(CallError::Store(error)) => return Err(error.into()),
            }
        }
        Err(ScheduleError::Contended { id: id.clone() })
    }
}

/// One more than allowed tells that there are too many.
fn firings_between(
    schedule: &Schedule,
    start: UnixMillis,
    end: UnixMillis,
    anchored_at: UnixMillis,
) -> Vec<UnixMillis> {
    // Nothing fires before the first millisecond.
    let after = start.saturating_sub(1);
    let firings = schedule.firings(after, end, anchored_at);
    firings
        .take(MAX_BACKFILL + 1)
        .map(|firing| firing.at)
        .collect()
}
