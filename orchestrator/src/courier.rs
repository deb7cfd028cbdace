//! The service that delivers what instances tell one another: to children, to parents, also in
//! other shards.
//!
//! Posts stand in the outbox of the shard that they come from, so that they are written with the
//! commit that they follow from; each is delivered at least once, and does nothing the second time.
//! What is said about one workflow is delivered in order. A post that cannot be delivered holds up
//! what else is said about the same workflow, and a shard that does not answer all that is for it;
//! the others go on, and the next pass over the outbox tries again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use paceline_types::{ShardIndex, WorkflowId};
use tokio::time::{Instant, timeout};

use crate::ports::{EntryId, LedgerError, Outbox, Post};
use crate::term::Term;

/// Posts that are read at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// Posts that are delivered at once unless configured otherwise.
pub const DEFAULT_AT_ONCE: usize = 16;

/// How long one delivery may take unless configured otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(1);

/// How soon a pass that failed is repeated unless configured otherwise.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_millis(250);

/// A tick that took so long begins no further deliveries: the leader has more to do.
const LONG: Duration = Duration::from_millis(500);

/// How often the wait after passes that delivered nothing is doubled: to 16 s.
const MAX_DOUBLINGS: u32 = 6;

/// Most workflows that are held up in one pass; the next begins then.
const MAX_HELD_UP: usize = 100_000;

/// How posts are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most posts that are read at once; at least 1.
    pub batch: usize,
    /// Most deliveries that are under way at once; at least 1.
    pub at_once: usize,
    /// How long one delivery may take.
    pub patience: Duration,
    /// How soon a pass is repeated in which something could not be delivered. The wait is doubled
    /// after each that delivered nothing at all.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: DEFAULT_BATCH,
            at_once: DEFAULT_AT_ONCE,
            patience: DEFAULT_PATIENCE,
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Posts that were delivered.
    pub delivered: usize,
    /// Posts that could not be.
    pub failed: usize,
    /// When to tick again; none when nothing is left.
    pub again_in: Option<Duration>,
}

/// Delivers posts.
#[derive(Debug)]
pub struct Courier<P> {
    port: Arc<P>,
    options: Options,
    pass: Pass,
    /// Passes in a row that delivered nothing, though there was something.
    in_vain: u32,
}

/// One pass over the outbox.
#[derive(Debug, Default)]
struct Pass {
    /// Where it has come to.
    after: Option<EntryId>,
    /// Workflows of which something could not be delivered.
    held_up: BTreeSet<WorkflowId>,
    /// Shards that did not answer.
    silent: BTreeSet<ShardIndex>,
    delivered: usize,
    failed: usize,
}

impl Pass {
    fn passes_by(&self, post: &Post) -> bool {
        self.held_up.contains(&post.about()) || self.silent.contains(&post.target().shard())
    }
}

impl<P: Outbox> Courier<P> {
    /// A service at the beginning of a pass.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Courier<P> {
        Courier {
            port,
            options,
            pass: Pass::default(),
            in_vain: 0,
        }
    }

    /// Delivers a bounded number of posts.
    ///
    /// # Errors
    /// When the outbox cannot be read, or a newer term has written. A post that cannot be delivered
    /// is no error.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let begun = Instant::now();
        let batch = self.options.batch.max(1);
        let after = self.pass.after.as_ref();
        let posts = self.port.posts(term, after, batch).await?;
        let (delivered, failed) = (self.pass.delivered, self.pass.failed);
        let mut rest = posts.as_slice();
        while !rest.is_empty() && begun.elapsed() < LONG {
            let (now, later) = rest.split_at(self.together(rest));
            self.deliver(term, now).await?;
            self.pass.after = now.last().map(|(entry, _)| entry.clone());
            rest = later;
        }
        let report = Report {
            delivered: self.pass.delivered - delivered,
            failed: self.pass.failed - failed,
            again_in: Some(Duration::ZERO),
        };
        let over = rest.is_empty() && posts.len() < batch;
        if !over && self.pass.held_up.len() < MAX_HELD_UP {
            return Ok(report);
        }
        let pass = std::mem::take(&mut self.pass);
        self.in_vain = match pass.delivered {
            0 if pass.failed > 0 => self.in_vain + 1,
            _ => 0,
        };
        let wait = self.options.retry_after * (1 << self.in_vain.min(MAX_DOUBLINGS));
        Ok(Report {
            again_in: (pass.failed > 0).then_some(wait),
            ..report
        })
    }

    /// How many of these posts, from the first on, are about different workflows.
    fn together(&self, posts: &[(EntryId, Post)]) -> usize {
        let mut about = BTreeSet::new();
        let first = posts.iter().take(self.options.at_once.max(1));
        first
            .take_while(|(_, post)| about.insert(post.about()))
            .count()
    }

    /// Tries to deliver these, all at once.
    async fn deliver(&mut self, term: &Term, posts: &[(EntryId, Post)]) -> Result<(), LedgerError> {
        let (port, patience) = (&*self.port, self.options.patience);
        let due = posts.iter().filter(|(_, post)| !self.pass.passes_by(post));
        let tries = due.map(|(entry, post)| async move {
            let tried = timeout(patience, port.deliver(term, entry, post)).await;
            (post, tried)
        });
        for (post, tried) in join_all(tries).await {
            match tried {
                Ok(Ok(())) => self.pass.delivered += 1,
                Ok(Err(LedgerError::Fenced { newest })) => {
                    return Err(LedgerError::Fenced { newest });
                }
                Ok(Err(LedgerError::Unavailable(error))) => {
                    tracing::warn!(to = %post.target(), error, "a post could not be delivered");
                    self.pass.failed += 1;
                    self.pass.held_up.insert(post.about());
                }
                Err(_) => {
                    tracing::warn!(to = %post.target(), "a delivery took too long");
                    self.pass.failed += 1;
                    self.pass.held_up.insert(post.about());
                    self.pass.silent.insert(post.target().shard());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
