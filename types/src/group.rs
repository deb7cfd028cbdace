//! A group: messages that stand until a flush makes one job of them.

use std::time::Duration;

use serde::Serialize;

use crate::{GroupKey, TaskType, UnixMillis};

/// Header of a job that a flush made; its value is the name of the group.
pub const GROUP_HEADER: &str = "x-paceline-group";

/// Most bytes of the payload that a flush makes: 1 MiB, or the client's payload limit if that is
/// less.
pub const MAX_GROUP_BYTES: usize = 1024 * 1024;

/// Most messages that one job of a group may be asked to hold.
pub const MAX_GROUP_SIZE: u32 = 10_000;

/// When a group becomes a job: at whichever moment comes first. Those of the newest push hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// So long after the last push; default 5 s.
    pub grace: Duration,
    /// So long after the first push, whatever follows it; default 30 s.
    pub max_delay: Duration,
    /// As soon as so many messages stand, 1 to [`MAX_GROUP_SIZE`]; default 100.
    pub max_size: u32,
}

impl Default for GroupLimits {
    fn default() -> GroupLimits {
        GroupLimits {
            grace: Duration::from_secs(5),
            max_delay: Duration::from_secs(30),
            max_size: 100,
        }
    }
}

/// What is wrong with the limits of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupLimitsError {
    /// No time at all: leave the group out and submit jobs.
    #[error("{0} must be longer than zero")]
    Zero(&'static str),
    /// No messages, or too many.
    #[error("max_size is {0}, but must be between 1 and {MAX_GROUP_SIZE}")]
    Size(u32),
}

impl GroupLimits {
    /// Checks that the limits can be kept.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), GroupLimitsError> {
        for (name, limit) in [("grace", self.grace), ("max_delay", self.max_delay)] {
            if limit.is_zero() {
                return Err(GroupLimitsError::Zero(name));
            }
        }
        match self.max_size {
            1..=MAX_GROUP_SIZE => Ok(()),
            size => Err(GroupLimitsError::Size(size)),
        }
    }
}

/// A group in which messages stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: GroupKey,
    /// The task type of the job that they will be.
    pub task_type: TaskType,
    /// Messages that stand.
    pub messages: u64,
    /// Bytes of the payload that they will be.
    pub bytes: u64,
    /// When the first of them was pushed.
    pub first_at: UnixMillis,
    /// When they become a job, unless more of them come.
    pub due_at: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_cannot_be_kept_are_told() {
        let new = GroupLimits::default;
        let table = [
            (new(), ""),
            (
                GroupLimits {
                    grace: Duration::ZERO,
                    ..new()
                },
                "grace must be longer than zero",
            ),
            (
                GroupLimits {
                    max_delay: Duration::ZERO,
                    ..new()
                },
                "max_delay must be longer than zero",
            ),
            (
                GroupLimits {
                    max_size: 0,
                    ..new()
                },
                "max_size is 0, but must be between 1 and 10000",
            ),
            (
                GroupLimits {
                    max_size: 10_001,
                    ..new()
                },
                "max_size is 10001, but must be between 1 and 10000",
            ),
        ];
        for (limits, words) in table {
            let told = limits.check().err().map(|error| error.to_string());
            assert_eq!(told.unwrap_or_default(), words);
        }
    }
}
