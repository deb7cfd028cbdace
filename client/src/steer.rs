//! Steering what is claimed: pausing tiers and task types, and rates of tiers.

use paceline_store::StoreError;
use paceline_store::calls::steering::{TierState, TypeState};
use paceline_types::{LimitError, NameError, Rate, TaskType, Tier};

use crate::Client;

/// Why claims are not steered as was asked for. With [`SteerError::Store`] some shards may obey
/// already, and the same call may be repeated; otherwise nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// The task type may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The rate may not be one.
    #[error(transparent)]
    Rate(#[from] LimitError),
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Pauses a tier: on `Ok` no node is given a job of it any more. Jobs are accepted as before, and
    /// those that run go on. Returns whether it was not paused before.
    ///
    /// # Errors
    /// See [`SteerError`].
    pub async fn pause_tier(&self, tier: Tier) -> Result<bool, SteerError> {
        Ok(self.store().pause_tier(tier, true).await?)
    }

    /// Resumes a tier: on `Ok` its jobs are claimed again. Returns whether it was paused.
    ///
    /// # Errors
    /// See [`SteerError`].
    pub async fn resume_tier(&self, tier: Tier) -> Result<bool, SteerError> {
        Ok(self.store().pause_tier(tier, false).await?)
    }

    /// Limits how many jobs of a tier begin in a second over the cluster, with a burst of as many,
    /// rounded up; none lifts the limit.
    ///
    /// Each shard has its equal share of the rate. Work that is not spread over the shards, such as
    /// jobs that share one unique or limit key, therefore begins slower than the rate allows.
    ///
    /// # Errors
    /// See [`SteerError`].
    pub async fn set_tier(&self, tier: Tier, rate: Option<f64>) -> Result<(), SteerError> {
        let rate = rate.map(Rate::per_second).transpose()?;
        self.store().set_tier_rate(tier, rate).await?;
        Ok(())
    }

    /// How the tiers stand, most urgent first.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn tiers(&self) -> Result<Vec<TierState>, StoreError> {
        self.store().tiers().await
    }

    /// Pauses a task type: on `Ok` no node is given a job of it any more. Jobs are accepted as before,
    /// and those that run go on. Returns whether it was not paused before.
    ///
    /// # Errors
    /// See [`SteerError`].
    pub async fn pause_type(&self, task_type: &str) -> Result<bool, SteerError> {
        let task_type = TaskType::new(task_type)?;
        Ok(self.store().pause_type(&task_type, true).await?)
    }

    /// Resumes a task type: on `Ok` its jobs are claimed again. Returns whether it was paused.
    ///
    /// # Errors
    /// See [`SteerError`].
    pub async fn resume_type(&self, task_type: &str) -> Result<bool, SteerError> {
        let task_type = TaskType::new(task_type)?;
        Ok(self.store().pause_type(&task_type, false).await?)
    }

    /// The task types that are paused, and those of which jobs wait.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn types(&self) -> Result<Vec<TypeState>, StoreError> {
        self.store().types().await
    }
}
