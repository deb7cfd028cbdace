//! Limits by key: declared once, for all jobs that carry the key.

use paceline_store::StoreError;
use paceline_store::calls::limits::{Holder, LimitUse};
use paceline_types::{Limit, LimitError, LimitKey, NameError};

use crate::Client;

/// Why a limit was not declared. Nothing was changed, unless [`SetLimitError::Store`] says that the
/// call may have been carried out; it may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetLimitError {
    /// The key may not be one.
    #[error(transparent)]
    Key(#[from] NameError),
    /// The limit may not be one.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a limit was not read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetLimitError {
    /// The key may not be one.
    #[error(transparent)]
    Key(#[from] NameError),
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Declares the limit of a key, in place of an earlier one. It holds for all jobs that carry the
    /// key, over the cluster, also for those that were submitted before.
    ///
    /// On `Ok` every claim obeys it. Jobs that wait and may run now do; those that run go on, also
    /// when there are more of them than it allows.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, Limit, Rate};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = Limit {
    ///     concurrency: Some(5),
    ///     rate: Some(Rate::per_second(10.0)?.with_burst(20)?),
    /// };
    /// client.set_limit("tenant 7", limit).await?;
    /// client
    ///     .submit_raw("image.resize", serde_json::json!({ "image": "a.png" }))
    ///     .limit("tenant 7")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`SetLimitError`].
    pub async fn set_limit(&self, key: &str, limit: Limit) -> Result<(), SetLimitError> {
        let key = LimitKey::new(key)?;
        limit.check()?;
        self.store().set_limit(&key, Some(&limit)).await?;
        Ok(())
    }

    /// Takes the limit of a key back, and says whether there was one. Jobs that waited for it run.
    ///
    /// # Errors
    /// See [`SetLimitError`].
    pub async fn remove_limit(&self, key: &str) -> Result<bool, SetLimitError> {
        let key = LimitKey::new(key)?;
        Ok(self.store().set_limit(&key, None).await?)
    }

    /// All limits that are declared, by key, with how many jobs hold them and wait for them.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn limits(&self) -> Result<Vec<LimitUse>, StoreError> {
        self.store().limits().await
    }

    /// The limit of a key, declared or not, and up to a hundred of the jobs that hold it.
    ///
    /// # Errors
    /// See [`GetLimitError`].
    pub async fn limit(&self, key: &str) -> Result<(LimitUse, Vec<Holder>), GetLimitError> {
        Ok(self.store().limit(&LimitKey::new(key)?).await?)
    }
}
