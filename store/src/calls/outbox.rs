//! What instances in other shards are told: read from the outbox of one shard, done in that of whom
//! it is for, and taken out then. Each delivery may come twice, and does nothing the second time.

use bytes::Bytes;
use paceline_types::workflow::Origin;
use paceline_types::{JobId, MAX_PAYLOAD_CEILING, ShardIndex, WorkflowId};

use super::commit::{ChildOf, Post};
use super::inbox::TaskEnd;
use super::line::Newest;
use super::workflow::WorkflowRefusal;
use super::{CallError, Fenced, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::plain;
use crate::wire::reply::{Reply, text_of};
use crate::{Store, StoreError};

pub(crate) static DELIVER_END: Script = script!("deliver_end");
pub(crate) static DROP_POST: Script = script!("drop_post");

/// Longest error of a child that its parent is told, in bytes.
const MAX_WHY: usize = 4 * 1024;

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildPhase {
    /// There is no such workflow.
    Missing,
    /// It has not come to its outcome.
    Unfinished,
    /// It has.
    Ended,
}

impl Store {
    /// The oldest posts of a shard, or those after `after`, at most `max`, in order, each until it is
    /// dropped. One that this version cannot read is passed over: a newer one will deliver it.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn posts(
        &self,
        shard: ShardIndex,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<(String, Post)>, StoreError> {
        let mut command = redis::cmd("XRANGE");
        command
            .arg(&self.keys(shard)?.outbox)
            .arg(after.map_or_else(|| "-".to_owned(), |id| format!("({id}")))
            .arg("+")
            .arg("COUNT")
            .arg(max);
        let mut entries = Reply::list("XRANGE", self.link.command(&command).await?)?;
        let mut posts = Vec::with_capacity(entries.len());
        while entries.len() > 0 {
            let mut entry = entries.nested()?;
            let id = entry.text()?;
            let mut fields = entry.nested()?;
            let _name = fields.text()?;
            match serde_json::from_slice(&fields.bytes()?) {
                Ok(post) => posts.push((id, post)),
                Err(error) => {
                    tracing::error!(%shard, post = %id, %error, "a post cannot be read");
                }
            }
        }
        Ok(posts)
    }

    /// Takes a post out of the outbox of a shard.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn drop_post(
        &self,
        shard: ShardIndex,
        term: u64,
        entry: &str,
    ) -> Result<(), CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&DROP_POST, &[&keys.events, &keys.outbox, &keys.leader]);
        call.arg(term).arg(entry);
        expect_ok("drop_post", self.link.call(&call).await?)?;
        Ok(())
    }

    /// Does what a post says, in the shard of whom it is for.
    ///
    /// # Errors
    /// When there was no answer: deliver it again.
    pub async fn deliver(&self, post: &Post) -> Result<(), StoreError> {
        match post {
            Post::Spawn {
                child,
                definition,
                input,
                of,
            } => {
                let input = input.as_ref().map(|input| input.get().as_bytes());
                let definition = definition.get().as_bytes();
                let made = self.submit_child(*child, definition, input, of).await?;
                if !made {
                    self.tell_again(*child).await?;
                }
                Ok(())
            }
            Post::Ask { child } => self.tell_again(*child).await,
            Post::Cancel { child, reason } => self.cancel_line(*child, reason).await,
            Post::Ended { child, origin, end } => {
                self.tell_parent(*child, origin, end, false).await
            }
        }
    }

    /// How children stand, in any shards, in the order of the ids; of one that went on as another, how
    /// the newest of its line stands.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn child_phases(&self, ids: &[WorkflowId]) -> Result<Vec<ChildPhase>, StoreError> {
        let newest = self.newest_of_lines(ids).await?.into_iter();
        let phase = |newest: Option<Newest>| match newest.map(|newest| newest.ended) {
            None => ChildPhase::Missing,
            Some(None) => ChildPhase::Unfinished,
            Some(Some(_)) => ChildPhase::Ended,
        };
        Ok(newest.map(phase).collect())
    }

    /// Cancels an instance, or what it goes on as.
    async fn cancel_line(&self, first: WorkflowId, reason: &str) -> Result<(), StoreError> {
        let mut id = first;
        loop {
            match self.cancel_workflow(id, reason).await {
                Err(CallError::Refused(WorkflowRefusal::Continued(next))) => id = next,
                Ok(()) | Err(CallError::Refused(_)) => return Ok(()),
                Err(CallError::Store(error)) => return Err(error),
            }
        }
    }

    /// Tells the parent of a child how it ended, if it is there and has, and is not tried again.
    async fn tell_again(&self, first: WorkflowId) -> Result<(), StoreError> {
        use paceline_types::workflow::Stage;
        loop {
            let Some(id) = self.newest_of_line(first).await? else {
                return Ok(());
            };
            let loaded = self.load_workflows(id.shard(), &[id]).await?.pop();
            let Some(stored) = loaded.flatten() else {
                return Ok(());
            };
            if stored.retried {
                return Ok(());
            }
            let end = match &stored.header.stage {
                // Since it was found.
                Stage::Continued { .. } => continue,
                Stage::Completed => TaskEnd::Completed,
                Stage::Ended(ending) => match ending {
                    paceline_types::workflow::Ending::Cancelled { .. } => TaskEnd::Cancelled,
                    other => TaskEnd::Dead {
                        error: format!("child workflow {id} failed: {other}"),
                    },
                },
                Stage::Pending
                | Stage::Opening
                | Stage::Running
                | Stage::Ending(_)
                | Stage::Resting(_)
                | Stage::Restarting => return Ok(()),
            };
            let Some(ChildOf { origin, .. }) = &stored.child_of else {
                return Ok(());
            };
            return self.tell_parent(id, origin, &end, true).await;
        }
    }

    async fn tell_parent(
        &self,
        child: WorkflowId,
        origin: &Origin,
        end: &TaskEnd,
        again: bool,
    ) -> Result<(), StoreError> {
        let loaded = self.load_workflows(child.shard(), &[child]).await?.pop();
        let Some((stored, name)) = loaded.flatten().and_then(|stored| {
            let name = stored.child_of.as_ref()?.name.clone();
            Some((stored, name))
        }) else {
            tracing::error!(%child, parent = %origin.parent, "a child is gone whose end was to be told");
            return Ok(());
        };
        let (letter, tail) = match end {
            TaskEnd::Completed | TaskEnd::Continued | TaskEnd::Skipped { .. } => {
                let output = self.workflow_output(child, &stored).await?;
                match output.len() {
                    0..=MAX_PAYLOAD_CEILING => ('C', output),
                    size => ('D', why(&too_large(child, size))),
                }
            }
            TaskEnd::Dead { error } => ('D', why(error)),
            TaskEnd::Cancelled => ('X', why("the child workflow was cancelled")),
        };
        let keys = self.keys(origin.parent.shard())?;
        let names = [keys.events.clone(), keys.workflow(origin.parent)];
        let job = JobId::of_task(origin.parent, origin.task, origin.iteration);
        let mut call = Invocation::new(&DELIVER_END, &names);
        call.arg(job.bare(&mut [0; 26]) as &str)
            .arg(name.as_str())
            .arg(origin.iteration)
            .arg(letter.to_string())
            .bytes(&tail)
            .arg(u8::from(again))
            .arg(origin.task);
        text_of("deliver_end", self.link.call(&call).await?)?;
        Ok(())
    }
}

fn too_large(child: WorkflowId, size: usize) -> String {
    format!(
        "the output of child workflow {child} has {size} bytes, more than {MAX_PAYLOAD_CEILING}; let \
         fewer of its tasks be leaves, or let them return less"
    )
}

fn why(error: &str) -> Bytes {
    Bytes::copy_from_slice(plain(error, MAX_WHY).as_bytes())
}
