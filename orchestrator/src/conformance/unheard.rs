//! The cases about what is lost beside the records: moments, and the inbox's word of what callers want.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::batch::{BatchEnding, BatchHeader, BatchItem, BatchStage};
use paceline_types::workflow::{Header, Stage};
use paceline_types::{
    BatchDefinition, BatchId, BatchStatus, ShardIndex, SignalName, WorkflowDefinition, WorkflowId,
    WorkflowStatus,
};

use super::hands::{FROM_START, begun, empty, is_committed, read, write};
use super::lives::{close, failed, stored};
use super::{Bed, term};
use crate::desk::{DEFAULT_CACHE_BYTES, Desk};
use crate::graph::graph;
use crate::ports::{
    BatchAlarm, BatchCommit, BatchWish, Batches, CommitOutcome, Ledger, StoredBatch, Turn, Wish,
    Wishes,
};
use crate::reconciler::{self, Reconciler};
use crate::term::Term;
use crate::workflows::{self, Workflows};

const HOUR: Duration = Duration::from_secs(3_600);

/// Three items that are given an hour.
fn three() -> BatchDefinition {
    BatchDefinition {
        name: "three".into(),
        item_task_type: "test".into(),
        items: ["a", "b", "c"]
            .map(|id| BatchItem::new(id.to_owned(), None))
            .into(),
        execution_timeout: Some(HOUR),
        ..BatchDefinition::default()
    }
}

async fn stored_batch<B: Bed>(bed: &B, term: &Term, batch: BatchId) -> StoredBatch {
    let stored = bed.ledger().load_batches(term, &[batch]).await;
    let stored = stored.expect("load").into_iter().flatten().next();
    stored.expect("stored")
}

/// A commit of a batch as it stands.
async fn change<B: Bed>(
    bed: &B,
    term: &Term,
    batch: BatchId,
    stage: Option<BatchStage>,
    alarms: Vec<(BatchAlarm, Option<Duration>)>,
) {
    let stored = stored_batch(bed, term, batch).await;
    let closed = stage.as_ref().filter(|stage| stage.is_closed());
    let commit = BatchCommit {
        batch,
        expected: stored.revision,
        plan: three().validate(1 << 20).ok().map(Arc::new),
        close: closed.map(BatchStage::status),
        header: stage.map(|stage| BatchHeader {
            stage,
            attempt: 1,
            ..stored.header
        }),
        items: Vec::new(),
        onetime: None,
        keep_onetime: None,
        starts: Vec::new(),
        cancels: None,
        events: Vec::new(),
        more: false,
        alarms,
    };
    let turn = Turn {
        batches: vec![commit],
        ..Turn::default()
    };
    let reply = bed.ledger().commit(term, turn).await.expect("commit");
    assert!(matches!(
        reply.batches[..],
        [CommitOutcome::Committed { .. }]
    ));
}

pub(super) async fn what_is_wanted_of_a_workflow_stands_in_its_record<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, revision) = begun(bed, &term, "a").await;
    let missing = WorkflowId::from_parts(1, ShardIndex(0), 77);
    let wish = || async {
        let wishes = bed.ledger().wishes(&term, &[missing, workflow]).await;
        let wishes = wishes.expect("wishes");
        assert_eq!(wishes[0], Wish::default());
        wishes[1]
    };
    let nothing = Wish {
        revision,
        ..Wish::default()
    };
    assert_eq!(wish().await, nothing);
    assert_eq!(stored(bed, &term, workflow).await.cancelled, None);
    let go = SignalName::new("go").expect("name");
    assert!(bed.signal(workflow, &go, Bytes::from_static(b"1")).await);
    for reason in ["enough", ""] {
        bed.cancel(workflow, reason).await;
        let cancelled = Wish {
            cancelled: true,
            signals: 1,
            ..nothing
        };
        assert_eq!(wish().await, cancelled);
        let kept = stored(bed, &term, workflow).await;
        assert_eq!(
            (kept.cancelled.as_deref(), kept.retried),
            (Some(reason), false)
        );
    }

    close(bed, &term, workflow, failed()).await;
    assert!(!wish().await.retried);
    assert!(bed.retry(workflow).await);
    let kept = stored(bed, &term, workflow).await;
    assert_eq!((kept.cancelled, kept.retried), (None, true));
    let retried = Wish {
        revision: kept.revision,
        cancelled: false,
        retried: true,
        signals: 1,
    };
    assert_eq!(wish().await, retried);
    let commit = crate::ports::Commit {
        header: Some(Header {
            stage: Stage::Running,
            ..Header::NEW
        }),
        ..empty(workflow, kept.revision)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    assert!(!wish().await.retried);
    assert!(!stored(bed, &term, workflow).await.retried);
}

pub(super) async fn what_is_wanted_of_a_batch_stands_in_its_record<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let batch = bed.submit_batch(&three()).await;
    let missing = BatchId::from_parts(1, ShardIndex(0), 77);
    let wish = || async {
        let wishes = bed.ledger().batch_wishes(&term, &[missing, batch]).await;
        let wishes = wishes.expect("wishes");
        assert_eq!(wishes[0], BatchWish::default());
        wishes[1]
    };
    assert_eq!(wish().await, BatchWish::default());
    for failed_only in [true, false] {
        for reason in ["enough", ""] {
            bed.cancel_batch(batch, reason).await;
            let cancelled = BatchWish {
                cancelled: true,
                retried: false,
            };
            assert_eq!(wish().await, cancelled);
            let kept = stored_batch(bed, &term, batch).await;
            let wanted = (kept.cancelled.as_deref(), kept.retried);
            assert_eq!(wanted, (Some(reason), None));
        }
        let ending = BatchEnding::TimedOut;
        change(
            bed,
            &term,
            batch,
            Some(BatchStage::Ended(ending)),
            Vec::new(),
        )
        .await;
        assert!(!wish().await.retried);
        assert!(bed.retry_batch(batch, failed_only).await);
        assert!(!bed.retry_batch(batch, failed_only).await, "once is enough");
        let retried = BatchWish {
            cancelled: false,
            retried: true,
        };
        assert_eq!(wish().await, retried);
        let kept = stored_batch(bed, &term, batch).await;
        assert_eq!((kept.cancelled, kept.retried), (None, Some(failed_only)));
        change(bed, &term, batch, Some(BatchStage::Processing), Vec::new()).await;
        assert_eq!(wish().await, BatchWish::default());
        assert_eq!(stored_batch(bed, &term, batch).await.retried, None);
    }
}

pub(super) async fn a_batch_waits_for_its_moments<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (batch, other) = (
        bed.submit_batch(&three()).await,
        bed.submit_batch(&three()).await,
    );
    let (deadline, retry) = (BatchAlarm::Deadline, BatchAlarm::Retry);
    let armed = || async {
        let moments = [(batch, deadline), (other, deadline), (batch, retry)];
        let armed = bed.ledger().armed_batches(&term, &moments).await;
        armed.expect("armed")
    };
    assert_eq!(armed().await, [false, false, false]);
    change(bed, &term, batch, None, vec![(deadline, Some(HOUR))]).await;
    assert_eq!(armed().await, [true, false, false]);
    let overdue = vec![(deadline, None), (retry, Some(Duration::ZERO))];
    change(bed, &term, batch, None, overdue).await;
    assert_eq!(armed().await, [false, false, true], "passed or not");
    change(bed, &term, batch, None, vec![(retry, None)]).await;
    assert_eq!(armed().await, [false, false, false]);
}

/// A leader without a courier and without alarms.
struct Leader<'a, B: Bed> {
    bed: &'a B,
    term: &'a Term,
    desk: Desk<B::Ledger>,
    inbox: Workflows,
    reconciler: Reconciler,
}

impl<B: Bed> Leader<'_, B> {
    fn new<'a>(bed: &'a B, term: &'a Term) -> Leader<'a, B> {
        Leader {
            bed,
            term,
            desk: Desk::new(bed.ledger(), DEFAULT_CACHE_BYTES),
            inbox: Workflows::new(workflows::Options::default()),
            reconciler: Reconciler::new(reconciler::Options::default()),
        }
    }

    /// Empties the inbox.
    async fn settle(&mut self) {
        loop {
            let report = self.inbox.tick(&mut self.desk, self.term).await;
            let busy = report.expect("tick").busy;
            if !busy && read(self.bed, self.term, FROM_START).await.is_empty() {
                return;
            }
        }
    }

    /// Forgets the inbox.
    async fn lose_inbox(&self) {
        let lost = read(self.bed, self.term, FROM_START).await;
        assert!(!lost.is_empty(), "something was told");
        let turn = Turn {
            consumed: lost.into_iter().map(|delivery| delivery.entry).collect(),
            ..Turn::default()
        };
        let lost = self.bed.ledger().commit(self.term, turn).await;
        lost.expect("commit");
    }

    async fn walk(&mut self) {
        loop {
            let report = self.reconciler.tick(&mut self.desk, self.term).await;
            if report.expect("tick").done {
                return;
            }
        }
    }

    /// Forgets the inbox, and walks twice; only the second walk changes how the workflow stands.
    async fn find(&mut self, workflow: WorkflowId, becomes: WorkflowStatus) {
        self.lose_inbox().await;
        let before = self.bed.status(workflow).await;
        let revision = stored(self.bed, self.term, workflow).await.revision;
        self.walk().await;
        self.settle().await;
        assert_eq!(self.bed.status(workflow).await, before);
        let now = stored(self.bed, self.term, workflow).await.revision;
        assert_eq!(now, revision, "it may be on its way");
        self.walk().await;
        self.settle().await;
        assert_eq!(self.bed.status(workflow).await, Some(becomes));
    }

    /// As [`Leader::find`], of a batch; its inbox was lost already.
    async fn find_batch(&mut self, batch: BatchId, becomes: BatchStatus) {
        let before = stored_batch(self.bed, self.term, batch).await.revision;
        self.walk().await;
        self.settle().await;
        let now = stored_batch(self.bed, self.term, batch).await.revision;
        assert_eq!(now, before, "it may be on its way");
        self.walk().await;
        self.settle().await;
        let stage = stored_batch(self.bed, self.term, batch).await.header.stage;
        assert_eq!(stage.status(), becomes);
    }
}

pub(super) async fn a_workflow_hears_of_what_the_inbox_lost<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let mut leader = Leader::new(bed, &term);
    let workflow = bed.submit(&graph("a b")).await;
    leader.find(workflow, WorkflowStatus::Running).await;
    bed.cancel(workflow, "enough").await;
    leader.find(workflow, WorkflowStatus::Cancelled).await;
    assert!(bed.retry(workflow).await);
    leader.find(workflow, WorkflowStatus::Running).await;
    let kept = stored(bed, &term, workflow).await;
    assert_eq!((kept.header.attempt, kept.retried), (2, false));

    let waits = r#"{"name":"w","tasks":[{"name":"go","type":"signal"}]}"#;
    let waits = WorkflowDefinition::from_json(waits).expect("a definition");
    let workflow = bed.submit(&waits).await;
    leader.settle().await;
    let go = SignalName::new("go").expect("name");
    assert!(bed.signal(workflow, &go, Bytes::from_static(b"1")).await);
    leader.find(workflow, WorkflowStatus::Completed).await;
}

pub(super) async fn a_workflow_that_was_resumed_unnoticed_goes_on<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let mut leader = Leader::new(bed, &term);
    let workflow = bed.submit(&graph("a b<a")).await;
    leader.settle().await;
    assert!(bed.suspend(workflow).await);
    leader.settle().await;
    let task = |index| paceline_types::JobId::of_task(workflow, index, 0);
    bed.end(task(0), crate::ports::TaskOutcome::Completed).await;
    leader.settle().await;
    assert!(bed.resume(workflow).await);
    leader.lose_inbox().await;
    leader.walk().await;
    leader.settle().await;
    let log = bed.log(workflow).await;
    assert_eq!(log.last().expect("told"), "workflow.task.dispatched b");
}

pub(super) async fn a_batch_hears_of_what_was_lost<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let mut leader = Leader::new(bed, &term);
    let batch = bed.submit_batch(&three()).await;
    leader.lose_inbox().await;
    leader.find_batch(batch, BatchStatus::Running).await;

    let deadline = (batch, BatchAlarm::Deadline);
    let armed = || async { bed.ledger().armed_batches(&term, &[deadline]).await };
    assert_eq!(armed().await.expect("armed"), [true]);
    change(bed, &term, batch, None, vec![(BatchAlarm::Deadline, None)]).await;
    // What the one before had in hand is too old now.
    let mut leader = Leader::new(bed, &term);
    leader.find_batch(batch, BatchStatus::Running).await;
    assert_eq!(armed().await.expect("armed"), [true], "armed again");

    bed.cancel_batch(batch, "enough").await;
    leader.lose_inbox().await;
    leader.find_batch(batch, BatchStatus::Cancelled).await;
    assert!(bed.retry_batch(batch, true).await);
    leader.lose_inbox().await;
    leader.find_batch(batch, BatchStatus::Running).await;
    let kept = stored_batch(bed, &term, batch).await;
    assert_eq!((kept.header.attempt, kept.retried), (2, None));
}
