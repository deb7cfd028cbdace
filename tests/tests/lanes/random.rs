//! Random lives of lanes, compared step by step with the model.

use paceline_tests::rng;
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::Bench;
use crate::life::{Life, TIERS, TYPES};
use crate::model::{Stand, Way};

const SEQUENCES: usize = 30;
const STEPS: usize = 150;

#[tokio::test]
async fn lanes_do_what_their_model_does() {
    let mut random = rng("lanes");
    for _ in 0..SEQUENCES {
        let mut life = Life::begin(&mut random).await;
        for _ in 0..STEPS {
            life.step().await;
            life.compare().await;
        }
        life.end().await;
    }
}

impl Life<'_> {
    async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..22 => self.submit().await,
            22..52 => {
                let max = *[1, 2, 7, 30, 60].choose(self.random).unwrap();
                self.turn(max).await;
            }
            52..66 => self.turn(0).await,
            66..80 => self.cancel().await,
            80..91 => self.retry().await,
            91..96 => self.promote().await,
            96..98 => self.lose_a_node().await,
            _ => {
                let store = &self.lanes.bench.store;
                let step = store.check_lanes(Bench::SHARD, self.term, None, 50);
                assert_eq!(step.await.unwrap().repaired, 0);
            }
        }
    }

    /// The lanes hold what the model says, and nothing is left of those that are empty.
    async fn compare(&self) {
        let waiting = self.model.waiting();
        assert_eq!(self.lanes.waiting().await, waiting);
        assert_eq!(self.lanes.ready().await, waiting.keys().cloned().collect());
        let mut both = redis::pipe();
        both.exists(self.lanes.key("swept"));
        let empty = TIERS
            .iter()
            .flat_map(|(tier, _)| TYPES.map(|kind| format!("{tier}:{kind}:")))
            .filter(|lane| !waiting.contains_key(lane));
        for lane in empty {
            both.exists(self.lanes.key(&format!("lane:{lane}")));
            both.exists(self.lanes.key(&format!("holes:{lane}")));
            both.hexists(self.lanes.key("waiting"), format!("{lane},"));
        }
        let mut raw = self.lanes.raw.clone();
        let left: Vec<bool> = both.query_async(&mut raw).await.unwrap();
        assert!(!left.contains(&true));
    }

    /// Everything ends, and each job has ended once.
    async fn end(mut self) {
        loop {
            self.promote().await;
            let max = *[3, 40, 100].choose(self.random).unwrap();
            self.turn(max).await;
            for at in 0..2 {
                let runs = std::mem::take(&mut self.runs[at]);
                for some in runs.chunks(100) {
                    let settles: Vec<_> = some.iter().map(Bench::completed).collect();
                    let answers = self.lanes.turn(self.nodes[at], &settles, 0).await.settled;
                    let expected = some
                        .iter()
                        .map(|run| self.model.settle(run.job, at, Way::Completed));
                    assert_eq!(answers, expected.collect::<Vec<_>>());
                }
            }
            self.compare().await;
            if self
                .model
                .those(|stand| !matches!(stand, Stand::Ended(_)))
                .is_empty()
            {
                break;
            }
        }
        self.lanes.ends().await;
        let jobs: Vec<_> = self.model.jobs().collect();
        for some in jobs.chunks(100) {
            let ids: Vec<_> = some.iter().map(|(job, _)| *job).collect();
            let found = self.lanes.bench.store.jobs(&ids).await.unwrap();
            for (job, (id, stand)) in found.into_iter().zip(some) {
                assert_eq!(Stand::Ended(job.unwrap().status), *stand, "{id}");
            }
        }
    }
}
