//! `noop`: does nothing, whatever the payload says.

use bytes::Bytes;
use paceline_types::Outcome;

/// Completes at once with the result `null`.
pub(super) fn run() -> Outcome {
    Ok(Bytes::from_static(b"null"))
}
