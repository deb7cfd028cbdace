//! What callers want of workflows and batches, as their records say: for the leader that may not have
//! been told.

use paceline_types::{BatchId, ShardIndex, WorkflowId};
use redis::Value;

use crate::wire::reply::Reply;
use crate::wire::{batch, workflow};
use crate::{Store, StoreError};

/// What callers want of a workflow; nothing of one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The revision that its record had.
    pub revision: u64,
    /// Somebody wanted it cancelled, since it was accepted or retried by hand.
    pub cancelled: bool,
    /// It was retried by hand, which its header does not say yet.
    pub retried: bool,
    /// Signals that no task has taken.
    pub signals: usize,
}

/// What callers want of a batch; nothing of one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchWish {
    /// As of [`Wish::cancelled`].
    pub cancelled: bool,
    /// As of [`Wish::retried`].
    pub retried: bool,
}

impl Store {
    /// What callers want of workflows of one shard, in the order of the ids.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn wishes(
        &self,
        shard: ShardIndex,
        ids: &[WorkflowId],
    ) -> Result<Vec<Wish>, StoreError> {
        let keys = self.keys(shard)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &id in ids {
            let record = keys.workflow(id);
            pipeline.cmd("HMGET").arg(&record).arg(&["s", "r"]);
            pipeline.cmd("HEXISTS").arg(&record).arg("k");
            pipeline.cmd("HLEN").arg(keys.signals(id));
        }
        let mut values = Values::of(self.link.pipeline(&pipeline).await?);
        ids.iter()
            .map(|_| {
                let (header, revision) = values.pair()?;
                let closed = |header: &str| Some(workflow::parse_header(header)?.stage.is_closed());
                Ok(Wish {
                    revision: revision.parse().unwrap_or_default(),
                    retried: is_retried(&header, closed)?,
                    cancelled: values.count("HEXISTS")? == 1,
                    signals: values.count("HLEN")?,
                })
            })
            .collect()
    }

    /// What callers want of batches of one shard, in the order of the ids.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn batch_wishes(
        &self,
        shard: ShardIndex,
        ids: &[BatchId],
    ) -> Result<Vec<BatchWish>, StoreError> {
        let keys = self.keys(shard)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &id in ids {
            let record = keys.batch(id);
            pipeline.cmd("HMGET").arg(&record).arg(&["s", "r"]);
            pipeline.cmd("HEXISTS").arg(&record).arg("k");
        }
        let mut values = Values::of(self.link.pipeline(&pipeline).await?);
        ids.iter()
            .map(|_| {
                let (header, _) = values.pair()?;
                let closed = |header: &str| Some(batch::parse_header(header)?.stage.is_closed());
                Ok(BatchWish {
                    retried: is_retried(&header, closed)?,
                    cancelled: values.count("HEXISTS")? == 1,
                })
            })
            .collect()
    }
}

/// Whether a header that tells of an end is of something that runs: `closed` says the first.
fn is_retried(header: &str, closed: impl Fn(&str) -> Option<bool>) -> Result<bool, StoreError> {
    if !header.starts_with('R') {
        return Ok(false);
    }
    closed(header).ok_or_else(|| StoreError::protocol("HMGET", "a header", &header))
}

/// Replies of a pipeline, in their order.
struct Values(std::vec::IntoIter<Value>);

impl Values {
    fn of(values: Vec<Value>) -> Values {
        Values(values.into_iter())
    }

    fn next(&mut self, what: &'static str) -> Result<Value, StoreError> {
        let value = self.0.next();
        value.ok_or_else(|| StoreError::protocol(what, "a reply for each", &"fewer"))
    }

    fn pair(&mut self) -> Result<(String, String), StoreError> {
        let mut fields = Reply::list("HMGET", self.next("HMGET")?)?;
        Ok((fields.text()?, fields.text()?))
    }

    fn count(&mut self, what: &'static str) -> Result<usize, StoreError> {
        Reply::list(what, Value::Array(vec![self.next(what)?]))?.count()
    }
}
