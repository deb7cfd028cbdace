//! The JSON form of a schedule: flat, as definitions for the predecessors are written.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::{AtTime, CronExpr, OverlapPolicy, Schedule, ScheduleError, Timing, Zone};
use crate::duration;

/// The types of the public model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Type {
    Immediate,
    OneTime,
    Duration,
    Cron,
    Daily,
    Weekly,
    Monthly,
}

/// Every field that a schedule of some type has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_at: Option<Moment>,
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    interval: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron_expr: Option<CronExpr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regular_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_times: Option<Vec<AtTime>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    included_days: Option<BTreeSet<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap_policy: Option<OverlapPolicy>,
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    catchup_window: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_backfill_per_tick: Option<u32>,
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    jitter: Option<Duration>,
}

impl From<Schedule> for Form {
    fn from(schedule: Schedule) -> Form {
        let mut form = Form {
            kind: Type::Immediate,
            run_at: None,
            interval: None,
            cron_expr: None,
            regular_interval: None,
            at_times: None,
            included_days: None,
            starts_at: schedule.starts_at.map(Moment),
            ends_at: schedule.ends_at.map(Moment),
            timezone: Some(schedule.timezone).filter(|zone| *zone != Zone::UTC),
            overlap_policy: Some(schedule.overlap_policy)
                .filter(|policy| *policy != OverlapPolicy::AllowAll),
            catchup_window: schedule.catchup_window,
            max_backfill_per_tick: schedule.max_backfill_per_tick,
            jitter: schedule.jitter,
        };
        match schedule.timing {
            Timing::Immediate => {}
            Timing::OneTime { run_at } => {
                form.kind = Type::OneTime;
                form.run_at = Some(Moment(run_at));
            }
            Timing::Every { interval } => {
                form.kind = Type::Duration;
                form.interval = Some(interval);
            }
            Timing::Cron { expr } => {
                form.kind = Type::Cron;
                form.cron_expr = Some(expr);
            }
            Timing::Daily { every, at } => {
                form.kind = Type::Daily;
                form.regular_interval = Some(every);
                form.at_times = Some(at);
            }
            Timing::Weekly { every, days, at } => {
                form.kind = Type::Weekly;
                form.regular_interval = Some(every);
                form.included_days = Some(days);
                form.at_times = Some(at);
            }
            Timing::Monthly { every, days, at } => {
                form.kind = Type::Monthly;
                form.regular_interval = Some(every);
                form.included_days = Some(days);
                form.at_times = Some(at);
            }
        }
        form
    }
}

impl TryFrom<Form> for Schedule {
    type Error = ScheduleError;

    /// Fails on a field that the type needs and that is missing, and on one that it has not: a
    /// rule that would silently not hold.
    fn try_from(mut form: Form) -> Result<Schedule, ScheduleError> {
        let name = Type::name(form.kind);
        let missing = |field, what: &str| {
            ScheduleError::new(
                field,
                format!("is missing; a schedule of type {name} needs {what}"),
            )
        };
        let timing = match form.kind {
            Type::Immediate => Timing::Immediate,
            Type::OneTime => {
                let run_at = form.run_at.take();
                let Moment(run_at) =
                    run_at.ok_or_else(|| missing("run_at", "the time of its firing"))?;
                Timing::OneTime { run_at }
            }
            Type::Duration => {
                let interval = form.interval.take();
                let interval =
                    interval.ok_or_else(|| missing("interval", "a duration such as 30s"))?;
                Timing::Every { interval }
            }
            Type::Cron => {
                let expr = form.cron_expr.take();
                let expr = expr
                    .ok_or_else(|| missing("cron_expr", "an expression such as `0 9 * * MON`"))?;
                Timing::Cron { expr }
            }
            Type::Daily | Type::Weekly | Type::Monthly => {
                let every = form.regular_interval.take().unwrap_or(1);
                let at = form.at_times.take();
                let at = at.ok_or_else(|| missing("at_times", "at least one time of day"))?;
                let mut days = |what| {
                    let days = form.included_days.take();
                    days.ok_or_else(|| missing("included_days", what))
                };
                match form.kind {
                    Type::Weekly => Timing::Weekly {
                        days: days("days of the week, 0 (Sunday) to 6")?,
                        every,
                        at,
                    },
                    Type::Monthly => Timing::Monthly {
                        days: days("days of the month, 1 to 31")?,
                        every,
                        at,
                    },
                    _ => Timing::Daily { every, at },
                }
            }
        };
        // What was not taken does not belong to the type.
        let left = [
            ("run_at", form.run_at.is_some()),
            ("interval", form.interval.is_some()),
            ("cron_expr", form.cron_expr.is_some()),
            ("regular_interval", form.regular_interval.is_some()),
            (
                "at_times",
                form.at_times.is_some_and(|list| !list.is_empty()),
            ),
            (
                "included_days",
                form.included_days.is_some_and(|list| !list.is_empty()),
            ),
        ];
        if let Some((field, _)) = left.into_iter().find(|(_, is_left)| *is_left) {
            let problem = format!("is not a field of a schedule of type {name}; remove it");
            return Err(ScheduleError::new(field, problem));
        }
        Ok(Schedule {
            timing,
            starts_at: form.starts_at.map(|moment| moment.0),
            ends_at: form.ends_at.map(|moment| moment.0),
            timezone: form.timezone.unwrap_or_default(),
            overlap_policy: form.overlap_policy.unwrap_or_default(),
            catchup_window: form.catchup_window,
            max_backfill_per_tick: form.max_backfill_per_tick,
            jitter: form.jitter,
        })
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Immediate => "IMMEDIATE",
            Type::OneTime => "ONE_TIME",
            Type::Duration => "DURATION",
            Type::Cron => "CRON",
            Type::Daily => "DAILY",
            Type::Weekly => "WEEKLY",
            Type::Monthly => "MONTHLY",
        }
    }
}

impl Schedule {
    /// Reads a schedule from JSON. Not checked yet.
    ///
    /// # Errors
    /// The first mistake that no [`Schedule`] can hold: an unknown, missing or misplaced field, a
    /// wrong type, a cron expression or a zone that is none.
    pub fn from_json(text: &str) -> Result<Schedule, ScheduleError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let form: Form = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." | "" => "schedule".to_owned(),
                path => format!("schedule.{path}"),
            };
            let problem = format!("is wrong: {}", error.into_inner());
            ScheduleError { path, problem }
        })?;
        deserializer.end().map_err(|error| ScheduleError {
            path: "schedule".to_owned(),
            problem: format!("is wrong: {error}"),
        })?;
        form.try_into()
    }
}
