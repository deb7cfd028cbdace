//! The ports, served from memory.

use std::collections::BTreeSet;

use paceline_types::{JobId, NodeId, WorkflowId};

use super::{Fault, JobState, MemoryJob, MemoryLedger, State, take_due};
use crate::desk::MAX_EFFECTS;
use crate::ports::{
    Commit, CommitOutcome, Cursor, Deadline, Delayed, Delivery, EntryId, Groups, GroupsFlushed,
    JobPhase, JobsExpired, Lanes, LanesChecked, Ledger, LedgerError, Nodes, Overview, Page,
    Promoted, Purged, ReadAhead, Recovered, Retention, StoredInstance, Survey, TaskOutcome, Timers,
    Trails, Turn, TurnReply,
};
use crate::term::Term;

/// Most commits, ids or records of one call.
const BOUND: usize = 100;

fn unavailable(why: &str) -> LedgerError {
    LedgerError::Unavailable(why.into())
}

impl State {
    /// Every call of a leader begins with this.
    pub(super) fn admit(&mut self, term: &Term) -> Result<(), LedgerError> {
        self.tally.calls += 1;
        if self.down {
            return Err(unavailable("down on purpose"));
        }
        if term.number() < self.newest_term {
            self.tally.fenced += 1;
            return Err(LedgerError::Fenced {
                newest: self.newest_term,
            });
        }
        self.newest_term = term.number();
        Ok(())
    }

    fn read(&self, ahead: &ReadAhead) -> Vec<Delivery> {
        let after = ahead
            .after
            .as_ref()
            .and_then(|entry| entry.0.parse().ok())
            .unwrap_or(0_u64);
        let entries = self.inbox.range(after + 1..).take(ahead.max);
        entries
            .map(|(entry, items)| Delivery {
                entry: EntryId(entry.to_string()),
                items: items.clone(),
            })
            .collect()
    }

    fn consume(&mut self, entry: &EntryId) {
        let Ok(number) = entry.0.parse::<u64>() else {
            return;
        };
        let Some(items) = self.inbox.remove(&number) else {
            return;
        };
        if self.repeat && !self.repeated.contains(&number) {
            self.deliver(items);
            self.repeated.insert(self.entries);
        }
    }

    fn apply(&mut self, commit: Commit) -> CommitOutcome {
        check(&commit);
        let Some(kept) = self.workflows.get_mut(&commit.workflow) else {
            return CommitOutcome::Missing;
        };
        if kept.revision != commit.expected {
            return CommitOutcome::Stale;
        }
        assert!(
            kept.close.is_none() || commit.close.is_none(),
            "closed twice"
        );
        kept.revision += 1;
        let revision = kept.revision;
        self.tally.headers += u64::from(commit.header.is_some());
        self.tally.records += commit.tasks.len() as u64;
        self.tally.events += commit.events.len() as u64;
        if let Some(header) = commit.header {
            kept.header = header;
        }
        kept.tasks.extend(commit.tasks);
        kept.unfinished = commit.more;
        match commit.deadline {
            Deadline::Keep => {}
            Deadline::Arm(after) => kept.deadline = Some(self.now + after),
            Deadline::Disarm => kept.deadline = None,
        }
        if commit.close.is_some() {
            kept.close = commit.close;
        }
        for made in commit.dispatches {
            self.tally.dispatches += 1;
            if self.jobs.contains_key(&made.job) {
                continue;
            }
            let job = MemoryJob {
                workflow: commit.workflow,
                task: made.task,
                iteration: made.iteration,
                upstream: made.upstream,
                state: JobState::Waiting,
            };
            self.jobs.insert(made.job, job);
            self.lane.push_back(made.job);
        }
        let mut stopped = Vec::new();
        for id in commit.cancels.into_iter().flat_map(|cancels| cancels.jobs) {
            self.tally.cancels += 1;
            match self.jobs.get_mut(&id) {
                Some(job) if job.state == JobState::Waiting => {
                    stopped.extend(self.end(id, TaskOutcome::Cancelled));
                }
                Some(job) if job.state == JobState::Running => {
                    job.state = JobState::CancelRequested;
                }
                Some(_) | None => {}
            }
        }
        if !stopped.is_empty() {
            self.deliver(stopped);
        }
        let workflow = commit.workflow;
        self.log
            .extend(commit.events.into_iter().map(|event| (workflow, event)));
        CommitOutcome::Committed { revision }
    }
}

/// What the ports demand of a commit.
fn check(commit: &Commit) {
    let tasks: BTreeSet<u32> = commit.tasks.iter().map(|(task, _)| *task).collect();
    assert_eq!(tasks.len(), commit.tasks.len(), "a task is written twice");
    let jobs: BTreeSet<JobId> = commit.dispatches.iter().map(|made| made.job).collect();
    assert_eq!(jobs.len(), commit.dispatches.len(), "a job is made twice");
    for made in &commit.dispatches {
        let job = JobId::of_task(commit.workflow, made.index, made.iteration);
        assert_eq!(made.job, job, "a job has another id than its task's");
    }
}

impl Ledger for MemoryLedger {
    async fn inbox(&self, term: &Term, ahead: ReadAhead) -> Result<Vec<Delivery>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        Ok(state.read(&ahead))
    }

    async fn load(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Option<StoredInstance>>, LedgerError> {
        assert!(workflows.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let stored = |id: &WorkflowId| {
            state.workflows.get(id).map(|kept| StoredInstance {
                definition: kept.definition.clone(),
                header: kept.header.clone(),
                revision: kept.revision,
                tasks: kept
                    .tasks
                    .iter()
                    .map(|(task, record)| (*task, record.clone()))
                    .collect(),
            })
        };
        Ok(workflows.iter().map(stored).collect())
    }

    async fn commit(&self, term: &Term, turn: Turn) -> Result<TurnReply, LedgerError> {
        let ids: BTreeSet<WorkflowId> = turn.commits.iter().map(|commit| commit.workflow).collect();
        assert_eq!(
            ids.len(),
            turn.commits.len(),
            "an instance is committed twice"
        );
        assert!(turn.commits.len() <= BOUND, "too many commits");
        let effects: usize = turn
            .commits
            .iter()
            .map(|commit| {
                let cancels = commit
                    .cancels
                    .as_ref()
                    .map_or(0, |cancels| cancels.jobs.len());
                commit.dispatches.len() + cancels
            })
            .sum();
        assert!(effects <= MAX_EFFECTS, "too many effects");
        let records: usize = turn.commits.iter().map(|commit| commit.tasks.len()).sum();
        assert!(records <= effects + BOUND, "too many records");

        let mut state = self.state();
        let fault = state.faults.pop_front();
        if fault == Some(Fault::Before) {
            return Err(unavailable("failed on purpose, before"));
        }
        state.admit(term)?;
        if ids.iter().any(|id| state.poisoned.contains(id)) {
            return Err(unavailable("poisoned on purpose"));
        }
        state.tally.turns += 1;
        let outcomes: Vec<CommitOutcome> = turn
            .commits
            .into_iter()
            .map(|commit| state.apply(commit))
            .collect();
        if !outcomes.contains(&CommitOutcome::Stale) {
            for entry in &turn.consumed {
                state.consume(entry);
            }
            for parked in turn.parked {
                if parked.unmark
                    && let Some(workflow) = parked.workflow
                    && let Some(kept) = state.workflows.get_mut(&workflow)
                {
                    kept.unfinished = false;
                    kept.deadline = None;
                }
                state.parked.push(parked);
            }
        }
        let next = turn
            .read_ahead
            .map(|ahead| state.read(&ahead))
            .unwrap_or_default();
        match fault {
            Some(Fault::After) => Err(unavailable("failed on purpose, after")),
            Some(Fault::Before) | None => Ok(TurnReply { outcomes, next }),
        }
    }

    async fn overdue(&self, term: &Term, max: usize) -> Result<Vec<WorkflowId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.now;
        let mut overdue: Vec<_> = state
            .workflows
            .iter()
            .filter_map(|(id, kept)| Some((kept.deadline.filter(|&due| due <= now)?, *id)))
            .collect();
        overdue.sort_unstable();
        Ok(overdue.into_iter().take(max).map(|(_, id)| id).collect())
    }

    async fn unfinished(&self, term: &Term, max: usize) -> Result<Vec<WorkflowId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let marked = state.workflows.iter().filter(|(_, kept)| kept.unfinished);
        Ok(marked.take(max).map(|(id, _)| *id).collect())
    }

    async fn active(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<WorkflowId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let after = from.and_then(|cursor| cursor.0.parse::<WorkflowId>().ok());
        let active = state
            .workflows
            .iter()
            .filter(|(_, kept)| !kept.header.stage.is_closed());
        let items: Vec<WorkflowId> = active
            .map(|(id, _)| *id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(max)
            .collect();
        let next = items.last().filter(|_| items.len() == max);
        Ok(Page {
            next: next.map(|id| Cursor(id.to_string())),
            items,
        })
    }

    async fn job_phases(&self, term: &Term, jobs: &[JobId]) -> Result<Vec<JobPhase>, LedgerError> {
        assert!(jobs.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let phase = |id: &JobId| match state.jobs.get(id).map(|job| &job.state) {
            None => JobPhase::Missing,
            Some(JobState::Waiting | JobState::Running | JobState::CancelRequested) => {
                JobPhase::Unfinished
            }
            Some(JobState::Ended(outcome)) => JobPhase::Ended {
                outcome: outcome.clone(),
                attempt: 1,
            },
        };
        Ok(jobs.iter().map(phase).collect())
    }
}

impl Delayed for MemoryLedger {
    async fn promote(&self, term: &Term, max: usize) -> Result<Promoted, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.now;
        let (moved, next_due_in) = take_due(&mut state.delayed, now, max);
        Ok(Promoted { moved, next_due_in })
    }
}

impl Timers for MemoryLedger {
    async fn expire_jobs(&self, term: &Term, max: usize) -> Result<JobsExpired, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.now;
        let (seen, next_in) = take_due(&mut state.timers, now, max);
        Ok(JobsExpired { seen, next_in })
    }
}

impl Groups for MemoryLedger {
    async fn flush_due(&self, term: &Term, max: usize) -> Result<GroupsFlushed, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let mut made = 0;
        while made < max
            && let Some(&(due, _)) = state.groups.first()
            && due <= state.now
        {
            state.groups.pop_first();
            made += 1;
        }
        let next = state
            .groups
            .first()
            .map(|(due, _)| due.saturating_sub(state.now));
        Ok(GroupsFlushed {
            made,
            next_due_in: next,
        })
    }
}

impl Nodes for MemoryLedger {
    async fn expire_nodes(&self, term: &Term) -> Result<Vec<NodeId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.now;
        let expired = state.leases.iter().filter(|(_, (until, _))| *until <= now);
        let expired: Vec<(NodeId, usize)> = expired.map(|(id, (_, runs))| (*id, *runs)).collect();
        for (node, _) in &expired {
            state.leases.remove(node);
        }
        state.dead.extend(expired.iter().copied());
        Ok(expired.into_iter().map(|(node, _)| node).collect())
    }

    async fn recover(
        &self,
        term: &Term,
        _from: Option<Cursor>,
        max: usize,
    ) -> Result<Recovered, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let mut handed_on = 0;
        while handed_on < max
            && let Some(mut node) = state.dead.first_entry()
        {
            let taken = (*node.get()).min(max - handed_on);
            handed_on += taken;
            *node.get_mut() -= taken;
            if *node.get() == 0 {
                node.remove();
            }
        }
        let next = state
            .dead
            .first_key_value()
            .map(|(node, _)| Cursor(node.to_string()));
        Ok(Recovered {
            handed_on,
            next,
            ..Recovered::default()
        })
    }
}

impl Retention for MemoryLedger {
    async fn purge(&self, term: &Term, max: usize) -> Result<Purged, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let removed = state.old_records.min(max);
        state.old_records -= removed;
        Ok(Purged {
            removed,
            more: state.old_records > 0,
        })
    }
}

impl Lanes for MemoryLedger {
    async fn check_lanes(
        &self,
        term: &Term,
        _from: Option<Cursor>,
        _max: usize,
    ) -> Result<LanesChecked, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let more = state.untidy > 0;
        state.untidy -= usize::from(more);
        Ok(LanesChecked {
            seen: state.lane.len(),
            repaired: 0,
            more,
            next: more.then(|| Cursor("0".to_owned())),
        })
    }
}

impl Trails for MemoryLedger {
    async fn copy_trails(&self, term: &Term) -> Result<bool, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        state.uncopied = state.uncopied.saturating_sub(BOUND);
        Ok(state.uncopied > 0)
    }
}

impl Overview for MemoryLedger {
    async fn survey(&self, term: &Term) -> Result<Survey, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.now;
        let kept = || state.workflows.values();
        Ok(Survey {
            inbox: !state.inbox.is_empty(),
            unfinished: kept().any(|kept| kept.unfinished),
            overdue: kept().any(|kept| kept.deadline.is_some_and(|due| due <= now)),
            next_due_in: state
                .delayed
                .first()
                .map(|(due, _)| due.saturating_sub(now)),
            next_timer_in: state.timers.first().map(|(due, _)| due.saturating_sub(now)),
            dead_nodes: !state.dead.is_empty() || state.leases.values().any(|l| l.0 <= now),
            purgeable: state.old_records > 0,
            next_firing_in: state.next_firing_in(),
            trails_due: state.uncopied > 0,
            next_group_in: state.groups.first().map(|(due, _)| due.saturating_sub(now)),
        })
    }
}
