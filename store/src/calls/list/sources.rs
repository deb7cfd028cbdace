//! The structures that lists are read from. Each gives ids and where to go on.

use std::collections::HashMap;

use paceline_types::{JobId, ShardIndex, Tag, TaskType, UnixMillis};
use redis::Value;

use crate::wire::pack::bare_ids;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

/// Ids found, and the position to go on from; none at the end of the source.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) ids: Vec<String>,
    /// The position behind each of them.
    pub(super) behind: Vec<String>,
    /// When each of them ended; only of what ended.
    pub(super) ended_at: Vec<UnixMillis>,
    pub(super) next: Option<String>,
}

fn is_job(bare: &str) -> bool {
    JobId::from_bare(bare).is_ok()
}

impl Store {
    async fn strings(
        &self,
        what: &'static str,
        command: &redis::Cmd,
    ) -> Result<Vec<String>, StoreError> {
        let value = match self.link.command(command).await? {
            Value::Set(members) => Value::Array(members),
            Value::Map(pairs) => {
                let parts = pairs.into_iter().flat_map(|(name, value)| [name, value]);
                Value::Array(parts.collect())
            }
            other => other,
        };
        Reply::list(what, value)?.rest()
    }

    /// Running jobs in the order of their ids. There are at most as many as run slots, so they
    /// are read at once.
    pub(super) async fn running(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let mut command = redis::cmd("HKEYS");
        command.arg(&self.keys(shard)?.runs);
        let mut ids = self.strings("HKEYS", &command).await?;
        ids.sort();
        ids.retain(|id| id.as_str() > position && is_job(id));
        let next = (ids.len() > limit).then(|| ids[limit - 1].clone());
        ids.truncate(limit);
        Ok(Slice {
            behind: ids.clone(),
            ids,
            next,
            ..Slice::default()
        })
    }

    /// Waiting jobs, lane by lane, oldest first, with those that left and whose places remain.
    /// Position: `<lane>|<entry>|<jobs of the entry that were read>`.
    pub(super) async fn waiting(
        &self,
        shard: ShardIndex,
        task_type: Option<&TaskType>,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let keys = self.keys(shard)?;
        // Lanes in which something waits, and beside some of them how many jobs of the oldest entry
        // were claimed already: those may wait in another one by now.
        let mut command = redis::cmd("HGETALL");
        command.arg(&keys.waiting);
        let waiting = self.strings("HGETALL", &command).await?;
        let (mut lanes, mut claimed_of) = (Vec::new(), HashMap::<&str, usize>::new());
        for pair in waiting.chunks_exact(2) {
            match (pair[0].strip_suffix(','), pair[1].parse()) {
                (Some(lane), Ok(claimed)) => drop(claimed_of.insert(lane, claimed)),
                _ => lanes.push(&pair[0]),
            }
        }
        lanes.retain(|lane| {
            task_type.is_none_or(|wanted| lane.split(':').nth(1) == Some(wanted.as_str()))
        });
        lanes.sort();
        let mut parts = position.splitn(3, '|');
        let from_lane = parts.next().unwrap_or_default();
        let mut from_entry = parts.next().filter(|entry| !entry.is_empty());
        let mut skip: usize = parts.next().and_then(|read| read.parse().ok()).unwrap_or(0);
        let mut slice = Slice::default();
        for lane in lanes.into_iter().filter(|lane| lane.as_str() >= from_lane) {
            let from = from_entry.take().filter(|_| lane == from_lane);
            let mut claimed = match from {
                None => claimed_of.get(lane.as_str()).copied(),
                Some(_) => None,
            };
            let mut start = from.unwrap_or("-").to_owned();
            // One entry may hold all that is wanted; more are asked for when these did not.
            let mut ask = 2;
            loop {
                let mut command = redis::cmd("XRANGE");
                command
                    .arg(keys.lane(lane))
                    .arg(&start)
                    .arg("+")
                    .arg("COUNT")
                    .arg(ask);
                let mut entries = Reply::list("XRANGE", self.link.command(&command).await?)?;
                let complete = entries.len() < ask;
                while entries.len() > 0 {
                    let mut entry = entries.nested()?;
                    let entry_id = entry.text()?;
                    let mut fields = entry.nested()?;
                    let _mark = fields.text()?;
                    let packs = fields.text()?;
                    let first = if from == Some(entry_id.as_str()) {
                        std::mem::take(&mut skip)
                    } else {
                        claimed.take().unwrap_or(0)
                    };
                    for (index, id) in bare_ids(&packs).enumerate().skip(first) {
                        slice.ids.push(id);
                        slice
                            .behind
                            .push(format!("{lane}|{entry_id}|{}", index + 1));
                        if slice.ids.len() == limit {
                            slice.next = slice.behind.last().cloned();
                            return Ok(slice);
                        }
                    }
                    start = format!("({entry_id}");
                }
                if complete {
                    break;
                }
                ask = limit - slice.ids.len() + 1;
            }
        }
        Ok(slice)
    }

    /// Members of a sorted set by rank. Position: the rank.
    pub(super) async fn ranked(
        &self,
        key: &str,
        newest_first: bool,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let from: usize = position.parse().unwrap_or(0);
        let mut command = redis::cmd(if newest_first { "ZREVRANGE" } else { "ZRANGE" });
        command.arg(key).arg(from).arg(from + limit - 1);
        let ids = self.strings("ZRANGE", &command).await?;
        let behind: Vec<_> = (1..=ids.len())
            .map(|index| (from + index).to_string())
            .collect();
        let next = behind.last().filter(|_| ids.len() == limit).cloned();
        Ok(Slice {
            ids,
            behind,
            next,
            ..Slice::default()
        })
    }

    pub(super) async fn delayed(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.delayed.clone();
        self.ranked(&key, false, position, limit).await
    }

    pub(super) async fn blocked(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.blocked.clone();
        self.ranked(&key, false, position, limit).await
    }

    pub(super) async fn paused(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.paused.clone();
        self.ranked(&key, false, position, limit).await
    }

    pub(super) async fn dead(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.dead.clone();
        self.ranked(&key, true, position, limit).await
    }

    pub(super) async fn tagged(
        &self,
        shard: ShardIndex,
        tag: &Tag,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.tag(tag.as_str());
        self.ranked(&key, true, position, limit).await
    }
}
