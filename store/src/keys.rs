//! Every key of Paceline, in one place.
//!
//! All keys of a shard carry the hash tag `{<namespace>:<shard>}`, so that each script touches
//! one slot. Scripts are given one key and build their others from its prefix, by the same
//! names as here; those that only scripts touch (`ready:<tier>`, `holes:<lane>`, `waiting`,
//! `swept`, `held:<key>`, `blocked:<key>`, `buckets`, `wakes`, `turn:<node>`, `cancels:<node>`,
//! `waiters`, `parked`, `doomed`, `stats:days`, `audit:cursor`, `audit:gaps`, `events:count`,
//! `pushes:<number>`, `schedule:<id>`, `buffer:<id>`, `schedules:revision`) are named in `lua/lib/`
//! and in ARCHITECTURE.md.

use paceline_types::{BatchId, JobId, Namespace, NodeId, ShardIndex, WorkflowId};

/// The keys of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// `{<namespace>:<shard>}:`
    prefix: String,
    /// Stream: the event log.
    pub(crate) events: String,
    /// Hash: running jobs, id to run token.
    pub(crate) runs: String,
    /// Stream: what the orchestrator has to look at.
    pub(crate) inbox: String,
    /// List: at most one token, when the leader has something to do.
    pub(crate) leader_bell: String,
    /// Hash: `holder`, `term`, `beat`.
    pub(crate) leader: String,
    /// Sorted set: incarnations of nodes by the end of their lease.
    pub(crate) leases: String,
    /// Hash: what nodes tell of themselves.
    pub(crate) nodes: String,
    /// Set: nodes that should claim no more; on shard 0.
    pub(crate) draining: String,
    /// Hash: settings that change while nodes run; on shard 0.
    pub(crate) config: String,
    /// Hash: which node hands the events to its callbacks, and how far it came.
    pub(crate) callbacks: String,
    /// Sorted set: jobs that wait for their time.
    pub(crate) delayed: String,
    /// Sorted set: jobs that wait to be resumed, by the time of the pause.
    pub(crate) paused: String,
    /// Sorted set: jobs that are parked at a limit, by their arrival.
    pub(crate) blocked: String,
    /// Hash: limits by key.
    pub(crate) limits: String,
    /// Hash: what is paused, and the rates of tiers.
    pub(crate) steering: String,
    /// Sorted set: dead letters by the time of death.
    pub(crate) dead: String,
    /// Sorted set: what ended, in packets, by the time of its removal.
    pub(crate) ended: String,
    /// Set: jobs that are audited and have not ended, as far as their trails are written.
    pub(crate) audited: String,
    /// Set: every lane that ever had work.
    pub(crate) lanes: String,
    /// Hash: lane to how many jobs wait in it, and lane and `,` to how many jobs of its oldest
    /// entry were claimed already.
    pub(crate) waiting: String,
    /// Hash: the first instance of a line of continued workflows to the newest.
    pub(crate) lines: String,
    /// Sorted set: workflows that have not ended, by creation.
    pub(crate) active_workflows: String,
    /// Set: workflows with effects left over from a full commit.
    pub(crate) unfinished_workflows: String,
    /// Sorted set: moments that workflows wait for.
    pub(crate) alarms: String,
    /// Stream: what instances in other shards must be told.
    pub(crate) outbox: String,
    /// Sorted set: batches that have not ended, by creation.
    pub(crate) active_batches: String,
    /// Set: batches with effects left over from a full commit.
    pub(crate) unfinished_batches: String,
    /// Sorted set: moments that batches wait for.
    pub(crate) batch_alarms: String,
    /// Hash: facts that hold for the whole namespace; on shard 0.
    pub(crate) meta: String,
    /// Stream: of the bench, while it measures its reference.
    pub(crate) reference: String,
    /// Counter: set while a dead node may still hold runs.
    pub(crate) recovering: String,
    /// Sorted set: moments by which something must have happened to a job.
    pub(crate) timers: String,
    /// Hash: what runs told of how far they are, by job.
    pub(crate) progress: String,
    /// List: at most one token, when a task type has work for the first time.
    pub(crate) new_type_bell: String,
    /// Sorted set: groups by the moment of their flush.
    pub(crate) groups_due: String,
    /// Sorted set: all schedules, by creation.
    pub(crate) schedules: String,
    /// Sorted set: schedules that fire, by when to look at them.
    pub(crate) due_schedules: String,
    /// Set: schedules with firings that waited for a run which has ended.
    pub(crate) ended_schedules: String,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, shard: ShardIndex) -> Keys {
        let prefix = format!("{{{namespace}:{shard}}}:");
        let key = |name: &str| format!("{prefix}{name}");
        Keys {
            events: key("events"),
            runs: key("runs"),
            inbox: key("inbox"),
            leader_bell: key("bell!leader"),
            leader: key("leader"),
            leases: key("leases"),
            nodes: key("nodes"),
            draining: key("draining"),
            config: key("config"),
            callbacks: key("callbacks"),
            delayed: key("delayed"),
            paused: key("paused"),
            blocked: key("blocked"),
            limits: key("limits"),
            steering: key("steering"),
            dead: key("dead"),
            ended: key("ended"),
            audited: key("audited"),
            lanes: key("lanes"),
            waiting: key("waiting"),
            lines: key("lines"),
            active_workflows: key("workflows:active"),
            unfinished_workflows: key("workflows:unfinished"),
            alarms: key("workflows:alarms"),
            outbox: key("outbox"),
            active_batches: key("batches:active"),
            unfinished_batches: key("batches:unfinished"),
            batch_alarms: key("batches:alarms"),
            meta: key("meta"),
            reference: key("bench"),
            recovering: key("recovering"),
            timers: key("timers"),
            progress: key("progress"),
            new_type_bell: key("bell*"),
            groups_due: key("groups:due"),
            schedules: key("schedules"),
            due_schedules: key("schedules:due"),
            ended_schedules: key("schedules:ended"),
            prefix,
        }
    }

    /// String: what was asked for; written once but for the payload.
    pub(crate) fn job(&self, id: JobId) -> String {
        format!("{}j:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: how jobs of one stem stand between their runs; and the field of this one.
    pub(crate) fn state(&self, id: JobId) -> (String, String) {
        let mut buffer = [0; 26];
        let (stem, last) = id.bare(&mut buffer).split_at(25);
        (format!("{}s:{stem}", self.prefix), last.to_owned())
    }

    /// String: the definition and input of a workflow; written once.
    pub(crate) fn workflow_definition(&self, id: WorkflowId) -> String {
        format!("{}wd:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: the header of a workflow, and one field per task that was dispatched.
    pub(crate) fn workflow(&self, id: WorkflowId) -> String {
        format!("{}wf:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: starts of a workflow's tasks that are over.
    pub(crate) fn workflow_history(&self, id: WorkflowId) -> String {
        format!("{}wh:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: signals that no task of a workflow has taken.
    pub(crate) fn signals(&self, id: WorkflowId) -> String {
        format!("{}sg:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: the keys that signals of a workflow were sent with.
    pub(crate) fn signal_keys(&self, id: WorkflowId) -> String {
        format!("{}sk:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: the header of a batch, and what else is kept of it once.
    pub(crate) fn batch(&self, id: BatchId) -> String {
        format!("{}bt:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// String: the definition of a batch without its items; written once.
    pub(crate) fn batch_definition(&self, id: BatchId) -> String {
        format!("{}bd:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Hash: the ids of a batch's items, in blocks.
    pub(crate) fn batch_items(&self, id: BatchId) -> String {
        format!("{}bi:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// String: two bytes for each item of a batch.
    pub(crate) fn batch_states(&self, id: BatchId) -> String {
        format!("{}bs:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Stream: the waiting jobs of one lane, `<tier>:<task type>:<version>`.
    pub(crate) fn lane(&self, lane: &str) -> String {
        format!("{}lane:{lane}", self.prefix)
    }

    /// List: at most one token, rung when work of a task type arrives.
    pub(crate) fn bell(&self, task_type: &str) -> String {
        format!("{}bell:{task_type}", self.prefix)
    }

    /// String: the job that holds a unique key.
    pub(crate) fn unique(&self, escaped: &str) -> String {
        format!("{}unique:{escaped}", self.prefix)
    }

    /// String with a TTL: the job that an idempotency key made.
    pub(crate) fn idempotency(&self, escaped: &str) -> String {
        format!("{}idempotency:{escaped}", self.prefix)
    }

    /// String: the messages that stand in a group.
    pub(crate) fn group(&self, escaped: &str) -> String {
        format!("{}group:{escaped}", self.prefix)
    }

    /// Hash: what the next job of a group is made of, how many messages stand, and since when.
    pub(crate) fn group_head(&self, escaped: &str) -> String {
        format!("{}group:{escaped}:head", self.prefix)
    }

    /// Stream: what happened to one audited job.
    pub(crate) fn trail(&self, id: JobId) -> String {
        format!("{}audit:{}", self.prefix, id.bare(&mut [0; 26]))
    }

    /// Sorted set: jobs with a tag, by creation.
    pub(crate) fn tag(&self, tag: &str) -> String {
        format!("{}tag:{tag}", self.prefix)
    }

    /// Set: the schedules that a periodic provider keeps.
    pub(crate) fn periodic(&self, provider: &str) -> String {
        format!("{}periodic:{provider}", self.prefix)
    }

    /// Channel: cancellations for a node.
    pub(crate) fn node_channel(&self, node: NodeId) -> String {
        format!("{}cancel:{}", self.prefix, node.bare(&mut [0; 26]))
    }
}

/// Channel: ends of jobs and workflows that a client waits for; one for all shards.
pub(crate) fn reply_channel(namespace: &Namespace, client: &str) -> String {
    format!("{{{namespace}}}:reply:{client}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_shard_has_the_same_hash_tag() {
        let keys = Keys::new(&Namespace::default(), ShardIndex(3));
        let job = JobId::from_parts(1, ShardIndex(3), 2);
        let workflow = WorkflowId::from_parts(1, ShardIndex(3), 2);
        for key in [
            keys.events.clone(),
            keys.job(job),
            keys.workflow(workflow),
            keys.workflow_definition(workflow),
            keys.lane("n:a.b:"),
            keys.bell("a.b"),
            keys.unique("x%7By"),
            keys.idempotency("x"),
            keys.group("x"),
            keys.group_head("x"),
            keys.tag("t"),
        ] {
            assert!(key.starts_with("{paceline:3}:"), "{key}");
            assert_eq!(key.matches(['{', '}']).count(), 2, "{key}");
        }
    }
}
