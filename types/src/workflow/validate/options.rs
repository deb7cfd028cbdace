//! Options that a task shares with jobs: the rules are theirs.

use serde_json::value::RawValue;

use super::Reader;
use crate::RetryPolicy;
use crate::job::{MAX_HEADERS, MAX_LIMITS, MAX_TAGS};
use crate::workflow::TaskDefinition;

impl Reader<'_> {
    pub(super) fn check_options(&mut self, place: u32, task: &TaskDefinition) {
        for error in task.retry_policy.iter().flat_map(RetryPolicy::check) {
            self.wrong_in(
                place,
                &format!("retry_policy.{}", error.field),
                error.problem,
            );
        }
        let own = "must be longer than zero; leave it out for the handler's own";
        let none = "must be longer than zero; leave it out for no limit";
        for (field, limit, problem) in [
            ("timeout", task.timeout, own),
            (
                "schedule_to_start_timeout",
                task.schedule_to_start_timeout,
                none,
            ),
            ("max_duration", task.max_duration, none),
            ("heartbeat_timeout", task.heartbeat_timeout, none),
        ] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                self.wrong_in(place, field, problem);
            }
        }
        for (field, what, count, most) in [
            ("limits", "limit keys", task.limits.len(), MAX_LIMITS),
            ("tags", "tags", task.tags.len(), MAX_TAGS),
        ] {
            if count > most {
                let problem = format!("{count} {what}, at most {most} are allowed; leave some out");
                self.wrong_in(place, field, problem);
            }
        }
        let headers = task.headers.iter();
        let size: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        if size > MAX_HEADERS {
            let problem = format!("{size} bytes, at most {MAX_HEADERS} are allowed; shorten them");
            self.wrong_in(place, "headers", problem);
        }
    }

    /// Whether a payload is not too large; otherwise that is told.
    pub(super) fn fits(&mut self, path: String, payload: &RawValue) -> bool {
        let size = payload.get().len();
        let most = match self.rules {
            Some(rules) if size > rules.max_payload => rules.max_payload,
            _ => return true,
        };
        let problem = format!(
            "{size} bytes, at most {most} are allowed; pass a reference to the data, or raise the \
             limit"
        );
        self.wrong(path, problem);
        false
    }
}
