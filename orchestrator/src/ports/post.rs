//! What one instance has another told.

use bytes::Bytes;
use paceline_types::workflow::{Ending, Origin, Stage};
use paceline_types::{JobId, TaskName, WorkflowId};

use super::TaskOutcome;

/// A child workflow to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Spawn {
    /// Its id: [`WorkflowId::of_child`]. One that is there already is left as it is.
    pub child: WorkflowId,
    /// Its definition, as JSON.
    pub definition: Bytes,
    /// Its input, as JSON.
    pub input: Option<Bytes>,
    /// The task that it is the child of.
    pub origin: Origin,
    /// The name of that task.
    pub task: TaskName,
}

/// Something that another instance must be told, in its own shard. Each may be delivered more than
/// once, and does nothing the second time.
#[derive(Clone, Debug, PartialEq)]
pub enum Post {
    /// Make this child. If it is there and has ended, its parent is told again.
    Spawn(Box<Spawn>),
    /// Tell the parent of this child once more how that ended, if it has. Unlike [`Post::Spawn`] it
    /// makes nothing.
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
    /// Tell the parent how its child ended; of one that completed, its output becomes the result of
    /// the task.
    Ended {
        /// The child.
        child: WorkflowId,
        /// The parent's task.
        origin: Origin,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// Make the instance that this one goes on as: with its definition, its origin, and the result of
    /// a job as the input.
    Succeed {
        /// The instance.
        from: WorkflowId,
        /// The new one.
        to: WorkflowId,
        /// Whose result is the input.
        job: JobId,
    },
}

impl Post {
    /// What the parent of an instance is told when that has come to its outcome; none as long as it
    /// has not, or goes on as another one, which tells it then.
    #[must_use]
    pub fn ended(child: WorkflowId, origin: Origin, stage: &Stage) -> Option<Post> {
        let outcome = match stage {
            Stage::Completed => TaskOutcome::Completed,
            Stage::Ended(Ending::Cancelled { .. }) => TaskOutcome::Cancelled,
            Stage::Ended(ending) => TaskOutcome::Dead {
                error: format!("child workflow {child} failed: {ending}"),
            },
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Ending(_)
            | Stage::Resting(_)
            | Stage::Restarting
            | Stage::Continued { .. } => return None,
        };
        Some(Post::Ended {
            child,
            origin,
            outcome,
        })
    }

    /// The instance that it is for: it is delivered in that one's shard.
    #[must_use]
    pub fn target(&self) -> WorkflowId {
        match self {
            Post::Spawn(spawn) => spawn.child,
            Post::Ask { child } | Post::Cancel { child, .. } => *child,
            Post::Ended { origin, .. } => origin.parent,
            Post::Succeed { to, .. } => *to,
        }
    }

    /// The instance that it is about: what is said about one is delivered in order.
    #[must_use]
    pub fn about(&self) -> WorkflowId {
        match self {
            Post::Spawn(spawn) => spawn.child,
            Post::Ask { child } | Post::Cancel { child, .. } | Post::Ended { child, .. } => *child,
            Post::Succeed { to, .. } => *to,
        }
    }
}
