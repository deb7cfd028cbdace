//! A value in the payload of a job, as a filter of a list.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// `path = value`: a place in a JSON payload, and what must stand there.
///
/// The path is names of fields and numbers of elements with `.` between them, such as
/// `user.addresses.0.city`. The value is JSON, or text that is none and stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFilter {
    path: Vec<String>,
    value: Value,
}

/// A text that is not `path=value`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a filter of payloads; write PATH=VALUE, such as user.id=7")]
pub struct PayloadFilterError(String);

impl PayloadFilter {
    /// Whether a payload is JSON with this value at this place. Numbers are compared as numbers.
    #[must_use]
    pub fn matches(&self, payload: &[u8]) -> bool {
        let Ok(document) = serde_json::from_slice::<Value>(payload) else {
            return false;
        };
        let step = |at: &'_ Value, name: &String| match at {
            Value::Object(fields) => fields.get(name).cloned(),
            Value::Array(elements) => elements.get(name.parse::<usize>().ok()?).cloned(),
            _ => None,
        };
        let found = self
            .path
            .iter()
            .try_fold(document, |at, name| step(&at, name));
        found.is_some_and(|found| same(&found, &self.value))
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().is_some() && one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

impl FromStr for PayloadFilter {
    type Err = PayloadFilterError;

    fn from_str(text: &str) -> Result<Self, PayloadFilterError> {
        let wrong = || PayloadFilterError(text.to_owned());
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(PayloadFilter {
            path,
            value: serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
        })
    }
}

impl fmt::Display for PayloadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path.join("."), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_matched_by_what_stands_at_a_place() {
        let payload =
            br#"{"user":{"id":7,"name":"ann","tags":["a",{"b":null}]},"n":1.5,"ok":true}"#;
        for (filter, matches) in [
            ("user.id=7", true),
            ("user.id=7.0", true),
            ("user.id=\"7\"", false),
            ("user.id=8", false),
            ("user.name=ann", true),
            ("user.name=\"ann\"", true),
            ("user.tags.0=a", true),
            ("user.tags.1.b=null", true),
            ("user.tags.2=a", false),
            ("user.tags.x=a", false),
            ("n=1.5", true),
            ("ok=true", true),
            ("user={}", false),
            ("n.m=1", false),
            ("none=null", false),
            ("user.tags=[\"a\",{\"b\":null}]", true),
        ] {
            let read: PayloadFilter = filter.parse().expect(filter);
            assert_eq!(read.matches(payload), matches, "{filter}");
            assert!(!read.matches(b"\xff no json"));
        }
        for wrong in ["", "a", "=1", ".a=1", "a..b=1"] {
            assert!(wrong.parse::<PayloadFilter>().is_err(), "{wrong}");
        }
    }
}
