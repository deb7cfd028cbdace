//! What Redis keeps of workflows: each call of the store is driven by hand, as the leader and callers
//! make them, and what is kept is looked at after each.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::time::Duration;

use bytes::Bytes;
use paceline_store::calls::commit::{Batch, Commit, Committed, Dispatch};
use paceline_store::calls::inbox::InboxItem;
use paceline_store::calls::turn::{Claim, Claimed, Serves, Settle, Turn, UpstreamRef, WorkflowRef};
use paceline_store::calls::workflow::StoredWorkflow;
use paceline_store::{Store, StoreOptions};
use paceline_tests::{
    Fault, Proxy, RedisServer, log, open, shared_redis, store_at, unique_namespace,
};
use paceline_types::node::{NodeInfo, PoolStats};
use paceline_types::workflow::{Ending, Header, Stage, TaskRecord};
use paceline_types::{
    JobId, JobSpec, NodeId, Settlement, ShardIndex, TaskName, TierWeights, WorkflowId,
};
use serde_json::{Value, json};

mod alarms;
mod children;
mod jobs;
mod records;
mod removal;
mod signals;
mod steer;
mod twice;
mod views;

/// No test takes so long.
const LONG: Duration = Duration::from_secs(600);

/// Calls of the store, by hand, and the terms of all shards.
struct Hand {
    store: Store,
    term: u64,
    next: std::cell::Cell<u64>,
}

/// What runs, at its first try.
fn running() -> Header {
    Header {
        stage: Stage::Running,
        attempt: 1,
        shards: 1,
        ..Header::NEW
    }
}

fn at(stage: Stage) -> Header {
    Header { stage, ..running() }
}

fn failed() -> Stage {
    Stage::Ended(Ending::TaskFailed {
        task: name("a"),
        error: "boom".to_owned(),
    })
}

fn name(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

fn dispatched(iteration: u32) -> TaskRecord {
    TaskRecord::Dispatched {
        iteration,
        evaluations: 0,
    }
}

fn completed(iteration: u32) -> TaskRecord {
    TaskRecord::Completed {
        iteration,
        continues: false,
    }
}

/// A definition of plain tasks.
fn plain(tasks: &[&str]) -> Value {
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| json!({ "name": task, "task_type": "work" }))
        .collect();
    json!({ "name": "flow", "tasks": tasks })
}

impl Hand {
    /// A namespace of one shard.
    async fn new() -> Hand {
        Hand::of(1).await
    }

    async fn of(shards: u16) -> Hand {
        let url = shared_redis().await.url();
        Hand::on(open(&url, &unique_namespace(), shards).await).await
    }

    /// Behind a proxy, on a server of its own.
    async fn behind(proxy: &Proxy) -> Hand {
        Hand::on(store_at(&proxy.url(), StoreOptions::default()).await).await
    }

    async fn on(store: Store) -> Hand {
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

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn id(&self, shard: u16) -> WorkflowId {
        WorkflowId::from_parts(1, ShardIndex(shard), self.number() << 40)
    }

    /// Accepts a workflow in the first shard.
    async fn accept(&self, definition: &Value) -> WorkflowId {
        let id = self.id(0);
        let text = definition.to_string();
        let accepted = self.store.submit_workflow(id, text.as_bytes(), None).await;
        assert!(accepted.unwrap());
        id
    }

    /// The same, at work.
    async fn begin(&self, definition: &Value) -> WorkflowId {
        let id = self.accept(definition).await;
        self.commit(id, |commit| commit.header = Some(running()))
            .await;
        id
    }

    /// A commit of the present picture.
    async fn commit(&self, id: WorkflowId, change: impl FnOnce(&mut Next)) {
        let revision = self.stored(id).await.revision;
        let committed = self.commit_at(id, revision, change).await;
        assert_eq!(committed, Committed::At(revision + 1));
    }

    /// A commit of the picture of a revision.
    async fn commit_at(
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
            .map(|(job, result)| paceline_store::calls::commit::Conclusion {
                job: *job,
                result: match result {
                    Left::Value(value) => {
                        paceline_store::calls::commit::ConcludedBy::Value(value.as_bytes())
                    }
                    Left::Signal(number) => {
                        paceline_store::calls::commit::ConcludedBy::Signal(*number)
                    }
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
    async fn close(&self, id: WorkflowId, stage: Stage) {
        self.commit(id, |next| {
            next.header = Some(at(stage));
            (next.close, next.retire) = (true, true);
        })
        .await;
    }

    async fn stored(&self, id: WorkflowId) -> StoredWorkflow {
        let loaded = self.store.load_workflows(id.shard(), &[id]).await.unwrap();
        loaded.into_iter().next().flatten().unwrap()
    }

    /// What the inbox of a shard holds.
    async fn inbox(&self, shard: u16) -> Vec<InboxItem> {
        let entries = self.store.inbox(ShardIndex(shard), None, 10_000).await;
        entries
            .unwrap()
            .into_iter()
            .flat_map(|entry| entry.items)
            .collect()
    }

    /// Kinds of the events of workflows, in order.
    async fn events(&self) -> Vec<String> {
        let events = log(&self.store).await.into_iter();
        events
            .map(|event| event.kind.to_string())
            .filter(|kind| kind.starts_with("workflow."))
            .collect()
    }

    /// What a task left.
    async fn left(&self, id: WorkflowId, index: u32, iteration: u32) -> Option<String> {
        let job = JobId::of_task(id, index, iteration);
        let results = self.store.results(id.shard(), &[job]).await.unwrap();
        let result = results.into_iter().next().flatten()?;
        Some(String::from_utf8(result.to_vec()).unwrap())
    }

    /// A node of the first shard.
    async fn node(&self) -> NodeId {
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

    async fn turn(&self, node: NodeId, settle: &[Settle], max: u32) -> Vec<Claimed> {
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

    async fn settle(&self, node: NodeId, run: &Claimed, settlement: Settlement) {
        let settle = Settle::of(run, settlement, LONG);
        self.turn(node, &[settle], 0).await;
    }

    async fn complete(&self, node: NodeId, run: &Claimed, result: &'static str) {
        let result = Bytes::from_static(result.as_bytes());
        self.settle(node, run, Settlement::Completed { result })
            .await;
    }
}

/// A server of its own behind a proxy that has it carry out each script twice.
async fn everything_twice() -> (RedisServer, Proxy, Hand) {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let hand = Hand::behind(&proxy).await;
    proxy.always(Fault::Twice, |request| request.is("EVALSHA"));
    (redis, proxy, hand)
}

/// What a commit changes.
#[derive(Default)]
struct Next {
    header: Option<Header>,
    tasks: Vec<(u32, TaskRecord)>,
    history: Vec<(u32, TaskRecord)>,
    sections: Vec<paceline_types::workflow::Section>,
    conclusions: Vec<(JobId, Left)>,
    posts: Vec<paceline_store::calls::commit::Post>,
    successor: Option<(WorkflowId, JobId)>,
    jobs: Vec<Made>,
    cancels: Vec<JobId>,
    alarms: Vec<(paceline_store::calls::commit::Alarm, Option<Duration>)>,
    more: bool,
    close: bool,
    retire: bool,
}

/// A concluded result.
enum Left {
    Value(String),
    Signal(u64),
}

/// The job of a task.
struct Made {
    index: u32,
    iteration: u32,
    task: TaskName,
    spec: JobSpec,
    upstream: Option<UpstreamRef>,
}

impl Next {
    /// Dispatches a task.
    fn job(&mut self, index: u32, task: &str, change: impl FnOnce(&mut JobSpec)) -> &mut Made {
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
