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
    /// When each of them ended; only of what ended.
    pub(super) ended_at: Vec<UnixMillis>,
    pub(super) next: Option<String>,
}

impl Slice {
    fn new(ids: Vec<String>, next: Option<String>) -> Slice {
        Slice {
            ids,
            next,
            ..Slice::default()
        }
    }
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
        Ok(Slice::new(ids, next))
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
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&keys.lanes);
        let mut lanes = self.strings("SMEMBERS", &command).await?;
        lanes.retain(|lane| {
            task_type.is_none_or(|wanted| lane.split(':').nth(1) == Some(wanted.as_str()))
        });
        lanes.sort();
        // Jobs of an oldest entry that were claimed may wait in another one by now.
        let mut command = redis::cmd("HGETALL");
        command.arg(&keys.waiting);
        let waiting = self.strings("HGETALL", &command).await?;
        let claimed_of: HashMap<&str, usize> = waiting
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0].strip_suffix(',')?, pair[1].parse().ok()?)))
            .collect();
        let mut parts = position.splitn(3, '|');
        let from_lane = parts.next().unwrap_or_default();
        let mut from_entry = parts.next().filter(|entry| !entry.is_empty());
        let mut skip: usize = parts.next().and_then(|read| read.parse().ok()).unwrap_or(0);
        let mut ids = Vec::new();
        for lane in lanes.iter().filter(|lane| lane.as_str() >= from_lane) {
            let from = from_entry.take().filter(|_| lane == from_lane);
            let mut command = redis::cmd("XRANGE");
            command
                .arg(keys.lane(lane))
                .arg(from.unwrap_or("-"))
                .arg("+")
                .arg("COUNT")
                // One more, as the first may have been read to its end.
                .arg(limit - ids.len() + 1);
            let mut entries = Reply::list("XRANGE", self.link.command(&command).await?)?;
            let mut claimed = match from {
                None => claimed_of.get(lane.as_str()).copied(),
                Some(_) => None,
            };
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
                    ids.push(id);
                    if ids.len() == limit {
                        let next = format!("{lane}|{entry_id}|{}", index + 1);
                        return Ok(Slice::new(ids, Some(next)));
                    }
                }
            }
        }
        Ok(Slice::new(ids, None))
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
        let next = (ids.len() == limit).then(|| (from + limit).to_string());
        Ok(Slice::new(ids, next))
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

    pub(super) async fn active_workflows(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let key = self.keys(shard)?.active_workflows.clone();
        self.ranked(&key, true, position, limit).await
    }

    /// What ended, newest first, of the packets with one of `letters` (all when empty).
    ///
    /// Packets are ordered by the time of their removal; those that are kept equally long are
    /// in the order of their ends. Position: `<score>|<head of the packet>|<index>`.
    pub(super) async fn ended(
        &self,
        shard: ShardIndex,
        letters: &[char],
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        const PACKETS: usize = 20;
        // '<13 digits><letter>' and the first id: enough to tell packets apart.
        const HEAD: usize = 40;
        let mut parts = position.splitn(3, '|');
        let from_score = parts
            .next()
            .filter(|score| !score.is_empty())
            .unwrap_or("+inf");
        let from_head = parts.next().unwrap_or_default().to_owned();
        let from_index: usize = parts
            .next()
            .and_then(|index| index.parse().ok())
            .unwrap_or(0);

        let mut command = redis::cmd("ZREVRANGEBYSCORE");
        command
            .arg(&self.keys(shard)?.ended)
            .arg(from_score)
            .arg("-inf")
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(PACKETS);
        let mut reply = Reply::list("ZREVRANGEBYSCORE", self.link.command(&command).await?)?;
        let complete = reply.len() < 2 * PACKETS;
        let (mut ids, mut ended_at) = (Vec::new(), Vec::new());
        let mut last = None;
        while reply.len() > 0 {
            let packet = reply.text()?;
            let score = reply.text()?;
            let head = packet.get(..HEAD).unwrap_or(&packet).to_owned();
            let seen = score == from_score && !from_head.is_empty();
            let skip = match head.as_str().cmp(&from_head) {
                std::cmp::Ordering::Greater if seen => continue,
                std::cmp::Ordering::Equal if seen => from_index,
                _ => 0,
            };
            let letter = packet.chars().nth(13).unwrap_or('?');
            let moment = packet.get(..13).and_then(|at| at.parse().ok()).unwrap_or(0);
            if letters.is_empty() && letter != 'w' || letters.contains(&letter) {
                for (index, id) in bare_ids(packet.get(14..).unwrap_or(""))
                    .enumerate()
                    .skip(skip)
                {
                    ids.push(id);
                    ended_at.push(moment);
                    if ids.len() == limit {
                        let next = Some(format!("{score}|{head}|{}", index + 1));
                        return Ok(Slice {
                            ids,
                            ended_at,
                            next,
                        });
                    }
                }
            }
            last = Some(format!("{score}|{head}|{}", usize::MAX));
        }
        Ok(Slice {
            ids,
            ended_at,
            next: last.filter(|_| !complete),
        })
    }
}
