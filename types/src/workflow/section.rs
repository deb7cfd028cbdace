//! Tasks that came to an instance while it ran, and where an instance comes from.

use serde::{Deserialize, Serialize};

use super::TaskDefinition;
use crate::WorkflowId;

/// Tasks that one start of a generator (a subflow or a map) added to its instance.
///
/// They are numbered from `base` on, behind all that were numbered before. A section lives as long
/// as its generator's record is of the same iteration; a generator that starts afresh gets a new
/// one, with new numbers, and the records of the old one's tasks go to the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Index of the generator.
    pub generator: u32,
    /// Which start of it.
    pub iteration: u32,
    /// Index of the first task.
    pub base: u32,
    /// The tasks.
    pub body: SectionBody,
}

/// The tasks of a section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionBody {
    /// Those that a subflow's handler answered, in that order.
    Subflow(Vec<TaskDefinition>),
    /// One for each of so many elements of a map, named `<map>#<place>`, places from 0.
    Map {
        /// How many.
        count: u32,
    },
}

/// Equal when they are written alike.
impl PartialEq for Section {
    fn eq(&self, other: &Section) -> bool {
        let written = |section: &Section| serde_json::to_string(section).ok();
        written(self) == written(other)
    }
}

impl Section {
    /// How many tasks it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        match &self.body {
            SectionBody::Subflow(tasks) => u32::try_from(tasks.len()).unwrap_or(u32::MAX),
            SectionBody::Map { count } => *count,
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The task of another workflow that an instance is the child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The parent.
    pub parent: WorkflowId,
    /// Index of the task in the parent.
    pub task: u32,
    /// Which start of that task.
    pub iteration: u32,
    /// How many ancestors the child has: 1 for the child of a workflow without a parent.
    pub depth: u32,
}

impl Origin {
    /// Most ancestors that a workflow may have.
    pub const MAX_DEPTH: u32 = 16;
}
