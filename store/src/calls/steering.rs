//! Steering claims: tiers and task types that are paused, and the rates of tiers.

use std::collections::BTreeMap;

use paceline_types::{Rate, TaskType, Tier};
use redis::Value;

use crate::script::{Invocation, Script};
use crate::wire::limit;
use crate::wire::reply::{Reply, text_of};
use crate::{Store, StoreError};

pub(crate) static STEER: Script = script!("steer");

/// How a tier stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TierState {
    /// The tier.
    pub tier: Tier,
    /// Nothing of it is claimed.
    pub paused: bool,
    /// Most of its jobs that begin in a second, over the cluster.
    pub rate: Option<f64>,
    /// Jobs that wait in its lanes; those that are parked at a limit are not among them.
    pub waiting: u64,
}

/// How a task type stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeState {
    /// The task type.
    pub task_type: TaskType,
    /// Nothing of it is claimed.
    pub paused: bool,
    /// Jobs that wait in its lanes; those that are parked at a limit are not among them.
    pub waiting: u64,
}

impl Store {
    /// Pauses a tier, or resumes it. Returns whether that changed anything.
    ///
    /// On `Ok` no claim gives a job of a paused tier any more; jobs are accepted as before, and
    /// those that run go on.
    ///
    /// # Errors
    /// When there was no answer: some shards may have it, and the same call may be sent again.
    pub async fn pause_tier(&self, tier: Tier, paused: bool) -> Result<bool, StoreError> {
        let field = format!("p{}", tier.letter());
        self.steer(&field, if paused { "1" } else { "" }).await
    }

    /// The same for a task type.
    ///
    /// # Errors
    /// As [`Store::pause_tier`].
    pub async fn pause_type(&self, task_type: &TaskType, paused: bool) -> Result<bool, StoreError> {
        let field = format!("P{task_type}");
        self.steer(&field, if paused { "1" } else { "" }).await
    }

    /// Limits how many jobs of a tier begin in a second over the cluster; none lifts the limit.
    /// Returns whether that changed anything.
    ///
    /// Each shard has its equal share of the rate, with a burst of that share, rounded up: what one
    /// shard does not use no other can.
    ///
    /// # Errors
    /// As [`Store::pause_tier`].
    pub async fn set_tier_rate(&self, tier: Tier, rate: Option<Rate>) -> Result<bool, StoreError> {
        let field = format!("r{}", tier.letter());
        let value = rate.map(|rate| limit::encode_tier(rate, self.shards()));
        self.steer(&field, &value.unwrap_or_default()).await
    }

    async fn steer(&self, field: &str, value: &str) -> Result<bool, StoreError> {
        let mut changed = false;
        for shard in self.each_shard() {
            let keys = self.keys(shard)?;
            let mut call = Invocation::new(&STEER, &[&keys.events, &keys.steering]);
            call.arg(field).arg(value);
            changed |= text_of("steer", self.link.call(&call).await?)? == "1";
        }
        Ok(changed)
    }

    /// How the tiers stand, most urgent first.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn tiers(&self) -> Result<Vec<TierState>, StoreError> {
        let (steering, waiting) = self.steered().await?;
        let tiers = Tier::ALL.into_iter().map(|tier| {
            let letter = tier.letter();
            let of_tier = |(lane, _): &(&String, &u64)| lane.starts_with(letter);
            TierState {
                tier,
                paused: steering.contains_key(&format!("p{letter}")),
                rate: steering
                    .get(&format!("r{letter}"))
                    .and_then(|text| limit::parse_tier(text)),
                waiting: waiting.iter().filter(of_tier).map(|(_, count)| count).sum(),
            }
        });
        Ok(tiers.collect())
    }

    /// Task types that are paused, or have work that waits.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn types(&self) -> Result<Vec<TypeState>, StoreError> {
        let (steering, waiting) = self.steered().await?;
        let mut types: BTreeMap<TaskType, (bool, u64)> = BTreeMap::new();
        for name in steering.keys().filter_map(|field| field.strip_prefix('P')) {
            if let Ok(name) = TaskType::new(name) {
                types.entry(name).or_default().0 = true;
            }
        }
        for (lane, count) in &waiting {
            let name = lane
                .split(':')
                .nth(1)
                .and_then(|name| TaskType::new(name).ok());
            if let Some(name) = name {
                types.entry(name).or_default().1 += count;
            }
        }
        let types = types.into_iter();
        Ok(types
            .map(|(task_type, (paused, waiting))| TypeState {
                task_type,
                paused,
                waiting,
            })
            .collect())
    }

    /// What is steered, and how many jobs wait by lane, of all shards.
    async fn steered(
        &self,
    ) -> Result<(BTreeMap<String, String>, BTreeMap<String, u64>), StoreError> {
        let (mut steering, mut waiting) = (BTreeMap::new(), BTreeMap::<String, u64>::new());
        for shard in self.each_shard() {
            let keys = self.keys(shard)?;
            for (name, value) in self.hash(&keys.steering).await? {
                steering.insert(name, value);
            }
            for (lane, count) in self.hash(&keys.waiting).await? {
                // Beside the jobs that wait stand those of the oldest entry that were claimed.
                if !lane.ends_with(',') {
                    *waiting.entry(lane).or_default() += count.parse().unwrap_or(0);
                }
            }
        }
        Ok((steering, waiting))
    }

    async fn hash(&self, key: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(key);
        let flat = match self.link.command(&command).await? {
            Value::Map(pairs) => {
                let parts = pairs.into_iter().flat_map(|(name, value)| [name, value]);
                Value::Array(parts.collect())
            }
            other => other,
        };
        let texts = Reply::list("HGETALL", flat)?.rest()?;
        let pairs = texts.chunks_exact(2);
        Ok(pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect())
    }
}
