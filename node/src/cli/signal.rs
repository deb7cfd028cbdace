//! The signals that ask a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::{Failure, Kind};

/// SIGINT and SIGTERM, caught from its making on.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Catches the signals from here on.
    pub(crate) fn catch() -> Result<StopSignals, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Kind::Outcome, format!("cannot catch signals: {error}"))
            })
        };
        Ok(StopSignals {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
        })
    }

    /// Waits for either of them.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
