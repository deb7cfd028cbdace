//! Names that parse: whatever reaches a key or a script has passed here.
//!
//! One rule for all of them: 1 to 128 bytes (keys of users: 256), printable ASCII without space
//! and without `{`, `}`, `:` and `,`, which would reach into the hash tag or split a key.
//! Idempotency and unique keys are free text of users and may hold anything printable.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not accepted as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty; give it 1 to {max} characters")]
    Empty {
        /// What is named.
        what: &'static str,
        /// Most bytes allowed.
        max: usize,
    },
    /// Too many bytes.
    #[error("{what} has {len} bytes, at most {max} are allowed; shorten it")]
    TooLong {
        /// What is named.
        what: &'static str,
        /// Bytes given.
        len: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// A character that may not stand in this name.
    #[error("{what} `{name}` contains {character:?}; {allowed}")]
    Character {
        /// What is named.
        what: &'static str,
        /// The whole name.
        name: String,
        /// The first offender.
        character: char,
        /// What would be accepted.
        allowed: &'static str,
    },
}

const STRICT: &str = "use letters, digits and any of . _ - / @ + # $ % & = ~ ! *";
const FREE: &str = "use printable characters";

fn strict(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-/@+#$%&=~!*".contains(character)
}

fn free(character: char) -> bool {
    !character.is_control()
}

fn check(
    what: &'static str,
    name: &str,
    max: usize,
    accepts: fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what, max });
    }
    if name.len() > max {
        return Err(NameError::TooLong {
            what,
            len: name.len(),
            max,
        });
    }
    match name.chars().find(|&character| !accepts(character)) {
        Some(character) => Err(NameError::Character {
            what,
            name: printable(name),
            character,
            allowed,
        }),
        None => Ok(()),
    }
}

/// The name as a message may show it: a newline would break the sentence, a code of the terminal
/// would reach it.
fn printable(name: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    name.chars().map(shown).collect()
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $accepts:ident, $allowed:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// When it is empty, too long or holds a character that is not allowed.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check($what, name, $max, $accepts, $allowed)?;
                Ok(Self(name.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(
    /// The name that a handler is registered under, such as `image.resize`.
    TaskType, "the task type", 128, strict, STRICT
);
name_type!(
    /// The name of a task inside a workflow.
    TaskName, "the task name", 128, strict, STRICT
);
name_type!(
    /// The name of a signal.
    SignalName, "the signal name", 128, strict, STRICT
);
name_type!(
    /// A version of a handler; work that names one is only claimed by nodes that serve it.
    Version, "the version", 64, strict, STRICT
);
name_type!(
    /// A tag of a job, listable.
    Tag, "the tag", 128, strict, STRICT
);
name_type!(
    /// Isolates the tenants of one Redis: part of every key.
    Namespace, "the namespace", 64, strict, STRICT
);
name_type!(
    /// The name of a schedule, unique in its namespace.
    ScheduleId, "the schedule id", 128, strict, STRICT
);
name_type!(
    /// At most one unfinished job may hold it.
    UniqueKey, "the unique key", 256, free, FREE
);
name_type!(
    /// What a limit on concurrency or rate is declared for; jobs that carry it share it.
    LimitKey, "the limit key", 256, free, FREE
);
name_type!(
    /// Names a group of messages that become one job together.
    GroupKey, "the group", 256, free, FREE
);
name_type!(
    /// A submit that is repeated with the same one returns the first job.
    IdempotencyKey, "the idempotency key", 256, free, FREE
);

impl Default for Namespace {
    fn default() -> Self {
        Self("paceline".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_reach_into_a_key_are_refused() {
        for bad in [
            "", "a b", "a:b", "a{b", "a}b", "a,b", "a\nb", "a\u{1f}b", "ä",
        ] {
            assert!(TaskType::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "image.resize", "x/y@1", "A-b_c", "__hook", "*"] {
            assert!(TaskType::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn keys_of_users_may_hold_anything_printable() {
        assert!(UniqueKey::new("order: {17}, März").is_ok());
        assert!(UniqueKey::new("a\u{1f}b").is_err());
        assert!(UniqueKey::new(&"x".repeat(257)).is_err());
    }

    #[test]
    fn the_error_names_the_place_and_the_remedy() {
        let error = TaskName::new("a:b").expect_err("colon").to_string();
        assert_eq!(
            error,
            "the task name `a:b` contains ':'; \
             use letters, digits and any of . _ - / @ + # $ % & = ~ ! *"
        );
        let error = UniqueKey::new("a\n\u{1b}[2J")
            .expect_err("control")
            .to_string();
        assert_eq!(
            error,
            r"the unique key `a\n\u{1b}[2J` contains '\n'; use printable characters"
        );
    }
}
