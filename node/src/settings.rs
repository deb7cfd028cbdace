//! Settings that change while the node runs: read every few seconds, applied without a restart.
//!
//! One command each time, whatever is set. What cannot be read is told once and changes nothing:
//! the last good settings of that entry hold until it is mended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::{AllSettings, Scope, Settings};

use crate::kit::Kit;

/// What a node knows of the settings.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    good: AllSettings,
    /// Entries that cannot be used, as they were when that was told.
    refused: BTreeMap<String, String>,
}

/// What a look brought.
#[derive(Debug, Default, PartialEq)]
struct Look {
    /// Everything that holds, if that is not what held before.
    changed: Option<AllSettings>,
    /// Entries that cannot be used and were not told before: which, and why.
    refused: Vec<(String, String)>,
}

impl Reader {
    /// Looks once and applies what changed.
    pub(crate) async fn look(&mut self, kit: &Kit) {
        let stored = match kit.store.settings().await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::debug!(%error, "the settings cannot be read now");
                return;
            }
        };
        let look = self.take_up(stored);
        for (scope, error) in look.refused {
            tracing::error!(
                scope,
                error,
                "a setting cannot be used; the last good one holds"
            );
        }
        if let Some(settings) = look.changed {
            tracing::info!(?settings, "the settings changed");
            kit.apply(&settings);
        }
    }

    fn take_up(&mut self, stored: BTreeMap<String, String>) -> Look {
        let mut look = Look::default();
        let mut good = AllSettings::default();
        let mut refused = BTreeMap::new();
        for (name, text) in stored {
            match read(&name, &text) {
                Ok((scope, settings)) => {
                    good.0.insert(scope, settings);
                }
                Err(error) => {
                    if let Ok(scope) = name.parse::<Scope>()
                        && let Some(last) = self.good.0.get(&scope)
                    {
                        good.0.insert(scope, last.clone());
                    }
                    if self.refused.get(&name) != Some(&text) {
                        look.refused.push((name.clone(), error));
                    }
                    refused.insert(name, text);
                }
            }
        }
        self.refused = refused;
        if good != self.good {
            self.good = good.clone();
            look.changed = Some(good);
        }
        look
    }
}

fn read(name: &str, text: &str) -> Result<(Scope, Settings), String> {
    let scope = name
        .parse::<Scope>()
        .map_err(|error| format!("{name}: {error}"))?;
    let settings = Settings::parse(text).map_err(|error| format!("{name}: {error}"))?;
    Ok((scope, settings))
}

/// Looks every so often until it is aborted. `reader` has looked once already.
pub(crate) async fn follow(kit: Arc<Kit>, mut reader: Reader, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        reader.look(&kit).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        let entries = entries.iter();
        entries
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    /// Attempts that hold for handler `a`, if they changed, and how many entries are told as bad.
    fn took(reader: &mut Reader, entries: &[(&str, &str)]) -> (Option<Option<u32>>, usize) {
        let look = reader.take_up(stored(entries));
        let attempts = look.changed.map(|all| all.of_handler("a").max_attempts);
        (attempts, look.refused.len())
    }

    #[test]
    fn what_cannot_be_used_is_told_once_and_changes_nothing() {
        let mut reader = Reader::default();
        let two = ("handler:a", r#"{"max_attempts":2}"#);
        let bad = ("handler:a", r#"{"max_attempts":"two"}"#);
        let worse = ("handler:a", "{}}");
        let steps: &[(&[_], _)] = &[
            (&[], (None, 0)),
            (&[two], (Some(Some(2)), 0)),
            (&[two], (None, 0)),
            (&[bad], (None, 1)),
            (&[bad], (None, 0)),
            (&[worse], (None, 1)),
            (&[two], (None, 0)),
            (&[bad, ("here:b", "{}")], (None, 2)),
            (
                &[("global", r#"{"max_attempts":7}"#), two],
                (Some(Some(2)), 0),
            ),
            (&[("global", r#"{"max_attempts":7}"#)], (Some(Some(7)), 0)),
            (&[], (Some(None), 0)),
            (&[bad], (None, 1)),
        ];
        for (number, (entries, expected)) in steps.iter().enumerate() {
            assert_eq!(took(&mut reader, entries), *expected, "step {number}");
        }
        let error = read("handler:a", r#"{"timeout":"soon"}"#).expect_err("no duration");
        assert!(
            error.starts_with("handler:a: `timeout` is \"soon\""),
            "{error}"
        );
    }
}
