//! Batches: words of the leader and words of the store.

use paceline_orchestrator::ports::{
    BatchAlarm, BatchCommit, BatchLogEvent, BatchNews, Batches, Cursor, InboxItem, LedgerError,
    Page, StoredBatch,
};
use paceline_orchestrator::term::Term;
use paceline_store::calls::batch::{BatchAlarm as StoreAlarm, StoredBatch as StoreBatch};
use paceline_store::calls::commit::{
    BatchCommit as StoreCommit, BatchEvent, ItemStart, OnetimeJob,
};
use paceline_store::calls::inbox::BatchNews as StoreNews;
use paceline_types::BatchId;

use super::ends::outcome;
use super::shard::{ShardLedger, refused, unavailable};

/// What happened to a batch, in the words of the leader.
pub(super) fn news(batch: BatchId, news: StoreNews) -> InboxItem {
    let news = match news {
        StoreNews::Start => BatchNews::Start,
        StoreNews::JobEnded { item, job, end } => BatchNews::JobEnded {
            place: item.place,
            item: item.item,
            iteration: item.iteration,
            job,
            outcome: outcome(end),
        },
        StoreNews::Cancel { reason } => BatchNews::Cancel { reason },
        StoreNews::Retry { failed_only } => BatchNews::Retry { failed_only },
    };
    InboxItem::Batch { batch, news }
}

/// A commit in the words of the store.
pub(super) fn commit(commit: &BatchCommit) -> StoreCommit<'_> {
    let cancels = commit.cancels.as_ref();
    let wait = |wanted: BatchAlarm| {
        let mut alarms = commit.alarms.iter();
        alarms
            .find(|(alarm, _)| *alarm == wanted)
            .map(|(_, wait)| *wait)
    };
    StoreCommit {
        batch: commit.batch,
        expected: commit.expected,
        plan: commit.plan.as_deref(),
        header: commit.header.as_ref(),
        items: &commit.items,
        onetime: commit.onetime.as_ref().map(|onetime| OnetimeJob {
            job: onetime.job,
            iteration: onetime.iteration,
            spec: &onetime.spec,
        }),
        keep_onetime: commit.keep_onetime,
        starts: commit
            .starts
            .iter()
            .map(|start| ItemStart {
                place: start.place,
                iteration: start.iteration,
                from: start.from,
            })
            .collect(),
        cancels: cancels.map_or(&[], |cancels| &cancels.jobs),
        reason: cancels.map_or("", |cancels| &cancels.reason),
        events: commit.events.iter().map(event).collect(),
        more: commit.more,
        deadline: wait(BatchAlarm::Deadline),
        retry: wait(BatchAlarm::Retry),
        close: commit.close.is_some(),
    }
}

fn event(event: &BatchLogEvent) -> BatchEvent<'_> {
    BatchEvent {
        kind: &event.kind,
        item: event
            .job
            .as_ref()
            .map(|about| (about.place, &*about.item, about.iteration)),
        error: event.error.as_deref(),
        progress: event.progress,
    }
}

fn instance(stored: StoreBatch) -> StoredBatch {
    StoredBatch {
        definition: stored.definition,
        header: stored.header,
        revision: stored.revision,
        records: stored.records,
        cancelled: stored.cancelled,
        retried: stored.retried,
    }
}

impl Batches for ShardLedger {
    async fn load_batches(
        &self,
        _: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<Option<StoredBatch>>, LedgerError> {
        let loaded = self.store.load_batches(self.shard, batches).await;
        let loaded = loaded.map_err(unavailable)?.into_iter();
        Ok(loaded.map(|stored| stored.map(instance)).collect())
    }

    async fn overdue_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(BatchId, BatchAlarm)>, LedgerError> {
        let overdue = self
            .store
            .overdue_batches(self.shard, term.number(), max)
            .await
            .map_err(refused)?;
        let alarm = |alarm| match alarm {
            StoreAlarm::Deadline => BatchAlarm::Deadline,
            StoreAlarm::Retry => BatchAlarm::Retry,
        };
        Ok(overdue
            .into_iter()
            .map(|(id, which)| (id, alarm(which)))
            .collect())
    }

    async fn armed_batches(
        &self,
        _: &Term,
        moments: &[(BatchId, BatchAlarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        let stored = |alarm| match alarm {
            BatchAlarm::Deadline => StoreAlarm::Deadline,
            BatchAlarm::Retry => StoreAlarm::Retry,
        };
        let moments: Vec<_> = moments
            .iter()
            .map(|(id, which)| (*id, stored(*which)))
            .collect();
        let armed = self.store.armed_batches(self.shard, &moments).await;
        armed.map_err(unavailable)
    }

    async fn unfinished_batches(&self, _: &Term, max: usize) -> Result<Vec<BatchId>, LedgerError> {
        let marked = self.store.unfinished_batches(self.shard, max).await;
        marked.map_err(unavailable)
    }

    async fn active_batches(
        &self,
        _: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<BatchId>, LedgerError> {
        let position = from.map(|cursor| cursor.0).unwrap_or_default();
        let page = self
            .store
            .active_batch_page(self.shard, &position, max)
            .await;
        let (items, next) = page.map_err(unavailable)?;
        Ok(Page {
            items,
            next: next.map(Cursor),
        })
    }
}
