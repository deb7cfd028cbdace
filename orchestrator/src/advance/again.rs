//! What was decided before, and must be said once more.

use paceline_types::JobId;
use paceline_types::workflow::{TaskRecord, Work};

use super::Step;
use super::values::Lack;
use crate::facts::Facts;
use crate::instance::Instance;
use crate::ports::Spawn;

/// The child that a task which was begun waits for, as it was asked for; nothing changes.
///
/// # Errors
/// The results that must be known first; none of them when no such child is under way, or what it
/// was given is gone.
pub(crate) fn spawn_again(
    instance: &mut Instance,
    facts: &Facts,
    index: u32,
) -> Result<Spawn, Vec<JobId>> {
    let iteration = match instance.record_of(index) {
        Some(record @ (TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. })) => {
            record.iteration()
        }
        _ => return Err(Vec::new()),
    };
    let Some((plan, _, place)) = instance.place(index) else {
        return Err(Vec::new());
    };
    let plan = plan.clone();
    let planned = plan.task(place);
    let Work::Child { definition, .. } = &planned.work else {
        return Err(Vec::new());
    };
    let mut step = Step::new(instance, facts, 0);
    match step.spawn_of(index, iteration, planned, definition) {
        Ok(spawn) => Ok(spawn),
        Err(Lack::Unread) => Err(step.wanted.into_iter().collect()),
        Err(Lack::Gone(_)) => Err(Vec::new()),
    }
}
