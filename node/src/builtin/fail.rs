//! `fail`: fails on purpose, for drills and tests of what follows a failure.

use bytes::Bytes;
use paceline_types::{JobError, Outcome};
use serde::Deserialize;

use super::payload;

/// Payload of `fail`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fail {
    /// The message; `failed on purpose` unless given.
    error: Option<String>,
    /// Straight to the dead letters, without another attempt.
    permanent: bool,
    /// Only the first so many attempts fail, and the next one completes.
    times: Option<u32>,
}

/// Fails as the payload asks; `attempt` is the number of this execution, from 1.
pub(super) fn run(payload: &[u8], attempt: u32) -> Outcome {
    let fail: Fail = payload::read("fail", payload)?.spec;
    if fail.times.is_some_and(|times| attempt > times) {
        return Ok(Bytes::from_static(b"null"));
    }
    let error = fail.error.as_deref().unwrap_or("failed on purpose");
    Err(if fail.permanent {
        JobError::permanent(error)
    } else {
        JobError::retryable(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_as_often_as_asked() {
        let retryable = |error: &str| Err(JobError::Retryable(error.to_owned()));
        let table = [
            ("", 7, retryable("failed on purpose")),
            (r#"{"error":"no"}"#, 1, retryable("no")),
            (r#"{"times":2}"#, 2, retryable("failed on purpose")),
            (r#"{"times":2}"#, 3, Ok(Bytes::from_static(b"null"))),
            (
                r#"{"permanent":true}"#,
                1,
                Err(JobError::permanent("failed on purpose")),
            ),
        ];
        for (payload, attempt, outcome) in table {
            assert_eq!(run(payload.as_bytes(), attempt), outcome, "{payload}");
        }
    }
}
