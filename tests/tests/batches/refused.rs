//! What is left of uploads that are given up, and retries that are refused or come twice.

use paceline_store::calls::batch::BatchRefusal;
use paceline_store::calls::commit::{BatchCommit, Committed};
use paceline_store::calls::inbox::{BatchNews, InboxItem};
use paceline_store::{CallError, StoreOptions};
use paceline_tests::{Bench, Fault, PATIENCE, Proxy, RedisServer, store_at, within};
use paceline_types::batch::{BatchEnding, BatchHeader, BatchStage, MAX_ATTEMPTS};

use crate::hall::plain;
use crate::scripts::{Desk, header};

impl Desk {
    /// Stages 32 items from a place on.
    async fn stage(&self, first: usize) {
        let place = u32::try_from(first).unwrap();
        let items = &self.definition.items[first..first + 32];
        let store = &self.bench.store;
        let staged = store.stage_batch(self.id, &self.plan, place, items);
        staged.await.unwrap();
    }

    /// Makes what was staged as old as it may become.
    async fn give_up(&mut self) {
        let ended = format!("{{{}:0}}:ended", self.namespace);
        let mut range = redis::cmd("ZRANGE");
        range.arg(&ended).arg(0).arg(-1);
        let staged: Vec<String> = range.query_async(&mut self.redis).await.unwrap();
        assert_eq!(staged.len(), 1);
        let mut add = redis::cmd("ZADD");
        add.arg(&ended).arg(1).arg(&staged[0]);
        add.exec_async(&mut self.redis).await.unwrap();
    }

    async fn submit(&self) {
        let store = &self.bench.store;
        let submitted = store.submit_batch(self.id, &self.definition, &self.plan);
        assert!(submitted.await.unwrap());
    }

    /// Brings the batch to its end in an attempt.
    async fn fail(&self, attempt: u32, revision: u64) {
        let (id, plan) = (self.id, &self.plan);
        let over = BatchHeader {
            stage: BatchStage::Ended(BatchEnding::TimedOut),
            ..header(attempt, 0)
        };
        let end = BatchCommit {
            plan: Some(plan),
            header: Some(&over),
            close: true,
            ..BatchCommit::new(id, revision)
        };
        assert_eq!(self.commit(end).await, Committed::At(revision + 1));
    }

    async fn retry(&self) -> Option<BatchRefusal> {
        match self.bench.store.retry_batch(self.id, true).await {
            Ok(()) => None,
            Err(CallError::Refused(refusal)) => Some(refusal),
            Err(CallError::Store(error)) => panic!("{error}"),
        }
    }
}

/// An upload that comes back while what it had staged is being removed is removed whole when it is
/// given up again.
#[tokio::test]
async fn what_is_staged_again_during_its_removal_is_removed_whole() {
    let mut desk = Desk::new(plain(96)).await;
    for first in [0, 32, 64] {
        desk.stage(first).await;
    }
    desk.give_up().await;
    let (store, term) = (desk.bench.store.clone(), desk.term);
    let step = async || store.purge(Bench::SHARD, term, 32).await.unwrap();
    assert_eq!(step().await, (32, true));
    desk.stage(0).await;
    desk.give_up().await;
    while step().await.1 {}
    let of_batch = |(key, _): &(String, String)| key.contains("}:j:") || key.contains("}:b");
    let left: Vec<_> = desk.dump().await.into_iter().filter(of_batch).collect();
    assert_eq!(left, []);
}

/// Row 96: attempts are counted in one byte.
#[tokio::test]
async fn there_are_no_more_attempts_than_can_be_counted() {
    for (attempt, refusal) in [
        (MAX_ATTEMPTS, Some(BatchRefusal::TooOften)),
        (MAX_ATTEMPTS - 1, None),
    ] {
        let desk = Desk::new(plain(1)).await;
        desk.submit().await;
        desk.fail(attempt, 0).await;
        assert_eq!(desk.retry().await, refusal);
    }
}

/// Row 96: what is being removed is not taken back.
#[tokio::test]
async fn what_is_past_its_retention_is_not_retried() {
    let mut desk = Desk::new(plain(1)).await;
    desk.submit().await;
    desk.fail(1, 0).await;
    let bare = desk.id.bare(&mut [0; 26]).to_owned();
    let mut age = redis::cmd("HSET");
    age.arg(format!("{{{}:0}}:bt:{bare}", desk.namespace));
    age.arg("x")
        .arg(1)
        .exec_async(&mut desk.redis)
        .await
        .unwrap();
    assert_eq!(desk.retry().await, Some(BatchRefusal::Unknown));
}

/// Row 96.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_whose_reply_is_lost_is_one() {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(server.addr());
    let store = store_at(&proxy.url(), StoreOptions::default()).await;
    let desk = Desk::on(&server, store, plain(1)).await;
    desk.submit().await;
    // At first the reply is that the server does not know the script.
    for times in 1..=2 {
        let revision = 2 * (times - 1);
        desk.fail(1, revision).await;
        let lost = proxy.once(Fault::LoseReply, |request| {
            request.is("EVALSHA") && request.mentions("}:batches:active")
        });
        assert_eq!(desk.retry().await, None);
        within("the loss", PATIENCE, lost).await;
        let entries = desk.bench.store.inbox(Bench::SHARD, None, 10).await;
        let told = entries.unwrap().into_iter().flat_map(|entry| entry.items);
        let retries =
            told.filter(|item| matches!(item, InboxItem::Batch(_, BatchNews::Retry { .. })));
        assert_eq!(retries.count() as u64, times);
    }
}
