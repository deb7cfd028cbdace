//! Priority of a job and the tier that it falls into.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Urgency of a job, 1 (lowest) to 10 (highest); 5 when nothing is said.
///
/// Numbers outside the range are not errors: zero and below mean the default, above 10 means 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// 1
    pub const LOW: Priority = Priority(1);
    /// 5
    pub const NORMAL: Priority = Priority(5);
    /// 8
    pub const HIGH: Priority = Priority(8);
    /// 10
    pub const CRITICAL: Priority = Priority(10);

    /// Brings any number into the range.
    #[must_use]
    pub fn new(value: i64) -> Priority {
        match value {
            i64::MIN..=0 => Priority::NORMAL,
            1..=9 => Priority(u8::try_from(value).unwrap_or(5)),
            10..=i64::MAX => Priority::CRITICAL,
        }
    }

    /// The number, 1 to 10.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// 8 to 10 high, 3 to 7 normal, 1 and 2 low.
    #[must_use]
    pub fn tier(self) -> Tier {
        match self.0 {
            8.. => Tier::High,
            3..=7 => Tier::Normal,
            _ => Tier::Low,
        }
    }
}

impl Default for Priority {
    fn default() -> Self {
        Priority::NORMAL
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Priority::new)
    }
}

/// A class of priority with a share of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Priorities 8 to 10.
    High,
    /// Priorities 3 to 7.
    Normal,
    /// Priorities 1 and 2.
    Low,
}

impl Tier {
    /// All tiers, most urgent first.
    pub const ALL: [Tier; 3] = [Tier::High, Tier::Normal, Tier::Low];

    /// One letter, as it stands in keys: `h`, `n`, `l`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Tier::High => 'h',
            Tier::Normal => 'n',
            Tier::Low => 'l',
        }
    }

    /// The tier of a letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| tier.letter() == letter)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::High => "high",
            Tier::Normal => "normal",
            Tier::Low => "low",
        })
    }
}

/// Shares of claims per tier while all of them have work.
///
/// While every tier has work, a tier of weight `w` out of a total of `W` gets `w` of any `W`
/// consecutive jobs that a node claims in a shard. So the bound on starvation is this: between two
/// jobs of a tier a node claims at most `W - w` jobs of the others. By default that is 150 for the low
/// tier, however much work stands above it. A tier without work gives its share to the others.
///
/// [`TierWeights::strict`] has no such bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierWeights {
    high: u32,
    normal: u32,
    low: u32,
}

impl TierWeights {
    /// Weights of the three tiers; a weight of zero is raised to one, so that nothing starves.
    #[must_use]
    pub fn new(high: u32, normal: u32, low: u32) -> TierWeights {
        TierWeights {
            high: high.max(1),
            normal: normal.max(1),
            low: low.max(1),
        }
    }

    /// The most urgent tier that has work, always: while there is enough of it, nothing of the
    /// others is claimed.
    #[must_use]
    pub fn strict() -> TierWeights {
        TierWeights {
            high: 0,
            normal: 0,
            low: 0,
        }
    }

    /// Whether the most urgent tier comes first always.
    #[must_use]
    pub fn is_strict(self) -> bool {
        self.total() == 0
    }

    /// The weight of a tier; 0 for all when they are strict.
    #[must_use]
    pub fn of(self, tier: Tier) -> u32 {
        match tier {
            Tier::High => self.high,
            Tier::Normal => self.normal,
            Tier::Low => self.low,
        }
    }

    /// Sum of all weights.
    #[must_use]
    pub fn total(self) -> u32 {
        self.high + self.normal + self.low
    }
}

impl Default for TierWeights {
    /// 100, 50 and 10.
    fn default() -> Self {
        TierWeights::new(100, 50, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_to_one_range_and_one_tier() {
        let table = [
            (-3, 5, Tier::Normal),
            (0, 5, Tier::Normal),
            (1, 1, Tier::Low),
            (2, 2, Tier::Low),
            (3, 3, Tier::Normal),
            (7, 7, Tier::Normal),
            (8, 8, Tier::High),
            (10, 10, Tier::High),
            (99, 10, Tier::High),
        ];
        for (given, number, tier) in table {
            let priority = Priority::new(given);
            assert_eq!((priority.get(), priority.tier()), (number, tier), "{given}");
        }
    }
}
