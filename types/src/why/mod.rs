//! Why a job is not running: a pure judgement of facts.
//!
//! The store gathers [`Facts`] in a few bounded calls; [`explain`] says what stands in the way, in
//! the order in which it blocks. What is told may be over by the time that it is read.

mod reason;
mod sentence;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::stats::{Lane, handler_of, serves};
use crate::{AllSettings, Job, JobId, JobStatus, LimitKey, NodeId, NodeInfo, TaskName, UnixMillis};

pub use reason::{Reason, Why};

/// Jobs ahead in a lane that are counted exactly.
pub const MOST_AHEAD: u64 = 10_000;

/// What a job and its cluster are like at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The server's time.
    pub now: UnixMillis,
    /// The job.
    pub job: Job,
    /// Whether its shard has a leader that lives.
    pub has_leader: bool,
    /// Nodes that are alive.
    pub nodes: Vec<NodeInfo>,
    /// Settings of handlers.
    pub settings: AllSettings,
    /// Whether the tier is paused by hand.
    pub tier_paused: bool,
    /// Whether the task type is paused by hand.
    pub type_paused: bool,
    /// When the next job of its tier may begin, if it may not now.
    pub tier_rate: Option<UnixMillis>,
    /// The limits that it shares, in its order.
    pub limits: Vec<LimitFacts>,
    /// The limit that it is parked at.
    pub parked_at: Option<LimitKey>,
    /// Jobs ahead of it in its lane; [`MOST_AHEAD`] for more, none when it is in no lane.
    pub ahead: Option<u64>,
    /// Lanes of its tier that come before its own, as they are older; a hundred at most.
    pub older_lanes: Vec<Lane>,
}

/// How a limit of a job stands.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitFacts {
    /// Its key.
    pub key: LimitKey,
    /// Most jobs at once.
    pub most: Option<u32>,
    /// Jobs that hold a slot, but for the job itself.
    pub holders: u64,
    /// Some of them, and the nodes that run them.
    pub held: Vec<(JobId, Option<NodeId>)>,
    /// When the next one may begin, if its rate is used up.
    pub next_token: Option<UnixMillis>,
    /// Jobs that were parked there before it.
    pub ahead: u64,
}

/// What stands in the way of a job, what blocks first coming first; never empty.
#[must_use]
pub fn explain(facts: &Facts) -> Vec<Reason> {
    let job = &facts.job;
    if job.status.is_terminal() {
        return vec![Reason::Ended {
            status: job.status,
            at: job.completed_at,
            error: job.last_error.clone(),
        }];
    }
    let mut reasons = Vec::new();
    match job.status {
        JobStatus::Running => return running(facts),
        JobStatus::Scheduled => reasons.push(Reason::Scheduled {
            until: job.next_run_at.unwrap_or(facts.now),
        }),
        JobStatus::Retrying => reasons.push(Reason::Retrying {
            until: job.next_run_at.unwrap_or(facts.now),
            attempt: job.attempt,
            most: job.retry_policy.as_ref().map(|policy| policy.max_attempts),
            error: job.last_error.clone(),
        }),
        JobStatus::Paused => reasons.push(Reason::Paused {
            until: job.next_run_at,
            error: job.last_error.clone(),
        }),
        _ => {}
    }
    let waits_for_time = matches!(job.status, JobStatus::Scheduled | JobStatus::Retrying)
        || (job.status == JobStatus::Paused && job.next_run_at.is_some());
    if waits_for_time && !facts.has_leader {
        reasons.push(Reason::NoLeader);
    }
    steered(facts, &mut reasons);
    let nodes = served_by(facts, &mut reasons);
    limited(facts, &mut reasons);
    if job.status == JobStatus::Pending {
        crowded(facts, &nodes, &mut reasons);
        queued(facts, &nodes, &mut reasons);
    }
    if reasons.is_empty() {
        reasons.push(Reason::Next);
    }
    reasons
}

fn running(facts: &Facts) -> Vec<Reason> {
    let job = &facts.job;
    let node = facts
        .nodes
        .iter()
        .find(|node| Some(node.node_id) == job.node_id);
    let mut reasons = vec![Reason::Running {
        node: job.node_id,
        name: node.map(|node| node.name.clone()),
        since: job.started_at,
        attempt: job.attempt,
    }];
    if job.cancel_requested {
        reasons.push(Reason::CancelRequested);
    }
    if node.is_none() && !facts.has_leader {
        reasons.push(Reason::NoLeader);
    }
    reasons
}

fn steered(facts: &Facts, reasons: &mut Vec<Reason>) {
    let job = &facts.job;
    let tier = job.priority.tier();
    if facts.tier_paused {
        reasons.push(Reason::TierPaused { tier });
    }
    let by_settings = || {
        let mut handlers = facts
            .nodes
            .iter()
            .filter_map(|node| handler_of(node, &job.task_type));
        let paused = |name: &str| facts.settings.of_handler(name).paused == Some(true);
        handlers.next().is_some_and(paused) && handlers.all(paused)
    };
    if facts.type_paused || by_settings() {
        reasons.push(Reason::TypePaused {
            task_type: job.task_type.clone(),
            by_settings: !facts.type_paused,
        });
    }
}

/// The nodes that may claim it; says why there are none.
fn served_by<'a>(facts: &'a Facts, reasons: &mut Vec<Reason>) -> Vec<&'a NodeInfo> {
    let job = &facts.job;
    let (task_type, version) = (&job.task_type, job.version.as_ref());
    if facts.nodes.is_empty() {
        reasons.push(Reason::NoNode);
        return Vec::new();
    }
    let mut nodes: Vec<_> = facts
        .nodes
        .iter()
        .filter(|node| serves(node, task_type, version))
        .collect();
    if nodes.is_empty() {
        let mut versions: Vec<_> = facts
            .nodes
            .iter()
            .filter_map(|node| node.handler_versions.get(handler_of(node, task_type)?))
            .cloned()
            .collect();
        versions.sort();
        versions.dedup();
        reasons.push(match version {
            Some(version) if !versions.is_empty() => Reason::VersionNotServed {
                version: version.clone(),
                served: versions,
            },
            _ => {
                let names = facts.nodes.iter().flat_map(|node| &node.task_types);
                let nearest =
                    crate::nearest::nearest(task_type.as_str(), names.map(String::as_str));
                Reason::NotServed {
                    task_type: task_type.clone(),
                    nearest: nearest.map(str::to_owned),
                }
            }
        });
        return nodes;
    }
    if nodes.iter().all(|node| node.draining) {
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        reasons.push(Reason::Draining { nodes: names });
        return Vec::new();
    }
    nodes.retain(|node| !node.draining);
    let breaker = |node: &&NodeInfo| {
        let until = node.breakers.get(handler_of(node, task_type)?).copied()?;
        Some(until).filter(|&until| until > facts.now)
    };
    let open: Vec<_> = nodes.iter().map(breaker).collect();
    if let Some(until) = open.iter().copied().min().flatten() {
        // The least of options is none while one of them is none: some node calls the handler.
        reasons.push(Reason::BreakerOpen { until });
        return Vec::new();
    }
    let mut open = open.into_iter();
    nodes.retain(|_| open.next().flatten().is_none());
    nodes
}

fn limited(facts: &Facts, reasons: &mut Vec<Reason>) {
    let before = reasons.len();
    for limit in &facts.limits {
        let key = limit.key.clone();
        match limit.most {
            Some(most) if limit.holders >= u64::from(most) => reasons.push(Reason::LimitFull {
                key,
                most,
                held: limit.held.clone(),
                ahead: limit.ahead,
            }),
            _ => {
                if let Some(until) = limit.next_token.filter(|&until| until > facts.now) {
                    reasons.push(Reason::LimitRate {
                        key,
                        until,
                        ahead: limit.ahead,
                    });
                }
            }
        }
    }
    if let Some(key) = facts.parked_at.as_ref().filter(|_| reasons.len() == before) {
        let limit = facts.limits.iter().find(|limit| limit.key == *key);
        reasons.push(Reason::LimitTurn {
            key: key.clone(),
            ahead: limit.map_or(0, |limit| limit.ahead),
        });
    }
    if let Some(until) = facts.tier_rate.filter(|&until| until > facts.now) {
        reasons.push(Reason::TierRate {
            tier: facts.job.priority.tier(),
            until,
        });
    }
}

fn crowded(facts: &Facts, nodes: &[&NodeInfo], reasons: &mut Vec<Reason>) {
    if nodes.is_empty() {
        return;
    }
    let free = |node: &&NodeInfo| node.pool_stats.idle_workers > 0;
    if !nodes.iter().any(free) {
        reasons.push(Reason::SlotsFull {
            nodes: nodes.len(),
            running: nodes
                .iter()
                .map(|node| node.pool_stats.running_workers)
                .sum(),
            slots: nodes
                .iter()
                .map(|node| node.pool_stats.max_concurrency)
                .sum(),
        });
        return;
    }
    let is_full = |node: &NodeInfo| {
        let handler = handler_of(node, &facts.job.task_type);
        handler.is_some_and(|handler| node.full_handlers.contains(handler))
    };
    let with_slots: Vec<_> = nodes.iter().filter(|node| free(node)).collect();
    if with_slots.iter().all(|node| is_full(node)) {
        reasons.push(Reason::HandlerFull {
            nodes: with_slots.len(),
        });
        return;
    }
    let limit = |node: &&NodeInfo| {
        let handler = handler_of(node, &facts.job.task_type)?;
        facts.settings.of_handler(handler).concurrency
    };
    // Which handler a run is of is not told, so this is named only where the job does wait.
    let waits = facts.ahead.is_some_and(|ahead| ahead > 0);
    if let Some(most) = nodes.iter().filter_map(limit).max().filter(|_| waits) {
        reasons.push(Reason::Concurrency { most });
    }
}

fn queued(facts: &Facts, nodes: &[&NodeInfo], reasons: &mut Vec<Reason>) {
    if nodes.is_empty() {
        return;
    }
    if let Some(ahead) = facts.ahead.filter(|&ahead| ahead > 0) {
        reasons.push(Reason::Behind { ahead });
    }
    // What nobody takes who may take the job is not in its way.
    let is_rival = |lane: &&Lane| {
        let mut nodes = nodes.iter();
        nodes.any(|node| serves(node, &lane.task_type, lane.version.as_ref()))
    };
    let lanes = facts.older_lanes.iter().filter(is_rival).count();
    if facts.ahead.is_some() && lanes > 0 {
        reasons.push(Reason::OlderLanes {
            lanes: u64::try_from(lanes).unwrap_or(0),
        });
    }
}

/// Where the tasks stand that one of a workflow waits for; pure part of explaining a task that is
/// not dispatched.
#[must_use]
pub fn dependencies(
    task: &TaskName,
    depends_on: &[TaskName],
    states: &BTreeMap<TaskName, JobStatus>,
) -> Option<Reason> {
    let open: Vec<_> = depends_on
        .iter()
        .filter_map(|name| {
            let status = states.get(name).copied()?;
            (!status.is_terminal()).then(|| (name.clone(), status))
        })
        .collect();
    (!open.is_empty()).then(|| Reason::Dependencies {
        task: task.clone(),
        open,
    })
}
