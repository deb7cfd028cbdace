//! The outbox, and what each post does where it arrives.

use bytes::Bytes;
use paceline_types::workflow::{Origin, Plan, Stage, TaskRecord};
use paceline_types::{JobId, TaskName, WorkflowDefinition, WorkflowId};

use super::services::unavailable;
use super::{Fault, Kept, MemoryLedger, State};
use crate::ports::{ChildPhase, EntryId, InboxItem, LedgerError, Outbox, Post, Spawn, TaskOutcome};
use crate::term::Term;

impl Outbox for MemoryLedger {
    async fn children(
        &self,
        term: &Term,
        children: &[WorkflowId],
    ) -> Result<Vec<ChildPhase>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        if children
            .iter()
            .any(|child| state.unreachable.contains(child))
        {
            return Err(unavailable("unreachable on purpose"));
        }
        let phase = |child: &WorkflowId| match state.newest(*child) {
            Some((_, kept)) if kept.close.is_some() => ChildPhase::Ended,
            Some(_) => ChildPhase::Unfinished,
            None if state.workflows.contains_key(child) => ChildPhase::Unfinished,
            None => ChildPhase::Missing,
        };
        Ok(children.iter().map(phase).collect())
    }

    async fn posts(
        &self,
        term: &Term,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<(EntryId, Post)>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let after = after.and_then(|entry| entry.0.parse().ok()).unwrap_or(0);
        let oldest = state.outbox.range(after + 1..).take(max);
        Ok(oldest
            .map(|(entry, post)| (EntryId(entry.to_string()), post.clone()))
            .collect())
    }

    async fn deliver(&self, term: &Term, entry: &EntryId, post: &Post) -> Result<(), LedgerError> {
        let mut state = self.state();
        let fault = state.delivery_faults.pop_front();
        if fault == Some(Fault::Before) {
            return Err(unavailable("failed on purpose, before"));
        }
        state.admit(term)?;
        if state.unreachable.contains(&post.target()) {
            return Err(unavailable("unreachable on purpose"));
        }
        state.tally.deliveries += 1;
        state.carry_out(post)?;
        if fault == Some(Fault::After) {
            return Err(unavailable("failed on purpose, after"));
        }
        if let Ok(number) = entry.0.parse::<u64>() {
            state.outbox.remove(&number);
        }
        Ok(())
    }
}

impl State {
    fn carry_out(&mut self, post: &Post) -> Result<(), LedgerError> {
        match post {
            Post::Spawn(spawn) => {
                self.spawn(spawn);
                Ok(())
            }
            Post::Ask { child } => {
                self.tell_again(*child);
                Ok(())
            }
            Post::Cancel { child, reason } => self.cancel_child(*child, reason),
            Post::Ended {
                child,
                origin,
                outcome,
            } => {
                self.tell_parent(*child, *origin, outcome.clone());
                Ok(())
            }
            Post::Succeed { from, to, job } => {
                self.succeed(*from, *to, *job);
                Ok(())
            }
        }
    }

    fn spawn(&mut self, spawn: &Spawn) {
        if self.workflows.contains_key(&spawn.child) {
            self.tell_again(spawn.child);
            return;
        }
        let kept = Kept {
            input: spawn.input.clone(),
            origin: Some((spawn.origin, spawn.task.clone())),
            ..Kept::new(spawn.definition.clone())
        };
        self.accept(spawn.child, kept);
    }

    /// Nothing as long as it has not ended, or goes on as one that is still to be made.
    fn tell_again(&mut self, child: WorkflowId) {
        let Some((newest, kept)) = self.newest(child) else {
            return;
        };
        let ended = kept.close.is_some();
        let of = ended.then_some(kept.origin.as_ref()).flatten();
        let told = of.and_then(|(origin, _)| Post::ended(newest, *origin, &kept.header.stage));
        if let Some(Post::Ended {
            child,
            origin,
            outcome,
        }) = told
        {
            self.tell_parent(child, origin, outcome);
        }
    }

    fn accept(&mut self, id: WorkflowId, kept: Kept) {
        self.workflows.insert(id, kept);
        self.deliver(vec![InboxItem::Start { workflow: id }]);
    }

    /// What an instance went on as in the end: itself, if it did not. None if that is not there.
    fn newest(&self, mut id: WorkflowId) -> Option<(WorkflowId, &Kept)> {
        loop {
            let kept = self.workflows.get(&id)?;
            match kept.header.stage {
                Stage::Continued { to } => id = to,
                _ => return Some((id, kept)),
            }
        }
    }

    fn cancel_child(&mut self, child: WorkflowId, reason: &str) -> Result<(), LedgerError> {
        let there = self.workflows.contains_key(&child);
        match self.newest(child).map(|(newest, _)| newest) {
            Some(newest) => {
                self.cancel(newest, reason);
                Ok(())
            }
            // Its successor is on its way, and must hear of this.
            None if there => Err(unavailable("what the child goes on as is not there yet")),
            None => Ok(()),
        }
    }

    fn tell_parent(&mut self, child: WorkflowId, origin: Origin, outcome: TaskOutcome) {
        let Origin {
            parent,
            task,
            iteration,
            ..
        } = origin;
        let name = self.workflows.get(&child).and_then(|kept| {
            let (_, name): &(Origin, TaskName) = kept.origin.as_ref()?;
            Some(name.clone())
        });
        let waits = self.workflows.get(&parent);
        let waits = waits.is_some_and(|kept| kept.tasks.contains_key(&task));
        let Some(name) = name.filter(|_| waits) else {
            return;
        };
        let job = JobId::of_task(parent, task, iteration);
        if outcome == TaskOutcome::Completed
            && let Some(output) = self.output(child)
        {
            self.concluded.entry(job).or_insert(output);
        }
        self.deliver(vec![InboxItem::TaskEnded {
            workflow: parent,
            task: name,
            iteration,
            attempt: 1,
            job,
            outcome,
        }]);
    }

    /// Wants a workflow cancelled, or what it goes on as before the leader has heard of it.
    pub(super) fn cancel(&mut self, workflow: WorkflowId, reason: &str) {
        if let Some(kept) = self.workflows.get_mut(&workflow) {
            kept.cancelled = Some(reason.to_owned());
        }
        self.deliver(vec![InboxItem::Cancel {
            workflow,
            reason: reason.to_owned(),
        }]);
    }

    fn succeed(&mut self, from: WorkflowId, to: WorkflowId, job: JobId) {
        if self.workflows.contains_key(&to) {
            return;
        }
        let input = self.result(job);
        let Some(before) = self.workflows.get(&from) else {
            return;
        };
        let kept = Kept {
            input,
            origin: before.origin.clone(),
            continued_from: Some(from),
            ..Kept::new(before.definition.clone())
        };
        let cancelled = before.cancelled.clone();
        self.accept(to, kept);
        if let Some(reason) = cancelled {
            self.cancel(to, &reason);
        }
    }

    /// What a workflow came to, composed of its leaves.
    pub(super) fn output(&self, workflow: WorkflowId) -> Option<Bytes> {
        let kept = self.workflows.get(&workflow)?;
        let text = std::str::from_utf8(&kept.definition).ok()?;
        let plan = Plan::restore(&WorkflowDefinition::from_json(text).ok()?).ok()?;
        let result = |task: &u32| {
            let record: &TaskRecord = kept.tasks.get(task).filter(|record| record.is_done())?;
            match record {
                TaskRecord::Completed { .. }
                | TaskRecord::Routed { .. }
                | TaskRecord::FailedAllowed { .. } => {
                    self.result(JobId::of_task(workflow, *task, record.iteration()))
                }
                _ => None,
            }
        };
        let results: Vec<Option<Bytes>> = plan.leaves().iter().map(result).collect();
        Some(plan.output(&results))
    }
}
