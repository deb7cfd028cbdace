//! Group commit: concurrent submits of one client share calls.
//!
//! One task owns what forms; submitters hand it their job through a channel and wait for its
//! answer. A task, in place of a lock that the first submitter holds, because it takes all that
//! has arrived in one go, and because a submitter that is dropped half-way cannot leave the
//! others without someone who sends. Calls run as tasks of their own, so that encoding one batch
//! does not keep the next from forming.

pub(crate) mod forming;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use paceline_store::Store;
use paceline_store::calls::submit::{NewJob, Submitted};
use paceline_types::ShardIndex;
use tokio::sync::{mpsc, oneshot};

use self::forming::{Forming, MAX_BATCH, Weight};
use crate::SubmitError;

/// Jobs taken from the channel in one go: more than the wire takes of one shard at once.
const TAKEN_AT_ONCE: usize = 4 * MAX_BATCH;

type Answer = Result<Submitted, SubmitError>;

struct Passenger {
    job: NewJob,
    answer: oneshot::Sender<Answer>,
}

impl Weight for Passenger {
    fn bytes(&self) -> usize {
        self.job.bytes()
    }
}

impl Weight for NewJob {
    fn bytes(&self) -> usize {
        self.spec.payload.len()
    }
}

/// The way into the batches; the task behind it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    /// Unbounded, since every submitter waits for its answer: there are never more jobs in it
    /// than concurrent submits.
    passengers: mpsc::UnboundedSender<Passenger>,
}

impl Group {
    pub(crate) fn start(store: Store) -> Group {
        let (passengers, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(carry(store, arrivals));
        Group { passengers }
    }

    /// Sends a job with whatever else leaves for its shard.
    pub(crate) async fn submit(&self, job: NewJob) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.passengers
            .send(Passenger { job, answer })
            .map_err(|_| SubmitError::Stopped)?;
        answered.await.unwrap_or(Err(SubmitError::Stopped))
    }
}

enum Wake {
    Arrived(usize),
    Returned(ShardIndex),
}

async fn carry(store: Store, mut arrivals: mpsc::UnboundedReceiver<Passenger>) {
    let mut forming = Forming::new(store.shards());
    let mut calls = FuturesUnordered::new();
    let mut arrived = Vec::with_capacity(TAKEN_AT_ONCE);
    let mut touched = Vec::new();
    loop {
        let wake = tokio::select! {
            count = arrivals.recv_many(&mut arrived, TAKEN_AT_ONCE) => Wake::Arrived(count),
            Some(shard) = calls.next() => Wake::Returned(shard),
        };
        match wake {
            // The last client is gone, and every submitter with it, as they hold one.
            Wake::Arrived(0) => break,
            Wake::Arrived(_) => {
                for passenger in arrived.drain(..) {
                    let shard = passenger.job.id.shard();
                    match forming.join(shard, passenger) {
                        Ok(()) => touched.push(shard),
                        // Ids are made for a shard of this store, so there always is one.
                        Err(_) => tracing::error!(%shard, "a job for a shard that does not exist"),
                    }
                }
            }
            Wake::Returned(shard) => {
                forming.returned(shard);
                touched.push(shard);
            }
        }
        for shard in touched.drain(..) {
            while let Some(batch) = forming.depart(shard) {
                let call = tokio::spawn(call(store.clone(), shard, batch));
                // Even a call that panicked gives its place on the wire back.
                calls.push(async move {
                    let _ = call.await;
                    shard
                });
            }
        }
    }
}

async fn call(store: Store, shard: ShardIndex, batch: Vec<Passenger>) {
    let (jobs, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|passenger| (passenger.job, passenger.answer))
        .unzip();
    // A submitter that was dropped has lost interest; its job is carried all the same.
    match store.submit(shard, &jobs).await {
        Ok(replies) => {
            for (answer, reply) in answers.into_iter().zip(replies) {
                let _ = answer.send(reply.map_err(SubmitError::from));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(SubmitError::Store(error.clone())));
            }
        }
    }
}
