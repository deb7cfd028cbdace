//! The dead letters: jobs that were given up, kept until their retention is over.

use paceline_store::StoreError;
use paceline_types::{Job, JobId};

use crate::{Client, Listing, RetryError};

/// The jobs of a cluster that were given up; see [`Client::dead_letters`].
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
}

impl DeadLetters {
    pub(crate) fn new(client: Client) -> DeadLetters {
        DeadLetters { client }
    }

    /// Lists them.
    pub fn list(&self) -> Listing<Job> {
        let store = self.client.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.dead_letters(&page).await?.into()) })
        })
    }

    /// Runs one again; see [`Client::retry`].
    ///
    /// # Errors
    /// See [`RetryError`].
    pub async fn retry(&self, id: JobId) -> Result<(), RetryError> {
        self.client.retry(id).await
    }

    /// Removes these jobs with their records, and says how many there were. What is not a dead
    /// letter is left alone.
    ///
    /// # Errors
    /// When Redis did not carry it out; some may be gone, and the same call may be repeated.
    pub async fn purge(&self, ids: &[JobId]) -> Result<u64, StoreError> {
        self.client.store().purge_dead(ids).await
    }

    /// Removes every dead letter with its record, and says how many there were.
    ///
    /// # Errors
    /// When Redis did not carry it out; some may be gone, and the same call may be repeated.
    pub async fn purge_all(&self) -> Result<u64, StoreError> {
        self.client.store().purge_all_dead().await
    }
}
