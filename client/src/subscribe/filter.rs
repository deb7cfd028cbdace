//! Which events a subscription delivers. Pure.
//!
//! Filters work here, not in Redis: a stream can only be read whole, and one shard's log is read
//! once for all that a client wants of it.

use std::collections::{BTreeSet, HashSet};

use paceline_types::{BatchId, Event, EventKind, JobId, ShardIndex, TaskType, WorkflowId};

/// Every condition that is set must hold; one that names several values holds for any of them.
#[derive(Clone, Debug, Default)]
pub(super) struct EventFilter {
    pub(super) kinds: HashSet<EventKind>,
    pub(super) jobs: HashSet<JobId>,
    pub(super) workflows: HashSet<WorkflowId>,
    pub(super) batches: HashSet<BatchId>,
    pub(super) task_types: HashSet<TaskType>,
}

impl EventFilter {
    pub(super) fn accepts(&self, event: &Event) -> bool {
        fn holds<T: Eq + std::hash::Hash>(wanted: &HashSet<T>, value: Option<&T>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        }
        holds(&self.kinds, Some(&event.kind))
            && holds(&self.jobs, event.job_id.as_ref())
            && holds(&self.workflows, event.workflow_id.as_ref())
            && holds(&self.batches, event.batch_id.as_ref())
            && holds(&self.task_types, event.task_type.as_ref())
    }

    /// The shards that accepted events can stand in; `None` means any.
    pub(super) fn shards(&self) -> Option<BTreeSet<ShardIndex>> {
        if !self.jobs.is_empty() {
            Some(self.jobs.iter().map(|id| id.shard()).collect())
        } else if !self.workflows.is_empty() {
            Some(self.workflows.iter().map(|id| id.shard()).collect())
        } else if !self.batches.is_empty() {
            Some(self.batches.iter().map(|id| id.shard()).collect())
        } else {
            None
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use paceline_types::event::EventCursor;

    use super::*;

    pub(in crate::subscribe) fn event(kind: EventKind, cursor: &str) -> Event {
        Event {
            kind,
            timestamp: 1,
            shard: ShardIndex(0),
            cursor: cursor.parse::<EventCursor>().expect("cursor"),
            job_id: None,
            task_type: None,
            attempt: None,
            run: None,
            workflow_id: None,
            workflow_task: None,
            batch_id: None,
            batch_item: None,
            batch_progress: None,
            schedule_id: None,
            node_id: None,
            term: None,
            error: None,
        }
    }

    fn job(n: u64) -> JobId {
        JobId::from_parts(1, ShardIndex(3), n)
    }

    fn workflow(n: u64) -> WorkflowId {
        WorkflowId::from_parts(1, ShardIndex(4), n)
    }

    fn batch(n: u64) -> BatchId {
        BatchId::from_parts(1, ShardIndex(5), n)
    }

    #[test]
    fn every_condition_must_hold_and_any_of_its_values_will_do() {
        let of_job = Event {
            job_id: Some(job(1)),
            workflow_id: Some(workflow(1)),
            batch_id: Some(batch(1)),
            task_type: Some(TaskType::new("a").expect("name")),
            ..event(EventKind::JobCompleted, "1-0.0")
        };
        let of_node = event(EventKind::NodeJoined, "1-0.1");
        let none = EventFilter::default;
        let table = [
            (none(), true, true),
            (
                EventFilter {
                    kinds: [EventKind::JobCompleted, EventKind::JobDead].into(),
                    ..none()
                },
                true,
                false,
            ),
            (
                EventFilter {
                    jobs: [job(1), job(2)].into(),
                    ..none()
                },
                true,
                false,
            ),
            (
                EventFilter {
                    jobs: [job(1)].into(),
                    workflows: [workflow(2)].into(),
                    ..none()
                },
                false,
                false,
            ),
            (
                EventFilter {
                    batches: [batch(1), batch(2)].into(),
                    ..none()
                },
                true,
                false,
            ),
            (
                EventFilter {
                    kinds: [EventKind::NodeJoined].into(),
                    ..none()
                },
                false,
                true,
            ),
            (
                EventFilter {
                    task_types: [TaskType::new("b").expect("name")].into(),
                    ..none()
                },
                false,
                false,
            ),
        ];
        for (filter, job, node) in table {
            let accepted = (filter.accepts(&of_job), filter.accepts(&of_node));
            assert_eq!(accepted, (job, node), "{filter:?}");
        }
    }

    #[test]
    fn only_the_shards_that_matter_are_read() {
        let mut filter = EventFilter::default();
        assert_eq!(filter.shards(), None);
        filter.batches.insert(batch(1));
        assert_eq!(filter.shards(), Some([ShardIndex(5)].into()));
        filter.workflows.insert(workflow(1));
        assert_eq!(filter.shards(), Some([ShardIndex(4)].into()));
        filter.jobs.insert(job(1));
        assert_eq!(filter.shards(), Some([ShardIndex(3)].into()));
    }
}
