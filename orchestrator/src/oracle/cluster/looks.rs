//! What chance does beside, and looks at what happened.

use std::collections::BTreeSet;

use bytes::Bytes;
use paceline_types::workflow::{Stage, TaskRecord, Work};
use paceline_types::{SignalName, WorkflowId};

use super::super::judge::Seen;
use super::super::picture::Picture;
use super::{Cluster, Kept};
use crate::ports::Alarm;
use crate::transition::Event;

impl Cluster {
    /// Cancels, suspends and the like, now and then.
    pub(super) fn meddle(&mut self) -> Result<(), String> {
        let root = self.root;
        let kept = self.kept(root)?;
        if kept.closed || kept.picture.header.attempt == 0 {
            return Ok(());
        }
        let (suspended, deadline) = (kept.suspended, kept.alarms.contains(&Alarm::Deadline));
        if self.mishaps.cancel && self.chance.percent(4) {
            self.mishaps.cancel = false;
            self.disturbed.ended = true;
            self.cancel(root);
        }
        if self.mishaps.time_out && deadline && self.chance.percent(4) {
            self.mishaps.time_out = false;
            self.disturbed.ended = true;
            self.kept(root)?.alarms.remove(&Alarm::Deadline);
            self.apply(root, &Event::Rang(Alarm::Deadline))?;
        }
        if self.mishaps.suspend && self.chance.percent(10) {
            self.suspend(root, !suspended)?;
        }
        Ok(())
    }

    pub(super) fn suspend(&mut self, id: WorkflowId, suspended: bool) -> Result<(), String> {
        let kept = self.kept(id)?;
        kept.suspended = suspended;
        self.reload(id)?;
        self.kept(id)?.inbox.push_back(Event::Continue);
        Ok(())
    }

    /// Tries the root again, if it failed; whether that is so.
    pub(super) fn retry(&mut self) -> Result<bool, String> {
        let root = self.root;
        let kept = self.kept(root)?;
        if !kept.retired || !matches!(kept.picture.header.stage, Stage::Ended(_)) {
            return Ok(false);
        }
        self.mishaps.retry = false;
        self.disturbed.retried = true;
        let kept = self.kept(root)?;
        kept.closed = false;
        kept.retired = false;
        kept.inbox.push_back(Event::RetryRequested);
        Ok(true)
    }

    /// Names of signals that tasks of an instance wait for.
    pub(super) fn waited_for(&self, id: WorkflowId) -> BTreeSet<String> {
        let Some(kept) = self.instances.get(&id) else {
            return BTreeSet::new();
        };
        let open = kept.picture.tasks.iter().filter(|(index, record)| {
            matches!(record, TaskRecord::Dispatched { .. }) && kept.picture.is_live(**index)
        });
        open.filter_map(|(index, _)| Some(kept.signal_name(*index)?.to_string()))
            .collect()
    }

    pub(super) fn signal(&mut self, id: WorkflowId, name: &str) {
        let (Some(kept), Ok(name)) = (self.instances.get_mut(&id), SignalName::new(name)) else {
            return;
        };
        kept.last_signal += 1;
        let number = kept.last_signal;
        kept.signals.insert(number, name.clone());
        kept.inbox.push_back(Event::Signalled { number, name });
    }

    /// What an instance that completed came to.
    pub(super) fn output(&self, id: WorkflowId) -> Option<Bytes> {
        self.instances
            .get(&id)?
            .picture
            .output(&|job| self.result(job))
    }

    /// What happened to an instance.
    pub(super) fn seen(&self, id: WorkflowId) -> Seen {
        let kept = &self.instances[&id];
        let keys = kept.picture.keys();
        let output = self.output(id);
        let made = kept
            .made
            .iter()
            .map(|(made, times)| (Picture::start(&keys, *made), *times));
        let children = kept.children.iter();
        Seen {
            made: Some(made.collect()),
            hooks: kept.hooks.clone(),
            output: output.and_then(|output| serde_json::from_slice(&output).ok()),
            children: children
                .map(|(at, child)| (Picture::start(&keys, *at), self.seen(*child)))
                .collect(),
            next: kept.next.map(|next| Box::new(self.seen(next))),
            ..kept.picture.seen(&|job| self.read(job))
        }
    }

    /// Steps that were taken.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }
}

impl Kept {
    pub(super) fn signal_name(&self, index: u32) -> Option<&SignalName> {
        match &self.instance.planned(index)?.work {
            Work::Signal { name } => Some(name),
            _ => None,
        }
    }
}
