//! A schedule from options of the command line.

use clap::{ArgGroup, Args};
use paceline_types::{Schedule, UnixMillis};
use serde_json::{Map, Value, json};

use crate::cli::failure::Failure;
use crate::cli::time::parse_moment;

/// Days by their names, Sunday first.
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When something fires: one of the first options, and what belongs to it.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").multiple(false)
    .args(["every", "cron", "daily", "weekly", "monthly", "run_at", "now"])))]
pub(crate) struct ScheduleOptions {
    /// Again and again after this long, such as 30s
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// By a cron expression of five fields, or @daily and the like
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Every day, at the times of --at
    #[arg(long, requires = "at_times")]
    daily: bool,
    /// On days of the week, such as MON,FRI, at the times of --at
    #[arg(
        long,
        value_name = "DAYS",
        value_delimiter = ',',
        requires = "at_times"
    )]
    weekly: Vec<String>,
    /// On days of the month, such as 1,15, at the times of --at
    #[arg(
        long,
        value_name = "DAYS",
        value_delimiter = ',',
        requires = "at_times"
    )]
    monthly: Vec<u8>,
    /// Once, at this time, such as 2030-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    run_at: Option<UnixMillis>,
    /// Once, at once
    #[arg(long)]
    now: bool,
    /// Time of day, such as 09:30; may be repeated
    #[arg(long = "at", value_name = "HH:MM")]
    at_times: Vec<String>,
    /// Only every N-th day, week or month
    #[arg(long, value_name = "N")]
    every_nth: Option<u32>,
    /// Where days and times of day are counted, such as Europe/Berlin; UTC unless given
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Nothing fires before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    starts_at: Option<UnixMillis>,
    /// Nothing fires after this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    ends_at: Option<UnixMillis>,
    /// While a run is active: ALLOW_ALL (unless given), SKIP, BUFFER_ONE, BUFFER_ALL or REPLACE
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    /// How old a missed firing may be to be made up for; only the latest is unless given
    #[arg(long, value_name = "DURATION")]
    catchup_window: Option<String>,
    /// Missed firings that are made up for at once
    #[arg(long, value_name = "N")]
    max_backfill_per_tick: Option<u32>,
    /// Delay each dispatch by a random time below this
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
}

impl ScheduleOptions {
    /// The schedule that the options describe, read as a file is, so that mistakes are told in the
    /// same words; none when they say nothing of when.
    pub(crate) fn schedule(&self) -> Result<Option<Schedule>, Failure> {
        let mut form = Map::new();
        let kind = if let Some(interval) = &self.every {
            form.insert("interval".to_owned(), json!(interval));
            "DURATION"
        } else if let Some(expression) = &self.cron {
            form.insert("cron_expr".to_owned(), json!(expression));
            "CRON"
        } else if self.daily {
            "DAILY"
        } else if !self.weekly.is_empty() {
            let days: Result<Vec<u8>, Failure> =
                self.weekly.iter().map(|day| weekday(day)).collect();
            form.insert("included_days".to_owned(), json!(days?));
            "WEEKLY"
        } else if !self.monthly.is_empty() {
            form.insert("included_days".to_owned(), json!(self.monthly));
            "MONTHLY"
        } else if let Some(run_at) = self.run_at {
            form.insert("run_at".to_owned(), json!(run_at));
            "ONE_TIME"
        } else if self.now {
            "IMMEDIATE"
        } else {
            return Ok(None);
        };
        form.insert("type".to_owned(), json!(kind));
        if !self.at_times.is_empty() {
            form.insert("at_times".to_owned(), json!(self.at_times));
        }
        let overlap = self.overlap.as_ref();
        let overlap = overlap.map(|policy| policy.to_ascii_uppercase().replace('-', "_"));
        let others = [
            ("regular_interval", self.every_nth.map(Value::from)),
            ("timezone", self.zone.clone().map(Value::from)),
            ("starts_at", self.starts_at.map(Value::from)),
            ("ends_at", self.ends_at.map(Value::from)),
            ("overlap_policy", overlap.map(Value::from)),
            (
                "catchup_window",
                self.catchup_window.clone().map(Value::from),
            ),
            (
                "max_backfill_per_tick",
                self.max_backfill_per_tick.map(Value::from),
            ),
            ("jitter", self.jitter.clone().map(Value::from)),
        ];
        for (field, value) in others {
            if let Some(value) = value {
                form.insert(field.to_owned(), value);
            }
        }
        let text = Value::Object(form).to_string();
        let schedule = Schedule::from_json(&text);
        schedule.map(Some).map_err(|error| {
            // Line and column of a text that nobody wrote are of no use.
            let sentence = error.to_string();
            let sentence = sentence
                .rsplit_once(" at line ")
                .map_or(sentence.as_str(), |(sentence, _)| sentence);
            Failure::usage(sentence)
        })
    }
}

fn weekday(text: &str) -> Result<u8, Failure> {
    let wanted = text.trim().to_ascii_uppercase();
    let named = DAYS
        .iter()
        .zip(0_u8..)
        .find(|(day, _)| wanted.get(..3) == Some(**day));
    let number = named
        .map(|(_, number)| number)
        .or_else(|| wanted.parse().ok().filter(|day| *day <= 6));
    number.ok_or_else(|| {
        Failure::usage(format!(
            "--weekly: `{text}` is not a day of the week; write MON, or 0 (Sunday) to 6"
        ))
    })
}
