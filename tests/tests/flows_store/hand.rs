//! Calls of the store, driven by hand as the leader, nodes and callers make them.

use std::time::Duration;

use bytes::Bytes;
use paceline_store::calls::commit::{
    Alarm, Batch, Commit, Committed, ConcludedBy, Conclusion, Dispatch, Post,
};
use paceline_store::calls::inbox::InboxItem;
use paceline_store::calls::turn::{Claim, Claimed, Serves, Settle, Turn, UpstreamRef, WorkflowRef};
use paceline_store::calls::workflow::StoredWorkflow;
use paceline_store::{Store, StoreOptions};
use paceline_tests::{Proxy, log, open, shared_redis, store_at, unique_namespace};
use paceline_types::node::{NodeInfo, PoolStats};
use paceline_types::workflow::{Header, Section, Stage, TaskRecord};
use paceline_types::{
    JobId, JobSpec, NodeId, Settlement, ShardIndex, TaskName, TierWeights, WorkflowId,
};
use serde_json::Value;

use crate::{LONG, at, dispatched, name, running};

/// Calls of the store, by hand, and the terms of all shards.
pub(crate) struct Hand {
    pub(crate) store: Store,
    pub(crate) term: u64,
    pub(crate) next: std::cell::Cell<u64>,
}

impl Hand {
    /// A namespace of one shard.
    pub(crate) async fn new() -> Hand {
        Hand::of(1).await
    }

    pub(crate) async fn of(shards: u16) -> Hand {
        let url = shared_redis().await.url();
        Hand::on(open(&url, &unique_namespace(), shards).await).await
    }

    /// Behind a proxy, on a server of its own.
    pub(crate) async fn behind(proxy: &Proxy) -> Hand {
        Hand::on(store_at(&proxy.url(), StoreOptions::default()).await).await
    }

    pub(crate) async fn on(store: Store) -> Hand {
        for shard in store.each_shard() {
            let leader = NodeId::from_parts(1, shard, u64::MAX);
            assert_eq!(store.take(shard, leader, None, 0).await.unwrap(), 1);
        }
        Hand {
            store,
            term: 1,
            next: std::cell::Cell::new(1),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    pub(crate) fn id(&self, shard: u16) -> WorkflowId {
        WorkflowId::from_parts(1, ShardIndex(shard), self.number() << 40)
    }

    /// Accepts a workflow in the first shard.
    pub(crate) async fn accept(&self, definition: &Value) -> WorkflowId {
        let id = self.id(0);
        let text = definition.to_string();
        let accepted = self.store.submit_workflow(id, text.as_bytes(), None).await;
        assert!(accepted.unwrap());
        id
    }

    /// The same, at work.
    pub(crate) async fn begin(&self, definition: &Value) -> WorkflowId {
        let id = self.accept(definition).await;
        self.commit(id, |commit| commit.header = Some(running()))
            .await;
        id
    }

    /// A commit of the present picture.
    pub(crate) async fn commit(&self, id: WorkflowId, change: impl FnOnce(&mut Next)) {
        let revision = self.stored(id).await.revision;
        let committed = self.commit_at(id, revision, change).await;
        assert_eq!(committed, Committed::At(revision + 1));
    }

    /// A commit of the picture of a revision.
    pub(crate) async fn commit_at(
        &self,
        id: WorkflowId,
        revision: u64,
        change: impl FnOnce(&mut Next),
    ) -> Committed {
        let mut next = Next::default();
        change(&mut next);
        let mut commit = Commit {
            header: next.header.as_ref(),
            tasks: &next.tasks,
            history: &next.history,
            sections: &next.sections,
            dropped: &next.dropped,
            cancels: &next.cancels,
            reason: "enough",
            close: next.close,
            retire: next.retire,
            more: next.more,
            alarms: next.alarms,
            posts: next.posts,
            successor: next.successor,
            ..Commit::new(id, revision)
        };
        commit.conclusions = next
            .conclusions
            .iter()
            .map(|(job, result)| Conclusion {
                job: *job,
                result: match result {
                    Left::Value(value) => ConcludedBy::Value(value.as_bytes()),
                    Left::Signal(number) => ConcludedBy::Signal(*number),
                },
            })
            .collect();
        commit.dispatches = next
            .jobs
            .iter()
            .map(|made| Dispatch {
                job: JobId::of_task(id, made.index, made.iteration),
                place: WorkflowRef {
                    workflow: id,
                    task: made.task.clone(),
                    iteration: made.iteration,
                },
                spec: &made.spec,
                upstream: made.upstream.clone(),
            })
            .collect();
        let batch = Batch {
            commits: vec![commit],
            ..Batch::default()
        };
        let done = self.store.commit(id.shard(), self.term, &batch).await;
        done.unwrap().outcomes[0]
    }

    /// Brings a workflow to its outcome, with nothing under way.
    pub(crate) async fn close(&self, id: WorkflowId, stage: Stage) {
        self.commit(id, |next| {
            next.header = Some(at(stage));
            (next.close, next.retire) = (true, true);
        })
        .await;
    }

    pub(crate) async fn stored(&self, id: WorkflowId) -> StoredWorkflow {
        let loaded = self.store.load_workflows(id.shard(), &[id]).await.unwrap();
        loaded.into_iter().next().flatten().unwrap()
    }

    /// What the inbox of a shard holds.
    pub(crate) async fn inbox(&self, shard: u16) -> Vec<InboxItem> {
        let entries = self.store.inbox(ShardIndex(shard), None, 10_000).await;
        entries
            .unwrap()
            .into_iter()
            .flat_map(|entry| entry.items)
            .collect()
    }

    /// Kinds of the events of workflows, in order.
    pub(crate) async fn events(&self) -> Vec<String> {
        let events = log(&self.store).await.into_iter();
        events
            .map(|event| event.kind.to_string())
            .filter(|kind| kind.starts_with("workflow."))
            .collect()
    }

    /// What a task left.
    pub(crate) async fn left(&self, id: WorkflowId, index: u32, iteration: u32) -> Option<String> {
        let job = JobId::of_task(id, index, iteration);
        let results = self.store.results(id.shard(), &[job]).await.unwrap();
        let result = results.into_iter().next().flatten()?;
        Some(String::from_utf8(result.to_vec()).unwrap())
    }

    /// A node of the first shard.
    pub(crate) async fn node(&self) -> NodeId {
        let node_id = NodeId::from_parts(1, ShardIndex(0), self.number());
        let info = NodeInfo {
            node_id,
            name: "node".to_owned(),
            address: None,
            build: String::new(),
            task_types: vec!["work".to_owned()],
            handler_versions: Default::default(),
            roles: Default::default(),
            draining: false,
            breakers: Default::default(),
            full_handlers: Default::default(),
            started_at: 0,
            last_heartbeat: 0,
            pool_stats: PoolStats::default(),
            leads: Default::default(),
        };
        self.store.join(ShardIndex(0), &info, LONG).await.unwrap();
        node_id
    }

    pub(crate) async fn turn(&self, node: NodeId, settle: &[Settle], max: u32) -> Vec<Claimed> {
        let serves = [Serves {
            pattern: "*".to_owned(),
            version: None,
            free: 100,
        }];
        let claim = (max > 0).then(|| Claim {
            max,
            weights: TierWeights::default(),
            ticket: 0,
            serves: &serves,
        });
        let turn = Turn {
            node,
            slot: 0,
            number: self.number(),
            settle,
            claim,
        };
        self.store.turn(ShardIndex(0), &turn).await.unwrap().claimed
    }

    pub(crate) async fn settle(&self, node: NodeId, run: &Claimed, settlement: Settlement) {
        let settle = Settle::of(run, settlement, LONG);
        self.turn(node, &[settle], 0).await;
    }

    pub(crate) async fn complete(&self, node: NodeId, run: &Claimed, result: &'static str) {
        let result = Bytes::from_static(result.as_bytes());
        self.settle(node, run, Settlement::Completed { result })
            .await;
    }
}

/// What a commit changes.
#[derive(Default)]
pub(crate) struct Next {
    pub(crate) header: Option<Header>,
    pub(crate) tasks: Vec<(u32, TaskRecord)>,
    pub(crate) history: Vec<(u32, TaskRecord)>,
    pub(crate) sections: Vec<Section>,
    pub(crate) dropped: Vec<u32>,
    pub(crate) conclusions: Vec<(JobId, Left)>,
    pub(crate) posts: Vec<Post>,
    pub(crate) successor: Option<(WorkflowId, JobId)>,
    pub(crate) jobs: Vec<Made>,
    pub(crate) cancels: Vec<JobId>,
    pub(crate) alarms: Vec<(Alarm, Option<Duration>)>,
    pub(crate) more: bool,
    pub(crate) close: bool,
    pub(crate) retire: bool,
}

/// A concluded result.
pub(crate) enum Left {
    Value(String),
    Signal(u64),
}

/// The job of a task.
pub(crate) struct Made {
    pub(crate) index: u32,
    pub(crate) iteration: u32,
    pub(crate) task: TaskName,
    pub(crate) spec: JobSpec,
    pub(crate) upstream: Option<UpstreamRef>,
}

impl Next {
    /// Dispatches a task.
    pub(crate) fn job(
        &mut self,
        index: u32,
        task: &str,
        change: impl FnOnce(&mut JobSpec),
    ) -> &mut Made {
        let mut spec = JobSpec::new("work".parse().unwrap(), Bytes::from_static(b"{}"));
        change(&mut spec);
        self.tasks.push((index, dispatched(0)));
        self.jobs.push(Made {
            index,
            iteration: 0,
            task: name(task),
            spec,
            upstream: None,
        });
        self.jobs.last_mut().unwrap()
    }
}
