//! Members of `workflows:alarms` and `batches:alarms`: moments that instances wait for.
//!
//! Of a workflow, `<id>` is the execution timeout, `<id> retry` the next attempt, `<id> s <task> <iteration>` the
//! longest wait of a task for its signal. Of a batch there are the first two.

use paceline_types::id::ID_LEN;
use paceline_types::{BatchId, WorkflowId};

/// A moment that an instance waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// Its execution timeout.
    Deadline,
    /// It may be tried again.
    Retry,
    /// The longest wait of a task for its signal.
    Signal {
        /// Index of the task.
        task: u32,
        /// Which start of it.
        iteration: u32,
    },
}

/// A moment that a batch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchAlarm {
    /// Its execution timeout.
    Deadline,
    /// Its next attempt.
    Retry,
}

/// The member of an instance's alarm.
pub(crate) fn encode(workflow: WorkflowId, alarm: Alarm) -> String {
    let mut buffer = [0; ID_LEN];
    let id = workflow.bare(&mut buffer);
    match alarm {
        Alarm::Deadline => id.to_owned(),
        Alarm::Retry => format!("{id} retry"),
        Alarm::Signal { task, iteration } => format!("{id} s {task} {iteration}"),
    }
}

/// Whose alarm a member is.
pub(crate) fn parse(member: &str) -> Option<(WorkflowId, Alarm)> {
    let mut parts = member.split(' ');
    let workflow = WorkflowId::from_bare(parts.next()?).ok()?;
    let alarm = match parts.next() {
        None => Alarm::Deadline,
        Some("retry") => Alarm::Retry,
        Some("s") => Alarm::Signal {
            task: parts.next()?.parse().ok()?,
            iteration: parts.next()?.parse().ok()?,
        },
        Some(_) => return None,
    };
    Some((workflow, alarm))
}

/// The member of a batch's alarm.
pub(crate) fn encode_batch(batch: BatchId, alarm: BatchAlarm) -> String {
    let mut buffer = [0; ID_LEN];
    let id = batch.bare(&mut buffer);
    match alarm {
        BatchAlarm::Deadline => id.to_owned(),
        BatchAlarm::Retry => format!("{id} retry"),
    }
}

/// Whose alarm a batch's member is.
pub(crate) fn parse_batch(member: &str) -> Option<(BatchId, BatchAlarm)> {
    let (id, alarm) = match member.split_once(' ') {
        None => (member, BatchAlarm::Deadline),
        Some((id, "retry")) => (id, BatchAlarm::Retry),
        Some(_) => return None,
    };
    Some((BatchId::from_bare(id).ok()?, alarm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;

    #[test]
    fn members_read_back() {
        let workflow = WorkflowId::from_parts(1, ShardIndex(0), 4);
        let signal = Alarm::Signal {
            task: 7,
            iteration: 2,
        };
        for alarm in [Alarm::Deadline, Alarm::Retry, signal] {
            assert_eq!(parse(&encode(workflow, alarm)), Some((workflow, alarm)));
        }
        let id = workflow.bare(&mut [0; ID_LEN]).to_owned();
        let batch = BatchId::from_parts(1, ShardIndex(0), 4);
        for alarm in [BatchAlarm::Deadline, BatchAlarm::Retry] {
            let member = encode_batch(batch, alarm);
            assert_eq!(parse_batch(&member), Some((batch, alarm)));
        }
        for member in ["", "x", &format!("{id} s 1"), &format!("{id} new")] {
            assert_eq!(parse(member), None, "{member}");
        }
    }
}
