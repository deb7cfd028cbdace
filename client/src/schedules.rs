//! Schedules: create, change, look at, steer and fire them by hand.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use paceline_store::calls::schedule::{ByHandRefusal, Put, PutRefusal, SteerRefusal};
use paceline_store::{CallError, StoreError};
use paceline_types::schedule::{Firing, OverlapPolicy};
use paceline_types::scheduled::{
    Advance, FiringCounts, FiringKind, FiringStep, MAX_BACKFILL, NewFiring, PlannedFiring,
};
use paceline_types::workflow::DefinitionError;
use paceline_types::{
    JobTemplate, NameError, Schedule, ScheduleDefinition, ScheduleId, ScheduleInfo, ShardIndex,
    UnixMillis,
};

use crate::submit::new_job_id;
use crate::{Client, InvalidJob, JobRequest, Listing};

/// How often a change is tried again when somebody else changes the schedule at the same time.
const TRIES: usize = 20;

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// There was no schedule of this id.
    Created,
    /// The definition is in place of an earlier one. Its next firing stays, unless the times
    /// changed.
    Updated,
    /// It was there already; nothing was changed.
    Unchanged,
}

/// Why a schedule was not stored. Nothing was changed, unless [`PutScheduleError::Store`] says
/// that the call may have been carried out; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutScheduleError {
    /// An id that may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The job is not one that may be submitted.
    #[error(transparent)]
    Job(#[from] InvalidJob),
    /// The definition has mistakes, each with the path of its field.
    #[error("the schedule is not valid: {}", list(.0))]
    Invalid(Vec<DefinitionError>),
    /// It never fires: there is no such moment between `starts_at` and `ends_at`.
    #[error("the schedule `{id}` would never fire")]
    NeverFires {
        /// The schedule.
        id: ScheduleId,
    },
    /// The payload is too large.
    #[error(
        "the payload of the schedule `{id}` has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and schedule its address"
    )]
    TooLarge {
        /// The schedule.
        id: ScheduleId,
        /// Its bytes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A limit of its jobs lives in another shard: one script checks both.
    #[error(
        "the limit `{limit}` lives in another shard than the schedule `{id}`, and its jobs are made \
         where the schedule lives; write the limit as `{limit}{{{id}}}`, which puts it there"
    )]
    LimitElsewhere {
        /// The schedule.
        id: ScheduleId,
        /// The key.
        limit: String,
    },
    /// A provider may only change what it made.
    #[error("the schedule `{id}` is not of this provider, and is left alone")]
    Owned {
        /// The schedule.
        id: ScheduleId,
    },
    /// Others changed it all the time.
    #[error("the schedule `{id}` is being changed by somebody else; send it again")]
    Contended {
        /// The schedule.
        id: ScheduleId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a schedule was not steered or fired. Nothing was changed, unless [`ScheduleError::Store`]
/// says that the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// An id that may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is none.
    #[error("there is no schedule `{id}`: it was deleted, will not fire again, or never was")]
    Unknown {
        /// Its id.
        id: ScheduleId,
    },
    /// A backfill of more firings than allowed.
    #[error(
        "the range has more than {MAX_BACKFILL} firings of the schedule `{id}`, which is the most of \
         one backfill; take a shorter range"
    )]
    TooMany {
        /// The schedule.
        id: ScheduleId,
    },
    /// A range that ends before it begins.
    #[error("the backfill ends before it begins; give the earlier time first")]
    Backwards,
    /// Others changed it all the time.
    #[error("the schedule `{id}` is being changed by somebody else; try it again")]
    Contended {
        /// The schedule.
        id: ScheduleId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(mistakes: &[DefinitionError]) -> String {
    let sentences: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

fn checked_id(id: impl AsRef<str>) -> Result<ScheduleId, NameError> {
    ScheduleId::new(id.as_ref())
}

/// A schedule to create or change; await it.
#[must_use = "a schedule is not stored until it is awaited"]
pub struct PutSchedule {
    client: Client,
    definition: Result<ScheduleDefinition, PutScheduleError>,
}

impl IntoFuture for PutSchedule {
    type Output = Result<Applied, PutScheduleError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.put_schedule(&self.definition?).await })
    }
}

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
    /// Creates a schedule, or changes the one of this id: each of its firings becomes a job like
    /// this one.
    ///
    /// A change of the job or of a policy keeps the time of the next firing; a change of the times
    /// computes it anew.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use paceline_client::{Client, JobRequest, Schedule};
    /// # use serde_json::json;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = JobRequest::raw("report", json!({ "pages": 2 }));
    /// client.schedule("every-hour", Schedule::every(Duration::from_secs(3600)), report).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When awaited: see [`PutScheduleError`].
    pub fn schedule(
        &self,
        id: impl AsRef<str>,
        schedule: impl Into<Schedule>,
        job: impl Into<JobRequest>,
    ) -> PutSchedule {
        let definition = || {
            let spec = job.into().into_spec()?;
            let job = JobTemplate::from_spec(&spec)
                .map_err(|mistake| PutScheduleError::Invalid(vec![mistake]))?;
            Ok(ScheduleDefinition {
                id: checked_id(id)?,
                schedule: schedule.into(),
                job,
                provider: None,
            })
        };
        PutSchedule {
            client: self.clone(),
            definition: definition(),
        }
    }

    /// The same for a definition, as files hold it.
    ///
    /// # Errors
    /// When awaited: see [`PutScheduleError`].
    pub fn apply_schedule(&self, definition: ScheduleDefinition) -> PutSchedule {
        PutSchedule {
            client: self.clone(),
            definition: Ok(definition),
        }
    }

    async fn put_schedule(
        &self,
        definition: &ScheduleDefinition,
    ) -> Result<Applied, PutScheduleError> {
        let id = &definition.id;
        let spec = JobRequest::from(definition.job.spec()).into_spec()?;
        let (size, limit) = (spec.payload.len(), self.max_payload());
        if size > limit {
            let id = id.clone();
            return Err(PutScheduleError::TooLarge { id, size, limit });
        }
        let store = self.store();
        let shard = store.shard_of_schedule(id);
        let elsewhere =
            |limit: &&_| ShardIndex::of_key(AsRef::<str>::as_ref(*limit), store.shards()) != shard;
        if let Some(limit) = spec.limits.iter().find(elsewhere) {
            return Err(PutScheduleError::LimitElsewhere {
                id: id.clone(),
                limit: limit.to_string(),
            });
        }
        for _ in 0..TRIES {
            let (known, now) = store.schedule(id).await?;
            let schedule = &definition.schedule;
            let stays = known
                .as_ref()
                .filter(|known| known.definition.schedule.same_times(schedule));
            // What is as it was needs not be in the future again.
            let as_of = stays.map_or(now, |known| known.anchored_at);
            let mistakes = definition.check(as_of);
            if !mistakes.is_empty() {
                return Err(PutScheduleError::Invalid(mistakes));
            }
            let next = match stays {
                Some(_) => None,
                None => match schedule.first(now) {
                    Some(firing) => Some((firing.at, now)),
                    None => return Err(PutScheduleError::NeverFires { id: id.clone() }),
                },
            };
            let seen = known.as_ref().map(|known| known.revision);
            match store.put_schedule(definition, seen, next).await {
                Ok(Put::Created) => return Ok(Applied::Created),
                Ok(Put::Updated) => return Ok(Applied::Updated),
                Ok(Put::Same) => return Ok(Applied::Unchanged),
                Err(CallError::Refused(PutRefusal::Changed)) => {}
                Err(CallError::Refused(PutRefusal::Owned { .. })) => {
                    return Err(PutScheduleError::Owned { id: id.clone() });
                }
                Err(CallError::Store(error)) => return Err(error.into()),
            }
        }
        Err(PutScheduleError::Contended { id: id.clone() })
    }

    /// Lists schedules, newest first.
    pub fn schedules(&self) -> Listing<ScheduleInfo> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.list_schedules(&page).await?.into()) })
        })
    }

    /// How a schedule stands.
    ///
    /// # Errors
    /// [`ScheduleError::Unknown`], or when Redis could not be asked.
    pub async fn schedule_info(&self, id: impl AsRef<str>) -> Result<ScheduleInfo, ScheduleError> {
        Ok(self.known_schedule(&checked_id(id)?).await?.0)
    }

    async fn known_schedule(
        &self,
        id: &ScheduleId,
    ) -> Result<(ScheduleInfo, UnixMillis), ScheduleError> {
        let (known, now) = self.store().schedule(id).await?;
        match known {
            Some(known) => Ok((known, now)),
            None => Err(ScheduleError::Unknown { id: id.clone() }),
        }
    }

    /// The next firings of a schedule, at most `count`, from the one that it stands at; of one
    /// that is paused, from now on.
    ///
    /// # Errors
    /// [`ScheduleError::Unknown`], or when Redis could not be asked.
    pub async fn next_firings(
        &self,
        id: impl AsRef<str>,
        count: usize,
    ) -> Result<Vec<Firing>, ScheduleError> {
        let (known, now) = self.known_schedule(&checked_id(id)?).await?;
        let after = known.next_run_at.map_or(now, |next| next.saturating_sub(1));
        let schedule = &known.definition.schedule;
        let firings = schedule.firings(after, UnixMillis::MAX, known.anchored_at);
        Ok(firings.take(count).collect())
    }

    /// Pauses a schedule: it fires nothing, and starts nothing that waits, until it is resumed.
    /// A run of it goes on. One that is paused already stays so.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub async fn pause_schedule(&self, id: impl AsRef<str>) -> Result<(), ScheduleError> {
        let id = checked_id(id)?;
        let paused = self.store().pause_schedule(&id).await;
        paused.map_err(|error| steer_error(&id, error))
    }

    /// Resumes a schedule: its next firing is the first from now on; those of the pause are not
    /// made up for (a [backfill](Client::backfill_schedule) does that). One that is not paused
    /// stays as it is.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub async fn resume_schedule(&self, id: impl AsRef<str>) -> Result<(), ScheduleError> {
        let id = checked_id(id)?;
        for _ in 0..TRIES {
            let (known, now) = self.known_schedule(&id).await?;
            let schedule = &known.definition.schedule;
            let next = schedule.next_after(now, known.anchored_at);
            let next = next.map(|firing| firing.at);
            let store = self.store();
            match store.resume_schedule(&id, known.revision, next).await {
                Err(CallError::Refused(SteerRefusal::Changed)) => {}
                done => return done.map_err(|error| steer_error(&id, error)),
            }
        }
        Err(ScheduleError::Contended { id })
    }

    /// Deletes a schedule, with the firings that wait for the end of a run. A run of it goes on.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub async fn delete_schedule(&self, id: impl AsRef<str>) -> Result<(), ScheduleError> {
        let id = checked_id(id)?;
        let deleted = self.store().delete_schedule(&id, None, "deleted").await;
        deleted.map_err(|error| steer_error(&id, error))
    }

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
                delay: std::time::Duration::ZERO,
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

fn steer_error(id: &ScheduleId, error: CallError<SteerRefusal>) -> ScheduleError {
    let id = id.clone();
    match error {
        CallError::Refused(SteerRefusal::Unknown) => ScheduleError::Unknown { id },
        CallError::Refused(SteerRefusal::Changed) => ScheduleError::Contended { id },
        CallError::Store(error) => error.into(),
    }
}
