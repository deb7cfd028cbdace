//! The reference interpreter: how a workflow ends, found the slowest way.
//!
//! It runs one task to its end, looks at all of them again, and runs another one whose turn has
//! come, whichever chance picks. It keeps no counters and no lists of what waits. A task that
//! fails fatally ends only what waits for it: everything else runs as far as it can. So what is
//! told is all that may happen; a real run that ends for a failure has done a part of it.

mod run;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::WorkflowStatus;
use paceline_types::workflow::{Hook, TaskDefinition, TaskKind, WorkflowDefinition};
use serde_json::Value;

use super::chance::Chance;
use super::shape::Shape;

/// How one start of a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// In which way.
    pub kind: Kind,
    /// What tasks that depend on it read.
    pub value: Value,
    /// Why it failed or was skipped.
    pub error: Option<String>,
}

/// The ways in which a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Well.
    Completed,
    /// A condition took this route.
    Routed(Option<u32>),
    /// There was nothing to do.
    Skipped,
    /// No way led there.
    Bypassed,
    /// It failed or was cancelled, which it may.
    FailedAllowed,
    /// It failed.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl Kind {
    /// Whether what waits for the task may go on.
    #[must_use]
    pub fn is_done(self) -> bool {
        !matches!(self, Kind::Dead | Kind::Cancelled)
    }
}

/// A task by its name, behind the generators that made it: `g@0/g-a`; and which start of it.
pub type Start = (String, u32);

/// What may happen, and how it ends.
#[derive(Clone, Debug)]
pub struct Told {
    /// The final status.
    pub status: WorkflowStatus,
    /// Tasks for which it may fail, and why.
    pub fatals: BTreeMap<String, String>,
    /// Every end of every start.
    pub ends: BTreeMap<Start, End>,
    /// The last start of each task that is left.
    pub last: BTreeSet<Start>,
    /// Starts that made a job or a child.
    pub made: BTreeSet<Start>,
    /// Hooks, in their order.
    pub hooks: Vec<Hook>,
    /// What it comes to.
    pub output: Value,
    /// Attempts that it took.
    pub attempts: u32,
    /// Child workflows.
    pub children: BTreeMap<Start, Told>,
    /// The instance that it went on as.
    pub next: Option<Box<Told>>,
    /// Tasks that ran.
    pub steps: usize,
    /// It is tried again when it fails: the number of a start does not tell how it ends.
    pub steady: bool,
}

/// Why there is nothing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing can run, nothing failed, and yet not everything is done: no valid definition may
    /// come to this.
    Hangs,
    /// It takes more steps than a test should.
    TooLong,
    /// A task began more often than its loops allow.
    Overrun,
}

/// Most steps that are worth it.
const MAX_STEPS: usize = 2_000;

/// What a job that was cancelled leaves as the reason.
pub const CANCELLED: &str = "cancelled";

/// What a signal of a name carries.
#[must_use]
pub fn signal_payload(name: &str) -> Value {
    serde_json::json!({ "signal": name, "v": 1 })
}

/// How a workflow ends. `order` chooses among the tasks whose turn has come; what it chooses makes
/// no difference.
///
/// # Errors
/// When there is nothing to tell.
pub fn tell(
    definition: &WorkflowDefinition,
    input: &Value,
    order: &mut Chance,
) -> Result<Told, Unfit> {
    tell_of(definition, input, order, false)
}

fn tell_of(
    definition: &WorkflowDefinition,
    input: &Value,
    order: &mut Chance,
    is_successor: bool,
) -> Result<Told, Unfit> {
    let mut machine = Machine::new(definition, input);
    if !is_successor {
        machine.hook(Hook::Init);
    }
    machine.run(order)
}

/// One task, as it stands.
#[derive(Clone, Debug)]
struct Task {
    key: String,
    definition: TaskDefinition,
    scope: usize,
    iteration: u32,
    evaluations: u32,
    end: Option<End>,
    continues: bool,
    /// The scope of what it generated, while that is not done; and what it answered.
    expanded: Option<(usize, Value)>,
    /// What it generated, by its ends.
    elements: Vec<Start>,
}

/// A list of tasks that know each other: the definition's, or a section.
#[derive(Clone, Debug)]
struct Scope {
    shape: Shape,
    first: usize,
    count: usize,
    generator: Option<usize>,
    alive: bool,
}

struct Machine<'a> {
    definition: &'a WorkflowDefinition,
    input: &'a Value,
    tasks: Vec<Task>,
    scopes: Vec<Scope>,
    told: Told,
}

impl<'a> Machine<'a> {
    fn new(definition: &'a WorkflowDefinition, input: &'a Value) -> Machine<'a> {
        let told = Told {
            status: WorkflowStatus::Running,
            fatals: BTreeMap::new(),
            ends: BTreeMap::new(),
            last: BTreeSet::new(),
            made: BTreeSet::new(),
            hooks: Vec::new(),
            output: Value::Null,
            attempts: 1,
            children: BTreeMap::new(),
            next: None,
            steps: 0,
            steady: definition.retry_policy.is_some(),
        };
        let mut machine = Machine {
            definition,
            input,
            tasks: Vec::new(),
            scopes: Vec::new(),
            told,
        };
        machine.add(definition.tasks.clone(), None);
        machine
    }

    /// Adds a list of tasks; the number of their scope.
    fn add(&mut self, list: Vec<TaskDefinition>, generator: Option<usize>) -> usize {
        let behind = generator.map_or(String::new(), |generator| {
            let generator = &self.tasks[generator];
            format!("{}@{}/", generator.key, generator.iteration)
        });
        self.scopes.push(Scope {
            shape: Shape::of(&list),
            first: self.tasks.len(),
            count: list.len(),
            generator,
            alive: true,
        });
        let scope = self.scopes.len() - 1;
        self.tasks.extend(list.into_iter().map(|definition| Task {
            key: format!("{behind}{}", definition.name),
            definition,
            scope,
            iteration: 0,
            evaluations: 0,
            end: None,
            continues: false,
            expanded: None,
            elements: Vec::new(),
        }));
        scope
    }

    fn hook(&mut self, hook: Hook) {
        let hooks = self.definition.hooks.as_ref();
        if hooks.and_then(|hooks| hooks.get(hook)).is_some() {
            self.told.hooks.push(hook);
        }
    }

    /// The task of a place in the scope of another one.
    fn beside(&self, task: usize, place: usize) -> usize {
        self.scopes[self.tasks[task].scope].first + place
    }

    fn place(&self, task: usize) -> usize {
        task - self.scopes[self.tasks[task].scope].first
    }

    fn shape(&self, task: usize) -> &Shape {
        &self.scopes[self.tasks[task].scope].shape
    }

    /// Whether a scope and all that it came from is still part of the instance.
    fn is_alive(&self, scope: usize) -> bool {
        let Scope {
            alive, generator, ..
        } = self.scopes[scope];
        alive && generator.is_none_or(|generator| self.is_alive(self.tasks[generator].scope))
    }

    fn kind(&self, task: usize) -> Option<Kind> {
        self.tasks[task].end.as_ref().map(|end| end.kind)
    }

    fn is_done(&self, task: usize) -> bool {
        self.kind(task).is_some_and(Kind::is_done)
    }

    /// Whether the task can do something now.
    fn can_go_on(&self, task: usize) -> bool {
        let Task {
            scope,
            end,
            expanded,
            ..
        } = &self.tasks[task];
        if end.is_some() || !self.is_alive(*scope) {
            return false;
        }
        match expanded {
            Some((section, _)) => {
                let Scope { first, count, .. } = self.scopes[*section];
                (first..first + count).all(|task| self.is_done(task))
            }
            None => self.shape(task).waits[self.place(task)]
                .iter()
                .all(|&before| self.is_done(self.beside(task, before))),
        }
    }

    /// The sibling of a name.
    fn sibling(&self, task: usize, name: &str) -> Option<usize> {
        let Scope { first, count, .. } = self.scopes[self.tasks[task].scope];
        (first..first + count).find(|&other| self.tasks[other].definition.name == name)
    }

    /// What dependents of a task read.
    fn value_of(&self, task: usize) -> Value {
        let end = self.tasks[task].end.as_ref();
        end.map_or(Value::Null, |end| end.value.clone())
    }

    /// The root of a reference, as a task sees it.
    fn root(&self, task: usize, root: &str) -> Option<Value> {
        if root == "input" {
            return Some(self.input.clone());
        }
        let name = root.strip_prefix("tasks.")?.strip_suffix(".output")?;
        Some(self.value_of(self.sibling(task, name)?))
    }

    fn is_map(&self, task: usize) -> bool {
        self.tasks[task].definition.kind == TaskKind::Map
    }
}
