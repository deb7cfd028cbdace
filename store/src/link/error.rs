//! What a call of Redis can come back with besides its reply.

use std::time::Duration;

use redis::RedisError;

/// Why a call of Redis did not succeed.
///
/// Cheap to clone, since one call may carry the work of many callers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No usable reply in time, although the call was sent again until its deadline.
    /// When `maybe_stored`, **the call may have been carried out**: send the same call again.
    #[error(
        "Redis at {server} gave no usable answer within {waited:.1?} ({source}), so this call {}: \
         check that it is up and reachable, then repeat the call",
        outcome(*maybe_stored)
    )]
    Unreachable {
        /// Where, without credentials.
        server: String,
        /// From the first attempt to the last failure.
        waited: Duration,
        /// Whether an attempt was sent whose outcome is unknown.
        maybe_stored: bool,
        /// The last failure.
        source: RedisError,
    },
    /// Redis has reached its `maxmemory`. Nothing was stored.
    #[error(
        "Redis at {server} is out of memory and takes no new work: raise its maxmemory, shorten \
         the retention, or let the waiting work drain"
    )]
    OutOfMemory {
        /// Where, without credentials.
        server: String,
    },
    /// Wrong password, or a user without a right that is needed.
    #[error(
        "Redis at {server} denied {what} ({detail}): mend the user and password of the Redis URL, \
         or grant the user this command and these keys"
    )]
    Denied {
        /// Where, without credentials.
        server: String,
        /// The script or command.
        what: String,
        /// The words of Redis.
        detail: String,
    },
    /// The address is not what the URL says it is.
    #[error("the Redis URL does not fit what is at {server}: {remedy}")]
    Mismatch {
        /// Where, without credentials.
        server: String,
        /// What was found and what to write instead.
        remedy: String,
    },
    /// An id of a shard that the namespace does not have. Nothing was sent.
    #[error(
        "shard {shard} does not exist, namespace {namespace} at {server} has {shards}: use the \
         Redis and the namespace that the id comes from"
    )]
    UnknownShard {
        /// Where, without credentials.
        server: String,
        /// The namespace.
        namespace: String,
        /// The shard.
        shard: u16,
        /// How many there are.
        shards: usize,
    },
    /// The reply does not have the shape that this version of Paceline expects.
    #[error(
        "{what} answered {got} where {expected} was expected: check that all nodes run the same \
         version of Paceline"
    )]
    Protocol {
        /// The script or command.
        what: &'static str,
        /// What should have come.
        expected: String,
        /// What came, cut to a readable length.
        got: String,
    },
    /// Redis refused the call for a reason that repeating it does not mend.
    #[error("Redis at {server} refused {what}: {detail}")]
    Server {
        /// Where, without credentials.
        server: String,
        /// The script or command.
        what: String,
        /// First word of the error, such as `WRONGTYPE`.
        code: String,
        /// The whole error, with the line of the script that it points at.
        detail: String,
    },
}

const fn outcome(maybe_stored: bool) -> &'static str {
    if maybe_stored {
        "may have been stored"
    } else {
        "was not stored"
    }
}

impl StoreError {
    /// A reply of `what` that is not `expected`; `got` is shown shortened.
    #[must_use]
    pub fn protocol(
        what: &'static str,
        expected: impl Into<String>,
        got: &impl std::fmt::Debug,
    ) -> Self {
        const SHOWN: usize = 200;
        let mut got = format!("{got:?}");
        if got.len() > SHOWN {
            let end = (0..=SHOWN).rev().find(|at| got.is_char_boundary(*at));
            got.truncate(end.unwrap_or(0));
            got.push('…');
        }
        Self::Protocol {
            what,
            expected: expected.into(),
            got,
        }
    }

    /// Whether the call may have been carried out although no reply came.
    #[must_use]
    pub const fn maybe_stored(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                maybe_stored: true,
                ..
            }
        )
    }

    /// Whether the same call may succeed later without anyone mending anything but the network,
    /// Redis itself, or its memory.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::OutOfMemory { .. })
    }

    /// The first word of the error when Redis refused the call, such as `NOGROUP`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Why no [`Link`](super::Link) could be made. Nothing was stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A PEM file cannot be used.
    #[error("the file {path} that the Redis URL names for TLS cannot be used: {detail}")]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
    /// Redis is not there, or is not what the URL says.
    #[error(transparent)]
    Store(#[from] StoreError),
}
