//! What is kept of an item of a batch: two bytes.

/// Where an item stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ItemState {
    /// It was never started.
    #[default]
    Waiting,
    /// Its job was enqueued and has not ended.
    Dispatched,
    /// Its job was asked to stop and has not ended.
    Cancelling,
    /// It ended well.
    Completed,
    /// It ended well: there was nothing to do.
    Skipped,
    /// It failed.
    Dead,
    /// Its job was cancelled.
    Cancelled,
}

impl ItemState {
    /// Whether its job has not ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, ItemState::Dispatched | ItemState::Cancelling)
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, ItemState::Completed | ItemState::Skipped)
    }

    /// Whether it ended otherwise.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(self, ItemState::Dead | ItemState::Cancelled)
    }
}

/// What is kept of an item: where it stands, and which start of it that is about. With the
/// batch's id and its place it names the job: [`JobId::of_item`](crate::JobId::of_item).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ItemRecord {
    /// Where it stands.
    pub state: ItemState,
    /// Which start of it, from 0: one less than the attempt of the batch, unless it is the first.
    pub iteration: u8,
}

impl ItemRecord {
    /// Bytes of a record.
    pub const SIZE: usize = 2;

    /// As it is kept: a letter, then the iteration; zeros of an item that was never started.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ItemRecord::SIZE] {
        let letter = match self.state {
            ItemState::Waiting => return [0, 0],
            ItemState::Dispatched => b'd',
            ItemState::Cancelling => b'x',
            ItemState::Completed => b'C',
            ItemState::Skipped => b'K',
            ItemState::Dead => b'D',
            ItemState::Cancelled => b'X',
        };
        [letter, self.iteration]
    }

    /// Reads what was kept; none when it is not a record.
    #[must_use]
    pub fn from_bytes([letter, iteration]: [u8; ItemRecord::SIZE]) -> Option<ItemRecord> {
        let state = match letter {
            0 => ItemState::Waiting,
            b'd' => ItemState::Dispatched,
            b'x' => ItemState::Cancelling,
            b'C' => ItemState::Completed,
            b'K' => ItemState::Skipped,
            b'D' => ItemState::Dead,
            b'X' => ItemState::Cancelled,
            _ => return None,
        };
        Some(ItemRecord { state, iteration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_nothing_else_does() {
        for state in [
            ItemState::Waiting,
            ItemState::Dispatched,
            ItemState::Cancelling,
            ItemState::Completed,
            ItemState::Skipped,
            ItemState::Dead,
            ItemState::Cancelled,
        ] {
            let iteration = if state == ItemState::Waiting { 0 } else { 200 };
            let record = ItemRecord { state, iteration };
            assert_eq!(ItemRecord::from_bytes(record.to_bytes()), Some(record));
        }
        assert_eq!(ItemRecord::from_bytes([b'?', 0]), None);
    }
}
