//! Batches as they are kept, and how they stand.

use bytes::Bytes;
use paceline_types::batch::{
    Batch, BatchDefinition, BatchHeader, BatchOnetimeState, BatchPlan, BatchProgress, BatchStatus,
    ItemRecord, ONETIME_PLACE, OnetimeRecord, OnetimeState,
};
use paceline_types::{BatchId, JobId, JobStatus, ShardIndex, UnixMillis};
use redis::Value;

use crate::calls::read::Reading;
use crate::wire::batch::{parse_header, parse_records};
use crate::wire::reply::{Reply, bytes_of};
use crate::{Store, StoreError};

/// A batch as it is kept.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The definition without its items, as JSON.
    pub definition: Bytes,
    /// Where it stands.
    pub header: BatchHeader,
    /// It was retried by hand, which its header does not say yet: whether only what had not completed.
    pub retried: Option<bool>,
    /// Why somebody wanted it cancelled, since it was accepted or retried by hand.
    pub cancelled: Option<String>,
    /// Grows with every commit.
    pub revision: u64,
    /// How many items it has.
    pub total: u32,
    /// Where they stand, if that was read.
    pub records: Vec<ItemRecord>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it times out.
    pub deadline: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
}

/// The fields of a record that are read, in this order.
const FIELDS: [&str; 8] = ["s", "r", "n", "c", "d", "e", "y", "k"];

impl Store {
    /// Batches of one shard as they are kept, with where their items stand, in the order of the ids;
    /// none where none was accepted.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn load_batches(
        &self,
        shard: ShardIndex,
        ids: &[BatchId],
    ) -> Result<Vec<Option<StoredBatch>>, StoreError> {
        self.read_batches(shard, ids, true).await
    }

    pub(crate) async fn read_batches(
        &self,
        shard: ShardIndex,
        ids: &[BatchId],
        with_records: bool,
    ) -> Result<Vec<Option<StoredBatch>>, StoreError> {
        let keys = self.keys(shard)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &id in ids {
            pipeline.cmd("GET").arg(keys.batch_definition(id));
            pipeline.cmd("HMGET").arg(keys.batch(id)).arg(&FIELDS);
            if with_records {
                pipeline.cmd("GET").arg(keys.batch_states(id));
            }
        }
        let mut values = self.link.pipeline(&pipeline).await?.into_iter();
        let mut next = || {
            let value = values.next();
            value.ok_or_else(|| StoreError::protocol("HMGET", "a reply for each", &"fewer"))
        };
        let mut found = Vec::with_capacity(ids.len());
        for _ in ids {
            let definition = bytes_of("GET", next()?)?;
            let fields = next()?;
            let states = match with_records {
                true => Some(bytes_of("GET", next()?)?),
                false => None,
            };
            found.push(stored(definition, fields, states)?);
        }
        Ok(found)
    }

    /// How a batch stands; none when there is no such batch. Its items are read with
    /// [`Store::batch_results`].
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let mut found = self.read_batches(id.shard(), &[id], true).await?;
        let Some(stored) = found.pop().flatten() else {
            return Ok(None);
        };
        let mut view = stored.view(id)?;
        view.running_items = count(&stored.records, |record| record.state.is_open());
        let moved = view.completed_items + view.failed_items + view.running_items;
        view.pending_items = stored.total.saturating_sub(moved);
        if let Some(onetime) = &stored.header.onetime {
            let job = JobId::of_item(id, ONETIME_PLACE, onetime.iteration);
            let reading = self.readings(id.shard(), &[job]).await?.pop();
            view.onetime_state = Some(onetime_view(job, onetime, reading.as_ref()));
        }
        Ok(Some(view))
    }

    /// How far a batch is, as its last commit says; none when there is no such batch.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn batch_progress(&self, id: BatchId) -> Result<Option<BatchProgress>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys(id.shard())?.batch(id))
            .arg("s")
            .arg("n");
        let mut reply = Reply::list("HMGET", self.link.command(&command).await?)?;
        let (header, total) = (reply.text()?, reply.text()?);
        if header.is_empty() {
            return Ok(None);
        }
        let parsed = parse_header(&header).zip(total.parse().ok());
        let (parsed, total) = parsed
            .ok_or_else(|| StoreError::protocol("HMGET", "the record of a batch", &header))?;
        let mut progress = parsed.progress(id, total);
        if header.starts_with('R') && parsed.stage.is_closed() {
            progress.step = paceline_types::batch::BatchStep::Processing;
        }
        Ok(Some(progress))
    }
}

fn count(records: &[ItemRecord], wanted: impl Fn(&ItemRecord) -> bool) -> u32 {
    let wanted = records.iter().filter(|record| wanted(record));
    u32::try_from(wanted.count()).unwrap_or(u32::MAX)
}

fn stored(
    definition: Bytes,
    fields: Value,
    states: Option<Bytes>,
) -> Result<Option<StoredBatch>, StoreError> {
    let mut fields = Reply::list("HMGET", fields)?;
    let broken = || StoreError::protocol("HMGET", "the record of a batch", &"another");
    let (header, revision) = (fields.text()?, fields.text()?);
    if revision.is_empty() || definition.is_empty() {
        return Ok(None);
    }
    let (total, created) = (fields.text()?, fields.text()?);
    let total: u32 = total.parse().map_err(|_| broken())?;
    let parsed = parse_header(&header).ok_or_else(broken)?;
    let records = match states {
        None => Vec::new(),
        Some(states) => parse_records(&states, total as usize).ok_or_else(broken)?,
    };
    let (deadline, ended_at) = (fields.text()?.parse().ok(), fields.text()?.parse().ok());
    let failed_only = !fields.text()?.ends_with(" 0");
    // Words of a caller may be empty, and a reason that is not there is no text.
    let cancelled = fields.given()?;
    let retried = header.starts_with('R') && parsed.stage.is_closed();
    Ok(Some(StoredBatch {
        definition,
        retried: retried.then_some(failed_only),
        cancelled,
        header: parsed,
        revision: revision.parse().map_err(|_| broken())?,
        total,
        records,
        created_at: created.parse().map_err(|_| broken())?,
        deadline,
        ended_at,
    }))
}

impl StoredBatch {
    /// Everything but what its items and its onetime task say.
    pub(crate) fn view(&self, id: BatchId) -> Result<Batch, StoreError> {
        let broken = |problem: &dyn std::fmt::Display| {
            StoreError::protocol("GET", "a definition", &problem.to_string())
        };
        let text = String::from_utf8_lossy(&self.definition);
        let definition = BatchDefinition::from_json(&text).map_err(|error| broken(&error))?;
        let plan = BatchPlan::restore(&definition, self.total).map_err(|error| broken(&error))?;
        let header = &self.header;
        let status = match self.retried {
            Some(_) => BatchStatus::Running,
            None => header.stage.status(),
        };
        let mut progress = header.progress(id, self.total);
        if self.retried.is_some() {
            progress.step = paceline_types::batch::BatchStep::Processing;
        }
        Ok(Batch {
            id,
            name: definition.name.clone(),
            status,
            error: header.stage.ending().map(ToString::to_string),
            onetime_state: header.onetime.as_ref().map(|onetime| {
                let job = JobId::of_item(id, ONETIME_PLACE, onetime.iteration);
                onetime_view(job, onetime, None)
            }),
            definition,
            total_items: self.total,
            completed_items: header.completed,
            failed_items: header.failed,
            running_items: 0,
            pending_items: self.total.saturating_sub(header.done()),
            next_chunk_index: header.next,
            step: progress.step,
            attempt: header.attempt,
            max_attempts: plan.max_attempts(),
            created_at: self.created_at,
            deadline: self.deadline,
            completed_at: self.ended_at,
        })
    }
}

fn onetime_view(
    job: JobId,
    onetime: &OnetimeRecord,
    reading: Option<&Reading>,
) -> BatchOnetimeState {
    let found = reading.and_then(|reading| crate::calls::read::view(job, reading).ok().flatten());
    let (status, error) = match &onetime.state {
        OnetimeState::Dispatched | OnetimeState::Cancelling => {
            let status = found.as_ref().map_or(JobStatus::Pending, |job| job.status);
            (status, None)
        }
        OnetimeState::Completed | OnetimeState::Skipped => (JobStatus::Completed, None),
        OnetimeState::Dead { error } => (JobStatus::Dead, Some(error.clone())),
        OnetimeState::Cancelled => (JobStatus::Cancelled, None),
    };
    let found = found.as_ref();
    BatchOnetimeState {
        job_id: Some(job),
        status,
        result_data: found.and_then(|job| job.result.clone()),
        error: error.or_else(|| found.and_then(|job| job.last_error.clone())),
        started_at: found.and_then(|job| job.started_at),
        finished_at: found.and_then(|job| job.completed_at),
    }
}
