//! One random life of lanes: what can be done to them, done to the model as well.

use std::time::Duration;

use bytes::Bytes;
use paceline_store::CallError;
use paceline_store::calls::retry::RetryRefusal;
use paceline_store::calls::turn::{Claimed, Settle, Settled};
use paceline_tests::eventually;
use paceline_types::{EventKind, JobId, NodeId, Priority, Settlement, TaskType};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom, SliceRandom};
use redis::AsyncTypedCommands;

use crate::model::{Model, Stand, Way};
use crate::{Bench, LONG, Lanes};

pub(crate) const TYPES: [&str; 2] = ["a", "b"];
pub(crate) const TIERS: [(&str, i64); 3] = [("h", 10), ("n", 5), ("l", 1)];

/// Lanes, their model, and two nodes.
pub(crate) struct Life<'a> {
    pub(crate) random: &'a mut StdRng,
    pub(crate) lanes: Lanes,
    pub(crate) model: Model,
    pub(crate) term: u64,
    pub(crate) nodes: [NodeId; 2],
    joined: u64,
    /// Runs of each node that it has not settled.
    pub(crate) runs: [Vec<Claimed>; 2],
    /// Runs of nodes that were lost.
    ghosts: Vec<(NodeId, Claimed)>,
}

impl<'a> Life<'a> {
    pub(crate) async fn begin(random: &'a mut StdRng) -> Life<'a> {
        let lanes = Lanes::new().await;
        Life {
            random,
            term: lanes.bench.lead().await,
            nodes: [lanes.node, lanes.bench.join(2, LONG).await],
            joined: 2,
            lanes,
            model: Model::default(),
            runs: Default::default(),
            ghosts: Vec::new(),
        }
    }

    /// A call with jobs of one lane, of a few lanes that follow one another, or of any.
    pub(crate) async fn submit(&mut self) {
        let size = *[1, 1, 1, 2, 5, 12, 33, 100].choose(self.random).unwrap();
        let mut jobs = self.lanes.jobs(size);
        let run = *[1, 4, 100].choose(self.random).unwrap();
        if self.random.random_ratio(1, 8) {
            jobs.reverse();
        }
        for some in jobs.chunks_mut(run) {
            let kind = TYPES.choose(self.random).unwrap();
            let (tier, priority) = TIERS.choose(self.random).unwrap();
            for job in some {
                job.spec.task_type = TaskType::new(kind).unwrap();
                job.spec.priority = Priority::new(*priority);
                self.model.submit(job.id, &format!("{tier}:{kind}:"));
            }
        }
        if self.random.random_ratio(1, 5) {
            jobs[0].spec.tags = vec![paceline_types::Tag::new("tag").unwrap()];
        }
        self.lanes.submit(&jobs).await;
        if self.random.random_ratio(1, 8) {
            // As after a lost reply.
            self.lanes.bench.submit_all(&jobs).await;
        }
    }

    /// Settles some runs of a node and claims for it, as one turn; sometimes it is sent twice.
    pub(crate) async fn turn(&mut self, max: u32) {
        let at = self.random.random_range(0..2);
        let node = self.nodes[at];
        let settles = match max > 0 && self.random.random() {
            true => Vec::new(),
            false => self.settles(at),
        };
        let expected: Vec<Settled> = settles
            .iter()
            .map(|(settle, way)| self.model.settle(settle.job, at, *way))
            .collect();
        let settles: Vec<Settle> = settles.into_iter().map(|(settle, _)| settle).collect();
        let waiting: u64 = self.model.waiting().values().sum();
        let reply = self.lanes.turn(node, &settles, max).await;
        assert_eq!(reply.settled, expected);
        assert_eq!(reply.claimed.len() as u64, waiting.min(max.into()));
        // A node whose slots are full asks for no more.
        assert_eq!(reply.more, (1..100).contains(&max) && waiting > max.into());
        for run in &reply.claimed {
            self.model.claim(run.job, at);
        }
        if self.random.random_ratio(1, 6) {
            let number = self.lanes.turns.get();
            let again = self.lanes.bench.turn(node, number, &settles, max).await;
            assert_eq!(again.claimed, reply.claimed);
        }
        self.runs[at].extend(reply.claimed);
    }

    /// Takes some runs of a node, in order or not, to be settled in some way each.
    fn settles(&mut self, at: usize) -> Vec<(Settle, Way)> {
        let runs = &mut self.runs[at];
        if self.random.random_ratio(1, 3) {
            runs.shuffle(self.random);
        }
        let count = self.random.random_range(0..=runs.len().min(50));
        let mixed = self.random.random();
        let mut settles = Vec::new();
        for run in runs.drain(..count) {
            let ways = [Way::Completed, Way::Dead, Way::Failed, Way::Back];
            let way = match mixed {
                true => *ways.choose(self.random).unwrap(),
                false => Way::Completed,
            };
            let error = "boom".to_owned();
            let delay = Duration::from_millis(1);
            let settlement = match way {
                Way::Completed => Settlement::Completed {
                    result: Bytes::from(run.job.to_string()),
                },
                Way::Dead => Settlement::Dead { error },
                Way::Failed => Settlement::Retry {
                    delay,
                    error,
                    uses_attempt: true,
                },
                Way::Back => Settlement::Released,
            };
            settles.push((Settle::of(&run, settlement, Bench::KEPT), way));
        }
        settles
    }

    pub(crate) async fn cancel(&mut self) {
        // Some that wait beside one another, or any.
        let waiting = self.model.those(|stand| stand == Stand::Waiting);
        let jobs: Vec<JobId> = if self.random.random() && !waiting.is_empty() {
            let from = self.random.random_range(0..waiting.len());
            let count = *[1, 3, 20].choose(self.random).unwrap();
            waiting.into_iter().skip(from).take(count).collect()
        } else {
            let jobs = self.model.jobs().map(|(job, _)| job);
            jobs.sample(self.random, 6)
        };
        let expected: Vec<_> = jobs.iter().map(|&job| self.model.cancel(job)).collect();
        let answers = self.lanes.bench.store.cancel(&jobs, "enough").await;
        assert_eq!(answers.unwrap(), expected);
    }

    pub(crate) async fn retry(&mut self) {
        let count = self.random.random_range(1..=6);
        let ended = |stand| matches!(stand, Stand::Ended(_));
        for job in self
            .model
            .those(ended)
            .into_iter()
            .sample(self.random, count)
        {
            let retried = self.lanes.bench.store.retry(job).await;
            match self.model.retry(job) {
                true => retried.unwrap(),
                false => assert!(matches!(
                    retried,
                    Err(CallError::Refused(RetryRefusal::State(_)))
                )),
            }
        }
    }

    /// Moves all delayed jobs, in the order in which they are due.
    pub(crate) async fn promote(&mut self) {
        let mut raw = self.lanes.raw.clone();
        let delayed: Vec<String> = raw.zrange(self.lanes.key("delayed"), 0, -1).await.unwrap();
        let delayed: Vec<_> = delayed
            .iter()
            .map(|id| JobId::from_bare(id).unwrap())
            .collect();
        let mut expected = self.model.those(|stand| stand == Stand::Delayed);
        for &job in &delayed {
            self.model.put(job, Stand::Waiting);
        }
        expected.sort();
        let (store, mut moved) = (&self.lanes.bench.store, 0);
        eventually(
            "delayed jobs are due",
            Duration::from_secs(10),
            async || {
                moved += store
                    .promote(Bench::SHARD, self.term, 100)
                    .await
                    .unwrap()
                    .moved;
                moved == delayed.len()
            },
        )
        .await;
        let mut delayed = delayed;
        delayed.sort();
        assert_eq!(delayed, expected);
    }

    /// Another node takes the place of one, whose runs are handed on in any order.
    pub(crate) async fn lose_a_node(&mut self) {
        let at = self.random.random_range(0..2);
        let store = &self.lanes.bench.store;
        let seen = paceline_tests::log(store).await.len();
        store.leave(Bench::SHARD, self.nodes[at]).await.unwrap();
        self.lanes.bench.recover(self.term).await;
        let mut lost = self
            .model
            .those(|stand| matches!(stand, Stand::Running(node, _) if node == at));
        for event in &paceline_tests::log(store).await[seen..] {
            let Some(job) = event.job_id else { continue };
            let stand = match event.kind {
                EventKind::JobAutoRecovered => Stand::Waiting,
                EventKind::JobDead => Stand::Ended(paceline_types::JobStatus::Dead),
                EventKind::JobCancelled => {
                    assert_eq!(self.model.stand(job), Stand::Running(at, true));
                    Stand::Ended(paceline_types::JobStatus::Cancelled)
                }
                ref other => panic!("{other} of {job} in a recovery"),
            };
            self.model.put(job, stand);
            lost.retain(|one| *one != job);
        }
        assert_eq!(lost, []);
        let node = self.nodes[at];
        let ghosts = self.runs[at].drain(..).map(|run| (node, run));
        self.ghosts.extend(ghosts);
        self.joined += 1;
        self.nodes[at] = self.lanes.bench.join(self.joined, LONG).await;
        // One that comes back late.
        if let Some((node, run)) = self.ghosts.choose(self.random) {
            let reply = self.lanes.turn(*node, &[Bench::completed(run)], 5).await;
            assert_eq!(reply.settled, [Settled::Fenced]);
            assert!(reply.unregistered && reply.claimed.is_empty());
        }
    }
}
