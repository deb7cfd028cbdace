//! What all parts of a running node share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use paceline_store::Store;
use paceline_store::calls::turn::Serves;
use paceline_types::node::PoolStats;
use paceline_types::{
    AllSettings, NodeId, NodeInfo, RetryPolicy, Role, Settings, ShardIndex, TaskType, TierWeights,
    UnixMillis,
};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::handler::{HandlerFn, HandlerOptions};
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::registry::{Pattern, Registry};
use crate::slots::{Reservation, Slots};
use crate::telemetry::HandlerMetrics;

/// What a node was configured with, checked.
#[derive(Clone, Debug)]
pub(crate) struct NodeOptions {
    pub(crate) lease: Duration,
    pub(crate) leader_lease: Duration,
    pub(crate) reconcile_every: Duration,
    pub(crate) weights: TierWeights,
    pub(crate) drain: Duration,
    pub(crate) max_payload: usize,
    /// Run slots, unless settings say otherwise.
    pub(crate) concurrency: u32,
    pub(crate) roles: BTreeSet<Role>,
}

/// A registered handler.
pub(crate) struct Entry {
    /// What it is registered under.
    pub(crate) name: String,
    pub(crate) call: HandlerFn,
    pub(crate) options: HandlerOptions,
    /// That of the options, else the default.
    pub(crate) retry_policy: RetryPolicy,
    /// What settings say of it now.
    pub(crate) dials: Dials,
    pub(crate) metrics: HandlerMetrics,
}

/// What settings say of a handler, read at the start of each run.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    /// In milliseconds, rounded up; 0 for none.
    timeout: AtomicU64,
    /// 0 for none.
    max_attempts: AtomicU32,
}

impl Dials {
    /// Longest run, in place of every other.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let millis = self.timeout.load(Ordering::Relaxed);
        (millis > 0).then(|| Duration::from_millis(millis))
    }

    /// Executions in all, in place of every policy.
    pub(crate) fn max_attempts(&self) -> Option<u32> {
        let attempts = self.max_attempts.load(Ordering::Relaxed);
        (attempts > 0).then_some(attempts)
    }

    fn set(&self, settings: &Settings) {
        let millis = settings
            .timeout
            .map_or(0, |timeout| timeout.as_micros().div_ceil(1_000));
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
        let attempts = settings.max_attempts.unwrap_or(0);
        self.max_attempts.store(attempts, Ordering::Relaxed);
    }
}

/// Runs since the node started; moved once per turn.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// What all parts of a running node share.
pub(crate) struct Kit {
    /// The connection of the main runtime.
    pub(crate) store: Store,
    pub(crate) options: NodeOptions,
    pub(crate) registry: Registry,
    pub(crate) handlers: Vec<Entry>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) inputs: Inputs,
    pub(crate) tally: Tally,
    pub(crate) identity: Identity,
    /// For readers: host and process, or what the builder was given.
    pub(crate) name: String,
    pub(crate) address: OnceLock<String>,
    leads: Mutex<BTreeMap<ShardIndex, u64>>,
    /// Whether the node was told to claim no more.
    drained: watch::Sender<bool>,
    /// The server's time as the last beat told it, and when.
    server_time: Mutex<Option<(Instant, UnixMillis)>>,
}

impl Kit {
    pub(crate) fn new(
        store: Store,
        options: NodeOptions,
        registry: Registry,
        handlers: Vec<Entry>,
        name: String,
    ) -> Kit {
        let limits = handlers
            .iter()
            .map(|entry| (entry.options.concurrency, entry.options.breaker));
        Kit {
            slots: Arc::new(Slots::new(options.concurrency, limits)),
            inputs: Inputs::default(),
            tally: Tally::default(),
            identity: Identity::default(),
            address: OnceLock::new(),
            leads: Mutex::default(),
            drained: watch::Sender::new(false),
            server_time: Mutex::default(),
            store,
            options,
            registry,
            handlers,
            name,
        }
    }

    /// What a claim with these slots may bring; nothing when there is no room for anything.
    pub(crate) fn serves(&self, reserved: &Reservation) -> Vec<Serves> {
        if (0..self.handlers.len()).all(|handler| reserved.left_of(handler) == 0) {
            return Vec::new();
        }
        self.handlers
            .iter()
            .enumerate()
            .map(|(index, entry)| (index, entry, reserved.left_of(index)))
            // One without room is named all the same if its work would go to a pattern instead.
            .filter(|(index, _, free)| *free > 0 || self.registry.is_covered(*index))
            .map(|(_, entry, free)| Serves {
                pattern: entry.name.clone(),
                version: entry.options.version.clone(),
                free,
            })
            .collect()
    }

    /// Whether a job of this type could be started now.
    pub(crate) fn has_room(&self, task_type: &TaskType) -> bool {
        let handler = self.registry.find(task_type);
        handler.is_some_and(|handler| self.slots.has_room(handler))
    }

    /// Task types that are served by name, but for those of some handlers, and whether that left
    /// none out.
    pub(crate) fn types_but(&self, handlers: &[usize]) -> (Vec<TaskType>, bool) {
        let mut all = true;
        let types = self
            .registry
            .patterns()
            .iter()
            .enumerate()
            .filter_map(|(index, pattern)| match pattern {
                Pattern::Exact(task_type) if !handlers.contains(&index) => Some(task_type.clone()),
                Pattern::Exact(_) => {
                    all = false;
                    None
                }
                Pattern::Prefix(_) | Pattern::Any => None,
            })
            .collect();
        (types, all)
    }

    /// Makes settings hold: of the node's slots, and of every handler.
    pub(crate) fn apply(&self, settings: &AllSettings) {
        let total = settings.global().concurrency;
        self.slots
            .set_total(total.unwrap_or(self.options.concurrency));
        for (index, entry) in self.handlers.iter().enumerate() {
            let own = settings.of_handler(&entry.name);
            entry.dials.set(&own);
            let limit = match own.paused {
                Some(true) => Some(0),
                Some(false) | None => own.concurrency.or(entry.options.concurrency),
            };
            self.slots.set_limit(index, limit);
        }
    }

    /// Takes up what a beat of the first shard said: whether to claim no more.
    pub(crate) fn set_drained(&self, drained: bool) {
        let changed = self
            .drained
            .send_if_modified(|was| std::mem::replace(was, drained) != drained);
        if changed {
            tracing::info!(node = %self.identity.newest(), drained, "told whether to claim work");
            self.slots.set_closed(drained);
        }
    }

    /// Whether the node was told to claim no more.
    pub(crate) fn is_drained(&self) -> bool {
        *self.drained.borrow()
    }

    /// Whether the node was told to claim no more, as that changes.
    pub(crate) fn drained(&self) -> watch::Receiver<bool> {
        self.drained.subscribe()
    }

    /// Notes the server's time.
    pub(crate) fn note_time(&self, now: UnixMillis) {
        let mut noted = self
            .server_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *noted = Some((Instant::now(), now));
    }

    /// Handlers whose breaker is not closed, and when one run may try, by the server's clock as
    /// far as it is known.
    fn open_breakers(&self) -> BTreeMap<String, UnixMillis> {
        let noted = *self
            .server_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let at_server = |moment: Instant| {
            let (seen, now) = noted?;
            let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            Some(match moment.checked_duration_since(seen) {
                Some(after) => now.saturating_add(millis(after)),
                None => now.saturating_sub(millis(seen - moment)),
            })
        };
        self.slots
            .open_breakers()
            .map(|(handler, at)| {
                let name = self.handlers[handler].name.clone();
                (name, at_server(at).unwrap_or(0))
            })
            .collect()
    }

    /// Whether it was built to do this.
    pub(crate) fn has_role(&self, role: Role) -> bool {
        self.options.roles.contains(&role)
    }

    /// Whether it claims and runs work.
    pub(crate) fn works(&self) -> bool {
        self.has_role(Role::Worker) && !self.handlers.is_empty()
    }

    /// Whether it stands for leader of the shards.
    pub(crate) fn stands(&self) -> bool {
        self.has_role(Role::Scheduler) || self.has_role(Role::Orchestrator)
    }

    /// Notes that this node leads a shard, or does not any more.
    pub(crate) fn set_lead(&self, shard: ShardIndex, term: Option<u64>) {
        let mut leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        match term {
            Some(term) => leads.insert(shard, term),
            None => leads.remove(&shard),
        };
    }

    /// Shards that this node leads, with their terms.
    pub(crate) fn leads(&self) -> BTreeMap<ShardIndex, u64> {
        let leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        leads.clone()
    }

    /// What the node tells about itself under `id`.
    pub(crate) fn info(&self, id: NodeId) -> NodeInfo {
        let (total, running) = (self.slots.total(), self.slots.running());
        let tally = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let served: &[Entry] = if self.works() { &self.handlers } else { &[] };
        NodeInfo {
            node_id: id,
            name: self.name.clone(),
            address: self.address.get().cloned(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            task_types: served.iter().map(|entry| entry.name.clone()).collect(),
            handler_versions: served
                .iter()
                .filter_map(|entry| {
                    let version = entry.options.version.as_ref()?;
                    Some((entry.name.clone(), version.to_string()))
                })
                .collect(),
            roles: self.options.roles.clone(),
            breakers: self.open_breakers(),
            full_handlers: served
                .iter()
                .enumerate()
                .filter(|(handler, _)| self.slots.is_full(*handler))
                .map(|(_, entry)| entry.name.clone())
                .collect(),
            // The store knows it.
            draining: false,
            // The store writes both by the server's clock.
            started_at: 0,
            last_heartbeat: 0,
            pool_stats: PoolStats {
                running_workers: running,
                idle_workers: total - running.min(total),
                max_concurrency: total,
                total_submitted: tally(&self.tally.started),
                total_completed: tally(&self.tally.completed),
                total_failed: tally(&self.tally.failed),
            },
            leads: self.leads(),
        }
    }
}
