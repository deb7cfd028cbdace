//! Moments that the leader waits for, brought near: a test that must be in the middle of something
//! when a timeout rings says itself when that is, whatever the speed of the machine.

use paceline_types::{BatchId, NodeId, ShardIndex, WorkflowId};

use crate::env::Env;
use crate::ride::SOON;
use crate::wait::eventually;

impl Env {
    /// Lets the execution timeout of a workflow be over now, once it is armed.
    ///
    /// # Panics
    /// None is armed, in time.
    pub async fn run_out(&self, id: WorkflowId) {
        let member = id.bare(&mut [0; 26]).to_owned();
        self.ring(id.shard(), "workflows", &member).await;
    }

    /// The same of a batch.
    ///
    /// # Panics
    /// None is armed, in time.
    pub async fn run_out_batch(&self, id: BatchId) {
        let member = id.bare(&mut [0; 26]).to_owned();
        self.ring(id.shard(), "batches", &member).await;
    }

    /// Lets the rest of a workflow before its next attempt be over now, once it rests.
    ///
    /// # Panics
    /// It does not rest, in time.
    pub async fn rested(&self, id: WorkflowId) {
        let member = format!("{} retry", id.bare(&mut [0; 26]));
        self.ring(id.shard(), "workflows", &member).await;
    }

    /// Rings for the execution timeout of a workflow that has ended or rests, and waits until the
    /// leader has taken that away.
    ///
    /// # Panics
    /// The alarm is still armed, or nobody takes the ring away.
    pub async fn ring_late(&self, id: WorkflowId) {
        let member = id.bare(&mut [0; 26]).to_owned();
        let (key, mut redis) = (self.alarms(id.shard(), "workflows"), self.raw().await);
        let mut add = redis::cmd("ZADD");
        add.arg(&key).arg("NX").arg(1).arg(&member);
        let added: u32 = add.query_async(&mut redis).await.unwrap();
        assert_eq!(added, 1, "an alarm of {id} is armed");
        eventually("the late ring is taken away", SOON, async || {
            let mut score = redis::cmd("ZSCORE");
            score.arg(&key).arg(&member);
            let left: Option<f64> = score.query_async(&mut redis).await.unwrap();
            left.is_none()
        })
        .await;
    }

    /// Lets the lease of a node be over now, in every shard, and waits until the leaders have
    /// declared it dead. One that lives comes back under another id.
    ///
    /// # Panics
    /// Nobody declares it dead, in time.
    pub async fn lapse(&self, node: NodeId) {
        let (node, mut redis) = (node.bare(&mut [0; 26]).to_owned(), self.raw().await);
        for shard in 0..self.shards() {
            let key = format!("{{{}:{shard}}}:leases", self.namespace());
            // Again at each look: a beat of its may have been on its way.
            eventually("the node is declared dead", SOON, async || {
                let mut ends = redis::cmd("ZADD");
                ends.arg(&key).arg("XX").arg(1).arg(&node);
                ends.query_async::<u32>(&mut redis).await.unwrap();
                let mut score = redis::cmd("ZSCORE");
                score.arg(&key).arg(&node);
                let lease: Option<f64> = score.query_async(&mut redis).await.unwrap();
                lease.is_none()
            })
            .await;
        }
    }

    fn alarms(&self, shard: ShardIndex, kind: &str) -> String {
        format!("{{{}:{shard}}}:{kind}:alarms", self.namespace())
    }

    async fn ring(&self, shard: ShardIndex, kind: &str, member: &str) {
        let (key, mut redis) = (self.alarms(shard, kind), self.raw().await);
        eventually("an alarm that is armed", SOON, async || {
            let mut add = redis::cmd("ZADD");
            add.arg(&key).arg("XX").arg("CH").arg(1).arg(member);
            add.query_async::<u32>(&mut redis).await.unwrap() == 1
        })
        .await;
    }
}
