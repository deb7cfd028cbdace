//! Lines: a workflow and those that it went on as, one after another, all in one shard. This is the
//! one way to follow them.

use paceline_types::id::ID_LEN;
use paceline_types::{WorkflowId, WorkflowStatus};
use redis::Value;

use super::cancel::by_shard;
use crate::wire::reply::Reply;
use crate::wire::workflow::ended_status;
use crate::{Store, StoreError};

/// The newest instance of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Its id.
    pub(crate) id: WorkflowId,
    /// How it ended, if it has.
    pub(crate) ended: Option<WorkflowStatus>,
}

/// How far a line was followed.
struct Followed {
    at: WorkflowId,
    /// The first of the line, once an instance has told of it.
    first: WorkflowId,
}

/// What an instance says of its line.
enum Found {
    /// It is the newest.
    Here(Newest),
    /// There is a newer one.
    Beyond(WorkflowId),
    /// Nothing.
    Lost,
}

impl Store {
    /// The newest instance of the line that a workflow stands in: itself unless it went on as
    /// another. None when nothing of the line is known (any more).
    ///
    /// The first of a line leads to its newest for as long as that is kept, every other one only
    /// as long as it is kept itself.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn newest_of_line(&self, id: WorkflowId) -> Result<Option<WorkflowId>, StoreError> {
        let newest = self.newest_of_lines(&[id]).await?.pop().flatten();
        Ok(newest.map(|newest| newest.id))
    }

    /// The same of several, in any shards, in their order.
    pub(crate) async fn newest_of_lines(
        &self,
        ids: &[WorkflowId],
    ) -> Result<Vec<Option<Newest>>, StoreError> {
        let mut newest = vec![None; ids.len()];
        let begin = |&id: &WorkflowId| Followed { at: id, first: id };
        let mut followed: Vec<Followed> = ids.iter().map(begin).collect();
        let mut open: Vec<usize> = (0..ids.len()).collect();
        while !open.is_empty() {
            let mut further = Vec::new();
            for (shard, indices) in by_shard(open.iter().map(|&place| followed[place].at.shard())) {
                let keys = self.keys(shard)?;
                let places: Vec<usize> = indices.iter().map(|&index| open[index]).collect();
                let mut pipeline = redis::pipe();
                for Followed { at, first } in places.iter().map(|&place| &followed[place]) {
                    let record = keys.workflow(*at);
                    pipeline.cmd("HMGET").arg(record).arg("s").arg("l");
                    let first = first.bare(&mut [0; ID_LEN]).to_owned();
                    pipeline.cmd("HMGET").arg(&keys.lines).arg(first);
                }
                let mut replies = self.link.pipeline(&pipeline).await?.into_iter();
                let mut fields = || Reply::list("HMGET", replies.next().unwrap_or(Value::Nil));
                for place in places {
                    let (mut record, mut line) = (fields()?, fields()?);
                    let (header, first) = (record.text()?, record.text()?);
                    let told = WorkflowId::from_bare(&line.text()?).ok();
                    let followed = &mut followed[place];
                    match found(followed.at, &header, told) {
                        Found::Here(here) => newest[place] = Some(here),
                        Found::Lost => {}
                        Found::Beyond(next) => {
                            followed.at = next;
                            followed.first =
                                WorkflowId::from_bare(&first).unwrap_or(followed.first);
                            further.push(place);
                        }
                    }
                }
            }
            open = further;
        }
        Ok(newest)
    }

    /// The newest of the line of an instance that is over or gone, if that is another one.
    pub(crate) async fn went_on_as(
        &self,
        id: WorkflowId,
    ) -> Result<Option<WorkflowId>, StoreError> {
        let newest = self.newest_of_line(id).await?;
        Ok(newest.filter(|newest| *newest != id))
    }
}

/// By the header of an instance, which is empty where there is none, and what its line is said to have
/// come to.
fn found(at: WorkflowId, header: &str, told: Option<WorkflowId>) -> Found {
    let ended = header.get(..1).and_then(ended_status);
    let is_gone = header.is_empty();
    if !is_gone && ended != Some(WorkflowStatus::Continued) {
        return Found::Here(Newest { id: at, ended });
    }
    match told.filter(|newest| *newest != at) {
        Some(newest) => Found::Beyond(newest),
        None if is_gone => Found::Lost,
        // It was made by the script that ended this one.
        None => Found::Beyond(at.of_successor()),
    }
}
