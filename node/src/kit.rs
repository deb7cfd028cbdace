//! What all parts of a running node share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use paceline_store::Store;
use paceline_store::calls::turn::Serves;
use paceline_types::node::PoolStats;
use paceline_types::{NodeId, NodeInfo, RetryPolicy, ShardIndex, TaskType, TierWeights};

use crate::handler::{HandlerFn, HandlerOptions};
use crate::identity::Identity;
use crate::registry::{Pattern, Registry};
use crate::slots::{Reservation, Slots};
use crate::telemetry::HandlerMetrics;

/// What a node was configured with, checked.
#[derive(Clone, Debug)]
pub(crate) struct NodeOptions {
    pub(crate) lease: Duration,
    pub(crate) leader_lease: Duration,
    pub(crate) weights: TierWeights,
    pub(crate) drain: Duration,
    pub(crate) max_payload: usize,
}

/// A registered handler.
pub(crate) struct Entry {
    /// What it is registered under.
    pub(crate) name: String,
    pub(crate) call: HandlerFn,
    pub(crate) options: HandlerOptions,
    /// That of the options, else the default.
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) metrics: HandlerMetrics,
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
    pub(crate) tally: Tally,
    pub(crate) identity: Identity,
    /// For readers: host and process, or what the builder was given.
    pub(crate) name: String,
    pub(crate) address: OnceLock<String>,
    leads: Mutex<BTreeMap<ShardIndex, u64>>,
}

impl Kit {
    pub(crate) fn new(
        store: Store,
        options: NodeOptions,
        registry: Registry,
        handlers: Vec<Entry>,
        concurrency: u32,
        name: String,
    ) -> Kit {
        let limits = handlers.iter().map(|entry| entry.options.concurrency);
        Kit {
            slots: Arc::new(Slots::new(concurrency, limits)),
            tally: Tally::default(),
            identity: Identity::default(),
            address: OnceLock::new(),
            leads: Mutex::default(),
            store,
            options,
            registry,
            handlers,
            name,
        }
    }

    /// What a claim with these slots may bring.
    pub(crate) fn serves(&self, reserved: &Reservation) -> Vec<Serves> {
        self.handlers
            .iter()
            .enumerate()
            .map(|(index, entry)| (entry, reserved.left_of(index)))
            .filter(|(_, free)| *free > 0)
            .map(|(entry, free)| Serves {
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
        NodeInfo {
            node_id: id,
            name: self.name.clone(),
            address: self.address.get().cloned(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            task_types: self
                .handlers
                .iter()
                .map(|entry| entry.name.clone())
                .collect(),
            handler_versions: self
                .handlers
                .iter()
                .filter_map(|entry| {
                    let version = entry.options.version.as_ref()?;
                    Some((entry.name.clone(), version.to_string()))
                })
                .collect(),
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
