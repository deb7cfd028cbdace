//! `sleep`: completes after a while, or ends at once when it is cancelled.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobError, Outcome, duration};
use serde::Deserialize;

use super::payload;

/// Payload of `sleep`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sleep {
    /// How long.
    #[serde(with = "duration")]
    duration: Duration,
}

/// Sleeps as long as the payload says, holding its slot of the node meanwhile.
pub(super) async fn run(payload: &[u8], cancelled: impl Future<Output = ()>) -> Outcome {
    let sleep: Sleep = payload::read("sleep", payload)?.spec;
    tokio::select! {
        () = tokio::time::sleep(sleep.duration) => Ok(Bytes::from_static(b"null")),
        () = cancelled => Err(JobError::retryable("cancelled while asleep")),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn it_sleeps_as_long_as_asked() {
        let began = std::time::Instant::now();
        let outcome = run(br#"{"duration":"50ms"}"#, pending()).await;
        assert_eq!(outcome, Ok(Bytes::from_static(b"null")));
        assert!(began.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn cancellation_wakes_it() {
        let outcome = run(br#"{"duration":"90s"}"#, ready(())).await;
        assert_eq!(outcome, Err(JobError::retryable("cancelled while asleep")));
    }

    #[tokio::test]
    async fn a_wrong_duration_is_told_in_a_sentence() {
        let error = run(br#"{"duration":"soon"}"#, pending()).await;
        let sentence = "task type `sleep` cannot use `duration` in the payload: `soon` is not a \
                        duration; write a number and a unit, such as 500ms, 30s or 1h30m";
        assert_eq!(error, Err(JobError::permanent(sentence)));
    }
}
