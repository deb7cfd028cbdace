//! What happened to single jobs.

use paceline_store::StoreError;
use paceline_types::JobId;
use paceline_types::audit::Audit;

use crate::Client;

/// Why an audit was not read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// There is no record of it, and its trail went with it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// What happened to a job.
    ///
    /// Of a job that was submitted [`audited`](crate::JobRequest::audited) that is its whole
    /// trail, the newest 1,000 events or about so many, and complete at once. Of others it is what
    /// the event log still holds; [`Audit::source`] and [`Audit::complete`] say so.
    ///
    /// # Errors
    /// See [`AuditError`].
    pub async fn audit(&self, id: JobId) -> Result<Audit, AuditError> {
        let audit = self.store().audit(id).await?;
        audit.ok_or(AuditError::Unknown { job: id })
    }
}
