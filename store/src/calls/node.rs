//! Nodes: registration, lease, heartbeat, and the bells that wake them.

use std::time::Duration;

use paceline_types::{JobId, NodeId, NodeInfo, ShardIndex, TaskType, UnixMillis};

use super::CallError;
use crate::link::{Blocking, Signal, Subscription};
use crate::script::{Invocation, Script};
use crate::wire::millis;
use crate::wire::reply::{Reply, text_of};
use crate::{Store, StoreError};

pub(crate) static JOIN: Script = script!("join");
pub(crate) static BEAT: Script = script!("beat");
pub(crate) static LEAVE: Script = script!("leave");
pub(crate) static DRAIN: Script = script!("drain");

/// What a heartbeat brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The server's time.
    pub now: UnixMillis,
    /// Whether the node should claim no more; told in the first shard.
    pub drained: bool,
    /// Runs of this node that should stop; repeated until they have settled.
    pub cancels: Vec<Cancel>,
}

/// A run that should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// The job.
    pub job: JobId,
    /// The fencing token of the run.
    pub run: u64,
}

impl Cancel {
    /// Reads `<id> <run>`.
    fn parse(text: &str) -> Option<Cancel> {
        let (bare, run) = text.split_once(' ')?;
        Some(Cancel {
            job: JobId::from_bare(bare).ok()?,
            run: run.parse().ok()?,
        })
    }
}

/// The node's lease has ended and its runs may be others', or the data of Redis is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's lease has ended; join again as a new incarnation")]
pub struct Gone;

impl Store {
    /// Registers an incarnation of a node in a shard, with a lease. Returns the server's time.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn join(
        &self,
        shard: ShardIndex,
        node: &NodeInfo,
        lease: Duration,
    ) -> Result<UnixMillis, StoreError> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&JOIN, &[&keys.events, &keys.leases, &keys.nodes]);
        call.arg(self.shared.event_cap)
            .arg(node.node_id.bare(&mut [0; 26]) as &str)
            .arg(millis(lease))
            .arg(told(node));
        self.note_shard_count().await?;
        let now = text_of("join", self.link.call(&call).await?)?;
        now.parse()
            .map_err(|_| StoreError::protocol("join", "a time", &now))
    }

    /// Renews a lease, by the server's clock, and brings back what the node should know. `info`
    /// replaces what the node told of itself.
    ///
    /// # Errors
    /// [`Gone`]: nothing was renewed. Without an answer the lease may or may not be renewed.
    pub async fn beat(
        &self,
        shard: ShardIndex,
        node: NodeId,
        info: Option<&NodeInfo>,
        lease: Duration,
    ) -> Result<Beat, CallError<Gone>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&BEAT, &[&keys.events, &keys.leases, &keys.nodes]);
        call.arg(node.bare(&mut [0; 26]) as &str)
            .arg(millis(lease))
            .arg(info.map(told).unwrap_or_default());
        let mut reply = Reply::list("beat", self.link.call(&call).await?)?;
        let first = reply.text()?;
        if first == "gone" {
            return Err(CallError::Refused(Gone));
        }
        let now = first
            .parse()
            .map_err(|_| StoreError::protocol("beat", "a time", &first))?;
        let drained = reply.int()? == 1;
        let cancels = reply
            .rest()?
            .iter()
            .filter_map(|text| Cancel::parse(text))
            .collect();
        Ok(Beat {
            now,
            drained,
            cancels,
        })
    }

    /// Takes a node that stops out of a shard; what it still holds goes to others.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn leave(&self, shard: ShardIndex, node: NodeId) -> Result<(), StoreError> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&LEAVE, &[&keys.events, &keys.leases, &keys.nodes]);
        call.arg(self.shared.event_cap)
            .arg(node.bare(&mut [0; 26]) as &str);
        self.link.call(&call).await?;
        Ok(())
    }

    /// Tells a node to claim no more (`drained`), or to claim again; it hears of it with its next
    /// beat. What it runs goes on.
    ///
    /// # Errors
    /// [`Gone`]: there is no such node, and nothing was changed. Without an answer the same call
    /// may be sent again.
    pub async fn drain(&self, node: NodeId, drained: bool) -> Result<(), CallError<Gone>> {
        let keys = self.keys(ShardIndex(0))?;
        let mut call = Invocation::new(&DRAIN, &[&keys.events, &keys.leases, &keys.draining]);
        call.arg(node.bare(&mut [0; 26]) as &str)
            .arg(u8::from(drained));
        let mut reply = Reply::list("drain", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "gone" => Err(CallError::Refused(Gone)),
            other => Ok(reply.unknown(other)?),
        }
    }

    /// The nodes that are alive, by their registration in the first shard, oldest first.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, StoreError> {
        let keys = self.keys(ShardIndex(0))?;
        let mut command = redis::cmd("HVALS");
        command.arg(&keys.nodes);
        let told = Reply::list("HVALS", self.link.command(&command).await?)?.rest()?;
        let mut nodes: Vec<NodeInfo> = told.iter().filter_map(|text| parse_info(text)).collect();
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&keys.draining);
        let drained = members(self.link.command(&command).await?)?;
        for node in &mut nodes {
            let mut buffer = [0; 26];
            let bare: &str = node.node_id.bare(&mut buffer);
            node.draining = drained.iter().any(|drained| drained == bare);
        }
        nodes.sort_by_key(|node| (node.started_at, node.node_id));
        Ok(nodes)
    }

    /// Task types that ever had work in a shard; a node with patterns waits on their bells.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn known_types(&self, shard: ShardIndex) -> Result<Vec<TaskType>, StoreError> {
        let keys = self.keys(shard)?;
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&keys.lanes);
        let mut types: Vec<TaskType> = members(self.link.command(&command).await?)?
            .iter()
            .filter_map(|lane| TaskType::new(lane.split(':').nth(1)?).ok())
            .collect();
        types.sort();
        types.dedup();
        Ok(types)
    }

    /// Passes the bell of a task type on to another node.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn ring(&self, shard: ShardIndex, task_type: &TaskType) -> Result<(), StoreError> {
        let keys = self.keys(shard)?;
        let mut command = redis::cmd("RPUSH");
        command.arg(keys.bell(task_type.as_str())).arg("1");
        self.link.command(&command).await?;
        Ok(())
    }

    /// The bells of a shard, on a connection of their own.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub fn bell(&self, shard: ShardIndex) -> Result<WorkBell, StoreError> {
        self.keys(shard)?;
        Ok(WorkBell {
            blocking: Blocking::new(&self.link),
            store: self.clone(),
            shard,
        })
    }

    /// Cancellations for a node as they happen, from one shard; the heartbeat brings those that
    /// are missed.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub fn cancellations(&self, shard: ShardIndex, node: NodeId) -> Result<CancelFeed, StoreError> {
        let channel = self.keys(shard)?.node_channel(node);
        Ok(CancelFeed {
            subscription: Subscription::new(&self.link, channel),
        })
    }
}

fn members(reply: redis::Value) -> Result<Vec<String>, StoreError> {
    let members = match reply {
        redis::Value::Set(members) => redis::Value::Array(members),
        other => other,
    };
    Reply::list("SMEMBERS", members)?.rest()
}

fn told(node: &NodeInfo) -> String {
    // Only text and numbers: it cannot fail to serialise.
    serde_json::to_string(node).unwrap_or_default()
}

fn parse_info(text: &str) -> Option<NodeInfo> {
    let mut parts = text.splitn(3, ' ');
    let started_at = parts.next()?.parse().ok()?;
    let last_heartbeat = parts.next()?.parse().ok()?;
    let info: NodeInfo = serde_json::from_str(parts.next()?).ok()?;
    Some(NodeInfo {
        started_at,
        last_heartbeat,
        ..info
    })
}

/// Waits for work to arrive.
#[derive(Debug)]
pub struct WorkBell {
    blocking: Blocking,
    store: Store,
    shard: ShardIndex,
}

/// What a bell says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Work of this type waits; whoever cannot take it rings again.
    Work(TaskType),
    /// A task type has work for the first time: look at [`Store::known_types`].
    NewType,
}

impl WorkBell {
    /// Waits for the bell of one of `types`, and with `new_types` for types that have never had
    /// work before. None after about `at_most`.
    ///
    /// # Errors
    /// When the connection failed; the next call makes a new one.
    pub async fn wait(
        &mut self,
        types: &[TaskType],
        new_types: bool,
        at_most: Duration,
    ) -> Result<Option<Rung>, StoreError> {
        let keys = self.store.keys(self.shard)?;
        let mut names: Vec<String> = types.iter().map(|name| keys.bell(name.as_str())).collect();
        if new_types {
            names.push(keys.new_type_bell.clone());
        }
        let Some((key, _)) = self.blocking.blpop(&names, at_most).await? else {
            return Ok(None);
        };
        Ok(match key.split_once(":bell:") {
            Some((_, name)) => TaskType::new(name).ok().map(Rung::Work),
            None => Some(Rung::NewType),
        })
    }
}

/// Cancellations for one node.
#[derive(Debug)]
pub struct CancelFeed {
    subscription: Subscription,
}

/// What a [`CancelFeed`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelSignal {
    /// This run should stop.
    Cancel(Cancel),
    /// The connection was made anew: messages may have been missed, the next beat has them.
    Reconnected,
}

impl CancelFeed {
    /// The next signal; waits for it as long as it takes.
    pub async fn next(&mut self) -> CancelSignal {
        loop {
            match self.subscription.next().await {
                Signal::Reconnected => return CancelSignal::Reconnected,
                Signal::Message(message) => {
                    let text = String::from_utf8_lossy(&message);
                    if let Some(cancel) = Cancel::parse(&text) {
                        return CancelSignal::Cancel(cancel);
                    }
                }
            }
        }
    }
}
