//! A node of Paceline: runs handlers, takes part in elections, leads shards.
//!
//! ```no_run
//! use paceline_node::{Context, Node};
//! use paceline_types::Task;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Resize {
//!     image: String,
//!     width: u32,
//! }
//!
//! impl Task for Resize {
//!     const TYPE: &'static str = "image.resize";
//!     type Output = String;
//! }
//!
//! # async fn example() -> Result<(), paceline_node::StartError> {
//! Node::builder()
//!     .redis("redis://127.0.0.1/")
//!     .handle(|_: Context, job: Resize| async move {
//!         Ok(format!("{}@{}", job.image, job.width))
//!     })
//!     .run()
//!     .await
//! # }
//! ```
//!
//! A handler is executed **at least once** for each job; its context carries a fencing token, so
//! that a system outside can tell the current run from one that was given up. State changes
//! happen exactly once.
//!
//! The parts: a pump per shard settles and claims (`pump`), each run is a task (`run`,
//! `execute`), the heartbeat keeps the leases from a thread of its own (`heartbeat`), and each
//! shard has its election (`election`), whose winner runs the orchestrator. Around them: what
//! wraps handlers (`middleware`), leaves them alone (`breaker`), tells the application
//! (`callbacks`), and changes all that while it runs (`settings`).

mod aggregate;
mod breaker;
mod builder;
pub mod builtin;
mod callbacks;
mod campaign;
mod census;
mod compose;
mod context;
mod election;
mod execute;
mod handler;
mod heartbeat;
mod http;
mod identity;
mod inputs;
mod kit;
mod latch;
mod leader_bell;
mod lease;
pub mod ledger;
mod middleware;
mod node;
mod owned;
mod panics;
mod periodic;
mod phase;
mod pump;
#[cfg(doctest)]
mod readme;
mod registry;
mod run;
mod settings;
mod signs;
mod slots;
pub mod telemetry;

pub use bytes::Bytes;

pub use breaker::Breaker;
pub use builder::{
    BuildError, DEFAULT_CONCURRENCY, DEFAULT_DRAIN, DEFAULT_LEADER_LEASE, DEFAULT_LEASE,
    DEFAULT_SETTINGS_INTERVAL, NodeBuilder, SHORTEST_LEASE,
};
pub use context::{Context, MAX_PROGRESS, ProgressError};
pub use handler::HandlerOptions;
pub use latch::CancelReason;
pub use middleware::{Layers, Middleware, Next};
pub use node::{Node, RunningNode, StartError};
pub use paceline_types::handler::{HookCall, HookedWorkflow, Route, Tasks, Upstream};
pub use paceline_types::{Event, EventKind, Role};
pub use periodic::DEFAULT_PERIOD;
