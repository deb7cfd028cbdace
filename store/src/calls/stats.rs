//! Totals, from counters that the work needs anyway and from counts of each day's ends.

use std::collections::BTreeMap;

use paceline_types::stats::{DAY, DayStats, Lane, Stats, unserved};
use paceline_types::{NodeInfo, ShardIndex, Tier, UnixMillis};

use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static STATS: Script = script!("stats");

/// Days that are counted.
pub const MAX_DAYS: usize = 90;

/// Lanes of one step, in about.
const LANES: usize = 500;

/// Behind the name of a lane: its jobs that were granted the slots of a limit, and go first.
pub(super) const GRANTED: &str = ",g";

/// How much there is in one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// When it was read, by the server's clock.
    pub at: UnixMillis,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait for their time.
    pub delayed: u64,
    /// Paused jobs.
    pub paused: u64,
    /// Dead letters.
    pub dead: u64,
    /// Jobs that wait behind a limit.
    pub blocked: u64,
    /// When the oldest entry of any lane came there.
    pub oldest: Option<UnixMillis>,
    /// How many jobs wait in each lane that has any.
    pub lanes: BTreeMap<Lane, u64>,
}

impl ShardStats {
    /// Jobs in the lanes of a tier.
    #[must_use]
    pub fn waiting(&self, tier: Tier) -> u64 {
        let lanes = self.lanes.iter().filter(|(lane, _)| lane.tier == tier);
        lanes.map(|(_, waiting)| waiting).sum()
    }

    /// How long the oldest entry of any lane has been there, in milliseconds.
    #[must_use]
    pub fn oldest_age(&self) -> Option<u64> {
        self.oldest.map(|since| self.at.saturating_sub(since))
    }
}

impl Store {
    /// How much there is in one shard; one call unless there are very many lanes.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn shard_stats(&self, shard: ShardIndex) -> Result<ShardStats, StoreError> {
        Ok(self.count(shard, false).await?.0)
    }

    /// How much there is in all shards, and which of it nobody serves.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let nodes = self.nodes().await?;
        let mut stats = Stats {
            nodes: nodes.len(),
            tiers: Tier::ALL.map(|tier| (tier, 0)).into(),
            ..Stats::default()
        };
        let mut lanes = BTreeMap::<Lane, u64>::new();
        for shard in self.each_shard() {
            let part = self.shard_stats(shard).await?;
            stats.at = stats.at.max(part.at);
            stats.running += part.running;
            stats.delayed += part.delayed;
            stats.paused += part.paused;
            stats.dead += part.dead;
            stats.blocked += part.blocked;
            stats.oldest_waiting_ms = stats.oldest_waiting_ms.max(part.oldest_age());
            for (lane, waiting) in part.lanes {
                *lanes.entry(lane).or_default() += waiting;
            }
        }
        for (lane, waiting) in &lanes {
            *stats.tiers.entry(lane.tier).or_default() += waiting;
            *stats.types.entry(lane.task_type.clone()).or_default() += waiting;
        }
        stats.pending = stats.blocked + lanes.values().sum::<u64>();
        stats.unserved = unserved(lanes.keys(), &nodes)
            .into_iter()
            .cloned()
            .collect();
        Ok(stats)
    }

    /// What ended on each of the last `days` days, 1 to [`MAX_DAYS`], today last.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn daily_stats(&self, days: usize) -> Result<Vec<DayStats>, StoreError> {
        let mut found = BTreeMap::<u64, DayStats>::new();
        let mut today = 0;
        for shard in self.each_shard() {
            let (part, counts) = self.count(shard, true).await?;
            today = today.max(part.at / DAY);
            for (day, letter, count) in counts {
                let stats = found.entry(day).or_default();
                match letter {
                    'C' | 'K' => stats.processed += count,
                    'D' => stats.failed += count,
                    'X' => stats.cancelled += count,
                    _ => {}
                }
            }
        }
        let days = u64::try_from(days.clamp(1, MAX_DAYS)).unwrap_or(1);
        let of = |day: u64| DayStats {
            day: day * DAY,
            ..found.get(&day).copied().unwrap_or_default()
        };
        Ok((today.saturating_sub(days - 1)..=today).map(of).collect())
    }

    /// The lanes in which work waits that none of these nodes serves, in one shard.
    #[must_use]
    pub fn unserved_lanes(stats: &ShardStats, nodes: &[NodeInfo]) -> Vec<Lane> {
        unserved(stats.lanes.keys(), nodes)
            .into_iter()
            .cloned()
            .collect()
    }

    async fn count(
        &self,
        shard: ShardIndex,
        with_days: bool,
    ) -> Result<(ShardStats, Vec<(u64, char, u64)>), StoreError> {
        let keys = self.keys(shard)?;
        let names = [
            &keys.events,
            &keys.waiting,
            &keys.runs,
            &keys.delayed,
            &keys.paused,
            &keys.dead,
            &keys.blocked,
        ];
        let mut cursor = "0".to_owned();
        let mut stats = ShardStats::default();
        loop {
            let mut call = Invocation::new(&STATS, &names);
            call.arg(&cursor).arg(LANES).arg(u8::from(with_days));
            let mut reply = Reply::list("stats", self.link.call(&call).await?)?;
            let lanes = std::mem::take(&mut stats.lanes);
            stats = ShardStats {
                at: reply.parse("a time")?,
                running: number(&mut reply)?,
                delayed: number(&mut reply)?,
                paused: number(&mut reply)?,
                dead: number(&mut reply)?,
                blocked: number(&mut reply)?,
                oldest: None,
                lanes,
            };
            for _ in Tier::ALL {
                let since = u64::try_from(reply.int()?).ok();
                stats.oldest = [stats.oldest, since].into_iter().flatten().min();
            }
            cursor = reply.text()?;
            let counted = reply.nested()?.rest()?;
            for pair in counted.chunks_exact(2) {
                // Beside each lane stands how much of its head is claimed; that is no lane.
                let name = pair[0].strip_suffix(GRANTED).unwrap_or(&pair[0]);
                if let (Some(lane), Ok(waiting)) = (Lane::parse(name), pair[1].parse::<u64>())
                    && waiting > 0
                {
                    *stats.lanes.entry(lane).or_default() += waiting;
                }
            }
            let told = reply.nested()?.rest()?;
            if cursor == "0" {
                let days = told.chunks_exact(2).filter_map(read_day).collect();
                return Ok((stats, days));
            }
        }
    }
}

fn number(reply: &mut Reply) -> Result<u64, StoreError> {
    Ok(u64::try_from(reply.count()?).unwrap_or(u64::MAX))
}

/// `<day> <letter>` and how many.
fn read_day(pair: &[String]) -> Option<(u64, char, u64)> {
    let (day, letter) = pair.first()?.split_once(' ')?;
    Some((
        day.parse().ok()?,
        letter.chars().next()?,
        pair.get(1)?.parse().ok()?,
    ))
}
