//! Groups: messages that are collected, and become one job together.

mod push;

use bytes::Bytes;
use paceline_store::{CallError, StoreError};
use paceline_types::{Group, GroupKey, GroupLimits, JobId, NameError, Task};

use crate::submit::new_job_id;
use crate::{Client, JobRequest, Listing};
use push::{as_json, encoded};

pub use push::{Push, PushError};

/// Why a group was not flushed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushGroupError {
    /// The name is none of a group.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing stands in it: it was flushed, or nothing was pushed. Nothing was changed.
    #[error("nothing stands in group `{group}`: it was flushed, or nothing was pushed to it")]
    Empty {
        /// The group.
        group: GroupKey,
    },
    /// Redis did not answer; the job may have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Appends a task to a group, whose tasks become one job together: 100 of them, or 5 s after
    /// the last, or 30 s after the first, whichever comes first.
    ///
    /// The job is of the task's type, and has the tasks as its payload, as a JSON array in the
    /// order in which they were pushed; an aggregator of the node makes one payload of them.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use paceline_client::{Client, Task};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Mail { text: String }
    /// # impl Task for Mail { const TYPE: &'static str = "mail.digest"; type Output = (); }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mail = Mail { text: "a comment".into() };
    /// client.push("digest of user 7", mail).grace(Duration::from_secs(60)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When awaited: see [`PushError`].
    pub fn push<T: Task>(&self, group: &str, task: T) -> Push {
        self.push_many(group, [task])
    }

    /// Appends tasks to a group, in order, a hundred in one call; see [`Client::push`].
    ///
    /// # Errors
    /// When awaited: see [`PushError`].
    pub fn push_many<T: Task>(&self, group: &str, tasks: impl IntoIterator<Item = T>) -> Push {
        let messages = tasks.into_iter().enumerate();
        let messages = messages.map(|(place, task)| encoded(place, &task));
        self.push_messages(group, T::TYPE, messages.collect())
    }

    /// Appends a message to a group of jobs of any task type; see [`Client::push`].
    ///
    /// # Errors
    /// When awaited: see [`PushError`].
    pub fn push_raw(&self, group: &str, task_type: &str, message: serde_json::Value) -> Push {
        self.push_messages(group, task_type, encoded(0, &message).map(|one| vec![one]))
    }

    /// Appends messages to a group of jobs of any task type, in order, a hundred in one call. Each
    /// is JSON, which reaches the handler as it is.
    ///
    /// # Errors
    /// When awaited: see [`PushError`].
    pub fn push_bytes(
        &self,
        group: &str,
        task_type: &str,
        messages: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Push {
        let messages = messages.into_iter().map(Into::into).enumerate();
        self.push_messages(group, task_type, messages.map(as_json).collect())
    }

    fn push_messages(
        &self,
        group: &str,
        task_type: &str,
        messages: Result<Vec<Bytes>, PushError>,
    ) -> Push {
        Push {
            client: self.clone(),
            group: GroupKey::new(group),
            template: JobRequest::bytes(task_type, Bytes::new()),
            limits: GroupLimits::default(),
            messages,
        }
    }

    /// Groups in which messages stand, those that are due first in each shard.
    pub fn groups(&self) -> Listing<Group> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.list_groups(&page).await?.into()) })
        })
    }

    /// Makes a job of what stands in a group now, before it is due. Returns the job.
    ///
    /// # Errors
    /// See [`FlushGroupError`].
    pub async fn flush_group(&self, group: &str) -> Result<JobId, FlushGroupError> {
        let group = GroupKey::new(group)?;
        let id = new_job_id(self.store().shard_of_group(&group));
        match self.store().flush_group(&group, id).await {
            Ok(()) => Ok(id),
            Err(CallError::Refused(_)) => Err(FlushGroupError::Empty { group }),
            Err(CallError::Store(error)) => Err(error.into()),
        }
    }
}
