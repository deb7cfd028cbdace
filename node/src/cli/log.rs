//! The log: `tracing` on standard error, as lines for people or as JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use super::output::no_color_is_unset;

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts the log; `RUST_LOG` says what it shows, else `default` does.
pub(crate) fn start(format: LogFormat, default: &str) -> Result<(), Failure> {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = match wanted.trim() {
        "" => EnvFilter::new(default),
        directives => EnvFilter::try_new(directives).map_err(|error| {
            Failure::usage(format!(
                "RUST_LOG is not a filter ({error}); write a level such as info, or \
                 paceline_node=debug"
            ))
        })?,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => log
            .with_ansi(std::io::stderr().is_terminal() && no_color_is_unset())
            .init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
