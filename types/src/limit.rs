//! Limits that jobs share: how many run at once, how many begin in a second.

use serde::{Deserialize, Serialize};

/// Fastest rate that may be declared: a million a second.
pub const MAX_RATE: f64 = 1e6;

/// What a limit cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Neither a concurrency nor a rate.
    #[error("the limit limits nothing; give it a concurrency, a rate or both")]
    Empty,
    /// No job could ever run.
    #[error("the concurrency of a limit must be at least 1; pause the task type to stop its jobs")]
    Concurrency,
    /// Not a number, zero, negative or too large.
    #[error("a rate must be more than 0 and at most 1000000 a second")]
    Rate,
    /// No job could ever begin.
    #[error("the burst of a rate must be at least 1")]
    Burst,
}

/// How many jobs may begin in a second, in the long run and at once.
///
/// In any `t` seconds at most `burst + t * per_second` begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    per_second: f64,
    burst: u32,
}

impl Rate {
    /// So many a second, with a burst of as many, rounded up.
    ///
    /// # Errors
    /// [`LimitError::Rate`].
    pub fn per_second(rate: f64) -> Result<Rate, LimitError> {
        if !(rate > 0.0 && rate <= MAX_RATE) {
            return Err(LimitError::Rate);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a million"
        )]
        let burst = rate.ceil() as u32;
        Ok(Rate {
            per_second: rate,
            burst,
        })
    }

    /// The same with another burst: most that may begin at once after a pause.
    ///
    /// # Errors
    /// [`LimitError::Burst`].
    pub fn with_burst(self, burst: u32) -> Result<Rate, LimitError> {
        if burst == 0 {
            return Err(LimitError::Burst);
        }
        Ok(Rate { burst, ..self })
    }

    /// How many a second.
    #[must_use]
    pub fn rate(self) -> f64 {
        self.per_second
    }

    /// How many at once.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }
}

/// What is declared for a key, for all jobs that carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Most jobs that run at once, over the cluster; at least 1.
    pub concurrency: Option<u32>,
    /// Most jobs that begin in a time, over the cluster.
    pub rate: Option<Rate>,
}

impl Limit {
    /// Most jobs at once.
    #[must_use]
    pub fn concurrency(most: u32) -> Limit {
        Limit {
            concurrency: Some(most),
            rate: None,
        }
    }

    /// Most jobs in a time.
    #[must_use]
    pub fn rate(rate: Rate) -> Limit {
        Limit {
            concurrency: None,
            rate: Some(rate),
        }
    }

    /// Whether it can be declared.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), LimitError> {
        match (self.concurrency, self.rate) {
            (None, None) => Err(LimitError::Empty),
            (Some(0), _) => Err(LimitError::Concurrency),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract row 5: the burst is the rate, rounded up, unless it is given.
    #[test]
    fn a_rate_has_its_burst() {
        for (rate, burst) in [(0.1, 1), (1.0, 1), (2.5, 3), (10.0, 10), (1e6, 1_000_000)] {
            let rate = Rate::per_second(rate).expect("a rate");
            assert_eq!(rate.burst(), burst);
            assert_eq!(rate.with_burst(7).map(Rate::burst), Ok(7));
            assert_eq!(rate.with_burst(0), Err(LimitError::Burst));
        }
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert_eq!(Rate::per_second(rate), Err(LimitError::Rate), "{rate}");
        }
    }

    #[test]
    fn a_limit_that_stops_everything_or_nothing_is_none() {
        let rate = Rate::per_second(1.0).expect("a rate");
        let table = [
            (Limit::default(), Err(LimitError::Empty)),
            (Limit::concurrency(0), Err(LimitError::Concurrency)),
            (Limit::concurrency(1), Ok(())),
            (Limit::rate(rate), Ok(())),
        ];
        for (limit, expected) in table {
            assert_eq!(limit.check(), expected, "{limit:?}");
        }
    }
}
