//! A shard that is driven by hand: the calls of the store, without nodes and clients around them.

use std::time::Duration;

use paceline_store::Store;
use paceline_store::calls::submit::{NewJob, Submitted};
use paceline_store::calls::turn::{Claim, Claimed, Serves, Settle, Turn, TurnReply};
use paceline_types::{
    Bytes, JobId, JobSpec, JobStatus, NodeId, NodeInfo, Settlement, ShardIndex, TaskType,
    TierWeights,
};

use crate::env::{shared_redis, unique_namespace};
use crate::ride::open;
use crate::wait::eventually;
use crate::work::WORK;

/// A store with one shard, in a namespace of its own on the shared server.
#[derive(Clone, Debug)]
pub struct Bench {
    /// To be called past these helpers as well.
    pub store: Store,
}

impl Bench {
    /// The one shard.
    pub const SHARD: ShardIndex = ShardIndex(0);

    /// How long what ended is kept.
    pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

    /// A fresh namespace.
    ///
    /// # Panics
    /// The server does not start.
    pub async fn new() -> Bench {
        let url = shared_redis().await.url();
        let store = open(&url, &unique_namespace(), 1).await;
        Bench { store }
    }

    /// The id of a job, by a number that is its own.
    pub fn job_id(number: u64) -> JobId {
        JobId::from_parts(1, Self::SHARD, number)
    }

    /// A job of the usual task type.
    ///
    /// # Panics
    /// Never: the type is a name.
    pub fn spec() -> JobSpec {
        JobSpec::new(TaskType::new(WORK).unwrap(), Bytes::new())
    }

    /// Makes a node the leader. Returns its term.
    ///
    /// # Panics
    /// Another leads.
    pub async fn lead(&self) -> u64 {
        let leader = NodeId::from_parts(1, Self::SHARD, u64::MAX);
        self.store.take(Self::SHARD, leader, None, 0).await.unwrap()
    }

    /// Registers a node.
    ///
    /// # Panics
    /// No answer.
    pub async fn join(&self, number: u64, lease: Duration) -> NodeId {
        let node_id = NodeId::from_parts(1, Self::SHARD, number);
        let info = NodeInfo {
            node_id,
            name: format!("node {number}"),
            address: None,
            build: String::new(),
            task_types: vec![WORK.into()],
            handler_versions: Default::default(),
            roles: Default::default(),
            draining: false,
            breakers: Default::default(),
            full_handlers: Default::default(),
            started_at: 0,
            last_heartbeat: 0,
            pool_stats: Default::default(),
            leads: Default::default(),
        };
        self.store.join(Self::SHARD, &info, lease).await.unwrap();
        node_id
    }

    /// Submits jobs in one call, each of which must be new or sent before.
    ///
    /// # Panics
    /// One is refused.
    pub async fn submit_all(&self, jobs: &[NewJob]) {
        let answers = self.store.submit(Self::SHARD, jobs).await.unwrap();
        for answer in answers {
            assert_eq!(answer, Ok(Submitted::Created));
        }
    }

    /// Submits one job.
    ///
    /// # Panics
    /// It is refused.
    pub async fn submit(&self, number: u64, change: impl FnOnce(&mut JobSpec)) -> JobId {
        let (id, mut spec) = (Self::job_id(number), Self::spec());
        change(&mut spec);
        self.submit_all(&[NewJob { id, spec }]).await;
        id
    }

    /// One turn of a node that serves everything; it claims unless `max` is zero.
    ///
    /// # Panics
    /// No answer.
    pub async fn turn(&self, node: NodeId, number: u64, settle: &[Settle], max: u32) -> TurnReply {
        let serves = [Serves {
            pattern: "*".into(),
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
            number,
            settle,
            claim,
        };
        self.store.turn(Self::SHARD, &turn).await.unwrap()
    }

    /// Claims one job.
    ///
    /// # Panics
    /// None waits.
    pub async fn claim(&self, node: NodeId, number: u64) -> Claimed {
        let mut reply = self.turn(node, number, &[], 1).await;
        reply.claimed.pop().unwrap()
    }

    /// The settle of a run that completed.
    pub fn completed(claimed: &Claimed) -> Settle {
        let result = Bytes::from_static(b"1");
        Settle::of(claimed, Settlement::Completed { result }, Self::KEPT)
    }

    /// How a job stands.
    ///
    /// # Panics
    /// There is none.
    pub async fn status(&self, job: JobId) -> JobStatus {
        self.store.job(job).await.unwrap().unwrap().status
    }

    /// Declares the node dead whose lease is over, and hands its runs on.
    ///
    /// # Panics
    /// No lease ends.
    pub async fn bury(&self, term: u64) {
        eventually("the lease ends", Duration::from_secs(10), async || {
            let dead = self.store.expire_nodes(Self::SHARD, term).await.unwrap();
            !dead.is_empty()
        })
        .await;
        self.recover(term).await;
    }

    /// Hands on the runs of nodes that are gone.
    ///
    /// # Panics
    /// Another leads.
    pub async fn recover(&self, term: u64) {
        let mut cursor: Option<String> = None;
        loop {
            let step = self
                .store
                .recover(Self::SHARD, term, cursor.as_deref(), 100);
            cursor = step.await.unwrap().next;
            if cursor.is_none() {
                break;
            }
        }
    }
}
