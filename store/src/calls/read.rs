//! Reading jobs.

use bytes::Bytes;
use paceline_types::batch::ONETIME_PLACE;
use paceline_types::job::BatchRole;
use paceline_types::{Job, JobId, JobSpec, JobStatus, ShardIndex, UnixMillis};

use super::MAX_BATCH;
use super::cancel::by_shard;
use crate::script::{Invocation, Script};
use crate::wire::job::JobRecord;
use crate::wire::reply::Reply;
use crate::wire::state::{Run, State};
use crate::{Store, StoreError};

pub(crate) static GET: Script = script!("get");

/// The readings that make up a job.
pub(crate) struct Reading {
    pub(crate) record: Bytes,
    pub(crate) state: Bytes,
    pub(crate) token: Bytes,
    pub(crate) progress: Bytes,
}

impl Store {
    /// One job as of one moment; none when there is no such job.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn job(&self, job: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.jobs(&[job]).await?.pop().flatten())
    }

    /// One job as of one moment, and what was asked for, but for the keys that only matter when it
    /// is submitted.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn job_and_spec(&self, job: JobId) -> Result<Option<(Job, JobSpec)>, StoreError> {
        let readings = self.readings(job.shard(), &[job]).await?;
        let Some(reading) = readings.first() else {
            return Ok(None);
        };
        let record = JobRecord::parse(&reading.record);
        Ok(view(job, reading)?.zip(record.map(|record| record.spec)))
    }

    /// Jobs of any shards, in the order of the ids; each as of one moment.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn jobs(&self, jobs: &[JobId]) -> Result<Vec<Option<Job>>, StoreError> {
        let mut found = vec![None; jobs.len()];
        for (shard, indices) in by_shard(jobs.iter().map(|job| job.shard())) {
            for indices in indices.chunks(MAX_BATCH) {
                let ids: Vec<JobId> = indices.iter().map(|&index| jobs[index]).collect();
                let readings = self.readings(shard, &ids).await?;
                for (&index, reading) in indices.iter().zip(readings) {
                    found[index] = view(jobs[index], &reading)?;
                }
            }
        }
        Ok(found)
    }

    /// Records, states and tokens of jobs of one shard, at most [`MAX_BATCH`].
    pub(crate) async fn readings(
        &self,
        shard: ShardIndex,
        jobs: &[JobId],
    ) -> Result<Vec<Reading>, StoreError> {
        let keys = self.keys(shard)?;
        let mut names = vec![
            keys.events.clone(),
            keys.runs.clone(),
            keys.progress.clone(),
        ];
        for &job in jobs {
            names.push(keys.job(job));
        }
        let call = Invocation::new(&GET, &names);
        let mut reply = Reply::list("get", self.link.call(&call).await?)?;
        jobs.iter()
            .map(|_| {
                Ok(Reading {
                    record: reply.bytes()?,
                    state: reply.bytes()?,
                    token: reply.bytes()?,
                    progress: reply.bytes()?,
                })
            })
            .collect()
    }
}

/// Puts a job together; none when its record is gone.
pub(super) fn view(id: JobId, reading: &Reading) -> Result<Option<Job>, StoreError> {
    if reading.record.is_empty() {
        return Ok(None);
    }
    let JobRecord {
        spec,
        workflow,
        batch,
        created_at,
        ..
    } = JobRecord::parse(&reading.record)
        .ok_or_else(|| StoreError::protocol("get", "the record of a job", &reading.record))?;
    let state = State::parse(&reading.state);
    let run = Run::parse(&reading.token);
    let status = match (&run, &state) {
        (Some(_), _) => JobStatus::Running,
        (None, Some(state)) => state
            .status()
            .ok_or_else(|| StoreError::protocol("get", "a state of a job", &state.letter))?,
        (None, None) => JobStatus::Pending,
    };
    let moment = |wanted: bool| -> Option<UnixMillis> {
        let state = state.as_ref().filter(|_| wanted)?;
        state.x.parse().ok().filter(|&at| at > 0)
    };
    let completed = status == JobStatus::Completed;
    let skipped = state.as_ref().is_some_and(|state| state.letter == 'K');
    Ok(Some(Job {
        id,
        task_type: spec.task_type,
        payload: spec.payload,
        status,
        attempt: run
            .as_ref()
            .map(|run| run.attempt)
            .or_else(|| state.as_ref().map(|state| state.attempt))
            .unwrap_or(0),
        run: run
            .as_ref()
            .map(|run| run.run)
            .or_else(|| state.as_ref().map(|state| state.run))
            .unwrap_or(0),
        crashes: state.as_ref().map_or(0, |state| state.crashes),
        consecutive_errors: state.as_ref().map_or(0, |state| state.errors),
        last_error: state
            .as_ref()
            .filter(|state| state.letter != 'C')
            .and_then(State::reason),
        result: state
            .as_ref()
            .filter(|state| completed && state.letter == 'C')
            .map(|state| state.tail.clone()),
        progress: Some(reading.progress.clone()).filter(|told| !told.is_empty()),
        skipped: completed && skipped,
        cancel_requested: run.as_ref().is_some_and(|run| run.cancel_requested),
        priority: spec.priority,
        version: spec.version,
        tags: spec.tags,
        headers: spec.headers,
        unique_key: spec.unique_key,
        retry_policy: spec.retry_policy,
        timeout: spec.timeout,
        limits: spec.limits,
        schedule_to_start_timeout: spec.schedule_to_start_timeout,
        max_duration: spec.max_duration,
        heartbeat_timeout: spec.heartbeat_timeout,
        audited: spec.audited,
        firing: spec.firing,
        workflow_id: workflow.as_ref().map(|place| place.workflow),
        workflow_task: workflow.map(|place| place.task),
        batch_id: batch.as_ref().map(|item| item.batch),
        batch_role: batch.as_ref().map(|item| match item.place {
            ONETIME_PLACE => BatchRole::Onetime,
            _ => BatchRole::Item,
        }),
        batch_item: batch
            .filter(|item| item.place != ONETIME_PLACE)
            .map(|item| item.item.into()),
        node_id: run.as_ref().map(|run| run.node),
        created_at,
        next_run_at: moment(matches!(
            status,
            JobStatus::Scheduled | JobStatus::Retrying | JobStatus::Paused
        )),
        started_at: run.as_ref().map(|run| run.claimed_at),
        completed_at: state
            .as_ref()
            .filter(|_| status.is_terminal())
            .map(|state| state.at),
    }))
}
