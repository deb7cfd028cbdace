//! What instances in other shards are told.

use std::error::Error;

use bytes::Bytes;
use paceline_orchestrator::ports::{ChildPhase, EntryId, LedgerError, Outbox, Post, Spawn};
use paceline_orchestrator::term::Term;
use paceline_store::calls::commit::{ChildOf, Post as StorePost};
use paceline_store::calls::outbox::ChildPhase as StorePhase;
use paceline_types::{JobId, WorkflowId};
use serde_json::value::RawValue;

use super::ends::{end, outcome};
use super::shard::{ShardLedger, refused, unavailable};

/// When something is told.
pub(super) enum Told {
    /// It is posted, and delivered then.
    Later(StorePost),
    /// The instance that a workflow goes on as lives in its shard: it is made with the commit.
    Now {
        /// It.
        to: WorkflowId,
        /// Whose result is its input.
        job: JobId,
    },
}

fn json(bytes: &Bytes) -> Result<Box<RawValue>, LedgerError> {
    serde_json::from_slice(bytes)
        .map_err(|error| LedgerError::Unavailable(Box::<dyn Error + Send + Sync>::from(error)))
}

/// A post in the words of the store.
pub(super) fn stored(post: &Post) -> Result<Told, LedgerError> {
    Ok(Told::Later(match post {
        Post::Spawn(spawn) => StorePost::Spawn {
            child: spawn.child,
            definition: json(&spawn.definition)?,
            input: spawn.input.as_ref().map(json).transpose()?,
            of: ChildOf {
                origin: spawn.origin,
                name: spawn.task.clone(),
            },
        },
        Post::Ask { child } => StorePost::Ask { child: *child },
        Post::Cancel { child, reason } => StorePost::Cancel {
            child: *child,
            reason: reason.clone(),
        },
        Post::Ended {
            child,
            origin,
            outcome,
        } => StorePost::Ended {
            child: *child,
            origin: *origin,
            end: end(outcome),
        },
        Post::Succeed { to, job, .. } => return Ok(Told::Now { to: *to, job: *job }),
    }))
}

fn phase(phase: StorePhase) -> ChildPhase {
    match phase {
        StorePhase::Missing => ChildPhase::Missing,
        StorePhase::Unfinished => ChildPhase::Unfinished,
        StorePhase::Ended => ChildPhase::Ended,
    }
}

/// A post in the words of the leader.
fn read(post: StorePost) -> Post {
    let bytes = |value: Box<RawValue>| Bytes::from(String::from(Box::<str>::from(value)));
    match post {
        StorePost::Spawn {
            child,
            definition,
            input,
            of,
        } => Post::Spawn(Box::new(Spawn {
            child,
            definition: bytes(definition),
            input: input.map(bytes),
            origin: of.origin,
            task: of.name,
        })),
        StorePost::Ask { child } => Post::Ask { child },
        StorePost::Cancel { child, reason } => Post::Cancel { child, reason },
        StorePost::Ended { child, origin, end } => Post::Ended {
            child,
            origin,
            outcome: outcome(end),
        },
    }
}

impl Outbox for ShardLedger {
    async fn children(
        &self,
        _: &Term,
        children: &[WorkflowId],
    ) -> Result<Vec<ChildPhase>, LedgerError> {
        let phases = self.store.child_phases(children).await;
        let phases = phases.map_err(unavailable)?.into_iter();
        Ok(phases.map(phase).collect())
    }

    async fn posts(
        &self,
        _: &Term,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<(EntryId, Post)>, LedgerError> {
        let after = after.map(|entry| entry.0.as_str());
        let posts = self.store.posts(self.shard, after, max).await;
        let posts = posts.map_err(unavailable)?.into_iter();
        Ok(posts.map(|(id, post)| (EntryId(id), read(post))).collect())
    }

    async fn deliver(&self, term: &Term, entry: &EntryId, post: &Post) -> Result<(), LedgerError> {
        // A successor was made with the commit that named it.
        if let Told::Later(post) = stored(post)? {
            self.store.deliver(&post).await.map_err(unavailable)?;
        }
        let dropped = self.store.drop_post(self.shard, term.number(), &entry.0);
        dropped.await.map_err(refused)
    }
}
