//! The ports beside the ledger itself, served from memory.

use paceline_types::NodeId;

use super::commit::BOUND;
use super::{MemoryLedger, State, take_due};
use crate::ports::{
    Cursor, Delayed, Groups, GroupsFlushed, JobsExpired, Lanes, LanesChecked, LedgerError, Nodes,
    Overview, Promoted, Purged, Recovered, Retention, Survey, Timers, Trails,
};
use crate::term::Term;

pub(super) fn unavailable(why: &str) -> LedgerError {
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
            unfinished: kept().any(|kept| kept.unfinished) || state.batches.unfinished(),
            overdue: kept().any(|kept| kept.alarms.values().any(|&due| due <= now))
                || state.batches.overdue(now),
            posts: !state.outbox.is_empty(),
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
