//! The election of one shard's leader, and its time in office.
//!
//! [`campaign`](crate::campaign) says when to take the lock. The holder raises the beat at a
//! third of the lease and trusts itself until two thirds of it after it sent the last good beat,
//! so it has stopped before anyone else may begin. The [`Tenure`] carries that trust to the
//! leader's loop; whatever happens here, dropping it ends the loop.
//!
//! It runs beside the handlers on purpose: a node whose runtime is blocked cannot lead, and its
//! beat must not pretend that it could.

use std::sync::Arc;
use std::time::Duration;

use paceline_orchestrator::instance::Limits;
use paceline_orchestrator::leader::{self, Leader};
use paceline_orchestrator::term::Tenure;
use paceline_orchestrator::workflows;
use paceline_store::calls::leadership::Lock;
use paceline_store::{CallError, StoreError};
use paceline_types::{NodeId, ShardIndex};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::campaign::{Campaign, Verdict, reserve, trust};
use crate::census::Census;
use crate::kit::Kit;
use crate::leader_bell::ShardBell;
use crate::ledger::ShardLedger;
use crate::phase::Phase;
use crate::telemetry::ShardMetrics;

/// Wait after an error of the store, between looks and between beats.
const AFTER_ERROR: Duration = Duration::from_millis(250);

/// How long the leader's loop may take to end once its term is over.
const LAST_CALL: Duration = Duration::from_secs(2);

/// How long a node that stops tries to give the lock back.
const FAREWELL: Duration = Duration::from_secs(2);

/// Stands for election in one shard until the node stops.
pub(crate) async fn run(kit: Arc<Kit>, shard: ShardIndex, phase: watch::Receiver<Phase>) {
    let mut candidate = Candidate {
        metrics: ShardMetrics::new(shard),
        drained: kit.drained(),
        began_drained: false,
        newest_term: 0,
        kit,
        shard,
        phase,
    };
    candidate.metrics.leader.set(0.0);
    loop {
        let me = candidate.kit.identity.newest();
        let Some((term, trusted_until)) = candidate.stand(me).await else {
            return;
        };
        match candidate.hold(me, term, trusted_until).await {
            Office::Lost => {}
            Office::Drained => candidate.resign(me, term).await,
            Office::Stopped => {
                candidate.resign(me, term).await;
                return;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Office {
    /// Another leads, or may lead soon.
    Lost,
    /// The node was told to claim no more, and leaves leading to others as well.
    Drained,
    /// The node stops.
    Stopped,
}

struct Candidate {
    kit: Arc<Kit>,
    shard: ShardIndex,
    metrics: ShardMetrics,
    phase: watch::Receiver<Phase>,
    drained: watch::Receiver<bool>,
    /// The last term was taken while drained, since nobody else wanted it.
    began_drained: bool,
    /// Known here, so that a term never repeats even if the data of Redis is lost.
    newest_term: u64,
}

impl Candidate {
    /// Watches the lock until it is won; none when the node stops.
    async fn stand(&mut self, me: NodeId) -> Option<(u64, Instant)> {
        let lease = self.kit.options.leader_lease;
        let mut campaign = Campaign::new(me, lease);
        loop {
            let look_again = match self.try_once(me, &mut campaign).await {
                Ok(Some(won)) => return Some(won),
                Ok(None) => campaign.next_look(Instant::now()),
                Err(error) => {
                    tracing::debug!(shard = %self.shard, %error, "the leader's lock is out of sight");
                    Instant::now() + AFTER_ERROR
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(look_again) => {}
                _ = self.phase.wait_for(|phase| *phase >= Phase::Draining) => return None,
            }
        }
    }

    async fn try_once(
        &mut self,
        me: NodeId,
        campaign: &mut Campaign,
    ) -> Result<Option<(u64, Instant)>, StoreError> {
        if *self.phase.borrow() >= Phase::Draining {
            return Ok(None);
        }
        let lock = self.look().await?;
        if campaign.judge(lock, Instant::now()) == Verdict::Wait {
            return Ok(None);
        }
        let drained = *self.drained.borrow_and_update();
        let held_back = if drained {
            // Whoever else stands comes first; a cluster without any leader would be worse.
            self.kit.options.leader_lease
        } else {
            reserve(
                self.kit.store.shards(),
                self.kit.leads().len(),
                me,
                self.shard.0,
            )
        };
        if !held_back.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(held_back) => {}
                _ = self.phase.wait_for(|phase| *phase >= Phase::Draining) => return Ok(None),
                _ = self.drained.changed() => return Ok(None),
            }
        }
        self.began_drained = drained;
        let sent = Instant::now();
        let taken = self
            .kit
            .store
            .take(self.shard, me, lock.as_ref(), self.newest_term)
            .await;
        match taken {
            Ok(term) => {
                self.newest_term = term;
                Ok(Some((term, sent + trust(self.kit.options.leader_lease))))
            }
            Err(CallError::Refused(taken)) => {
                campaign.judge(Some(taken.0), Instant::now());
                Ok(None)
            }
            Err(CallError::Store(error)) => Err(error),
        }
    }

    async fn look(&mut self) -> Result<Option<Lock>, StoreError> {
        let lock = self.kit.store.look(self.shard).await?;
        let term = lock.map_or(0, |lock| lock.term);
        self.newest_term = self.newest_term.max(term);
        Ok(lock)
    }

    /// Leads, and raises the beat, until the term is lost or the node stops.
    async fn hold(&mut self, me: NodeId, number: u64, trusted_until: Instant) -> Office {
        let (tenure, term) = Tenure::begin(number, trusted_until);
        let ports = ShardLedger::new(self.kit.store.clone(), self.shard);
        let bell = match ShardBell::new(&self.kit.store, self.shard) {
            Ok(bell) => bell,
            Err(error) => {
                tracing::error!(shard = %self.shard, %error, "the leader's bell cannot be heard");
                return Office::Lost;
            }
        };
        tracing::info!(node = %me, shard = %self.shard, term = number, "leading");
        self.metrics.leader.set(1.0);
        self.kit.set_lead(self.shard, Some(number));
        let limits = Limits {
            max_payload: self.kit.options.max_payload,
        };
        let options = leader::Options {
            workflows: workflows::Options {
                limits,
                ..workflows::Options::default()
            },
            reconcile_every: self.kit.options.reconcile_every,
            ..leader::Options::default()
        };
        let leader = Leader::new(Arc::new(ports), bell, options);
        let _census = Census::start(&self.kit, self.shard);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut leading = tokio::spawn(leader.run(term, async move {
            let _ = stopped.await;
        }));
        let end = self
            .keep_beating(me, number, trusted_until, &tenure, &mut leading)
            .await;
        if end != Office::Lost {
            // It stops between two calls, while its term is still good.
            drop(stop);
            let _ = tokio::time::timeout(LAST_CALL, &mut leading).await;
        }
        drop(tenure);
        if !leading.is_finished() && tokio::time::timeout(LAST_CALL, &mut leading).await.is_err() {
            leading.abort();
        }
        self.kit.set_lead(self.shard, None);
        self.metrics.leader.set(0.0);
        tracing::info!(node = %me, shard = %self.shard, term = number, reason = ?end, "not leading");
        end
    }

    async fn keep_beating(
        &mut self,
        me: NodeId,
        number: u64,
        mut trusted_until: Instant,
        tenure: &Tenure,
        leading: &mut JoinHandle<leader::Stopped>,
    ) -> Office {
        let lease = self.kit.options.leader_lease;
        let mut next_beat = Instant::now() + lease / 3;
        let mut was_drained = self.began_drained;
        loop {
            let drained = *self.drained.borrow_and_update();
            if drained && !was_drained {
                return Office::Drained;
            }
            was_drained = drained;
            tokio::select! {
                biased;
                _ = self.phase.wait_for(|phase| *phase >= Phase::Leaving) => return Office::Stopped,
                Ok(()) = self.drained.changed() => continue,
                stopped = &mut *leading => {
                    tracing::warn!(shard = %self.shard, term = number, ?stopped, "the leader ended");
                    return Office::Lost;
                }
                () = tokio::time::sleep_until(next_beat) => {}
            }
            let sent = Instant::now();
            let beat = self.kit.store.hold(self.shard, me, number);
            match tokio::time::timeout_at(trusted_until, beat).await {
                Ok(Ok(())) => {
                    trusted_until = trusted_until.max(sent + trust(lease));
                    tenure.prolong(trusted_until);
                    next_beat = sent + lease / 3;
                }
                Ok(Err(CallError::Refused(_))) | Err(_) => return Office::Lost,
                Ok(Err(CallError::Store(error))) => {
                    tracing::warn!(shard = %self.shard, term = number, %error, "a leader's beat failed");
                    if Instant::now() >= trusted_until {
                        return Office::Lost;
                    }
                    next_beat = Instant::now() + AFTER_ERROR.min(lease / 6);
                }
            }
        }
    }

    /// Gives the lock back, so that another node leads at once.
    async fn resign(&self, me: NodeId, term: u64) {
        let resign = self.kit.store.resign(self.shard, me, term);
        if tokio::time::timeout(FAREWELL, resign).await.is_err() {
            tracing::warn!(shard = %self.shard, term, "the leader's lock could not be given back");
        }
    }
}
