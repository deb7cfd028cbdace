//! Settings that change while nodes run: for all handlers, or for one.
//!
//! Each stands in Redis under the name of its [`Scope`], as JSON:
//! `{"timeout":"5s","max_attempts":2,"concurrency":3,"paused":true}`, all of it optional.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::{NameError, TaskType, duration};

/// What is set; what is `None` is left as the node was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Longest run, longer than zero. It comes before that of the job and of the handler.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Executions of a job in all, at least 1. It comes before every retry policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Most runs at once on each node, at least 1: of the handler, or for [`Scope::Global`] of
    /// the whole node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Whether nodes claim nothing for the handler; what runs goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// Why settings cannot be used: the field, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a JSON object.
    #[error("settings must be a JSON object, such as {{\"timeout\":\"5s\"}}: {0}")]
    NotAnObject(String),
    /// A field that there is not.
    #[error("`{0}` is not a setting; there are timeout, max_attempts, concurrency and paused")]
    Unknown(String),
    /// A value that a field cannot take.
    #[error("`{field}` is {given}, but must be {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it was given.
        given: String,
        /// What it may be.
        expected: &'static str,
    },
}

const TIMEOUT: &str = "a duration longer than zero, such as \"30s\"";
const COUNT: &str = "a whole number of at least 1";
const SWITCH: &str = "true or false";

impl Settings {
    /// Reads what stands in Redis.
    ///
    /// # Errors
    /// The first field that cannot be used; unknown ones are refused, since a typing error would
    /// otherwise be a setting that silently does not hold.
    pub fn parse(json: &str) -> Result<Settings, SettingsError> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| SettingsError::NotAnObject(error.to_string()))?;
        let Value::Object(fields) = value else {
            return Err(SettingsError::NotAnObject(format!("it is {value}")));
        };
        let mut settings = Settings::default();
        for (field, value) in fields {
            match field.as_str() {
                "timeout" => settings.timeout = set("timeout", &value, TIMEOUT, span)?,
                "max_attempts" => {
                    settings.max_attempts = set("max_attempts", &value, COUNT, count)?;
                }
                "concurrency" => settings.concurrency = set("concurrency", &value, COUNT, count)?,
                "paused" => settings.paused = set("paused", &value, SWITCH, Value::as_bool)?,
                _ => return Err(SettingsError::Unknown(field)),
            }
        }
        Ok(settings)
    }

    /// Sets one field from text, as a command line gives it: `timeout`, `5s`.
    ///
    /// # Errors
    /// When there is no such field, or it cannot take the value. Nothing was set.
    pub fn set(&mut self, field: &str, value: &str) -> Result<(), SettingsError> {
        let text = Value::String(value.to_owned());
        // Numbers and switches read as JSON; a duration is text there.
        let json = serde_json::from_str(value).unwrap_or_else(|_| text.clone());
        match field {
            "timeout" => self.timeout = set("timeout", &text, TIMEOUT, span)?,
            "max_attempts" => self.max_attempts = set("max_attempts", &json, COUNT, count)?,
            "concurrency" => self.concurrency = set("concurrency", &json, COUNT, count)?,
            "paused" => self.paused = set("paused", &json, SWITCH, Value::as_bool)?,
            _ => return Err(SettingsError::Unknown(field.to_owned())),
        }
        Ok(())
    }

    /// Takes one field back.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn unset(&mut self, field: &str) -> Result<(), SettingsError> {
        match field {
            "timeout" => self.timeout = None,
            "max_attempts" => self.max_attempts = None,
            "concurrency" => self.concurrency = None,
            "paused" => self.paused = None,
            _ => return Err(SettingsError::Unknown(field.to_owned())),
        }
        Ok(())
    }

    /// The first field that cannot be used.
    ///
    /// # Errors
    /// Which one, and what it must be.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |field, expected| {
            Err(SettingsError::Value {
                field,
                given: "zero".to_owned(),
                expected,
            })
        };
        if self.timeout == Some(Duration::ZERO) {
            return wrong("timeout", TIMEOUT);
        }
        if self.max_attempts == Some(0) {
            return wrong("max_attempts", COUNT);
        }
        if self.concurrency == Some(0) {
            return wrong("concurrency", COUNT);
        }
        Ok(())
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Settings::default()
    }

    /// What holds for a handler: its own settings first, then these of all. The concurrency of
    /// all is that of the node and never a handler's.
    #[must_use]
    pub fn under(&self, global: &Settings) -> Settings {
        Settings {
            timeout: self.timeout.or(global.timeout),
            max_attempts: self.max_attempts.or(global.max_attempts),
            concurrency: self.concurrency,
            paused: self.paused.or(global.paused),
        }
    }
}

fn set<T>(
    field: &'static str,
    value: &Value,
    expected: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    match read(value) {
        Some(read) => Ok(Some(read)),
        None => Err(SettingsError::Value {
            field,
            given: value.to_string(),
            expected,
        }),
    }
}

fn span(value: &Value) -> Option<Duration> {
    let span = duration::parse(value.as_str()?).ok()?;
    (!span.is_zero()).then_some(span)
}

fn count(value: &Value) -> Option<u32> {
    let count = u32::try_from(value.as_u64()?).ok()?;
    (count > 0).then_some(count)
}

/// What settings are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Every handler of every node, and the slots of the nodes. Written `global`.
    #[default]
    Global,
    /// Handlers that are registered under this task type or pattern; a pattern is also for the
    /// handlers that it covers, unless a more particular one is set. Written `handler:<pattern>`.
    Handler(TaskType),
}

/// Why a text does not say what settings are for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Neither of both forms.
    #[error("`{0}` is not something that can be set; write global or handler:<task type>")]
    Form(String),
    /// The pattern is not a name.
    #[error(transparent)]
    TaskType(#[from] NameError),
}

impl Scope {
    /// The settings of one handler, or of all that a pattern (`image.*`, `*`) covers.
    ///
    /// # Errors
    /// When it is not a name.
    pub fn handler(pattern: &str) -> Result<Scope, ScopeError> {
        Ok(Scope::Handler(TaskType::new(pattern)?))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Global => f.pad("global"),
            Scope::Handler(pattern) => write!(f, "handler:{pattern}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        match text.strip_prefix("handler:") {
            Some(pattern) => Scope::handler(pattern),
            None if text == "global" => Ok(Scope::Global),
            None => Err(ScopeError::Form(text.to_owned())),
        }
    }
}

/// Everything that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllSettings(pub BTreeMap<Scope, Settings>);

impl AllSettings {
    /// What holds for the handler that is registered under `name`: the settings of that name,
    /// else of the longest pattern that covers it, each completed by the global ones.
    #[must_use]
    pub fn of_handler(&self, name: &str) -> Settings {
        let covers = |pattern: &str| {
            pattern == name
                || pattern.strip_suffix('*').is_some_and(|stem| {
                    (stem.is_empty() || stem.ends_with('.')) && name.starts_with(stem)
                })
        };
        let own = self
            .0
            .iter()
            .filter_map(|(scope, settings)| match scope {
                Scope::Handler(pattern) if covers(pattern.as_str()) => {
                    Some((pattern.as_str(), settings))
                }
                Scope::Handler(_) | Scope::Global => None,
            })
            .max_by_key(|(pattern, _)| (*pattern == name, pattern.len()))
            .map(|(_, settings)| settings.clone())
            .unwrap_or_default();
        own.under(&self.global())
    }

    /// What holds for all.
    #[must_use]
    pub fn global(&self) -> Settings {
        self.0.get(&Scope::Global).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back() {
        let text = r#"{"timeout":"5s","max_attempts":2,"concurrency":3,"paused":true}"#;
        let settings = Settings::parse(text).expect("settings");
        assert_eq!(serde_json::to_string(&settings).expect("json"), text);
        assert_eq!(settings.timeout, Some(Duration::from_secs(5)));
        assert!(Settings::parse("{}").expect("settings").is_empty());
        assert!(
            Settings::parse(r#"{"paused":null}"#)
                .expect("settings")
                .is_empty()
        );
    }

    #[test]
    fn each_mistake_names_its_field() {
        let table = [
            ("[]", "settings must be a JSON object"),
            ("{", "settings must be a JSON object"),
            (
                r#"{"time_out":"5s"}"#,
                "`time_out` is not a setting; there are timeout",
            ),
            (r#"{"timeout":5}"#, "`timeout` is 5, but must be a duration"),
            (
                r#"{"timeout":"0s"}"#,
                "`timeout` is \"0s\", but must be a duration",
            ),
            (
                r#"{"max_attempts":0}"#,
                "`max_attempts` is 0, but must be a whole number",
            ),
            (r#"{"concurrency":-1}"#, "`concurrency` is -1, but must be"),
            (
                r#"{"paused":"yes"}"#,
                "`paused` is \"yes\", but must be true or false",
            ),
        ];
        for (json, begin) in table {
            let error = Settings::parse(json).expect_err(json).to_string();
            assert!(error.starts_with(begin), "{error}");
        }
        let zero = Settings {
            concurrency: Some(0),
            ..Settings::default()
        };
        assert!(zero.check().is_err());
    }

    #[test]
    fn fields_are_set_and_taken_back_as_a_command_line_names_them() {
        let mut settings = Settings::default();
        for (field, value) in [
            ("timeout", "5s"),
            ("max_attempts", "2"),
            ("concurrency", "3"),
            ("paused", "false"),
        ] {
            settings.set(field, value).expect(field);
        }
        assert_eq!(settings.paused, Some(false));
        assert_eq!(settings.concurrency, Some(3));
        for (field, value) in [("timeout", "5"), ("paused", "on"), ("size", "1")] {
            assert!(settings.set(field, value).is_err(), "{field}");
        }
        for field in ["timeout", "max_attempts", "concurrency", "paused"] {
            settings.unset(field).expect(field);
        }
        assert!(settings.is_empty());
        assert!(settings.unset("size").is_err());
    }

    #[test]
    fn scopes_read_back() {
        for text in ["global", "handler:image.*", "handler:*", "handler:a"] {
            let scope: Scope = text.parse().expect(text);
            assert_eq!(scope.to_string(), text);
        }
        for text in ["", "image", "handler:", "handler:a:b"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_most_particular_settings_come_first() {
        let attempts = |max| Settings {
            max_attempts: Some(max),
            ..Settings::default()
        };
        let mut all = AllSettings::default();
        let global = Settings {
            timeout: Some(Duration::from_secs(9)),
            concurrency: Some(50),
            ..attempts(1)
        };
        all.0.insert(Scope::Global, global);
        for (pattern, max) in [
            ("*", 2),
            ("image.*", 3),
            ("image.raw.*", 4),
            ("image.crop", 5),
        ] {
            let scope = Scope::handler(pattern).expect(pattern);
            all.0.insert(scope, attempts(max));
        }
        let table = [
            ("mail", 2),
            ("image.resize", 3),
            ("image.raw.x", 4),
            ("image.crop", 5),
            ("image.*", 3),
            ("image.raw.*", 4),
            ("*", 2),
        ];
        for (name, max) in table {
            let settings = all.of_handler(name);
            assert_eq!(settings.max_attempts, Some(max), "{name}");
            assert_eq!(settings.timeout, Some(Duration::from_secs(9)));
            assert_eq!(
                settings.concurrency, None,
                "that of the node is not a handler's"
            );
        }
        all.0.retain(|scope, _| *scope == Scope::Global);
        assert_eq!(all.of_handler("mail").max_attempts, Some(1));
    }
}
