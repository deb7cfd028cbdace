//! From a definition to a plan: every mistake at once, each with its place.
//!
//! One pass reads names, values and edges, so that a stored definition becomes a plan again by
//! the same code; validation adds the rules that only a new definition must meet. A rule that was
//! added later therefore never keeps an accepted workflow from being loaded.
//!
//! Linear in tasks and dependencies: duplicates are found by a stamp for each task. What
//! conditions add (see [`routes`]) costs more, and is bounded by limits of its own.

mod children;
mod cycles;
mod edges;
mod graph;
mod hooks;
mod joins;
mod kinds;
mod loops;
mod maps;
mod options;
mod routes;
mod tasks;
mod values;

use std::collections::{HashMap, HashSet};

use crate::nearest::nearest;

use super::plan::{Head, Plan, PlannedTask};
use super::{DefinitionError, TaskDefinition, WorkflowDefinition};
use crate::{Priority, TaskName, TaskType};

pub use maps::MAX_ELEMENTS;
pub use routes::{MAX_LOOP, MAX_ROUTES};

/// Most tasks of one workflow: 100,000. A plan of so many takes about 50 MB.
pub const MAX_TASKS: usize = 100_000;

/// Most edges of one workflow: 10,000,000, over all of its tasks, those that conditions add
/// included.
pub const MAX_DEPENDENCIES: usize = 10_000_000;

/// Longest name of a workflow, in bytes.
const MAX_NAME: usize = 256;

/// Mistakes that are told one by one; the rest is counted in one more.
const MAX_MISTAKES: usize = 1_000;

/// Mistakes that are given a suggestion: each costs a comparison with every name.
const MAX_SUGGESTIONS: usize = 20;

impl WorkflowDefinition {
    /// Checks the definition and indexes it. `max_payload` is the largest payload of a task, in
    /// bytes.
    ///
    /// # Errors
    /// Every mistake, in the order of the definition, those of its edges last; beyond 1,000
    /// mistakes the rest is counted in one more.
    pub fn validate(&self, max_payload: usize) -> Result<Plan, Vec<DefinitionError>> {
        self.validate_at(max_payload, 0)
    }

    /// `depth` is how many definitions this one is in.
    fn validate_at(&self, max_payload: usize, depth: u32) -> Result<Plan, Vec<DefinitionError>> {
        check_count(&self.tasks)?;
        let rules = Rules { max_payload, depth };
        let mut reader = Reader::new(&self.tasks, Scope::Workflow, Some(rules));
        reader.check_workflow(self);
        let head = reader.read_head(self);
        reader.plan(head)
    }
}

impl Plan {
    /// Makes a plan of a definition that was validated when it was accepted.
    ///
    /// Only what a plan cannot do without is looked at again: limits may have changed since.
    ///
    /// # Errors
    /// When the definition cannot be the one that was accepted: a name that does not parse or
    /// occurs twice, or a dependency that is not there.
    pub fn restore(definition: &WorkflowDefinition) -> Result<Plan, Vec<DefinitionError>> {
        let mut reader = Reader::new(&definition.tasks, Scope::Workflow, None);
        let head = reader.read_head(definition);
        reader.plan(head)
    }

    /// Checks tasks that a subflow's handler answered, and indexes them; indices are from 0. There
    /// may be none.
    ///
    /// They are validated as the tasks of a workflow are, but may also depend on `generator`,
    /// which means nothing more. `taken` are the names that the instance has. Tasks without a
    /// priority get `default_priority`.
    ///
    /// # Errors
    /// As [`WorkflowDefinition::validate`].
    pub fn of_section(
        tasks: &[TaskDefinition],
        generator: &str,
        default_priority: Priority,
        taken: &dyn TakenNames,
        max_payload: usize,
    ) -> Result<Plan, Vec<DefinitionError>> {
        check_count(tasks)?;
        let scope = Scope::Section {
            generator,
            taken: Some(taken),
        };
        let rules = Rules {
            max_payload,
            depth: 0,
        };
        Reader::new(tasks, scope, Some(rules)).plan(section_head(default_priority))
    }

    /// Makes a plan of tasks that [`Plan::of_section`] accepted.
    ///
    /// # Errors
    /// As [`Plan::restore`].
    pub fn restore_section(
        tasks: &[TaskDefinition],
        generator: &str,
        default_priority: Priority,
    ) -> Result<Plan, Vec<DefinitionError>> {
        let scope = Scope::Section {
            generator,
            taken: None,
        };
        Reader::new(tasks, scope, None).plan(section_head(default_priority))
    }
}

fn section_head(default_priority: Priority) -> Head {
    Head {
        default_priority,
        ..Head::default()
    }
}

fn check_count(tasks: &[TaskDefinition]) -> Result<(), Vec<DefinitionError>> {
    if tasks.len() <= MAX_TASKS {
        return Ok(());
    }
    let problem = format!(
        "{} tasks, at most {MAX_TASKS} are allowed; split the workflow",
        tasks.len()
    );
    Err(vec![mistake("tasks", problem)])
}

fn mistake(path: impl Into<String>, problem: impl Into<String>) -> DefinitionError {
    DefinitionError {
        path: path.into(),
        problem: problem.into(),
    }
}

/// The names of an instance that tasks are to be added to.
pub trait TakenNames {
    /// Whether a name is taken: by a task, or by what an element of a map may be called.
    fn has_name(&self, name: &str) -> bool;

    /// A task that is called as an element of a map of this name would be, `<map>#<place>`.
    fn element_of(&self, map: &str) -> Option<TaskName>;
}

/// What the tasks are the tasks of.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Workflow,
    Section {
        generator: &'a str,
        /// None when they are restored.
        taken: Option<&'a dyn TakenNames>,
    },
}

/// What only a new definition must meet.
#[derive(Clone, Copy)]
struct Rules {
    max_payload: usize,
    depth: u32,
}

/// One reading of a definition, and what it found wrong.
struct Reader<'a> {
    tasks: &'a [TaskDefinition],
    scope: Scope<'a>,
    /// None when it is restored.
    rules: Option<Rules>,
    /// The first place of each name.
    places: HashMap<&'a str, u32>,
    /// Equal task types share one allocation.
    types: HashMap<&'a str, TaskType>,
    /// `(task, dependency)`, in the order of the tasks.
    edges: Vec<(u32, u32)>,
    /// In the order of the tasks.
    routes: Vec<routes::Way>,
    /// Conditions with a route that leads nowhere: what follows from that is not told as well.
    doubtful: HashSet<u32>,
    /// Which task named this one as its dependency last, plus 1.
    stamps: Vec<u32>,
    mistakes: Vec<DefinitionError>,
    untold: usize,
    suggestions: usize,
}

impl<'a> Reader<'a> {
    fn new(tasks: &'a [TaskDefinition], scope: Scope<'a>, rules: Option<Rules>) -> Reader<'a> {
        let mut places = HashMap::with_capacity(tasks.len());
        for (place, task) in (0..).zip(tasks) {
            places.entry(task.name.as_str()).or_insert(place);
        }
        Reader {
            tasks,
            scope,
            rules,
            places,
            types: HashMap::new(),
            edges: Vec::new(),
            routes: Vec::new(),
            doubtful: HashSet::new(),
            stamps: vec![0; tasks.len()],
            mistakes: Vec::new(),
            untold: 0,
            suggestions: 0,
        }
    }

    fn plan(mut self, head: Head) -> Result<Plan, Vec<DefinitionError>> {
        let mut planned = self.read_tasks(head.default_priority);
        let dependencies = self.check_dependencies();
        let routed = dependencies
            .as_ref()
            .and_then(|dependencies| self.route(dependencies, &mut planned));
        if self.untold > 0 {
            let problem = format!("{} more mistakes; mend these first", self.untold);
            self.mistakes.push(mistake("definition", problem));
        }
        // A task that could not be read, and a circle, have left a mistake.
        match dependencies {
            Some(dependencies) if self.mistakes.is_empty() => {
                Ok(Plan::assemble(head, planned, dependencies, routed))
            }
            _ => Err(self.mistakes),
        }
    }

    /// Reads every task; those that cannot be read are left out.
    fn read_tasks(&mut self, default: Priority) -> Vec<PlannedTask> {
        let tasks = self.tasks;
        (0..)
            .zip(tasks)
            .filter_map(|(place, task)| self.read_task(place, task, default))
            .collect()
    }

    fn wrong(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(mistake(path, problem));
        } else {
            self.untold += 1;
        }
    }

    /// A mistake in a field of a task.
    fn wrong_in(&mut self, place: u32, field: &str, problem: impl Into<String>) {
        self.wrong(format!("tasks[{place}].{field}"), problem);
    }

    /// That no task has a name.
    fn unknown(&mut self, name: &str) -> String {
        let whole = match self.scope {
            Scope::Workflow => "workflow",
            Scope::Section { .. } => "list",
        };
        let names = self.tasks.iter().map(|task| task.name.as_str());
        let meant = match self.suggestions < MAX_SUGGESTIONS {
            true => nearest(name, names),
            false => None,
        };
        self.suggestions += 1;
        match meant {
            Some(meant) => format!("no task is named {name:?}; did you mean {meant:?}?"),
            None => format!("no task is named {name:?}; name a task of this {whole}"),
        }
    }
}

#[cfg(test)]
mod tests;
