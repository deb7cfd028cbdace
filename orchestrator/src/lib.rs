//! Pure decisions of Paceline, and the loops of a shard's leader over small ports.
//!
//! [`advance`](advance::advance) decides: given an instance of a workflow and an event, it says
//! what changes and what must be made true with it. It knows no clock, no chance and no IO.
//! [`Desk`](desk::Desk) carries that out: it loads instances, advances them in memory and
//! commits everything that follows in one call. Around it are the services of a leader, each
//! with options and a `tick`, and [`Leader`](leader::Leader), the one loop that runs those that
//! are due. Redis is not known here: [`ports`] says what is needed, in the words of this crate.
//!
//! Metrics: `paceline_orchestrator_events_total{answer=applied|late|impossible}`,
//! `paceline_orchestrator_fenced_total`, and per turn
//! `paceline_orchestrator_turn_{events,commits,effects}`.

pub mod advance;
mod agenda;
pub mod alarms;
pub mod batch;
mod cache;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod courier;
pub mod desk;
mod draft;
pub mod facts;
#[cfg(any(test, feature = "testing"))]
pub mod graph;
pub mod groups;
pub mod instance;
pub mod leader;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod ports;
pub mod promoter;
pub mod reconciler;
pub mod recovery;
pub mod retention;
pub mod scheduler;
pub mod term;
#[cfg(test)]
mod theatre;
pub mod timers;
pub mod transition;
pub mod workflows;
