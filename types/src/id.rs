//! Ids: 128 bits, sortable by time of creation, each carrying its shard.
//!
//! Layout, most significant first: 48 bits of milliseconds since the Unix epoch, 16 bits of
//! shard, 64 random bits. The text form is 26 characters of Crockford base 32 behind a prefix
//! (`job_`, `wf_`, `node_`), so that an id is recognisable in a log and any id leads to its
//! keys without a lookup. The time inside an id orders and dates it for readers; it decides
//! nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::UnixMillis;

/// Which shard of a namespace: `0..shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardIndex(pub u16);

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ShardIndex {
    /// The shard that a key (unique, idempotency, …) belongs to, of `shards` in all.
    ///
    /// FNV-1a over the bytes, as any language can compute; `shards` must be at least 1. Of a key
    /// with something between its first `{` and the `}` behind that, only this part counts, so that
    /// `{tenant 7}/mail` and `{tenant 7}/print` are in one shard.
    #[must_use]
    pub fn of_key(key: &str, shards: u16) -> ShardIndex {
        let tag = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map(|(tag, _)| tag)
            .filter(|tag| !tag.is_empty());
        let hash = tag
            .unwrap_or(key)
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let index = hash % u64::from(shards.max(1));
        ShardIndex(u16::try_from(index).unwrap_or(0))
    }
}

/// Why a text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id: expected `{prefix}` and 26 characters of base 32")]
pub struct IdError {
    text: String,
    kind: &'static str,
    prefix: &'static str,
}

/// Characters of an id without its prefix.
pub const ID_LEN: usize = 26;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Composes an id from its parts; `random` must differ between ids of one
            /// millisecond and shard.
            #[must_use]
            pub fn from_parts(at: UnixMillis, shard: ShardIndex, random: u64) -> Self {
                let low = (u128::from(shard.0) << 64) | u128::from(random);
                Self(Ulid::from_parts(at & 0xffff_ffff_ffff, low).0)
            }

            /// The shard that holds what this id names.
            #[must_use]
            pub fn shard(self) -> ShardIndex {
                ShardIndex(u16::try_from((self.0 >> 64) & 0xffff).unwrap_or(0))
            }

            /// When it was made, by the clock of its maker.
            #[must_use]
            pub fn made_at(self) -> UnixMillis {
                Ulid(self.0).timestamp_ms()
            }

            /// The 64 low bits.
            #[must_use]
            pub fn random(self) -> u64 {
                u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or(0)
            }

            /// The 26 characters without the prefix, as they stand in keys.
            pub fn bare(self, buffer: &mut [u8; ID_LEN]) -> &str {
                Ulid(self.0).array_to_str(buffer)
            }

            /// Reads the 26 characters without the prefix.
            ///
            /// # Errors
            /// When `text` is not 26 characters of base 32.
            pub fn from_bare(text: &str) -> Result<Self, IdError> {
                Ulid::from_string(text)
                    .map(|ulid| Self(ulid.0))
                    .map_err(|_| IdError { text: text.to_owned(), kind: $kind, prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(self.bare(&mut [0; ID_LEN]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bare = text.strip_prefix($prefix).ok_or_else(|| IdError {
                    text: text.to_owned(),
                    kind: $kind,
                    prefix: $prefix,
                })?;
                Self::from_bare(bare).map_err(|_| IdError {
                    text: text.to_owned(),
                    kind: $kind,
                    prefix: $prefix,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type!(
    /// Names a job for as long as it is kept.
    JobId,
    "job_",
    "job"
);
id_type!(
    /// Names an instance of a workflow.
    WorkflowId,
    "wf_",
    "workflow"
);
id_type!(
    /// Names one incarnation of a node: every start of a node has a new one.
    NodeId,
    "node_",
    "node"
);

id_type!(
    /// Names a batch.
    BatchId,
    "batch_",
    "batch"
);

impl WorkflowId {
    /// The child that one start of a workflow's task is.
    ///
    /// A function of its arguments, as [`JobId::of_task`] is; it lives in one of `shards` shards,
    /// which must be at least 1.
    #[must_use]
    pub fn of_child(parent: WorkflowId, task: u32, iteration: u32, shards: u16) -> WorkflowId {
        let job = JobId::of_task(parent, task, iteration);
        let mixed = job
            .random()
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .rotate_left(32);
        let shard = ShardIndex(u16::try_from(mixed % u64::from(shards.max(1))).unwrap_or(0));
        // The random part is the job's, turned about, so that its jobs do not meet its parent's.
        WorkflowId::from_parts(parent.made_at(), shard, mixed)
    }

    /// The same in the shard of the parent, where limits are that its jobs count against.
    #[must_use]
    pub fn of_child_beside(parent: WorkflowId, task: u32, iteration: u32) -> WorkflowId {
        let child = WorkflowId::of_child(parent, task, iteration, 1);
        WorkflowId::from_parts(parent.made_at(), parent.shard(), child.random())
    }

    /// The instance that a workflow goes on as; in the same shard.
    #[must_use]
    pub fn of_successor(self) -> WorkflowId {
        let mixed = (self.random() ^ 0xa076_1d64_78bd_642f)
            .wrapping_mul(0xe703_7ed1_a0b4_28db)
            .rotate_left(29);
        WorkflowId::from_parts(self.made_at(), self.shard(), mixed)
    }
}

impl JobId {
    /// The job of one start of a batch's item; `item` counts from 0 in the order of the
    /// definition, `iteration` how often the item was started afresh.
    #[must_use]
    pub fn of_item(batch: BatchId, item: u32, iteration: u32) -> JobId {
        JobId::of_task(WorkflowId(batch.0), item, iteration)
    }

    /// The job of one execution of a workflow's task.
    ///
    /// A function of its arguments, so that whoever dispatches the task again names the same
    /// job. `task` is the task's index in the definition, `iteration` counts how often the
    /// task was started afresh (loops, workflow retries).
    #[must_use]
    pub fn of_task(workflow: WorkflowId, task: u32, iteration: u32) -> JobId {
        // An odd multiplier is a bijection on 59 bits: no two tasks of a workflow collide. Tasks
        // beside one another differ in the last character of their ids only.
        let place = ((u64::from(iteration) << 27) | u64::from(task >> 5)).wrapping_add(1);
        let stem = (workflow.random() >> 5).wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let random = (stem << 5) | u64::from(task & 31);
        JobId::from_parts(workflow.made_at(), workflow.shard(), random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_time_and_shard_and_reads_back() {
        let id = JobId::from_parts(1_700_000_000_123, ShardIndex(513), 42);
        let text = id.to_string();
        assert_eq!(text.len(), 4 + ID_LEN);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.shard(), ShardIndex(513));
        assert_eq!(id.made_at(), 1_700_000_000_123);
        assert_eq!(id.random(), 42);
    }

    #[test]
    fn later_ids_sort_later_as_text() {
        let early = JobId::from_parts(1_000, ShardIndex(9), u64::MAX).to_string();
        let late = JobId::from_parts(1_001, ShardIndex(0), 0).to_string();
        assert!(early < late);
    }

    #[test]
    fn foreign_text_is_refused_with_a_sentence() {
        for text in [
            "",
            "job_",
            "wf_00000000000000000000000000",
            "job_0000{}0000000000000000000",
        ] {
            let error = text.parse::<JobId>().expect_err(text).to_string();
            assert!(error.contains("is not a job id"), "{error}");
        }
    }

    #[test]
    fn jobs_of_tasks_differ_by_task_and_iteration_and_stay_in_the_shard() {
        let workflow = WorkflowId::from_parts(5, ShardIndex(3), 77);
        let mut seen = std::collections::HashSet::new();
        for task in 0..200 {
            for iteration in 0..20 {
                let job = JobId::of_task(workflow, task, iteration);
                assert_eq!(job.shard(), ShardIndex(3));
                assert!(seen.insert(job));
            }
        }
    }

    #[test]
    fn keys_with_one_tag_share_a_shard() {
        let of = |key: &str| ShardIndex::of_key(key, 1000);
        for (one, other, alike) in [
            ("{a}x", "y{a}z", true),
            ("{a}", "a", true),
            ("{a}{b}", "{a}{c}", true),
            ("{}a", "{}b", false),
            ("{a", "{b", false),
            ("}a{b}", "b", true),
            ("{a}x", "{b}x", false),
        ] {
            assert_eq!(of(one) == of(other), alike, "{one} {other}");
        }
    }

    #[test]
    fn keys_spread_over_shards() {
        let mut counts = [0; 8];
        for n in 0..800 {
            counts[usize::from(ShardIndex::of_key(&format!("key-{n}"), 8).0)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
    }
}
