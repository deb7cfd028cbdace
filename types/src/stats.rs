//! Totals of a cluster, and which work nobody serves.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::{NodeInfo, TaskType, Tier, UnixMillis, Version};

/// Milliseconds of a day.
pub const DAY: UnixMillis = 24 * 3600 * 1000;

/// Where jobs wait that are alike in tier, task type and version. Written
/// `<tier>:<task type>:<version>`, the tier as one letter and the version empty where any will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Urgency.
    pub tier: Tier,
    /// Which handler runs its jobs.
    pub task_type: TaskType,
    /// Only nodes that serve this version claim them.
    pub version: Option<Version>,
}

impl Lane {
    /// Reads the name of a lane; none when it is not one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Lane> {
        let mut parts = name.splitn(3, ':');
        let mut tier = parts.next()?.chars();
        let lane = Lane {
            tier: Tier::from_letter(tier.next()?)?,
            task_type: TaskType::new(parts.next()?).ok()?,
            version: match parts.next()? {
                "" => None,
                version => Some(Version::new(version).ok()?),
            },
        };
        tier.next().is_none().then_some(lane)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_ref().map_or("", Version::as_str);
        write!(f, "{}:{}:{version}", self.tier.letter(), self.task_type)
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much there is of everything, from counters: jobs that move while they are read may be
/// counted twice or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// When it was read, by the server's clock.
    pub at: UnixMillis,
    /// Jobs that wait in lanes or behind a limit.
    pub pending: u64,
    /// Of the pending ones, those that wait behind a limit.
    pub blocked: u64,
    /// Jobs that wait for their time: scheduled, retrying, and paused ones that resume by
    /// themselves.
    pub delayed: u64,
    /// Paused jobs.
    pub paused: u64,
    /// Jobs that run.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
    /// Jobs in the lanes of each tier.
    pub tiers: BTreeMap<Tier, u64>,
    /// Jobs in the lanes of each task type, where there are any.
    pub types: BTreeMap<TaskType, u64>,
    /// Nodes that are alive.
    pub nodes: usize,
    /// How long the job that has waited longest in its lane has done so, in milliseconds; about,
    /// as it is the age of its lane's oldest entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_waiting_ms: Option<u64>,
    /// Lanes in which jobs wait that no live node serves.
    pub unserved: Vec<Lane>,
}

/// How many jobs ended on one day. A job that is retried and ends again counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DayStats {
    /// When the day began, in UTC by the server's clock.
    pub day: UnixMillis,
    /// Jobs that completed, skipped ones included.
    pub processed: u64,
    /// Jobs that were given up.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
}

/// The handler of a node that runs a task type, as it is registered: the type itself, else the
/// longest pattern.
#[must_use]
pub fn handler_of<'a>(node: &'a NodeInfo, task_type: &TaskType) -> Option<&'a str> {
    let handlers = node.task_types.iter().map(String::as_str);
    let fits = |handler: &&str| {
        *handler == task_type.as_str()
            || handler
                .strip_suffix('*')
                .is_some_and(|stem| task_type.as_str().starts_with(stem))
    };
    handlers
        .filter(fits)
        .max_by_key(|handler| (*handler == task_type.as_str(), handler.len()))
}

/// Whether a node claims jobs of a type that ask for this version.
#[must_use]
pub fn serves(node: &NodeInfo, task_type: &TaskType, version: Option<&Version>) -> bool {
    let Some(handler) = handler_of(node, task_type) else {
        return false;
    };
    match (node.handler_versions.get(handler), version) {
        (Some(served), Some(wanted)) => served == wanted.as_str(),
        _ => true,
    }
}

/// Of these lanes those that none of the nodes serves.
pub fn unserved<'a>(
    lanes: impl IntoIterator<Item = &'a Lane>,
    nodes: &[NodeInfo],
) -> Vec<&'a Lane> {
    let is_served = |lane: &Lane| {
        let mut nodes = nodes.iter();
        nodes.any(|node| serves(node, &lane.task_type, lane.version.as_ref()))
    };
    lanes.into_iter().filter(|lane| !is_served(lane)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(handlers: &[(&str, &str)]) -> NodeInfo {
        let versions = handlers.iter().filter(|(_, version)| !version.is_empty());
        let versions: BTreeMap<_, _> = versions.collect::<Vec<_>>().into_iter().cloned().collect();
        let names: Vec<_> = handlers.iter().map(|(name, _)| name).collect();
        let json = serde_json::json!({
            "node_id": "node_00000000000000000000000000",
            "task_types": names,
            "handler_versions": versions,
        });
        serde_json::from_value(json).expect("a node")
    }

    #[test]
    fn lanes_read_back() {
        for name in ["h:a.b:", "n:x:v2", "l:a:"] {
            assert_eq!(Lane::parse(name).expect(name).to_string(), name);
        }
        for name in ["", "n", "n:a", "x:a:", "n::", "nn:a:"] {
            assert_eq!(Lane::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_node_serves_what_its_handlers_and_their_versions_allow() {
        let node = node(&[("a", ""), ("b", "v2"), ("c.*", "v1"), ("c.d", "")]);
        for (lane, served) in [
            ("n:a:", true),
            ("n:a:v9", true),
            ("n:b:", true),
            ("n:b:v2", true),
            ("n:b:v1", false),
            ("n:c.x:v1", true),
            ("n:c.x:v2", false),
            // The exact handler comes first, and it serves every version.
            ("n:c.d:v2", true),
            ("n:d:", false),
        ] {
            let lane = Lane::parse(lane).expect(lane);
            let lanes = [lane];
            assert_eq!(
                unserved(&lanes, std::slice::from_ref(&node)).is_empty(),
                served,
                "{lanes:?}"
            );
            assert_eq!(unserved(&lanes, &[]).len(), 1);
        }
    }
}
