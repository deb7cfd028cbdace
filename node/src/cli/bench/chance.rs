//! What is left to chance: the same for the same seed.

use bytes::Bytes;
use paceline_types::{JobSpec, Priority, TaskType};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::failure::Failure;
use super::workers::TASK_TYPE;

/// Text that payloads are cut from; long enough that few of them are alike.
const POOL: usize = 1 << 20;

/// Digits that a numbered payload begins with.
const DIGITS: usize = 10;

/// Where payloads, moments and choices come from.
pub(super) struct Chance {
    random: StdRng,
    pool: Bytes,
    payload: usize,
}

impl Chance {
    /// Payloads of `payload` bytes and everything else, from a seed.
    pub(super) fn new(seed: u64, payload: usize) -> Chance {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
        let mut random = StdRng::seed_from_u64(seed);
        let letter = |byte: u8| LETTERS[usize::from(byte % 32)];
        let pool: Vec<u8> = (0..POOL + payload)
            .map(|_| letter(random.random::<u8>()))
            .collect();
        Chance {
            random,
            pool: pool.into(),
            payload,
        }
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end.max(1))
    }

    /// A share of one.
    pub(super) fn share(&mut self) -> f64 {
        self.random.random()
    }

    /// The next payload.
    pub(super) fn payload(&mut self) -> Bytes {
        let begin = self.below(POOL);
        self.pool.slice(begin..begin + self.payload)
    }

    /// The next payload, with a number in it; longer than asked for where that has no room.
    pub(super) fn numbered(&mut self, number: usize) -> Bytes {
        let mut text = format!("{number:0DIGITS$}").into_bytes();
        let rest = self.payload();
        text.extend_from_slice(rest.get(DIGITS..).unwrap_or_default());
        text.into()
    }

    /// The next payload as JSON: a string of as many bytes, quotes included.
    pub(super) fn json(&mut self) -> serde_json::Value {
        let payload = self.payload();
        let inside = payload.get(2..).unwrap_or_default();
        String::from_utf8_lossy(inside).into_owned().into()
    }

    /// Jobs of the bench.
    pub(super) fn jobs(&mut self, count: u32, priority: Priority) -> Result<Vec<JobSpec>, Failure> {
        let task_type = TaskType::new(TASK_TYPE).map_err(Failure::usage)?;
        let job = |_| JobSpec {
            priority,
            ..JobSpec::new(task_type.clone(), self.payload())
        };
        Ok((0..count).map(job).collect())
    }
}

/// The number in a payload.
pub(super) fn number_in(payload: &[u8]) -> Option<usize> {
    let digits = payload.get(..DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_the_same_payloads() {
        let mut first = Chance::new(7, 100);
        let mut again = Chance::new(7, 100);
        for _ in 0..3 {
            let payload = first.payload();
            assert_eq!(payload.len(), 100);
            assert_eq!(payload, again.payload());
        }
        assert_ne!(first.payload(), Chance::new(8, 100).payload());
    }

    #[test]
    fn numbers_are_found_again() {
        for (size, number, len) in [(100, 0, 100), (100, 123_456, 100), (0, 42, 10)] {
            let payload = Chance::new(1, size).numbered(number);
            assert_eq!((number_in(&payload), payload.len()), (Some(number), len));
        }
        assert_eq!(number_in(b"no"), None);
        assert_eq!(Chance::new(1, 100).json().to_string().len(), 100);
    }
}
