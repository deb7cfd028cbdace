//! Submitting many jobs: the same call as single submits, a hundred at a time.
//!
//! Jobs that no key ties to a shard are spread in blocks as large as a call, each block to the
//! next shard in turn: spread one by one, a hundred jobs on sixteen shards would cost sixteen
//! calls in place of one.

use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use paceline_store::calls::submit::{KeysApart, NewJob};
use paceline_store::{Store, StoreError};
use paceline_types::{JobSpec, ShardIndex};

use crate::group_commit::forming::{Forming, MAX_BATCH, Weight};
use crate::submit::new_job_id;
use crate::{Accepted, Client, JobRequest, SubmitError};

/// Result of one item of [`Client::submit_many`].
pub type Submission = Result<Accepted, SubmitError>;

/// Redis stopped taking jobs part-way. What was accepted before stays accepted.
#[derive(Debug, thiserror::Error)]
#[error(
    "{accepted} of {} jobs were accepted before Redis took no more ({source}); \
     the result of each job says whether it may have been stored",
    .results.len()
)]
pub struct SubmitManyError {
    /// How many jobs were accepted.
    pub accepted: usize,
    /// The result of each job, in order: what was accepted, what was refused, what may have been
    /// stored ([`SubmitError::maybe_stored`]), and what was not sent.
    pub results: Vec<Submission>,
    /// The first failure.
    pub source: StoreError,
}

impl Client {
    /// Submits many jobs, in calls of up to a hundred, and returns the result of each, in order.
    ///
    /// Takes [`JobRequest`]s, [`JobSpec`]s, or [`Submit`](crate::Submit)s that were not awaited.
    /// One job that is refused does not keep the others out.
    ///
    /// # Errors
    /// When Redis took no more: see [`SubmitManyError`], which holds the results so far. Jobs
    /// that had no call on the wire by then were not sent.
    pub async fn submit_many<I>(&self, jobs: I) -> Result<Vec<Submission>, SubmitManyError>
    where
        I: IntoIterator<Item: Into<JobRequest>>,
    {
        let mut results = Vec::new();
        let mut sorted = BTreeMap::<ShardIndex, VecDeque<Item>>::new();
        let mut block = Block::default();
        for request in jobs {
            let place = results.len();
            let checked = self.checked(request.into()).and_then(|spec| {
                let shard = self.shard_in_block(&spec, &mut block)?;
                Ok((shard, spec))
            });
            match checked {
                Ok((shard, spec)) => {
                    let id = new_job_id(shard);
                    let job = NewJob { id, spec };
                    sorted
                        .entry(shard)
                        .or_default()
                        .push_back(Item { place, job });
                    // Overwritten by the outcome of its call.
                    results.push(Ok(Accepted { id, created: true }));
                }
                Err(error) => results.push(Err(error)),
            }
        }
        let outcomes = join_all(
            sorted
                .into_iter()
                .map(|(shard, items)| send(self.store(), shard, items)),
        )
        .await;
        let mut failed = None;
        for outcome in outcomes {
            failed = failed.or(outcome.failed);
            for (place, result) in outcome.results {
                if let Some(slot) = results.get_mut(place) {
                    *slot = result;
                }
            }
        }
        match failed {
            None => Ok(results),
            Some(source) => Err(SubmitManyError {
                accepted: results.iter().filter(|result| result.is_ok()).count(),
                results,
                source,
            }),
        }
    }

    fn shard_in_block(&self, spec: &JobSpec, block: &mut Block) -> Result<ShardIndex, KeysApart> {
        let current = match block.shard {
            Some(shard) if block.len < MAX_BATCH => shard,
            _ => {
                let shard = self.spread();
                *block = Block {
                    shard: Some(shard),
                    len: 0,
                };
                shard
            }
        };
        let shard = self.store().shard_for(spec, current)?;
        block.len += usize::from(shard == current);
        Ok(shard)
    }
}

/// Jobs without a key that go to one shard together.
#[derive(Default)]
struct Block {
    shard: Option<ShardIndex>,
    len: usize,
}

struct Item {
    place: usize,
    job: NewJob,
}

impl Weight for Item {
    fn bytes(&self) -> usize {
        self.job.bytes()
    }
}

/// What came of the jobs of one shard, each with its place in the order of the caller.
struct Outcome {
    results: Vec<(usize, Submission)>,
    failed: Option<StoreError>,
}

async fn send(store: &Store, shard: ShardIndex, items: VecDeque<Item>) -> Outcome {
    let mut results = Vec::with_capacity(items.len());
    let mut failed: Option<StoreError> = None;
    let mut forming = Forming::of(shard, items);
    let mut calls = FuturesUnordered::new();
    loop {
        // Once a call has failed the others would wait for as long, one after the other.
        while failed.is_none()
            && let Some(batch) = forming.depart(shard)
        {
            let (places, jobs): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|item| (item.place, item.job)).unzip();
            calls.push(async move {
                let replies = store.submit(shard, &jobs).await;
                (places, jobs, replies)
            });
        }
        let Some((places, jobs, replies)) = calls.next().await else {
            break;
        };
        forming.returned(shard);
        match replies {
            Ok(replies) => {
                let sent = places.into_iter().zip(&jobs).zip(replies);
                results.extend(sent.map(|((place, job), reply)| {
                    let accepted = reply.map(|submitted| Accepted::of(job.id, submitted));
                    (place, accepted.map_err(SubmitError::from))
                }));
            }
            Err(error) => {
                let told = |place| (place, Err(SubmitError::Store(error.clone())));
                results.extend(places.into_iter().map(told));
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = &failed {
        let rest = forming.rest(shard);
        let told = |item: Item| (item.place, Err(SubmitError::NotSent(error.clone())));
        results.extend(rest.into_iter().map(told));
    }
    Outcome { results, failed }
}
