//! Durations of the public model: Go duration strings, or integer nanoseconds.
//!
//! `"1h2m3.5s"`, `"250ms"` and `90000000000` are read; strings are written. Negative durations
//! are refused, since no field of the model means anything by one.

use std::fmt::Write as _;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write a number and a unit, such as 500ms, 30s or 1h30m")]
pub struct DurationError(String);

const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// Reads a Go duration string.
///
/// # Errors
/// When it is empty, negative, lacks a unit, or exceeds 2^63 nanoseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.to_owned());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_len = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let (number, tail) = rest.split_at(number_len);
        let (unit, nanos) = UNITS
            .into_iter()
            .find(|(unit, _)| tail.starts_with(unit))
            .ok_or_else(bad)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(bad());
        }
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| bad())?
        };
        total = total
            .checked_add(whole.checked_mul(nanos.into()).ok_or_else(bad)?)
            .ok_or_else(bad)?;
        // Digits below a nanosecond carry no weight; 18 of them cannot overflow.
        let kept = &fraction[..fraction.len().min(18)];
        if !kept.is_empty() {
            let scale = 10_u128.pow(u32::try_from(kept.len()).map_err(|_| bad())?);
            total += kept.parse::<u128>().map_err(|_| bad())? * u128::from(nanos) / scale;
        }
        rest = &tail[unit.len()..];
    }
    i64::try_from(total)
        .ok()
        .and_then(|n| u64::try_from(n).ok())
        .map(Duration::from_nanos)
        .ok_or_else(bad)
}

/// Writes a duration as Go does: `1h30m0s`, `2.5s`, `250ms`, `0s`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let mut text = String::new();
    let decimal = |value: u128, unit: u128, suffix: &str| {
        let (whole, rest) = (value / unit, value % unit);
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        let digits = digits.trim_end_matches('0');
        if rest == 0 {
            format!("{whole}{suffix}")
        } else {
            format!("{whole}.{digits}{suffix}")
        }
    };
    match nanos {
        0 => text.push_str("0s"),
        1..1_000 => text = format!("{nanos}ns"),
        1_000..1_000_000 => text = decimal(nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => text = decimal(nanos, 1_000_000, "ms"),
        _ => {
            let minutes = nanos / 60_000_000_000;
            if minutes >= 60 {
                let _ = write!(text, "{}h", minutes / 60);
            }
            if minutes > 0 {
                let _ = write!(text, "{}m", minutes % 60);
            }
            text.push_str(&decimal(nanos % 60_000_000_000, 1_000_000_000, "s"));
        }
    }
    text
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as \"1m30s\", or nanoseconds as a whole number")
    }

    fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Duration, E> {
        Ok(Duration::from_nanos(nanos))
    }

    fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<Duration, E> {
        u64::try_from(nanos)
            .map(Duration::from_nanos)
            .map_err(|_| E::custom("a duration must not be negative"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

/// For `#[serde(with = "duration")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with = "duration")]`.
///
/// # Errors
/// When the value is neither a duration string nor a whole number of nanoseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

/// For `#[serde(with = "duration::option", default)]`: absent and `null` mean none.
pub mod option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// See [`super::serialize`].
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// See [`super::deserialize`].
    ///
    /// # Errors
    /// When the value is neither absent nor a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Wrapped(#[serde(with = "super")] Duration);
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_read_and_write() {
        let table = [
            ("0s", 0, "0s"),
            ("0", 0, "0s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("90s", 90_000_000_000, "1m30s"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("250ms", 250_000_000, "250ms"),
            ("2.5s", 2_500_000_000, "2.5s"),
            ("1us", 1_000, "1µs"),
            ("1µs", 1_000, "1µs"),
            ("7ns", 7, "7ns"),
            (".5s", 500_000_000, "500ms"),
        ];
        for (text, nanos, written) in table {
            let duration = parse(text).expect(text);
            assert_eq!(duration, Duration::from_nanos(nanos), "{text}");
            assert_eq!(format(duration), written, "{text}");
            assert_eq!(parse(written), Ok(duration), "{written}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "5",
            "-1s",
            "s",
            "1x",
            "1.2.3s",
            ".s",
            "99999999999999h",
            "1 s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
