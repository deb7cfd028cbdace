//! Submitting batches: first the items, by the hundred, then the batch, which nobody sees before.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::batch::{
    BatchDefinition, BatchHeader, BatchItem, BatchPlan, ONETIME_RESULT_PLACE,
};
use paceline_types::{BatchId, JobId};

use crate::calls::turn::UpstreamRef;
use crate::script::{Invocation, Script};
use crate::wire::batch::{BLOCK, ItemRef, encode_block, encode_header};
use crate::wire::pack::pack;
use crate::wire::reply::text_of;
use crate::wire::{job, millis};
use crate::{Store, StoreError};

pub(crate) static STAGE_BATCH: Script = script!("stage_batch");
pub(crate) static ACCEPT_BATCH: Script = script!("accept_batch");

/// Most items of one staging call: three blocks.
pub const MAX_STAGED: usize = 96;

/// Bytes of payloads that one staging call carries, about; a single item may have more.
const MAX_STAGED_BYTES: usize = 4 << 20;

/// How long items are kept that were staged, without the batch being accepted: 1 hour after the last
/// of them.
pub const STAGED_RETENTION: Duration = Duration::from_secs(3600);

/// Staging calls that are under way at once.
const IN_FLIGHT: usize = 4;

/// How often a submission begins anew because its items were removed meanwhile.
const MAX_TRIES: usize = 3;

/// What became of a batch that was to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is accepted, and the leader begins it.
    Created,
    /// It was accepted before; nothing was stored.
    Existing,
    /// Not all of its items are kept; nothing was stored. Stage them again.
    Incomplete,
}

impl Store {
    /// Submits a batch whose definition has been validated: stages all items and accepts it. False when
    /// it had been accepted before.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again, and changes nothing the second
    /// time. What was staged is removed by itself after [`STAGED_RETENTION`].
    pub async fn submit_batch(
        &self,
        id: BatchId,
        definition: &BatchDefinition,
        plan: &BatchPlan,
    ) -> Result<bool, StoreError> {
        use futures::future::FutureExt as _;
        use futures::stream::{StreamExt as _, TryStreamExt as _};
        for _ in 0..MAX_TRIES {
            let calls = portions(&definition.items).into_iter();
            // Boxed, since the compiler cannot see that the whole is `Send` otherwise.
            let calls: Vec<_> = calls
                .map(|(first, items)| self.stage_batch(id, plan, first, items).boxed())
                .collect();
            futures::stream::iter(calls)
                .buffer_unordered(IN_FLIGHT)
                .try_collect::<()>()
                .await?;
            match self.accept_batch(id, definition, plan).await? {
                Accepted::Created => return Ok(true),
                Accepted::Existing => return Ok(false),
                Accepted::Incomplete => {}
            }
        }
        Err(StoreError::protocol(
            "accept_batch",
            "all items that were staged",
            &"fewer",
        ))
    }

    /// Keeps items of a batch that is not accepted yet, at most [`MAX_STAGED`], from the place `first`
    /// on, which is a multiple of 32; all but the last call carry whole blocks of 32.
    ///
    /// # Errors
    /// [`StoreError::OutOfMemory`]: none of them is kept. When there was no answer the same call may be
    /// sent again.
    pub async fn stage_batch(
        &self,
        id: BatchId,
        plan: &BatchPlan,
        first: u32,
        items: &[BatchItem],
    ) -> Result<(), StoreError> {
        debug_assert!(items.len() <= MAX_STAGED && first.is_multiple_of(BLOCK));
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.batch(id),
            keys.batch_items(id),
            keys.ended.clone(),
        ];
        let payloads: usize = items
            .iter()
            .map(|item| item.payload_bytes().len() + 160)
            .sum();
        let blocks = || items.chunks(BLOCK as usize);
        let arguments = 2 + 3 * blocks().len() + items.len();
        let mut call = Invocation::with_capacity(&STAGE_BATCH, &names, arguments, payloads);
        call.arg(millis(STAGED_RETENTION)).arg(blocks().len());
        for (number, block) in (first / BLOCK..).zip(blocks()) {
            let places = number * BLOCK..;
            let jobs = places
                .zip(block)
                .map(|(place, _)| JobId::of_item(id, place, 0));
            let ids = block.iter().map(|item| item.id.as_str());
            call.arg(number)
                .arg(block.len())
                .arg(encode_block(&pack(jobs), ids));
        }
        let upstream = onetime_upstream(id, plan);
        for (place, item) in (first..).zip(items) {
            let spec = plan.item_spec(Bytes::copy_from_slice(item.payload_bytes()));
            let item = ItemRef {
                batch: id,
                place,
                item: item.id.as_str().into(),
                iteration: 0,
            };
            call.bytes(&job::encode_item(&spec, &item, upstream.as_ref()));
        }
        let _accepted_before = text_of("stage_batch", self.link.call(&call).await?)?;
        Ok(())
    }

    /// Accepts a batch whose items have been staged.
    ///
    /// # Errors
    /// [`StoreError::OutOfMemory`]: it is not accepted. When there was no answer the same call may be
    /// sent again.
    pub async fn accept_batch(
        &self,
        id: BatchId,
        definition: &BatchDefinition,
        plan: &BatchPlan,
    ) -> Result<Accepted, StoreError> {
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.batch(id),
            keys.batch_definition(id),
            keys.batch_items(id),
            keys.ended.clone(),
            keys.active_batches.clone(),
        ];
        let head = serde_json::to_vec(&definition.head())
            .map_err(|error| StoreError::protocol("accept_batch", "a definition", &error))?;
        let mut call = Invocation::new(&ACCEPT_BATCH, &names);
        call.bytes(&head)
            .arg(encode_header(&BatchHeader::NEW))
            .arg(plan.total)
            .arg(plan.total.div_ceil(BLOCK));
        let answer = text_of("accept_batch", self.link.call(&call).await?)?;
        Ok(match answer.as_str() {
            "1" => Accepted::Created,
            "0" => Accepted::Existing,
            _ => Accepted::Incomplete,
        })
    }
}

/// What an item's handler is given beside its payload: what the onetime task came to.
fn onetime_upstream(id: BatchId, plan: &BatchPlan) -> Option<UpstreamRef> {
    plan.onetime.as_ref()?;
    let result = JobId::of_item(id, ONETIME_RESULT_PLACE, 0);
    Some(UpstreamRef {
        sources: vec![(BatchPlan::onetime_name()?, Some(result))],
        ..UpstreamRef::default()
    })
}

/// Items in portions of one call: whole blocks, of so many bytes.
fn portions(items: &[BatchItem]) -> Vec<(u32, &[BatchItem])> {
    let mut portions = Vec::new();
    let (mut first, mut size, mut bytes) = (0, 0, 0);
    for block in items.chunks(BLOCK as usize) {
        let more: usize = block.iter().map(|item| item.payload_bytes().len()).sum();
        if size > 0 && (size + block.len() > MAX_STAGED || bytes + more > MAX_STAGED_BYTES) {
            portions.push((first, size));
            (first, size, bytes) = (first + size, 0, 0);
        }
        size += block.len();
        bytes += more;
    }
    portions.push((first, size));
    let place = |first: usize| u32::try_from(first).unwrap_or(u32::MAX);
    portions
        .into_iter()
        .map(|(first, size)| (place(first), &items[first..first + size]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_whole_blocks_of_bounded_size() {
        let small: Vec<BatchItem> = (0..250)
            .map(|n| BatchItem::new(n.to_string(), None))
            .collect();
        let sizes = |items: &[BatchItem]| -> Vec<(u32, usize)> {
            let portions = portions(items).into_iter();
            portions
                .map(|(first, items)| (first, items.len()))
                .collect()
        };
        assert_eq!(sizes(&small), [(0, 96), (96, 96), (192, 58)]);
        assert_eq!(sizes(&small[..1]), [(0, 1)]);
        let text = format!("\"{}\"", "x".repeat(256 << 10));
        let raw = serde_json::value::RawValue::from_string(text).expect("json");
        let large: Vec<BatchItem> = (0..70)
            .map(|n| BatchItem::new(n.to_string(), Some(raw.clone())))
            .collect();
        assert_eq!(sizes(&large), [(0, 32), (32, 32), (64, 6)]);
    }
}
