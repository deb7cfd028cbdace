//! Entries of the outbox: what instances in other shards must be told, as JSON in one field.

use paceline_types::workflow::Origin;
use paceline_types::{TaskName, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::inbox::TaskEnd;

/// Something that another instance must be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Post {
    /// Make this child. If it is there and has ended, its parent is told again.
    Spawn {
        /// Its id.
        child: WorkflowId,
        /// Its definition.
        definition: Box<RawValue>,
        /// Its input.
        input: Option<Box<RawValue>>,
        /// The task that it is the child of.
        of: ChildOf,
    },
    /// Tell the parent of this child once more how that ended, if it has.
    Ask {
        /// Which.
        child: WorkflowId,
    },
    /// Cancel this child, and whatever it goes on as.
    Cancel {
        /// Which.
        child: WorkflowId,
        /// Why.
        reason: String,
    },
    /// Tell the parent how its child ended.
    Ended {
        /// The child.
        child: WorkflowId,
        /// The parent's task.
        origin: Origin,
        /// How it ended.
        end: TaskEnd,
    },
}

/// The task that an instance is the child of; kept with the child, so that its end can name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildOf {
    /// Which.
    #[serde(flatten)]
    pub origin: Origin,
    /// Its name.
    pub name: TaskName,
}
