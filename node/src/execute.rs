//! Runs a handler to its end, and decides what becomes of the job.
//!
//! A handler that is asked to end has 5 s to do so; then its future is dropped where it stands.
//! What its answer means depends on why it was asked: a cancelled job ends cancelled whatever
//! the handler says (the store sees to that), a timeout is a failure even if the handler
//! finished in the end, and a node that stops hands the job back unless it was finished.

use std::time::Duration;

use paceline_store::calls::turn::{RETENTION_COMPLETED, RETENTION_FAILED};
use paceline_types::outcome::settle;
use paceline_types::{JobError, Outcome, RetryPolicy, Settlement, duration};

use crate::breaker::Verdict;
use crate::handler::HandlerOptions;
use crate::latch::{CancelReason, CancelSignal};

/// How long a handler may take to end after it was asked to.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How a handler ended.
#[derive(Debug, PartialEq)]
pub(crate) struct End {
    /// Its answer; none when it was dropped.
    outcome: Option<Outcome>,
    /// Why it was asked to end, if it was.
    asked: Option<CancelReason>,
    /// The limits that held for it.
    limits: Limits,
}

/// How long a handler may run, and be silent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) silence: Option<Duration>,
}

impl End {
    /// The handler answered of its own accord.
    pub(crate) fn answered(outcome: Outcome) -> End {
        End {
            outcome: Some(outcome),
            asked: None,
            limits: Limits::default(),
        }
    }
}

/// Waits for a handler: to its answer, or to 5 s after it was asked to end. `silent` is ready when it
/// has given no sign of life for too long.
pub(crate) async fn to_its_end(
    mut handler: impl Future<Output = Outcome> + Unpin,
    signal: &CancelSignal,
    limits: Limits,
    silent: impl Future<Output = ()>,
) -> End {
    let limit = async {
        match limits.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    // The handler first: one that is done at its first poll costs neither a timer nor a lock.
    let reason = tokio::select! {
        biased;
        // It may have been asked, and have listened, before this task looked.
        outcome = &mut handler => return End {
            outcome: Some(outcome),
            asked: signal.reason(),
            limits,
        },
        reason = signal.fired() => reason,
        () = limit => {
            signal.fire(CancelReason::TimedOut);
            CancelReason::TimedOut
        }
        () = silent => {
            signal.fire(CancelReason::HeartbeatLost);
            CancelReason::HeartbeatLost
        }
    };
    let outcome = tokio::time::timeout(GRACE, handler).await.ok();
    End {
        outcome,
        asked: Some(reason),
        limits,
    }
}

/// Executions that a job may have: those of its policy, or fewer.
pub(crate) fn max_attempts(policy: &RetryPolicy, dlq_after: Option<u32>) -> u32 {
    dlq_after
        .map_or(policy.max_attempts, |limit| limit.min(policy.max_attempts))
        .max(1)
}

/// Why a run must not start: runs that ended with their node have used up the attempts, or
/// settings allow fewer than there were.
pub(crate) fn used_up(attempt: u32, max_attempts: u32) -> Option<String> {
    (attempt > max_attempts).then(|| {
        format!(
            "all {max_attempts} attempts are used up; the last one ended with the node that ran it, \
             or the limit was lowered since"
        )
    })
}

/// What becomes of the job.
pub(crate) fn settlement(
    end: End,
    policy: &RetryPolicy,
    max_attempts: u32,
    attempt: u32,
    errors_in_a_row: u32,
    max_payload: usize,
) -> Settlement {
    let outcome = match (end.asked, end.outcome) {
        (Some(CancelReason::TimedOut), _) => {
            Err(JobError::TimedOut(end.limits.timeout.unwrap_or_default()))
        }
        (Some(CancelReason::HeartbeatLost), _) => {
            let silence = duration::format(end.limits.silence.unwrap_or_default());
            Err(JobError::retryable(format!("no heartbeat for {silence}")))
        }
        // An error that follows the wish to end most likely comes from it.
        (
            Some(CancelReason::Stopping | CancelReason::Fenced),
            None | Some(Err(JobError::Retryable(_) | JobError::Panicked(_))),
        ) => return Settlement::Released,
        (_, Some(outcome)) => outcome,
        (_, None) => Err(JobError::retryable("cancelled")),
    };
    let outcome = match outcome {
        Ok(result) if result.len() > max_payload => Err(JobError::permanent(format!(
            "the result has {} bytes, at most {max_payload} are allowed: \
             store it elsewhere and return where it is, or raise the limit",
            result.len()
        ))),
        Ok(result) => return Settlement::Completed { result },
        Err(JobError::ContinueAsNew { input }) if input.len() > max_payload => {
            Err(JobError::permanent(format!(
                "the input to continue with has {} bytes, at most {max_payload} are allowed: \
                 store it elsewhere and continue with where it is, or raise the limit",
                input.len()
            )))
        }
        Err(error) => Err(error),
    };
    let random = rand::random::<f64>();
    if max_attempts == policy.max_attempts {
        return settle(outcome, policy, attempt, errors_in_a_row, random);
    }
    let policy = RetryPolicy {
        max_attempts,
        ..policy.clone()
    };
    settle(outcome, &policy, attempt, errors_in_a_row, random)
}

/// What the end of a run says about what its handler depends on.
pub(crate) fn verdict(end: &End, policy: &RetryPolicy) -> Verdict {
    match (end.asked, &end.outcome) {
        (Some(CancelReason::TimedOut | CancelReason::HeartbeatLost), _) => Verdict::Failed,
        (_, Some(Ok(_) | Err(JobError::ContinueAsNew { .. }))) => Verdict::Worked,
        // An error that follows the wish to end most likely comes from it.
        (Some(_), _) => Verdict::Neither,
        (None, Some(Err(JobError::Panicked(_) | JobError::TimedOut(_)))) => Verdict::Failed,
        (None, Some(Err(JobError::Retryable(error)))) if !policy.is_permanent(error) => {
            Verdict::Failed
        }
        (None, _) => Verdict::Neither,
    }
}

/// How long the job is kept if this is its end.
pub(crate) fn retention(
    settlement: &Settlement,
    of_job: Option<Duration>,
    of_handler: &HandlerOptions,
) -> Duration {
    match settlement {
        Settlement::Completed { .. }
        | Settlement::Continued { .. }
        | Settlement::Skipped { .. } => of_job
            .or(of_handler.retention)
            .unwrap_or(RETENTION_COMPLETED),
        Settlement::Retry { .. }
        | Settlement::Repeat { .. }
        | Settlement::Paused { .. }
        | Settlement::Dead { .. }
        | Settlement::Released => of_handler.dead_retention.unwrap_or(RETENTION_FAILED),
    }
}

/// What a failed run is to be logged with.
pub(crate) fn error_of(settlement: &Settlement) -> Option<&str> {
    match settlement {
        Settlement::Retry { error, .. }
        | Settlement::Paused { error, .. }
        | Settlement::Dead { error } => Some(error),
        Settlement::Completed { .. }
        | Settlement::Continued { .. }
        | Settlement::Skipped { .. }
        | Settlement::Repeat { .. }
        | Settlement::Released => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;

    const LIMIT: usize = 8;
    const LIMITS: Limits = Limits {
        timeout: Some(Duration::from_secs(3)),
        silence: Some(Duration::from_secs(30)),
    };

    fn done() -> Outcome {
        Ok(Bytes::from_static(b"1"))
    }

    fn failed() -> Outcome {
        Err(JobError::retryable("boom"))
    }

    fn settled(asked: Option<CancelReason>, outcome: Option<Outcome>) -> Settlement {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let end = End {
            outcome,
            asked,
            limits: LIMITS,
        };
        settlement(end, &policy, 2, 1, 0, LIMIT)
    }

    fn retry(error: &str) -> Settlement {
        Settlement::Retry {
            delay: Duration::from_secs(5),
            error: error.to_owned(),
            uses_attempt: true,
        }
    }

    #[test]
    fn what_an_answer_means_depends_on_why_the_handler_was_asked_to_end() {
        use CancelReason::{HeartbeatLost, Requested, Stopping, TimedOut};
        let completed = || Settlement::Completed {
            result: Bytes::from_static(b"1"),
        };
        let late = || retry("handler exceeded its timeout of 3s");
        let table = [
            (None, Some(done()), completed()),
            (None, Some(failed()), retry("boom")),
            (Some(Requested), Some(done()), completed()),
            (Some(Requested), Some(failed()), retry("boom")),
            (Some(Requested), None, retry("cancelled")),
            (Some(TimedOut), Some(done()), late()),
            (Some(TimedOut), None, late()),
            (
                Some(HeartbeatLost),
                Some(done()),
                retry("no heartbeat for 30s"),
            ),
            (Some(HeartbeatLost), None, retry("no heartbeat for 30s")),
            (Some(Stopping), Some(done()), completed()),
            (Some(Stopping), Some(failed()), Settlement::Released),
            (Some(Stopping), None, Settlement::Released),
        ];
        for (asked, outcome, expected) in table {
            assert_eq!(settled(asked, outcome), expected, "{asked:?}");
        }
        let gone = Some(Err(JobError::permanent("gone")));
        assert!(matches!(
            settled(Some(Stopping), gone),
            Settlement::Dead { .. }
        ));
    }

    #[test]
    fn what_a_run_says_about_its_handler() {
        use CancelReason::{Requested, Stopping, TimedOut};
        let policy = RetryPolicy {
            non_retryable_errors: vec!["no such".into()],
            ..RetryPolicy::default()
        };
        let error = |error| Some(Err(error));
        let table = [
            (None, Some(done()), Verdict::Worked),
            (None, Some(failed()), Verdict::Failed),
            (None, error(JobError::Panicked("x".into())), Verdict::Failed),
            (None, error(JobError::permanent("x")), Verdict::Neither),
            (
                None,
                error(JobError::retryable("no such x")),
                Verdict::Neither,
            ),
            (None, error(JobError::skip("x")), Verdict::Neither),
            (None, error(JobError::continue_as_new(1)), Verdict::Worked),
            (None, error(JobError::rate_limited(GRACE)), Verdict::Neither),
            (Some(TimedOut), Some(done()), Verdict::Failed),
            (Some(TimedOut), None, Verdict::Failed),
            (Some(Stopping), Some(failed()), Verdict::Neither),
            (Some(Requested), None, Verdict::Neither),
            (Some(Requested), Some(done()), Verdict::Worked),
        ];
        for (asked, outcome, expected) in table {
            let end = End {
                outcome,
                asked,
                limits: Limits::default(),
            };
            assert_eq!(verdict(&end, &policy), expected, "{end:?}");
        }
    }

    #[test]
    fn a_result_over_the_limit_is_dead() {
        let long = Bytes::from_static(b"123456789");
        let continued = JobError::ContinueAsNew {
            input: long.clone(),
        };
        for outcome in [Ok(long), Err(continued)] {
            match settled(None, Some(outcome)) {
                Settlement::Dead { error } => assert!(error.contains("9 bytes"), "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn attempts_end_with_the_smaller_of_both_limits() {
        let policy = RetryPolicy::default();
        for (dlq_after, expected) in [(None, 3), (Some(2), 2), (Some(9), 3), (Some(0), 1)] {
            assert_eq!(max_attempts(&policy, dlq_after), expected);
        }
        let end = End::answered(failed());
        let dead = settlement(end, &policy, 2, 2, 1, LIMIT);
        assert!(matches!(dead, Settlement::Dead { .. }));
        assert_eq!(used_up(3, 3), None);
        assert!(used_up(4, 3).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_is_done_at_once_needs_no_time() {
        let begun = Instant::now();
        let signal = CancelSignal::default();
        let end = to_its_end(
            std::future::ready(done()),
            &signal,
            Limits::default(),
            pending(),
        )
        .await;
        assert_eq!(end, End::answered(done()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_does_not_listen_is_dropped_after_its_grace() {
        let begun = Instant::now();
        let signal = CancelSignal::default();
        let end = to_its_end(pending(), &signal, LIMITS, pending()).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(3) + GRACE);
        assert_eq!(end.asked, Some(CancelReason::TimedOut));
        assert_eq!(end.outcome, None);
        assert_eq!(signal.reason(), Some(CancelReason::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_handler_is_asked_to_end() {
        let signal = CancelSignal::default();
        let silence = tokio::time::sleep(Duration::from_secs(2));
        let end = to_its_end(pending(), &signal, LIMITS, silence).await;
        assert_eq!(end.asked, Some(CancelReason::HeartbeatLost));
        assert_eq!(end.outcome, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_listens_has_the_last_word() {
        let signal = CancelSignal::default();
        let handler = Box::pin(async {
            signal.fired().await;
            done()
        });
        let (end, ()) = tokio::join!(to_its_end(handler, &signal, LIMITS, pending()), async {
            signal.fire(CancelReason::Stopping);
        });
        assert_eq!(end.outcome, Some(done()));
        assert_eq!(end.asked, Some(CancelReason::Stopping));
    }
}
