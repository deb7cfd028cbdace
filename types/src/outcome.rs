//! From what a handler returned to what becomes of its job: a pure decision.

use std::time::Duration;

use bytes::Bytes;

use crate::retry::RetryPolicy;

/// Why a handler did not complete its job, and what should follow.
///
/// Any error converts with `?` and means [`JobError::Retryable`]. The other variants are said
/// on purpose, through the constructors.
#[derive(Debug, Clone, PartialEq)]
pub enum JobError {
    /// Try again by the retry policy.
    Retryable(String),
    /// Never again: the job goes to the dead letters at once.
    Permanent(String),
    /// Try again after this wait (zero: the policy's initial delay); uses no attempt unless the
    /// policy says so.
    RateLimited {
        /// Wait before the next execution.
        after: Duration,
    },
    /// There is nothing to do: the job completes, marked as skipped.
    Skip {
        /// For readers.
        reason: String,
    },
    /// Run the same job again after the delay; uses no attempt.
    Repeat {
        /// Wait before the next execution.
        delay: Duration,
    },
    /// Pause the job until it is resumed, or for this long.
    Pause {
        /// Resumes by itself after this; without it, only by hand.
        after: Option<Duration>,
        /// For readers.
        reason: String,
    },
    /// The job completes with this as its result; as the task of a workflow it also makes the
    /// workflow go on as a new one, with this as the input.
    ContinueAsNew {
        /// The input of the new workflow, as JSON.
        input: Bytes,
    },
    /// The handler panicked; retried by the policy.
    Panicked(String),
    /// The handler ran longer than its timeout; retried by the policy.
    TimedOut(Duration),
}

impl JobError {
    /// Fails for good: the job is dead and never tried again.
    pub fn permanent(error: impl std::fmt::Display) -> JobError {
        JobError::Permanent(error.to_string())
    }

    /// Fails for now, said explicitly.
    pub fn retryable(error: impl std::fmt::Display) -> JobError {
        JobError::Retryable(error.to_string())
    }

    /// Asks to be executed again after `after`.
    #[must_use]
    pub fn rate_limited(after: Duration) -> JobError {
        JobError::RateLimited { after }
    }

    /// Completes the job as skipped.
    pub fn skip(reason: impl Into<String>) -> JobError {
        JobError::Skip {
            reason: reason.into(),
        }
    }

    /// Puts the same job back, to run again after `delay`.
    #[must_use]
    pub fn repeat(delay: Duration) -> JobError {
        JobError::Repeat { delay }
    }

    /// Pauses the job; see [`JobError::Pause`].
    pub fn pause(after: Option<Duration>, reason: impl Into<String>) -> JobError {
        JobError::Pause {
            after,
            reason: reason.into(),
        }
    }

    /// Lets the workflow go on as a new one, with the same definition and `input`.
    ///
    /// It takes effect when every task of the workflow has ended well, and only if the task is a
    /// leaf: nothing depends on it. The workflow is then `continued`, and whoever waits for its
    /// output gets that of the new one. Of any other task, and of a job outside of workflows, it
    /// is the result and nothing more.
    ///
    /// An input that cannot be written as JSON makes a permanent error of it.
    pub fn continue_as_new(input: impl serde::Serialize) -> JobError {
        match serde_json::to_vec(&input) {
            Ok(input) => JobError::ContinueAsNew {
                input: Bytes::from(input),
            },
            Err(error) => JobError::permanent(format!(
                "the input to continue with cannot be written as JSON: {error}"
            )),
        }
    }
}

impl<E: std::error::Error> From<E> for JobError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        JobError::Retryable(message)
    }
}

/// What a run came to: the handler's answer before any policy is applied.
pub type Outcome = Result<Bytes, JobError>;

/// What becomes of a job whose run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Done; the result is kept.
    Completed {
        /// The handler's output, opaque.
        result: Bytes,
    },
    /// Done as [`Settlement::Completed`]; its workflow is to go on as a new one with the result as
    /// its input. Outside of a workflow there is no difference.
    Continued {
        /// The input of the new workflow, as JSON.
        result: Bytes,
    },
    /// Done, as there was nothing to do.
    Skipped {
        /// Kept in place of a result.
        reason: String,
    },
    /// Runs again after `delay`.
    Retry {
        /// Wait before the next execution.
        delay: Duration,
        /// What went wrong, for readers.
        error: String,
        /// Whether this execution counts as an attempt.
        uses_attempt: bool,
    },
    /// Runs again after `delay`, on its handler's wish.
    Repeat {
        /// Wait before the next execution.
        delay: Duration,
    },
    /// Waits until it is resumed.
    Paused {
        /// Resumes by itself after this.
        after: Option<Duration>,
        /// For readers.
        error: String,
    },
    /// Will not be tried again.
    Dead {
        /// What went wrong.
        error: String,
    },
    /// Goes back to its lane at once, as if it had not been claimed: it never started, or its
    /// node stops. Uses no attempt.
    Released,
}

/// Decides what becomes of a job.
///
/// `attempt` is the number of this execution (the first is 1), `errors_in_a_row` counts
/// executions that failed since the last success or resume, this one not included. `random` in
/// `0.0..=1.0` feeds the jitter. Pausing takes precedence over burying, as the contract has it.
#[must_use]
pub fn settle(
    outcome: Outcome,
    policy: &RetryPolicy,
    attempt: u32,
    errors_in_a_row: u32,
    random: f64,
) -> Settlement {
    let error = match outcome {
        Ok(result) => return Settlement::Completed { result },
        Err(JobError::Skip { reason }) => return Settlement::Skipped { reason },
        Err(JobError::Repeat { delay }) => return Settlement::Repeat { delay },
        Err(JobError::ContinueAsNew { input }) => return Settlement::Continued { result: input },
        Err(JobError::Pause { after, reason }) => {
            return Settlement::Paused {
                after,
                error: reason,
            };
        }
        Err(JobError::RateLimited { after }) => {
            let delay = if after.is_zero() {
                policy.initial_delay
            } else {
                after
            };
            let uses_attempt = policy.rate_limit_uses_attempt;
            let error = "rate limited".to_owned();
            return if uses_attempt && attempt >= policy.max_attempts {
                Settlement::Dead { error }
            } else {
                Settlement::Retry {
                    delay,
                    error,
                    uses_attempt,
                }
            };
        }
        Err(JobError::Permanent(error)) => return Settlement::Dead { error },
        Err(JobError::Retryable(error)) => error,
        Err(JobError::Panicked(message)) => format!("handler panicked: {message}"),
        Err(JobError::TimedOut(limit)) => {
            format!(
                "handler exceeded its timeout of {}",
                crate::duration::format(limit)
            )
        }
    };
    if policy.is_permanent(&error) {
        return Settlement::Dead { error };
    }
    if policy
        .pause_after_err_count
        .is_some_and(|limit| errors_in_a_row + 1 >= limit)
    {
        return Settlement::Paused {
            after: policy.pause_retry_delay,
            error,
        };
    }
    if attempt >= policy.max_attempts {
        return Settlement::Dead { error };
    }
    Settlement::Retry {
        delay: policy.delay(attempt, random),
        error,
        uses_attempt: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            jitter: 0.0,
            non_retryable_errors: vec!["no such image".into()],
            ..RetryPolicy::default()
        }
    }

    fn settled(error: JobError, attempt: u32) -> Settlement {
        settle(Err(error), &policy(), attempt, attempt - 1, 0.5)
    }

    #[test]
    fn a_plain_error_is_retried_until_attempts_are_used_up() {
        let retry = |secs| Settlement::Retry {
            delay: Duration::from_secs(secs),
            error: "boom".into(),
            uses_attempt: true,
        };
        assert_eq!(settled(JobError::retryable("boom"), 1), retry(5));
        assert_eq!(settled(JobError::retryable("boom"), 2), retry(10));
        assert_eq!(
            settled(JobError::retryable("boom"), 3),
            Settlement::Dead {
                error: "boom".into()
            }
        );
    }

    /// Contract row 25: also by a part of the message that the policy names.
    #[test]
    fn permanent_errors_are_buried_at_once() {
        let dead = |error: &str| Settlement::Dead {
            error: error.into(),
        };
        assert_eq!(settled(JobError::permanent("gone"), 1), dead("gone"));
        assert_eq!(
            settled(JobError::retryable("no such image: x"), 1),
            dead("no such image: x")
        );
    }

    /// Contract row 25: no delay means the first one of the policy.
    #[test]
    fn a_rate_limit_uses_no_attempt_unless_asked_to() {
        let limited = JobError::rate_limited(Duration::ZERO);
        assert_eq!(
            settled(limited.clone(), 3),
            Settlement::Retry {
                delay: Duration::from_secs(5),
                error: "rate limited".into(),
                uses_attempt: false
            }
        );
        let strict = RetryPolicy {
            rate_limit_uses_attempt: true,
            ..policy()
        };
        assert!(matches!(
            settle(Err(limited), &strict, 3, 2, 0.5),
            Settlement::Dead { .. }
        ));
    }

    /// Contract row 27.
    #[test]
    fn pausing_comes_before_burying() {
        let policy = RetryPolicy {
            pause_after_err_count: Some(3),
            pause_retry_delay: Some(Duration::from_secs(60)),
            ..policy()
        };
        let fail = || Err(JobError::retryable("boom"));
        assert!(matches!(
            settle(fail(), &policy, 2, 1, 0.5),
            Settlement::Retry { .. }
        ));
        assert_eq!(
            settle(fail(), &policy, 3, 2, 0.5),
            Settlement::Paused {
                after: Some(Duration::from_secs(60)),
                error: "boom".into()
            }
        );
    }

    /// Contract rows 33 and 34.
    #[test]
    fn panics_and_timeouts_are_retryable_failures() {
        assert!(matches!(
            settled(JobError::Panicked("x".into()), 1),
            Settlement::Retry { .. }
        ));
        match settled(JobError::TimedOut(Duration::from_secs(90)), 3) {
            Settlement::Dead { error } => {
                assert_eq!(error, "handler exceeded its timeout of 1m30s");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Contract row 87: it is no failure, whatever the attempt.
    #[test]
    fn continuing_as_new_completes_with_the_input() {
        assert_eq!(
            settled(JobError::continue_as_new(serde_json::json!({ "n": 2 })), 3),
            Settlement::Continued {
                result: Bytes::from_static(br#"{"n":2}"#)
            }
        );
        let pairs = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(
            settled(JobError::continue_as_new(&pairs), 1),
            Settlement::Dead { .. }
        ));
    }

    /// Contract row 26.
    #[test]
    fn control_flow_is_not_failure() {
        assert!(matches!(
            settled(JobError::skip("nothing new"), 3),
            Settlement::Skipped { .. }
        ));
        assert!(matches!(
            settled(JobError::repeat(Duration::from_secs(1)), 3),
            Settlement::Repeat { .. }
        ));
        assert!(matches!(
            settled(JobError::pause(None, "wait"), 3),
            Settlement::Paused { .. }
        ));
    }

    #[test]
    fn any_error_converts_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot resize")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = Outer("x".parse::<u8>().expect_err("not a number"));
        assert_eq!(
            JobError::from(error),
            JobError::Retryable("cannot resize: invalid digit found in string".into())
        );
    }
}
