//! `paceline config`: settings that nodes take up while they run.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use paceline_client::{Client, ConfigError, Scope, Settings, SettingsError};
use paceline_types::duration;
use serde::Serialize;

use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::Globals;
use super::output::Output;
use super::table::Table;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show what is set
    Get {
        #[command(flatten)]
        scope: ScopeOption,
    },
    /// Set timeout, max_attempts, concurrency or paused; nodes apply it within five seconds
    Set {
        #[command(flatten)]
        scope: ScopeOption,
        /// Such as timeout=5s concurrency=3 max_attempts=2 paused=true
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = assignment)]
        fields: Vec<(String, String)>,
    },
    /// Take fields back, or with none all of them: what nodes were built with holds again
    Unset {
        #[command(flatten)]
        scope: ScopeOption,
        /// Such as timeout
        #[arg(value_name = "FIELD", value_parser = field)]
        fields: Vec<String>,
    },
}

/// What is set, and for what.
#[derive(Debug, Args)]
pub(crate) struct ScopeOption {
    /// Only for the handlers that are registered under this task type or pattern; without it,
    /// for all, and concurrency is that of each node
    #[arg(long, value_name = "TYPE", value_parser = Scope::handler)]
    handler: Option<Scope>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (field, value) = text
        .split_once('=')
        .ok_or("write it as FIELD=VALUE, such as timeout=5s")?;
    Settings::default()
        .set(field, value)
        .map_err(|error| error.to_string())?;
    Ok((field.to_owned(), value.to_owned()))
}

fn field(text: &str) -> Result<String, SettingsError> {
    Settings::default().unset(text)?;
    Ok(text.to_owned())
}

/// Carries the command out.
pub(crate) async fn run(command: Config, globals: &Globals, output: Output) -> Result<(), Failure> {
    let client = connect(globals).await?;
    match command {
        Config::Get { scope } => get(&client, scope.handler, output).await,
        Config::Set { scope, fields } => {
            let scope = scope.handler.unwrap_or_default();
            let mut settings = Settings::default();
            for (field, value) in &fields {
                settings.set(field, value).map_err(Failure::usage)?;
            }
            let settings = client.set_config(&scope, &settings).await?;
            show(&[(scope, settings)].into(), output)
        }
        Config::Unset { scope, fields } => {
            let scope = scope.handler.unwrap_or_default();
            let settings = if fields.is_empty() {
                client.clear_config(&scope).await?;
                Settings::default()
            } else {
                client.unset_config(&scope, &fields).await?
            };
            show(&[(scope, settings)].into(), output)
        }
    }
}

async fn get(client: &Client, scope: Option<Scope>, output: Output) -> Result<(), Failure> {
    let mut all = client.config().await?.0;
    if let Some(scope) = scope {
        all.retain(|set, _| *set == scope);
    }
    show(&all, output)
}

fn show(all: &BTreeMap<Scope, Settings>, output: Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        config: BTreeMap<String, &'a Settings>,
    }
    let mut table = Table::new(["FOR", "TIMEOUT", "MAX ATTEMPTS", "CONCURRENCY", "PAUSED"]);
    for (scope, settings) in all {
        let number = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
        table.row([
            scope.to_string(),
            settings.timeout.map(duration::format).unwrap_or_default(),
            number(settings.max_attempts),
            number(settings.concurrency),
            settings
                .paused
                .map(|paused| paused.to_string())
                .unwrap_or_default(),
        ]);
    }
    let config = all
        .iter()
        .map(|(scope, settings)| (scope.to_string(), settings))
        .collect();
    output.page(&Shown { config }, &table, None)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let kind = match error {
            ConfigError::Store(_) => Kind::Redis,
            ConfigError::Invalid { .. } => Kind::Usage,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}
