//! Settings that change while nodes run.

use paceline_store::calls::config::Changed;
use paceline_store::{CallError, StoreError};
use paceline_types::settings::{AllSettings, Scope, ScopeError, Settings, SettingsError};

use crate::Client;

/// How often a change is tried while others change the same settings.
const ATTEMPTS: u32 = 20;

/// Why settings were not read or changed. Nothing was changed, unless [`ConfigError::Store`] says
/// that the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// What is asked for cannot be set.
    #[error("{scope}: {error}")]
    Invalid {
        /// What it is for.
        scope: Scope,
        /// The field, and what it must be.
        error: SettingsError,
    },
    /// What stands in Redis was not written by Paceline; nodes keep what held before.
    #[error("what stands in Redis for {scope} cannot be used: {error}; unset it")]
    Stored {
        /// What it is for, as it is written there.
        scope: String,
        /// The field, and what it must be.
        error: SettingsError,
    },
    /// An entry in Redis that is for nothing.
    #[error("what stands in Redis for {scope} cannot be used: {error}; remove it")]
    StoredScope {
        /// Its name.
        scope: String,
        /// What it must be.
        error: ScopeError,
    },
    /// Others change the same settings without a pause.
    #[error("{scope} is being changed by others all the time; try again")]
    Contended {
        /// What it is for.
        scope: Scope,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Everything that is set. Nodes read it every five seconds.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub async fn config(&self) -> Result<AllSettings, ConfigError> {
        let mut all = AllSettings::default();
        for (name, text) in self.store().settings().await? {
            let scope = name.parse().map_err(|error| ConfigError::StoredScope {
                scope: name.clone(),
                error,
            })?;
            all.0.insert(scope, stored(name, &text)?);
        }
        Ok(all)
    }

    /// Sets what `settings` holds, for all handlers or for one, and leaves the rest as it is.
    /// Returns what is set from now on; nodes apply it within about five seconds.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use paceline_client::{Client, Scope, Settings};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let slower = Settings {
    ///     timeout: Some(Duration::from_secs(90)),
    ///     concurrency: Some(3),
    ///     ..Settings::default()
    /// };
    /// client.set_config(&Scope::handler("image.resize")?, &slower).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub async fn set_config(
        &self,
        scope: &Scope,
        settings: &Settings,
    ) -> Result<Settings, ConfigError> {
        settings.check().map_err(|error| ConfigError::Invalid {
            scope: scope.clone(),
            error,
        })?;
        self.change(scope, |current| {
            *current = Settings {
                timeout: settings.timeout.or(current.timeout),
                max_attempts: settings.max_attempts.or(current.max_attempts),
                concurrency: settings.concurrency.or(current.concurrency),
                paused: settings.paused.or(current.paused),
            };
            Ok(())
        })
        .await
    }

    /// Takes fields back (`timeout`, `max_attempts`, `concurrency`, `paused`): what nodes were
    /// built with holds again. Returns what is still set.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub async fn unset_config(
        &self,
        scope: &Scope,
        fields: &[impl AsRef<str>],
    ) -> Result<Settings, ConfigError> {
        self.change(scope, |current| {
            fields
                .iter()
                .try_for_each(|field| current.unset(field.as_ref()))
        })
        .await
    }

    /// Takes back everything that is set for all handlers, or for one, whatever stands there.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub async fn clear_config(&self, scope: &Scope) -> Result<(), ConfigError> {
        let mut seen = None;
        for _ in 0..ATTEMPTS {
            match self.store().configure(scope, seen.as_deref(), None).await {
                Ok(()) => return Ok(()),
                Err(CallError::Refused(Changed { current })) => seen = current,
                Err(CallError::Store(error)) => return Err(error.into()),
            }
        }
        Err(ConfigError::Contended {
            scope: scope.clone(),
        })
    }

    async fn change(
        &self,
        scope: &Scope,
        change: impl Fn(&mut Settings) -> Result<(), SettingsError>,
    ) -> Result<Settings, ConfigError> {
        let mut seen = self.store().settings().await?.remove(&scope.to_string());
        for _ in 0..ATTEMPTS {
            let mut settings = match &seen {
                Some(text) => stored(scope.to_string(), text)?,
                None => Settings::default(),
            };
            change(&mut settings).map_err(|error| ConfigError::Invalid {
                scope: scope.clone(),
                error,
            })?;
            // Only text, numbers and switches: it cannot fail to serialise.
            let text = serde_json::to_string(&settings).unwrap_or_default();
            let text = (!settings.is_empty()).then_some(text.as_str());
            match self.store().configure(scope, seen.as_deref(), text).await {
                Ok(()) => return Ok(settings),
                Err(CallError::Refused(Changed { current })) => seen = current,
                Err(CallError::Store(error)) => return Err(error.into()),
            }
        }
        Err(ConfigError::Contended {
            scope: scope.clone(),
        })
    }
}

fn stored(scope: String, text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(text).map_err(|error| ConfigError::Stored { scope, error })
}
