//! Cron expressions: read here, searched by the `cron` crate.
//!
//! That crate has another dialect (six fields or more, weekdays from 1, day of month AND day of
//! week), so what was read is handed to it as plain lists of numbers, and an expression in which
//! either day counts as two of them. It searches calendar times without a zone; what a zone makes
//! of them is decided in [`super::firing`].

mod fields;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MIN_INTERVAL;
use crate::duration;
use fields::Fields;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1_000;

/// A cron expression.
///
/// Five fields: minute (0–59), hour (0–23), day of month (1–31), month (1–12 or JAN–DEC) and day
/// of week (0–7 or SUN–SAT; 0 and 7 are Sunday). A field is a list, divided by commas, of `*` (or
/// `?`), numbers, ranges (`9-17`) and steps (`*/5`, `9-17/2`; `5/15` is `5-59/15`). When neither
/// field of days begins with `*`, a day that either of them names counts; else both must hold.
///
/// Or a descriptor: `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`,
/// `@hourly`, and `@every` with a duration, which counts real time as DURATION does.
#[derive(Clone)]
pub struct CronExpr {
    text: Arc<str>,
    rule: Arc<Rule>,
}

enum Rule {
    Every(Duration),
    Calendar {
        fields: Fields,
        /// Of which the earliest counts. Those that never fire are left out.
        searches: Vec<::cron::Schedule>,
    },
}

/// Why a text is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cron expression `{expr}`: {problem}")]
pub struct CronError {
    /// What was given, shortened.
    pub expr: String,
    /// What is wrong, and where.
    pub problem: String,
}

const DESCRIPTORS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl CronExpr {
    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The interval of `@every`.
    pub(super) fn interval(&self) -> Option<Duration> {
        match *self.rule {
            Rule::Every(interval) => Some(interval),
            Rule::Calendar { .. } => None,
        }
    }

    /// The first local time after `after`. None: there is none up to [`super::LAST_YEAR`], or the
    /// expression counts real time.
    pub(super) fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        match &*self.rule {
            Rule::Every(_) => None,
            Rule::Calendar { searches, .. } => searches
                .iter()
                .filter_map(|search| search.after(&after.and_utc()).next())
                .map(|local| local.naive_utc())
                .min(),
        }
    }

    /// Whether both name the same moments.
    pub(super) fn same_times(&self, other: &CronExpr) -> bool {
        match (&*self.rule, &*other.rule) {
            (Rule::Every(interval), Rule::Every(other)) => interval == other,
            (Rule::Calendar { fields, .. }, Rule::Calendar { fields: other, .. }) => {
                fields == other
            }
            _ => false,
        }
    }
}

fn read(text: &str) -> Result<Rule, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("must have at most {MAX_LENGTH} characters"));
    }
    let text = text.trim();
    if let Some(interval) = text.strip_prefix("@every ") {
        let interval = duration::parse(interval.trim()).map_err(|error| error.to_string())?;
        super::check::interval(interval)?;
        return Ok(Rule::Every(interval));
    }
    let fields = match DESCRIPTORS.iter().find(|(name, _)| *name == text) {
        Some((_, meaning)) => Fields::read(meaning)?,
        None if text.starts_with('@') => {
            let known: Vec<_> = DESCRIPTORS.iter().map(|(name, _)| *name).collect();
            let least = duration::format(MIN_INTERVAL);
            return Err(format!(
                "is not a known descriptor; use one of {}, or `@every` and a duration of at \
                 least {least}",
                known.join(", ")
            ));
        }
        None => Fields::read(text)?,
    };
    let searches = fields.searches()?;
    Ok(Rule::Calendar { fields, searches })
}

impl FromStr for CronExpr {
    type Err = CronError;

    fn from_str(text: &str) -> Result<CronExpr, CronError> {
        let rule = read(text).map_err(|problem| CronError {
            expr: text
                .chars()
                .take(100)
                .flat_map(char::escape_debug)
                .collect(),
            problem,
        })?;
        Ok(CronExpr {
            text: text.into(),
            rule: Arc::new(rule),
        })
    }
}

impl PartialEq for CronExpr {
    /// Whether both are written alike.
    fn eq(&self, other: &CronExpr) -> bool {
        self.text == other.text
    }
}

impl Eq for CronExpr {}

impl fmt::Display for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl Serialize for CronExpr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CronExpr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CronExpr, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
