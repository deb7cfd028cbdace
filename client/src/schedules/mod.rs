//! Schedules: create, change, look at, steer and fire them by hand.

mod by_hand;
mod errors;

use std::future::IntoFuture;

use futures::future::BoxFuture;
use paceline_store::CallError;
use paceline_store::calls::schedule::{Put, PutRefusal, SteerRefusal};
use paceline_types::schedule::Firing;
use paceline_types::{
    JobTemplate, NameError, Schedule, ScheduleDefinition, ScheduleId, ScheduleInfo, ShardIndex,
    UnixMillis,
};

use crate::{Client, JobRequest, Listing};

pub use by_hand::FireByHand;
pub use errors::{PutScheduleError, ScheduleError};

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
}

fn steer_error(id: &ScheduleId, error: CallError<SteerRefusal>) -> ScheduleError {
    let id = id.clone();
    match error {
        CallError::Refused(SteerRefusal::Unknown) => ScheduleError::Unknown { id },
        CallError::Refused(SteerRefusal::Changed) => ScheduleError::Contended { id },
        CallError::Store(error) => error.into(),
    }
}
