//! What a caller writes: when something starts, and what.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::JobTemplate;
use crate::reading::from_json;
use crate::workflow::DefinitionError;
use crate::{FiringRef, JobSpec, Schedule, ScheduleId, UnixMillis};

/// Header of the job of a firing: its scheduled time in RFC 3339, without jitter.
pub const HEADER_SCHEDULED_AT: &str = "x-paceline-scheduled-at";

/// Header of the job of a firing that makes up for one that was missed, or was asked for by a
/// backfill: `true`.
pub const HEADER_BACKFILL: &str = "x-paceline-backfill";

/// A schedule as it is stored and as files describe it. Read from JSON with
/// [`ScheduleDefinition::from_json`], or built in Rust; it is only accepted when
/// [`ScheduleDefinition::check`] finds nothing.
///
/// ```
/// use paceline_types::ScheduleDefinition;
/// let text = r#"{"id": "nightly",
///     "schedule": {"type": "CRON", "cron_expr": "0 3 * * *", "timezone": "Europe/Berlin"},
///     "job": {"task_type": "report", "payload": {"pages": 2}}}"#;
/// let definition = ScheduleDefinition::from_json(text)?;
/// assert!(definition.check(1_700_000_000_000).is_empty());
/// # Ok::<(), paceline_types::workflow::DefinitionError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleDefinition {
    /// Names it in its namespace.
    pub id: ScheduleId,
    /// When it fires, and what happens with firings that overlap or were missed.
    pub schedule: Schedule,
    /// What each firing becomes.
    pub job: JobTemplate,
    /// The periodic provider of a node that keeps this schedule; none of a schedule that stands
    /// by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ScheduleId>,
}

/// A moment as RFC 3339 in UTC; what no calendar reaches, as a number of milliseconds.
#[must_use]
pub fn moment(at: UnixMillis) -> String {
    let moment = i64::try_from(at).ok();
    match moment.and_then(DateTime::<Utc>::from_timestamp_millis) {
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => at.to_string(),
    }
}

impl ScheduleDefinition {
    /// Reads a definition from JSON. Not checked yet.
    ///
    /// # Errors
    /// The first unknown field, missing field or wrong value, with its path.
    pub fn from_json(text: &str) -> Result<ScheduleDefinition, DefinitionError> {
        from_json(text).map_err(|error: DefinitionError| placed(error.path, error.problem))
    }

    /// Every mistake, each with the path of its field. `now` is when it would be created.
    #[must_use]
    pub fn check(&self, now: UnixMillis) -> Vec<DefinitionError> {
        let schedule = self.schedule.check(now).into_iter();
        let mut errors: Vec<_> = schedule
            .map(|error| DefinitionError {
                path: error.path,
                problem: error.problem,
            })
            .collect();
        errors.extend(self.job.check());
        errors
    }

    /// What the firing of this scheduled time asks for. `backfill` marks one that was missed or
    /// was asked for afterwards.
    #[must_use]
    pub fn firing(&self, spec: &JobSpec, at: UnixMillis, backfill: bool) -> JobSpec {
        let mut spec = spec.clone();
        let name = HEADER_SCHEDULED_AT.to_owned();
        spec.headers.insert(name, moment(at));
        if backfill {
            let name = HEADER_BACKFILL.to_owned();
            spec.headers.insert(name, "true".to_owned());
        }
        spec.firing = Some(FiringRef {
            schedule: self.id.clone(),
            at,
        });
        spec
    }
}

/// A mistake of the schedule as a whole names the field itself.
fn placed(path: String, problem: String) -> DefinitionError {
    let named = problem
        .split_once(' ')
        .filter(|(field, _)| path == "schedule" && field.starts_with("schedule."));
    match named {
        Some((field, problem)) => DefinitionError {
            path: field.trim_end_matches(':').to_owned(),
            problem: problem.to_owned(),
        },
        None => DefinitionError { path, problem },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Due;
    use crate::{IdempotencyKey, TaskType, UniqueKey};

    const NOW: UnixMillis = 1_700_000_000_000;

    const WHOLE: &str = r#"{"id":"nightly","schedule":{"type":"CRON","cron_expr":"0 3 * * *",
        "timezone":"Europe/Berlin","overlap_policy":"SKIP","jitter":"10s"},
        "job":{"task_type":"report","payload":{"n":123456789012345678901},"priority":8,
        "tags":["a"],"headers":{"k":"v"},"timeout":"1m","limits":["tenant"],"audited":true},
        "provider":"tenants"}"#;

    #[test]
    fn a_definition_reads_back_with_its_digits() {
        let read = ScheduleDefinition::from_json(WHOLE).expect("definition");
        let text = serde_json::to_string(&read).expect("json");
        assert!(text.contains("123456789012345678901"), "{text}");
        let again = ScheduleDefinition::from_json(&text).expect("again");
        assert_eq!(serde_json::to_string(&again).expect("json"), text);
        assert!(read.check(NOW).is_empty());
        let spec = read.job.spec();
        assert_eq!(spec.priority.get(), 8);
        let template = JobTemplate::from_spec(&spec).expect("template");
        let [kept, given] =
            [&template, &read.job].map(|job| serde_json::to_string(job).expect("json"));
        assert_eq!(kept, given);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let schedule = r#""schedule":{"type":"DURATION","interval":"1s"}"#;
        let table = [
            (r#"{"id":"a b"}"#.to_owned(), "id", "contains ' '"),
            (r#"{"id":"a"}"#.to_owned(), "definition", "missing field"),
            (
                format!(r#"{{"id":"a",{schedule},"job":{{"task_type":"t","payloat":1}}}}"#),
                "job.payloat",
                "unknown field",
            ),
            (
                format!(r#"{{"id":"a",{schedule},"job":{{"task_type":"t","unique_key":"x"}}}}"#),
                "job.unique_key",
                "a schedule is unique by its id",
            ),
            (
                r#"{"id":"a","schedule":{"type":"DURATION"},"job":{"task_type":"t"}}"#.to_owned(),
                "schedule.interval",
                "is missing",
            ),
            (
                r#"{"id":"a","schedule":{"type":"CRON","cron_expr":"61 * * * *"},"job":{"task_type":"t"}}"#
                    .to_owned(),
                "schedule.cron_expr",
                "61",
            ),
        ];
        for (text, path, words) in table {
            let error = ScheduleDefinition::from_json(&text).expect_err(&text);
            assert_eq!(error.path, path, "{error}");
            assert!(error.problem.contains(words), "{error}");
        }
    }

    #[test]
    fn a_checked_definition_names_every_mistake() {
        let text = r#"{"id":"a","schedule":{"type":"DURATION","interval":"0s"},
            "job":{"task_type":"t","timeout":"0s","dlq_after":0,"retry_policy":{"max_attempts":0}}}"#;
        let definition = ScheduleDefinition::from_json(text).expect("definition");
        let paths: Vec<_> = definition
            .check(NOW)
            .into_iter()
            .map(|error| error.path)
            .collect();
        assert_eq!(
            paths,
            [
                "schedule.interval",
                "job.timeout",
                "job.dlq_after",
                "job.retry_policy.max_attempts"
            ]
        );
    }

    #[test]
    fn options_of_one_job_are_none_of_a_schedule() {
        let spec = || JobSpec::new(TaskType::new("t").expect("type"), "1".into());
        let mut unique = spec();
        unique.unique_key = Some(UniqueKey::new("x").expect("key"));
        let mut idempotent = spec();
        idempotent.idempotency_key = Some(IdempotencyKey::new("x").expect("key"));
        let mut late = spec();
        late.due = Due::At(7);
        let mut raw = spec();
        raw.payload = "not json".into();
        for (spec, path) in [
            (unique, "job.unique_key"),
            (idempotent, "job.idempotency_key"),
            (late, "job.run_at"),
            (raw, "job.payload"),
        ] {
            assert_eq!(JobTemplate::from_spec(&spec).expect_err(path).path, path);
        }
        assert!(JobTemplate::from_spec(&spec()).is_ok());
    }

    #[test]
    fn the_job_of_a_firing_names_it() {
        let definition = ScheduleDefinition::from_json(WHOLE).expect("definition");
        let spec = definition.firing(&definition.job.spec(), NOW, true);
        assert_eq!(spec.headers[HEADER_SCHEDULED_AT], "2023-11-14T22:13:20Z");
        assert_eq!(spec.headers[HEADER_BACKFILL], "true");
        assert_eq!(spec.headers["k"], "v");
        let plain = definition.firing(&definition.job.spec(), NOW + 5, false);
        assert_eq!(
            plain.headers[HEADER_SCHEDULED_AT],
            "2023-11-14T22:13:20.005Z"
        );
        assert!(!plain.headers.contains_key(HEADER_BACKFILL));
        assert_eq!(plain.firing.expect("firing").at, NOW + 5);
    }
}
