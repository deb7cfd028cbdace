//! Reasons as sentences.

use std::time::Duration;

use super::{MOST_AHEAD, Reason};
use crate::{UnixMillis, duration};

impl Reason {
    /// The reason as one sentence; `now` is the server's time.
    #[must_use]
    pub fn sentence(&self, now: UnixMillis) -> String {
        let left = |until: UnixMillis| span(until.saturating_sub(now));
        let because = |error: &Option<String>| {
            error
                .as_ref()
                .map_or_else(String::new, |error| format!(": {error}"))
        };
        match self {
            Reason::Ended { status, at, error } => {
                let ago = at.map_or_else(String::new, |at| {
                    format!(" {} ago", span(now.saturating_sub(at)))
                });
                format!("it is {status} since it ended{ago}{}", because(error))
            }
            Reason::Running {
                node,
                name,
                since,
                attempt,
            } => {
                let node = match (name, node) {
                    (Some(name), Some(id)) => format!("on {name} ({id})"),
                    (None, Some(id)) => format!("on {id}, which is not alive any more"),
                    (_, None) => "on a node".to_owned(),
                };
                let ago = since.map_or(0, |since| now.saturating_sub(since));
                format!("it runs {node} for {}, attempt {attempt}", span(ago))
            }
            Reason::CancelRequested => {
                "it was asked to stop, and its handler has not ended yet".into()
            }
            Reason::Scheduled { until } if *until <= now => {
                "it is due, and the leader of its shard is about to move it to its lane".into()
            }
            Reason::Scheduled { until } => {
                format!(
                    "it waits for its time: due in {} by the server's clock",
                    left(*until)
                )
            }
            Reason::Retrying {
                until,
                attempt,
                most,
                error,
            } => {
                let most = most.map_or_else(String::new, |most| format!(" of {most}"));
                let due = if *until <= now {
                    "is due".to_owned()
                } else {
                    format!("comes in {} by the server's clock", left(*until))
                };
                format!(
                    "attempt {attempt}{most} failed, the next {due}{}",
                    because(error)
                )
            }
            Reason::Paused {
                until: Some(until),
                error,
            } => {
                format!(
                    "it is paused and goes on in {}{}",
                    left(*until),
                    because(error)
                )
            }
            Reason::Paused { until: None, error } => {
                format!("it is paused until somebody resumes it{}", because(error))
            }
            Reason::NoLeader => "its shard has no leader, so nothing that is due is moved".into(),
            Reason::Dependencies { task, open } => {
                let open = open
                    .iter()
                    .map(|(name, status)| format!("{name} ({status})"));
                format!("task {task} waits for {}", listed(open))
            }
            Reason::Workflow { status } => format!("its workflow is {status}"),
            Reason::TierPaused { tier } => format!("tier {tier} is paused by hand"),
            Reason::TypePaused {
                task_type,
                by_settings: true,
            } => {
                format!("the settings of its handler pause task type {task_type}")
            }
            Reason::TypePaused {
                task_type,
                by_settings: false,
            } => {
                format!("task type {task_type} is paused by hand")
            }
            Reason::NoNode => "no node is alive".into(),
            Reason::NotServed { task_type, nearest } => {
                let nearest = nearest.as_ref().map_or_else(String::new, |nearest| {
                    format!("; {nearest} is served, was that meant?")
                });
                format!("no live node serves task type {task_type}{nearest}")
            }
            Reason::VersionNotServed { version, served } => format!(
                "no live node serves version {version} of its handler; served: {}",
                served.join(", ")
            ),
            Reason::Draining { nodes } => format!(
                "the nodes that serve it were told to claim no more: {}",
                nodes.join(", ")
            ),
            Reason::BreakerOpen { until } => format!(
                "its handler failed so often that no node calls it; the next try is in {}",
                left(*until)
            ),
            Reason::LimitFull {
                key,
                most,
                held,
                ahead,
            } => {
                let held = held.iter().map(|(job, node)| match node {
                    Some(node) => format!("{job} on {node}"),
                    None => job.to_string(),
                });
                let held = listed(held);
                let held = if held.is_empty() {
                    held
                } else {
                    format!(", held by {held}")
                };
                format!(
                    "limit {key} is full: {most} at once{held}{}",
                    before(*ahead)
                )
            }
            Reason::LimitRate { key, until, ahead } => format!(
                "the rate of limit {key} is used up, the next job may begin in {}{}",
                left(*until),
                before(*ahead)
            ),
            Reason::LimitTurn { key, ahead } => {
                format!("it waits for its turn at limit {key}{}", before(*ahead))
            }
            Reason::TierRate { tier, until } => format!(
                "the rate of tier {tier} is used up, the next job may begin in {}",
                left(*until)
            ),
            Reason::SlotsFull {
                nodes,
                running,
                slots,
            } => format!(
                "all slots are taken on {}: {running} of {slots} run",
                counted(
                    u64::try_from(*nodes).unwrap_or(0),
                    "node that serves it",
                    "nodes that serve it"
                )
            ),
            Reason::HandlerFull { nodes } => format!(
                "its handler runs as many jobs as it may on {}",
                counted(
                    u64::try_from(*nodes).unwrap_or(0),
                    "node that serves it",
                    "nodes that serve it"
                )
            ),
            Reason::Concurrency { most } => {
                format!(
                    "each node runs at most {most} jobs of its handler at once, by its settings"
                )
            }
            Reason::Behind { ahead } if *ahead >= MOST_AHEAD => {
                format!("more than {MOST_AHEAD} jobs are ahead of it in its lane")
            }
            Reason::Behind { ahead } => {
                let verb = if *ahead == 1 { "is" } else { "are" };
                format!(
                    "{} {verb} ahead of it in its lane",
                    counted(*ahead, "job", "jobs")
                )
            }
            Reason::OlderLanes { lanes } => format!(
                "{} of its tier with older work may come first",
                counted(*lanes, "lane", "lanes")
            ),
            Reason::Next => "nothing stands in its way: the next claim takes it".into(),
        }
    }
}

fn before(ahead: u64) -> String {
    match ahead {
        0 => String::new(),
        ahead => format!(", {} before it", counted(ahead, "job waits", "jobs wait")),
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Whole seconds from ten seconds on.
fn span(millis: u64) -> String {
    let millis = if millis < 10_000 {
        millis
    } else {
        millis / 1_000 * 1_000
    };
    duration::format(Duration::from_millis(millis))
}
