//! `echo`: the result is the payload, upstream results included.

use bytes::Bytes;
use paceline_types::Outcome;

/// Returns what it was given, byte for byte.
pub(super) fn run(payload: Bytes) -> Outcome {
    Ok(payload)
}
