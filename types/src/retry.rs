//! When a failed job runs again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// How often, and after which waits, a failing job is executed again.
///
/// Precedence: the job's own policy, else the handler's, else [`RetryPolicy::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Executions in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Wait before the second execution.
    #[serde(with = "duration")]
    pub initial_delay: Duration,
    /// Longest wait, before jitter.
    #[serde(with = "duration")]
    pub max_delay: Duration,
    /// Factor from one wait to the next; at least 1.
    pub multiplier: f64,
    /// Share of the wait that it may deviate by, in both directions: 0.0 to 1.0.
    pub jitter: f64,
    /// An error whose message contains one of these is permanent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub non_retryable_errors: Vec<String>,
    /// Pauses the job, in place of retrying or burying it, after this many errors in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after_err_count: Option<u32>,
    /// A job paused by `pause_after_err_count` resumes after this; without it, only by hand.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub pause_retry_delay: Option<Duration>,
    /// Whether a rate-limited execution counts as one of `max_attempts`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rate_limit_uses_attempt: bool,
}

impl Default for RetryPolicy {
    /// 3 attempts, 5 s doubling up to 5 min, jitter of 10 %.
    fn default() -> Self {
        RetryPolicy {
            max_attempts: 3,
            initial_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(300),
            multiplier: 2.0,
            jitter: 0.1,
            non_retryable_errors: Vec::new(),
            pause_after_err_count: None,
            pause_retry_delay: None,
            rate_limit_uses_attempt: false,
        }
    }
}

/// What is wrong with a retry policy; the field is named by `field`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct RetryPolicyError {
    /// The field's name.
    pub field: &'static str,
    /// What it must be.
    pub problem: &'static str,
}

impl RetryPolicy {
    /// A policy that executes once and never again.
    #[must_use]
    pub fn never() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        }
    }

    /// Every mistake of the policy.
    #[must_use]
    pub fn check(&self) -> Vec<RetryPolicyError> {
        let mut errors = Vec::new();
        let mut require = |holds: bool, field, problem| {
            if !holds {
                errors.push(RetryPolicyError { field, problem });
            }
        };
        require(self.max_attempts >= 1, "max_attempts", "must be at least 1");
        require(
            self.multiplier.is_finite() && self.multiplier >= 1.0,
            "multiplier",
            "must be a number of at least 1",
        );
        require(
            (0.0..=1.0).contains(&self.jitter),
            "jitter",
            "must be between 0 and 1",
        );
        require(
            self.pause_after_err_count != Some(0),
            "pause_after_err_count",
            "must be at least 1",
        );
        errors
    }

    /// Wait after the `attempt`-th execution failed (the first is 1):
    /// `min(max_delay, initial_delay * multiplier^(attempt - 1))`, then ± `jitter`.
    ///
    /// `random` in `0.0..=1.0` places the wait inside the range of the jitter.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_delay.as_secs_f64() * self.multiplier.powi(exponent);
        // `min` also takes care of an infinite product.
        let capped = grown.min(self.max_delay.as_secs_f64());
        let jittered = capped * (1.0 + self.jitter * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(jittered.max(0.0)).unwrap_or(self.max_delay)
    }

    /// Whether the message names a permanent error.
    #[must_use]
    pub fn is_permanent(&self, message: &str) -> bool {
        self.non_retryable_errors
            .iter()
            .any(|part| !part.is_empty() && message.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract row 24: `min(max, initial * mult^(n-1))`, with the defaults.
    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let waits: Vec<u64> = (1..=8).map(|n| policy.delay(n, 0.5).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(policy.delay(u32::MAX, 0.5).as_secs(), 300);
    }

    /// Contract row 24: ten percent, up and down.
    #[test]
    fn jitter_deviates_in_both_directions() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(1, 0.0).as_millis(), 4_500);
        assert_eq!(policy.delay(1, 1.0).as_millis(), 5_500);
    }

    #[test]
    fn a_policy_reads_with_defaults_and_refuses_what_it_does_not_know() {
        let policy: RetryPolicy =
            serde_json::from_str(r#"{"max_attempts":7,"initial_delay":"1s"}"#).expect("policy");
        assert_eq!(policy.max_attempts, 7);
        assert_eq!(policy.max_delay.as_secs(), 300);
        assert!(serde_json::from_str::<RetryPolicy>(r#"{"max_attemps":7}"#).is_err());
        let nanos: RetryPolicy =
            serde_json::from_str(r#"{"initial_delay":1500000000}"#).expect("policy");
        assert_eq!(nanos.initial_delay.as_millis(), 1_500);
    }

    #[test]
    fn each_mistake_is_named() {
        let policy = RetryPolicy {
            max_attempts: 0,
            multiplier: 0.5,
            jitter: 2.0,
            pause_after_err_count: Some(0),
            ..RetryPolicy::default()
        };
        let fields: Vec<_> = policy.check().iter().map(|error| error.field).collect();
        assert_eq!(
            fields,
            [
                "max_attempts",
                "multiplier",
                "jitter",
                "pause_after_err_count"
            ]
        );
    }
}
