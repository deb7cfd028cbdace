//! What is done to a run while it goes on: leaders are killed, workflows suspended, resumed and
//! cancelled. Every moment is the beginning of some job, which one is up to chance.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::future::join_all;
use paceline_client::Client;
use paceline_orchestrator::oracle::chance::Chance;
use paceline_tests::{Env, NodeProcess, SOON, eventually};
use paceline_types::WorkflowId;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use crate::play::{Begun, Owner};

/// Leader's lease, the shortest there is: nothing moves for so long after each kill.
const LEASE: &str = "1s";

/// How often it is looked whether anything still begins.
const LOOK: Duration = Duration::from_millis(100);

/// How much is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// After how many beginnings of jobs the leader is killed, each time.
    pub(crate) kills: VecDeque<usize>,
    /// At how many of a hundred beginnings the workflow is suspended.
    pub(crate) suspended: usize,
    /// How many of a hundred workflows and batches are cancelled at one of their first jobs.
    pub(crate) cancelled: usize,
}

impl Plan {
    /// So many kills in the first half of what is expected to begin.
    pub(crate) fn killing(mut self, kills: usize, expected: usize, chance: &mut Chance) -> Plan {
        let first_half = 1..=(expected / 2).max(kills);
        let moments = (0..kills).map(|_| first_half.start() + chance.below(*first_half.end()));
        let mut moments: Vec<usize> = moments.collect();
        moments.sort_unstable();
        self.kills = moments.into();
        self
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) kills: usize,
    pub(crate) suspended: usize,
    pub(crate) resumed: usize,
    pub(crate) cancelled: usize,
}

/// Disturbs one run.
pub(crate) struct Disturber {
    client: Client,
    chance: Chance,
    plan: Plan,
    begun: UnboundedReceiver<Begun>,
    leaders: Vec<NodeProcess>,
    /// How many jobs have begun, in all and of each owner; and at which of them it is cancelled.
    count: usize,
    owners: BTreeMap<Owner, (usize, Option<usize>)>,
    /// Suspended workflows, and at how many beginnings they are resumed.
    asleep: VecDeque<(usize, WorkflowId)>,
    did: Deeds,
}

/// Processes that lead and run nothing, one more than will be killed.
pub(crate) async fn leaders(env: &Env, kills: usize) -> Vec<NodeProcess> {
    let url = env.url();
    let roles = ["scheduler", "orchestrator", "api"].map(|role| ["--role", role]);
    let mut args = vec!["--namespace", env.namespace(), "--lease", LEASE];
    args.extend(roles.as_flattened());
    join_all((0..=kills).map(|_| NodeProcess::start(&url, &args))).await
}

impl Disturber {
    pub(crate) async fn new(
        env: &Env,
        plan: Plan,
        chance: Chance,
        begun: UnboundedReceiver<Begun>,
    ) -> Disturber {
        Disturber {
            client: env.client().await,
            chance,
            leaders: leaders(env, plan.kills.len()).await,
            plan,
            begun,
            count: 0,
            owners: BTreeMap::new(),
            asleep: VecDeque::new(),
            did: Deeds::default(),
        }
    }

    /// Goes on until everything has ended. The leaders that are left stay.
    pub(crate) async fn until(mut self, ends: impl Future) -> (Deeds, Vec<NodeProcess>) {
        let mut ends = std::pin::pin!(ends);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = 0;
        loop {
            tokio::select! {
                _ = &mut ends => break,
                Some(begun) = self.begun.recv() => self.at(begun).await,
                _ = looks.tick() => {
                    // Perhaps nothing begins any more because it waits for those that sleep.
                    if self.count == before {
                        self.wake(1).await;
                    }
                    before = self.count;
                }
            }
        }
        self.wake(usize::MAX).await;
        (self.did, self.leaders)
    }

    /// A job has begun.
    async fn at(&mut self, begun: Begun) {
        self.count += 1;
        let of = begun.of;
        // It is over before anything is done, or is in the middle.
        let held = self.chance.percent(60).then_some(begun);
        if self.plan.kills.front().is_some_and(|&at| at <= self.count) {
            self.plan.kills.pop_front();
            self.kill().await;
        }
        if self.is_to_be_cancelled(of) {
            self.cancel(of).await;
        }
        if let Owner::Workflow(id) = of
            && self.chance.percent(self.plan.suspended)
        {
            self.suspend(id).await;
        }
        drop(held);
        let due = self.asleep.iter().filter(|(at, _)| *at <= self.count);
        self.wake(due.count()).await;
    }

    /// Ends the process of a leader, which gives nothing back.
    async fn kill(&mut self) {
        let leaders = &self.leaders;
        let victim = eventually("somebody leads", SOON, async || {
            for (place, node) in leaders.iter().enumerate() {
                if node.metric("paceline_leader").await > Some(0.0) {
                    return Some(place);
                }
            }
            None
        })
        .await;
        self.leaders.swap_remove(victim).kill();
        self.did.kills += 1;
    }

    fn is_to_be_cancelled(&mut self, of: Owner) -> bool {
        let (chance, share) = (&mut self.chance, self.plan.cancelled);
        let mut at = || chance.percent(share).then(|| 1 + chance.below(6));
        let (count, at) = self.owners.entry(of).or_insert_with(|| (0, at()));
        *count += 1;
        *at == Some(*count)
    }

    /// It may have ended since, or have gone on as another one.
    async fn cancel(&mut self, of: Owner) {
        let done = match of {
            Owner::Workflow(id) => self.client.cancel_workflow(id, "enough").await.is_ok(),
            Owner::Batch(id) => self.client.cancel_batch(id, "enough").await.is_ok(),
        };
        self.did.cancelled += usize::from(done);
    }

    /// It may have ended since, or sleep already.
    async fn suspend(&mut self, id: WorkflowId) {
        if self.client.suspend_workflow(id).await.unwrap_or(false) {
            self.did.suspended += 1;
            let at = self.count + 1 + self.chance.below(60);
            let place = self.asleep.partition_point(|(other, _)| *other <= at);
            self.asleep.insert(place, (at, id));
        }
    }

    /// Resumes the first of those that sleep. They may have ended since.
    async fn wake(&mut self, most: usize) {
        for (_, id) in self.asleep.drain(..most.min(self.asleep.len())) {
            let woken = self.client.resume_workflow(id).await;
            self.did.resumed += usize::from(woken.is_ok());
        }
    }
}
