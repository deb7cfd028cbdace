//! Records of batches: `bd:<id>`, the definition without its items, written once; `bt:<id>`, a
//! hash: `r` revision, `s` `<letter> <header as JSON>`, `n` how many items, `c` created, `d`
//! deadline, `e` ended, `x` time of removal, `k` why somebody wants it cancelled, `y` `<call> <1|0>`, which
//! call retried it last, and whether only what had not completed; `bi:<id>`, a hash of the items, 32 a block; `bs:<id>`, two
//! bytes an item. `lua/lib/batches.lua` tells more.
//!
//! In idents, events and the inbox a batch stands where a workflow would, behind `#`, and its item
//! where the task would, as `<place>:<id, escaped>`.

use bytes::Bytes;
use paceline_types::batch::{BatchHeader, BatchStage, ItemRecord};
use paceline_types::{BatchId, BatchStatus};

use super::US;
use super::escape::{escape, unescape};

/// What tells the id of a batch from that of a workflow.
pub(crate) const BATCH_MARK: char = '#';

/// Items whose ids stand together: their jobs share a stem, so that their packs are short.
pub(crate) const BLOCK: u32 = 32;

/// The item of a batch that a job executes, or its onetime task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRef {
    /// The batch.
    pub batch: BatchId,
    /// Where the item stands in the definition;
    /// [`ONETIME_PLACE`](paceline_types::batch::ONETIME_PLACE) of the onetime task.
    pub place: u32,
    /// The item's id.
    pub item: Box<str>,
    /// How often the item was started afresh before.
    pub iteration: u32,
}

impl ItemRef {
    /// US batch US item US iteration, in three digits: the record of a later start is a copy with other
    /// digits in place of these.
    pub(crate) fn write(&self, text: &mut String) {
        use std::fmt::Write as _;
        text.push(US);
        text.push(BATCH_MARK);
        text.push_str(self.batch.bare(&mut [0; 26]));
        text.push(US);
        write_item(text, self.place, &self.item);
        // Writing to a string does not fail.
        let _ = write!(text, "{US}{:03}", self.iteration);
    }

    /// Reads the three fields.
    pub(crate) fn parse(batch: &str, item: &str, iteration: &str) -> Option<ItemRef> {
        let (place, item) = parse_item(item)?;
        Some(ItemRef {
            batch: parse_batch(batch)?,
            place,
            item,
            iteration: iteration.parse().ok()?,
        })
    }
}

/// The batch of a field that may name a workflow as well.
pub(crate) fn parse_batch(field: &str) -> Option<BatchId> {
    BatchId::from_bare(field.strip_prefix(BATCH_MARK)?).ok()
}

/// `<place>:<id, escaped>`.
pub(crate) fn write_item(text: &mut String, place: u32, item: &str) {
    use std::fmt::Write as _;
    let _ = write!(text, "{place}:{}", escape(item));
}

/// Place and id.
pub(crate) fn parse_item(field: &str) -> Option<(u32, Box<str>)> {
    let (place, item) = field.split_once(':')?;
    Some((place.parse().ok()?, unescape(item)?.into()))
}

/// The letter lets scripts tell ended batches: `C`, `F` and `X` are final.
pub(crate) fn encode_header(header: &BatchHeader) -> String {
    let letter = match &header.stage {
        BatchStage::Pending => 'P',
        BatchStage::Preparing | BatchStage::Processing => 'R',
        BatchStage::Ending(_) => 'E',
        BatchStage::Resting(_) => 'W',
        BatchStage::Completed => 'C',
        BatchStage::Ended(ending) if ending.status() == BatchStatus::Cancelled => 'X',
        BatchStage::Ended(_) => 'F',
    };
    // Only text and numbers inside: it cannot fail to serialise.
    format!(
        "{letter} {}",
        serde_json::to_string(header).unwrap_or_default()
    )
}

pub(crate) fn parse_header(text: &str) -> Option<BatchHeader> {
    serde_json::from_str(text.get(2..)?).ok()
}

/// The final status that a letter stands for.
pub(crate) fn ended_status(letter: &str) -> Option<BatchStatus> {
    match letter {
        "C" => Some(BatchStatus::Completed),
        "F" => Some(BatchStatus::Failed),
        "X" => Some(BatchStatus::Cancelled),
        _ => None,
    }
}

/// The records of `count` items, from what is kept of them, which may be shorter; none when
/// something else is in there.
pub(crate) fn parse_records(kept: &[u8], count: usize) -> Option<Vec<ItemRecord>> {
    let mut records = Vec::with_capacity(count);
    for pair in kept.chunks_exact(ItemRecord::SIZE).take(count) {
        records.push(ItemRecord::from_bytes([pair[0], pair[1]])?);
    }
    records.resize(count, ItemRecord::default());
    Some(records)
}

/// One block of items as it is kept: `<packs of their first jobs>\n<ids, escaped, joined by US>`.
pub(crate) fn encode_block<'a>(packs: &str, ids: impl Iterator<Item = &'a str>) -> String {
    let mut block = String::with_capacity(packs.len() + 512);
    block.push_str(packs);
    block.push('\n');
    for (place, id) in ids.enumerate() {
        if place > 0 {
            block.push(US);
        }
        block.push_str(&escape(id));
    }
    block
}

/// The ids of a block, in their order.
pub(crate) fn parse_block(block: &Bytes) -> Option<Vec<String>> {
    let text = std::str::from_utf8(block).ok()?;
    let (_, ids) = text.split_once('\n')?;
    ids.split(US).map(unescape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;
    use paceline_types::batch::{BatchEnding, ItemState};

    #[test]
    fn an_item_is_named_and_read_back_whatever_its_id() {
        for id in ["a", "order: 17, März", "a:b#c", "{x} y"] {
            let item = ItemRef {
                batch: BatchId::from_parts(1, ShardIndex(3), 9),
                place: 70_000,
                item: id.into(),
                iteration: 2,
            };
            let mut text = String::new();
            item.write(&mut text);
            assert!(!text.contains(' '), "{text}");
            let fields: Vec<&str> = text.split(US).skip(1).collect();
            assert_eq!(ItemRef::parse(fields[0], fields[1], fields[2]), Some(item));
        }
        assert_eq!(parse_batch("01ARZ3NDEKTSV4RRFFQ69G5FAV"), None);
    }

    #[test]
    fn headers_and_records_read_back() {
        let ended = BatchHeader {
            stage: BatchStage::Ended(BatchEnding::Cancelled {
                reason: "enough".into(),
            }),
            next: 7,
            ..BatchHeader::NEW
        };
        assert!(encode_header(&ended).starts_with("X "));
        for header in [BatchHeader::NEW, ended] {
            assert_eq!(parse_header(&encode_header(&header)), Some(header));
        }
        let records = parse_records(b"C\0D\x01\0\0", 4).expect("records");
        let states: Vec<ItemState> = records.iter().map(|record| record.state).collect();
        assert_eq!(
            states,
            [
                ItemState::Completed,
                ItemState::Dead,
                ItemState::Waiting,
                ItemState::Waiting
            ]
        );
        assert_eq!(records[1].iteration, 1);
        assert_eq!(parse_records(b"??", 1), None);
    }

    #[test]
    fn a_block_reads_back() {
        let block = encode_block("PACKS", ["a b", "c"].into_iter());
        assert_eq!(
            parse_block(&block.into()),
            Some(vec!["a b".into(), "c".into()])
        );
    }
}
