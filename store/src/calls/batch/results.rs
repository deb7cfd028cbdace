//! What the items of a batch came to, a page at a time.

use paceline_types::batch::{BatchHeader, BatchItemResult, BatchResults, ItemRecord, ItemState};
use paceline_types::{BatchId, JobId, JobStatus};

use crate::calls::MAX_BATCH;
use crate::calls::read::{Reading, view};
use crate::wire::batch::{BLOCK, parse_block, parse_records};
use crate::wire::reply::{Reply, bytes_of};
use crate::{Store, StoreError};

/// Items whose records are looked at by one read of a page.
const LOOKED_AT: u32 = 20_000;

/// Reads of a page: a filter that leaves most items out must not turn it into a walk over all.
const MAX_READS: usize = 20;

/// Blocks of ids of one read.
const BLOCKS: u32 = 64;

/// Which items a page holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhichItems {
    /// Those that have ended.
    #[default]
    Ended,
    /// Of these, those that failed or were cancelled.
    Failed,
    /// Every item, ended or not.
    All,
}

/// Which part of the results to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultsRequest {
    /// From this place on: 0, then `next` of the page before.
    pub from: u32,
    /// At most so many items: 1 to 100.
    pub max: usize,
    /// Which of them.
    pub which: WhichItems,
}

/// What tells how an item stands, whatever an earlier attempt came to.
struct Standing {
    header: BatchHeader,
    total: u32,
}

impl Standing {
    /// Where the item stands in the present attempt.
    fn of(&self, place: u32, record: ItemRecord) -> ItemRecord {
        match self.header.is_ahead(place, record) {
            true => ItemRecord {
                state: ItemState::Waiting,
                ..record
            },
            false => record,
        }
    }
}

impl Store {
    /// A page of what the items of a batch came to, in the order of the definition; none when there is
    /// no such batch. It may hold fewer items than asked for, and still have a next one.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn batch_results(
        &self,
        id: BatchId,
        request: &ResultsRequest,
    ) -> Result<Option<BatchResults>, StoreError> {
        let Some(standing) = self.standing(id).await? else {
            return Ok(None);
        };
        let max = request.max.clamp(1, MAX_BATCH);
        let mut chosen: Vec<(u32, ItemRecord)> = Vec::new();
        let mut from = request.from;
        for _ in 0..MAX_READS {
            if from >= standing.total || chosen.len() >= max {
                break;
            }
            let looked_at = match request.which {
                WhichItems::All => u32::try_from(max - chosen.len()).unwrap_or(LOOKED_AT),
                WhichItems::Ended | WhichItems::Failed => LOOKED_AT,
            };
            let until = from.saturating_add(looked_at).min(standing.total);
            let records = self.item_records(id, from, until).await?;
            let mut places = (from..).zip(records);
            from = until;
            for (place, record) in places.by_ref() {
                let record = standing.of(place, record);
                let wanted = match request.which {
                    WhichItems::All => true,
                    WhichItems::Ended => record.state.is_completed() || record.state.is_failed(),
                    WhichItems::Failed => record.state.is_failed(),
                };
                if wanted {
                    chosen.push((place, record));
                    if chosen.len() == max {
                        from = place + 1;
                        break;
                    }
                }
            }
        }
        let items = self.item_results(id, &chosen).await?;
        let next = (from < standing.total).then_some(from);
        Ok(Some(BatchResults { items, next }))
    }

    /// How one item of a batch stands; none when there is no such batch or item.
    ///
    /// There is no index of ids: they are read in their order, some 2,000 at a time.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn batch_item(
        &self,
        id: BatchId,
        item: &str,
    ) -> Result<Option<BatchItemResult>, StoreError> {
        let Some(standing) = self.standing(id).await? else {
            return Ok(None);
        };
        let last = standing.total.div_ceil(BLOCK);
        for first in (0..last).step_by(BLOCKS as usize) {
            let blocks: Vec<u32> = (first..last.min(first + BLOCKS)).collect();
            let found = self.item_ids(id, &blocks).await?;
            for (block, ids) in blocks.into_iter().zip(found) {
                let Some(place) = (block * BLOCK..).zip(ids).find(|(_, id)| id == item) else {
                    continue;
                };
                let place = place.0;
                let records = self.item_records(id, place, place + 1).await?;
                let record = records.first().copied().unwrap_or_default();
                let chosen = [(place, standing.of(place, record))];
                return Ok(self.item_results(id, &chosen).await?.pop());
            }
        }
        Ok(None)
    }

    async fn standing(&self, id: BatchId) -> Result<Option<Standing>, StoreError> {
        let mut found = self.read_batches(id.shard(), &[id], false).await?;
        Ok(found.pop().flatten().map(|stored| Standing {
            header: stored.header,
            total: stored.total,
        }))
    }

    async fn item_records(
        &self,
        id: BatchId,
        from: u32,
        until: u32,
    ) -> Result<Vec<ItemRecord>, StoreError> {
        let mut command = redis::cmd("GETRANGE");
        let size = ItemRecord::SIZE;
        command
            .arg(self.keys(id.shard())?.batch_states(id))
            .arg(from as usize * size)
            .arg(until as usize * size - 1);
        let kept = bytes_of("GETRANGE", self.link.command(&command).await?)?;
        parse_records(&kept, (until - from) as usize)
            .ok_or_else(|| StoreError::protocol("GETRANGE", "records of items", &kept))
    }

    /// The ids of blocks, in their order.
    async fn item_ids(&self, id: BatchId, blocks: &[u32]) -> Result<Vec<Vec<String>>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys(id.shard())?.batch_items(id))
            .arg(blocks);
        let found = Reply::list("HMGET", self.link.command(&command).await?)?;
        let found = found.all_bytes()?.into_iter();
        Ok(found
            .map(|block| parse_block(&block).unwrap_or_default())
            .collect())
    }

    /// The items at these places, which are in ascending order.
    async fn item_results(
        &self,
        id: BatchId,
        chosen: &[(u32, ItemRecord)],
    ) -> Result<Vec<BatchItemResult>, StoreError> {
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let mut blocks: Vec<u32> = chosen.iter().map(|(place, _)| place / BLOCK).collect();
        blocks.dedup();
        let ids = self.item_ids(id, &blocks).await?;
        let item_id = |place: u32| {
            let block = blocks.binary_search(&(place / BLOCK)).ok()?;
            ids.get(block)?.get((place % BLOCK) as usize).cloned()
        };
        let jobs: Vec<JobId> = chosen
            .iter()
            .map(|(place, record)| JobId::of_item(id, *place, record.iteration.into()))
            .collect();
        let readings = self.readings(id.shard(), &jobs).await?;
        let views = chosen.iter().zip(jobs).zip(readings);
        views
            .map(|((&(place, record), job), reading)| {
                let item_id = item_id(place).unwrap_or_default();
                item_view(id, item_id, place, record, job, &reading)
            })
            .collect()
    }
}

fn item_view(
    batch_id: BatchId,
    item_id: String,
    place: u32,
    record: ItemRecord,
    job: JobId,
    reading: &Reading,
) -> Result<BatchItemResult, StoreError> {
    // What waits in this attempt may have a job of an earlier one, which says nothing.
    let started = record.state != ItemState::Waiting;
    let found = match started {
        true => view(job, reading)?,
        false => None,
    };
    let found = found.as_ref();
    let success = record.state.is_completed();
    Ok(BatchItemResult {
        batch_id,
        item_id,
        place,
        job_id: started.then_some(job),
        status: match record.state {
            ItemState::Waiting => JobStatus::Pending,
            ItemState::Dispatched | ItemState::Cancelling => {
                found.map_or(JobStatus::Pending, |job| job.status)
            }
            ItemState::Completed | ItemState::Skipped => JobStatus::Completed,
            ItemState::Dead => JobStatus::Dead,
            ItemState::Cancelled => JobStatus::Cancelled,
        },
        success,
        skipped: record.state == ItemState::Skipped,
        output: found.filter(|_| success).and_then(|job| job.result.clone()),
        error: found
            .filter(|_| !success)
            .and_then(|job| job.last_error.clone()),
    })
}
