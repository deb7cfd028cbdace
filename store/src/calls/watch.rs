//! Waiting for the end of jobs, workflows and batches: a message for each, the record for what was missed.

use paceline_types::{BatchId, JobId, WorkflowId};

use super::MAX_BATCH;
use super::cancel::by_shard;
use crate::keys::reply_channel;
use crate::link::{Signal, Subscription};
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static WATCH: Script = script!("watch");

/// A job, a workflow or a batch whose end can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watchable {
    /// A job.
    Job(JobId),
    /// A workflow.
    Workflow(WorkflowId),
    /// A batch.
    Batch(BatchId),
}

/// How something that is waited for stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Its end will be told on the client's [`ReplyFeed`].
    Waiting,
    /// It has ended.
    Ended,
    /// There is no such thing (any more).
    Unknown,
}

/// The 26 characters of an id: how a reply names what has ended.
pub type BareId = String;

/// Ends that this client waits for.
#[derive(Debug)]
pub struct ReplyFeed {
    subscription: Subscription,
}

/// What a [`ReplyFeed`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// These have ended.
    Ended(Vec<BareId>),
    /// The connection was made anew: messages may have been missed, watch again.
    Reconnected,
}

impl Watchable {
    /// The 26 characters of the id.
    #[must_use]
    pub fn bare(&self) -> BareId {
        match self {
            Watchable::Job(id) => id.bare(&mut [0; 26]).to_owned(),
            Watchable::Workflow(id) => id.bare(&mut [0; 26]).to_owned(),
            Watchable::Batch(id) => id.bare(&mut [0; 26]).to_owned(),
        }
    }
}

impl Store {
    /// Asks to be told, as `client`, when these end. One answer for each, in order.
    ///
    /// Open the feed first, so that no end falls between.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn watch(
        &self,
        client: &str,
        watched: &[Watchable],
    ) -> Result<Vec<Watched>, StoreError> {
        let channel = reply_channel(&self.shared.namespace, client);
        let mut answers = vec![Watched::Unknown; watched.len()];
        let shards = watched.iter().map(|item| match item {
            Watchable::Job(id) => id.shard(),
            Watchable::Workflow(id) => id.shard(),
            Watchable::Batch(id) => id.shard(),
        });
        for (shard, mut indices) in by_shard(shards) {
            // Jobs before the others, as the script counts them.
            indices.sort_by_key(|&index| !matches!(watched[index], Watchable::Job(_)));
            for indices in indices.chunks(MAX_BATCH) {
                let keys = self.keys(shard)?;
                let mut names = vec![keys.events.clone()];
                let mut jobs = 0;
                for &index in indices {
                    names.push(match watched[index] {
                        Watchable::Job(id) => {
                            jobs += 1;
                            keys.job(id)
                        }
                        Watchable::Workflow(id) => keys.workflow(id),
                        Watchable::Batch(id) => keys.batch(id),
                    });
                }
                let mut call = Invocation::new(&WATCH, &names);
                call.arg(&channel).arg(jobs);
                let mut reply = Reply::list("watch", self.link.call(&call).await?)?;
                for &index in indices {
                    let answer = reply.text()?;
                    answers[index] = match answer.as_str() {
                        "waiting" => Watched::Waiting,
                        "ended" => Watched::Ended,
                        "unknown" => Watched::Unknown,
                        other => reply.unknown(other)?,
                    };
                }
            }
        }
        Ok(answers)
    }

    /// The ends that `client` asked to be told of.
    #[must_use]
    pub fn replies(&self, client: &str) -> ReplyFeed {
        let channel = reply_channel(&self.shared.namespace, client);
        ReplyFeed {
            subscription: Subscription::new(&self.link, channel),
        }
    }
}

impl ReplyFeed {
    /// The next report; waits for it as long as it takes. The first one is
    /// [`Reported::Reconnected`], when the subscription stands.
    pub async fn next(&mut self) -> Reported {
        match self.subscription.next().await {
            Signal::Message(message) => Reported::Ended(
                String::from_utf8_lossy(&message)
                    .split(',')
                    .map(str::to_owned)
                    .collect(),
            ),
            Signal::Reconnected => Reported::Reconnected,
        }
    }
}
