//! The zone that a calendar schedule counts in.

use std::fmt;
use std::str::FromStr;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::nearest::nearest;

/// A time zone by its IANA name, such as `Europe/Berlin`; UTC unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(pub Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::UTC
    }
}

/// Why a text is not a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No zone has this name, but one has nearly this name.
    #[error("`{name}` is not a known time zone; did you mean `{meant}`?")]
    Nearly {
        /// What was given.
        name: String,
        /// The zone that is nearest.
        meant: &'static str,
    },
    /// No zone has this name or a similar one.
    #[error(
        "`{name}` is not a known time zone; use an IANA name such as `Europe/Berlin`, or `UTC`"
    )]
    Unknown {
        /// What was given.
        name: String,
    },
}

/// The zone that was meant: by the whole name, or by its city alone.
fn meant(name: &str) -> Option<&'static str> {
    let lower = name.trim().replace(' ', "_").to_ascii_lowercase();
    let lowered: Vec<_> = TZ_VARIANTS
        .iter()
        .map(|zone| (zone.name().to_ascii_lowercase(), zone.name()))
        .collect();
    let city = |full: &str| full.rsplit('/').next().unwrap_or_default().to_owned();
    let found = |part: &dyn Fn(&str) -> String, wanted: &str| {
        let parts: Vec<_> = lowered.iter().map(|(low, _)| part(low)).collect();
        let near = nearest(wanted, parts.iter().map(String::as_str))?;
        let index = parts.iter().position(|part| part == near)?;
        Some(lowered[index].1)
    };
    found(&str::to_owned, &lower).or_else(|| found(&city, &city(&lower)))
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Zone, ZoneError> {
        name.parse().map(Zone).map_err(|_| {
            let name = name.chars().take(100).collect::<String>();
            match meant(&name) {
                Some(meant) => ZoneError::Nearly { name, meant },
                None => ZoneError::Unknown { name },
            }
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if name.is_empty() {
            return Ok(Zone::UTC);
        }
        name.parse().map_err(serde::de::Error::custom)
    }
}
