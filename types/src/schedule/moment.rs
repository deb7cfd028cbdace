//! Moments in JSON: RFC 3339 strings, or whole milliseconds since the Unix epoch.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UnixMillis;

/// The last moment that is written with four digits of a year: the end of 9999.
pub(super) const LATEST: UnixMillis = 253_402_300_799_999;

/// The moment as RFC 3339 in UTC; what no calendar reaches, as a number.
pub(super) fn text(at: UnixMillis) -> String {
    let moment = i64::try_from(at).ok().filter(|_| at <= LATEST);
    match moment.and_then(DateTime::<Utc>::from_timestamp_millis) {
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => at.to_string(),
    }
}

/// How a moment is read and written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) UnixMillis);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > LATEST {
            return serializer.serialize_u64(self.0);
        }
        serializer.serialize_str(&text(self.0))
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a time such as \"2030-01-31T09:00:00Z\", or milliseconds since 1970 as a whole number",
        )
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Moment, E> {
        Ok(Moment(millis))
    }

    fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Moment, E> {
        let millis = u64::try_from(millis);
        millis
            .map(Moment)
            .map_err(|_| E::custom("a time must not be before 1970"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| {
            let shown: String = text.chars().take(100).collect();
            E::custom(format_args!(
                "`{shown}` is not a time; write it such as 2030-01-31T09:00:00Z \
                 or 2030-01-31T09:00:00+02:00"
            ))
        })?;
        self.visit_i64(moment.timestamp_millis())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        deserializer.deserialize_any(MomentVisitor)
    }
}
