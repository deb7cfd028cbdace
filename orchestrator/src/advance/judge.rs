//! Whether an event about a task can be true of the instance as it stands.

use paceline_types::workflow::{Hook, TaskRecord, Work};
use paceline_types::{JobId, TaskName, WorkflowId};

use super::Step;
use crate::transition::{Impossible, Late, Refusal};

/// The index and the iteration that a job of a workflow's task was made of; none if it is no job of
/// this workflow. The way back of [`JobId::of_task`].
#[must_use]
pub fn place_of(workflow: WorkflowId, job: JobId) -> Option<(u32, u32)> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    // Newton's iteration doubles the bits that are right; a number is its own inverse modulo 8.
    let inverse = (0..5).fold(FACTOR, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse)))
    });
    let moved = (job.random() >> 5).wrapping_sub(workflow.random() >> 5);
    let place = (moved.wrapping_mul(inverse) & (u64::MAX >> 5)).wrapping_sub(1);
    let iteration = u32::try_from((place & (u64::MAX >> 5)) >> 27).ok()?;
    let low = u32::try_from(job.random() & 31).ok()?;
    let task = (u32::try_from(place & ((1 << 27) - 1)).ok()? << 5) | low;
    (JobId::of_task(workflow, task, iteration) == job).then_some((task, iteration))
}

impl Step<'_> {
    /// Whether this start of the task can end now; its index if so.
    ///
    /// The job says which task is meant: a name may have been given again since, to a task that
    /// another start of the same subflow added.
    pub(super) fn judge_task(
        &self,
        name: &TaskName,
        iteration: u32,
        job: JobId,
    ) -> Result<u32, Refusal> {
        let foreign = || {
            Err(Refusal::Impossible(Impossible::ForeignJob {
                job,
                task: name.clone(),
                iteration,
            }))
        };
        match place_of(self.instance.id(), job) {
            Some((index, of)) if of == iteration => {
                if self.instance.task_name(index).as_ref() == Some(name) {
                    self.judge(index, name, iteration)
                } else if self.is_dropped(index) {
                    Err(Refusal::Late(Late::Dropped))
                } else if self.instance.index_of(name.as_str()).is_none() {
                    Err(unknown(name))
                } else {
                    foreign()
                }
            }
            _ => match self.instance.index_of(name.as_str()) {
                None => Err(unknown(name)),
                // What is wrong with the iteration says more than that the job is another one.
                Some(index) => self.judge(index, name, iteration).and_then(|_| foreign()),
            },
        }
    }

    /// Whether the job of this start of the task can be missed now; its index if so.
    pub(super) fn judge_gone(&self, name: &TaskName, iteration: u32) -> Result<u32, Refusal> {
        let definition = self.instance.plan().task_count();
        match self.instance.index_of(name.as_str()) {
            Some(index) => self.judge(index, name, iteration),
            // It may have gone with its section since it was looked for.
            None if self.instance.numbered() > definition => Err(Refusal::Late(Late::Dropped)),
            None => Err(unknown(name)),
        }
    }

    fn judge(&self, index: u32, name: &TaskName, iteration: u32) -> Result<u32, Refusal> {
        let impossible = |why| Err(Refusal::Impossible(why));
        let never = || {
            let task = name.clone();
            impossible(Impossible::NeverDispatched { task })
        };
        let Some(record) = self.instance.record_of(index) else {
            return never();
        };
        let current = record.iteration();
        if iteration > current {
            return impossible(Impossible::FutureIteration {
                task: name.clone(),
                current,
                iteration,
            });
        }
        if iteration < current {
            return Err(Refusal::Late(Late::Superseded { current }));
        }
        let waits = || {
            let planned = self.instance.planned(index);
            planned.is_some_and(|planned| matches!(planned.work, Work::Signal { .. }))
        };
        match record {
            TaskRecord::Dispatched { .. } if waits() => never(),
            TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } => Ok(index),
            TaskRecord::Again { .. } => never(),
            _ => Err(Refusal::Late(Late::TaskEnded)),
        }
    }

    /// Whether a task of this index was there once, and is not any more.
    fn is_dropped(&self, index: u32) -> bool {
        let instance = &self.instance;
        Hook::of_index(index).is_none()
            && index < instance.numbered()
            && instance.phase(index).is_none()
    }
}

fn unknown(name: &TaskName) -> Refusal {
    Refusal::Impossible(Impossible::UnknownTask { task: name.clone() })
}
