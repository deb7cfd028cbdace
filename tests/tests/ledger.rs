//! The leader's ports on Redis: they do what the orchestrator's own ledger in memory does.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_client::Client;
use paceline_node::ledger::ShardLedger;
use paceline_orchestrator::conformance::{Bed, exercise};
use paceline_orchestrator::ports::{
    Alarm, BatchAlarm, BatchWish, Batches, ChildPhase, Cursor, Delayed, Delivery, EntryId, Groups,
    GroupsFlushed, JobPhase, JobsExpired, Lanes, LanesChecked, Ledger, LedgerError, Nodes, Outbox,
    Overview, Page, Post, ReadAhead, Retention, StoredBatch, StoredInstance, TaskOutcome, Timers,
    Turn, TurnReply, Wish, Wishes,
};
use paceline_orchestrator::term::{Tenure, Term};
use paceline_store::calls::batch::BatchRefusal;
use paceline_store::calls::submit::NewJob;
use paceline_store::calls::turn::{Claim, Claimed, Serves, Settle, Turn as NodeTurn};
use paceline_store::calls::workflow::{SignalRefusal, SteerRefusal};
use paceline_store::{CallError, Store};
use paceline_tests::{Backend, Env, eventually, log};
use paceline_types::node::{NodeInfo, PoolStats};
use paceline_types::{
    BatchDefinition, BatchId, Bytes, JobId, JobSpec, NodeId, Settlement, ShardIndex, SignalName,
    TierWeights, UnixMillis, WorkflowDefinition, WorkflowId, WorkflowStatus,
};
use tokio::time::Instant;

/// Nothing in a case takes so long.
const LONG: Duration = Duration::from_secs(600);

/// A fresh id.
fn node_id() -> NodeId {
    NodeId::from_parts(1, ShardIndex(0), rand::random())
}

/// A ledger of a shard, together with the election that hands out the terms: the cases begin
/// them without one.
#[derive(Debug)]
struct Elected {
    ledger: ShardLedger,
    store: Store,
    shard: ShardIndex,
    newest: AtomicU64,
}

impl Elected {
    /// Lets a new node win the term, unless it or a later one has been won.
    async fn win(&self, term: &Term) {
        let number = term.number();
        if self.newest.fetch_max(number, Ordering::SeqCst) < number {
            let seen = self.store.look(self.shard).await.unwrap();
            let won = self
                .store
                .take(self.shard, node_id(), seen.as_ref(), number - 1)
                .await;
            assert_eq!(won.unwrap(), number);
        }
    }
}

impl Batches for Elected {
    async fn load_batches(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<Option<StoredBatch>>, LedgerError> {
        self.win(term).await;
        self.ledger.load_batches(term, batches).await
    }

    async fn overdue_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(BatchId, BatchAlarm)>, LedgerError> {
        self.win(term).await;
        self.ledger.overdue_batches(term, max).await
    }

    async fn armed_batches(
        &self,
        term: &Term,
        moments: &[(BatchId, BatchAlarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        self.win(term).await;
        self.ledger.armed_batches(term, moments).await
    }

    async fn unfinished_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<BatchId>, LedgerError> {
        self.win(term).await;
        self.ledger.unfinished_batches(term, max).await
    }

    async fn active_batches(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<BatchId>, LedgerError> {
        self.win(term).await;
        self.ledger.active_batches(term, from, max).await
    }
}

impl Wishes for Elected {
    async fn wishes(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Wish>, LedgerError> {
        self.win(term).await;
        self.ledger.wishes(term, workflows).await
    }

    async fn batch_wishes(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<BatchWish>, LedgerError> {
        self.win(term).await;
        self.ledger.batch_wishes(term, batches).await
    }
}

impl Lanes for Elected {
    async fn check_lanes(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<LanesChecked, LedgerError> {
        self.win(term).await;
        self.ledger.check_lanes(term, from, max).await
    }
}

impl Ledger for Elected {
    async fn inbox(&self, term: &Term, ahead: ReadAhead) -> Result<Vec<Delivery>, LedgerError> {
        self.win(term).await;
        self.ledger.inbox(term, ahead).await
    }

    async fn load(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Option<StoredInstance>>, LedgerError> {
        self.win(term).await;
        self.ledger.load(term, workflows).await
    }

    async fn commit(&self, term: &Term, turn: Turn) -> Result<TurnReply, LedgerError> {
        self.win(term).await;
        self.ledger.commit(term, turn).await
    }

    async fn overdue(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(WorkflowId, Alarm)>, LedgerError> {
        self.win(term).await;
        self.ledger.overdue(term, max).await
    }

    async fn armed(
        &self,
        term: &Term,
        moments: &[(WorkflowId, Alarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        self.win(term).await;
        self.ledger.armed(term, moments).await
    }

    fn shards(&self) -> u16 {
        self.ledger.shards()
    }

    async fn results(
        &self,
        term: &Term,
        jobs: &[JobId],
    ) -> Result<Vec<Option<Bytes>>, LedgerError> {
        self.win(term).await;
        self.ledger.results(term, jobs).await
    }

    async fn unfinished(&self, term: &Term, max: usize) -> Result<Vec<WorkflowId>, LedgerError> {
        self.win(term).await;
        self.ledger.unfinished(term, max).await
    }

    async fn active(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<WorkflowId>, LedgerError> {
        self.win(term).await;
        self.ledger.active(term, from, max).await
    }

    async fn job_phases(&self, term: &Term, jobs: &[JobId]) -> Result<Vec<JobPhase>, LedgerError> {
        self.win(term).await;
        self.ledger.job_phases(term, jobs).await
    }
}

impl Outbox for Elected {
    async fn children(
        &self,
        term: &Term,
        children: &[WorkflowId],
    ) -> Result<Vec<ChildPhase>, LedgerError> {
        self.win(term).await;
        self.ledger.children(term, children).await
    }

    async fn posts(
        &self,
        term: &Term,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<(EntryId, Post)>, LedgerError> {
        self.win(term).await;
        self.ledger.posts(term, after, max).await
    }

    async fn deliver(&self, term: &Term, entry: &EntryId, post: &Post) -> Result<(), LedgerError> {
        self.win(term).await;
        self.ledger.deliver(term, entry, post).await
    }
}

impl Timers for Elected {
    async fn expire_jobs(&self, term: &Term, max: usize) -> Result<JobsExpired, LedgerError> {
        self.win(term).await;
        self.ledger.expire_jobs(term, max).await
    }
}

/// Whether a call changed something.
fn changed(answer: Result<bool, CallError<SteerRefusal>>) -> bool {
    match answer {
        Ok(changed) => changed,
        Err(CallError::Refused(
            SteerRefusal::State(_) | SteerRefusal::Ending | SteerRefusal::Continued(_),
        )) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A shard on Redis, with a worker in it.
struct RedisBed {
    store: Store,
    shard: ShardIndex,
    ledger: Arc<Elected>,
    worker: NodeId,
    turns: AtomicU64,
}

impl RedisBed {
    async fn on(backend: Backend) -> RedisBed {
        let env = Env::on(backend).await;
        let store = env.store().await;
        // The cases look for children in the shard of their parents.
        let shard = ShardIndex(0);
        let worker = NodeInfo {
            node_id: node_id(),
            name: "worker".to_owned(),
            address: None,
            build: String::new(),
            task_types: vec!["test".to_owned()],
            handler_versions: Default::default(),
            roles: Default::default(),
            draining: false,
            breakers: Default::default(),
            full_handlers: Default::default(),
            started_at: 0,
            last_heartbeat: 0,
            pool_stats: PoolStats::default(),
            leads: Default::default(),
        };
        store.join(shard, &worker, LONG).await.unwrap();
        RedisBed {
            ledger: Arc::new(Elected {
                ledger: ShardLedger::new(store.clone(), shard),
                store: store.clone(),
                shard,
                newest: AtomicU64::new(0),
            }),
            store,
            shard,
            worker: worker.node_id,
            turns: AtomicU64::new(1),
        }
    }

    async fn accept(&self, definition: &WorkflowDefinition, input: Option<&Bytes>) -> WorkflowId {
        let id = WorkflowId::from_parts(2, self.shard, rand::random());
        let definition = serde_json::to_vec(definition).unwrap();
        let input = input.map(|input| &input[..]);
        let sent = self.store.submit_workflow(id, &definition, input).await;
        assert!(sent.unwrap());
        id
    }

    /// The time by the clock that decides.
    async fn server_time(&self) -> UnixMillis {
        let beat = self.store.beat(self.shard, self.worker, None, LONG).await;
        beat.unwrap().now
    }

    async fn turn(&self, settle: &[Settle], claim: Option<Claim<'_>>) -> Vec<Claimed> {
        let turn = NodeTurn {
            node: self.worker,
            slot: 0,
            number: self.turns.fetch_add(1, Ordering::SeqCst),
            settle,
            claim,
        };
        self.store.turn(self.shard, &turn).await.unwrap().claimed
    }
}

impl Bed for RedisBed {
    type Ledger = Elected;

    fn ledger(&self) -> Arc<Elected> {
        self.ledger.clone()
    }

    async fn submit(&self, definition: &WorkflowDefinition) -> WorkflowId {
        self.accept(definition, None).await
    }

    async fn submit_with(&self, definition: &WorkflowDefinition, input: Bytes) -> WorkflowId {
        self.accept(definition, Some(&input)).await
    }

    async fn signal(&self, workflow: WorkflowId, name: &SignalName, payload: Bytes) -> bool {
        let sent = self
            .store
            .signal_workflow(workflow, name, &payload, None)
            .await;
        match sent {
            Ok(_) => true,
            Err(CallError::Refused(SignalRefusal::Ended(_) | SignalRefusal::Continued(_))) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn suspend(&self, workflow: WorkflowId) -> bool {
        changed(self.store.suspend_workflow(workflow).await)
    }

    async fn resume(&self, workflow: WorkflowId) -> bool {
        changed(self.store.resume_workflow(workflow).await)
    }

    async fn retry(&self, workflow: WorkflowId) -> bool {
        changed(self.store.retry_workflow(workflow).await.map(|()| true))
    }

    async fn cancel(&self, workflow: WorkflowId, reason: &str) {
        self.store.cancel_workflow(workflow, reason).await.unwrap();
    }

    async fn submit_batch(&self, definition: &BatchDefinition) -> BatchId {
        let id = BatchId::from_parts(2, self.shard, rand::random());
        let plan = definition.validate(1 << 20).unwrap();
        let sent = self.store.submit_batch(id, definition, &plan).await;
        assert!(sent.unwrap());
        id
    }

    async fn cancel_batch(&self, batch: BatchId, reason: &str) {
        self.store.cancel_batch(batch, reason).await.unwrap();
    }

    async fn retry_batch(&self, batch: BatchId, failed_only: bool) -> bool {
        match self.store.retry_batch(batch, failed_only).await {
            Ok(()) => true,
            Err(CallError::Refused(BatchRefusal::NotEnded | BatchRefusal::Completed)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// By a job that must start in time.
    async fn arm(&self, passes_in: Duration) {
        let id = JobId::from_parts(2, self.shard, rand::random());
        let mut spec = JobSpec::new("timed".parse().unwrap(), Bytes::new());
        spec.schedule_to_start_timeout = Some(passes_in);
        let answers = self.store.submit(self.shard, &[NewJob { id, spec }]).await;
        assert!(answers.unwrap()[0].is_ok());
        if passes_in.is_zero() {
            // The shortest limit is a millisecond.
            let now = self.server_time().await;
            while self.server_time().await <= now + 1 {}
        }
    }

    async fn end(&self, job: JobId, outcome: TaskOutcome) {
        self.end_with(job, outcome, Bytes::from_static(b"null"))
            .await;
    }

    /// Claims everything that waits, settles the one and hands the others back.
    async fn end_with(&self, job: JobId, outcome: TaskOutcome, result: Bytes) {
        let serves = [Serves {
            pattern: "test".to_owned(),
            version: None,
            free: 100,
        }];
        let claim = Claim {
            max: 100,
            weights: TierWeights::default(),
            ticket: 0,
            serves: &serves,
        };
        let claimed = self.turn(&[], Some(claim)).await;
        let settlement = match outcome {
            TaskOutcome::Completed => Settlement::Completed { result },
            TaskOutcome::Continued => Settlement::Continued { result },
            TaskOutcome::Skipped { reason } => Settlement::Skipped { reason },
            TaskOutcome::Dead { error } => Settlement::Dead { error },
            TaskOutcome::Cancelled => panic!("workers do not cancel"),
        };
        let settles: Vec<Settle> = claimed
            .iter()
            .map(|run| {
                let ends = run.job == job;
                let settlement = if ends {
                    settlement.clone()
                } else {
                    Settlement::Released
                };
                Settle::of(run, settlement, LONG)
            })
            .collect();
        self.turn(&settles, None).await;
    }

    async fn status(&self, workflow: WorkflowId) -> Option<WorkflowStatus> {
        let workflow = self.store.workflow(workflow).await.unwrap();
        workflow.map(|workflow| workflow.status)
    }

    async fn log(&self, workflow: WorkflowId) -> Vec<String> {
        let events = log(&self.store).await.into_iter();
        events
            .filter(|event| event.workflow_id == Some(workflow))
            .filter(|event| event.kind.as_str().starts_with("workflow."))
            .map(|event| match event.workflow_task {
                Some(task) => format!("{} {task}", event.kind),
                None => event.kind.to_string(),
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_of_one_server_does_what_the_ports_promise() {
    exercise(|| RedisBed::on(Backend::Standalone)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_of_a_cluster_does_what_the_ports_promise() {
    exercise(|| RedisBed::on(Backend::Cluster)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_of_an_older_term_is_refused_and_changes_nothing() {
    let bed = RedisBed::on(Backend::Standalone).await;
    let until = Instant::now() + LONG;
    let ((_before, old), (_now, new)) = (Tenure::begin(6, until), Tenure::begin(7, until));
    let ledger = &bed.ledger.ledger;
    bed.ledger.win(&old).await;
    ledger.survey(&old).await.unwrap();
    bed.ledger.win(&new).await;
    let events = log(&bed.store).await.len();
    let answers = [
        ledger.commit(&old, Turn::default()).await.err(),
        ledger.promote(&old, 10).await.err(),
        ledger.expire_jobs(&old, 10).await.err(),
        ledger.expire_nodes(&old).await.err(),
        ledger.recover(&old, None, 10).await.err(),
        ledger.purge(&old, 10).await.err(),
        ledger.check_lanes(&old, None, 10).await.err(),
        ledger.flush_due(&old, 10).await.err(),
        ledger.survey(&old).await.err(),
    ];
    for (place, answer) in answers.into_iter().enumerate() {
        let fenced = matches!(answer, Some(LedgerError::Fenced { newest: 7 }));
        assert!(fenced, "call {place}: {answer:?}");
    }
    assert_eq!(log(&bed.store).await.len(), events);
    ledger.survey(&new).await.unwrap();
}

/// What the flusher leans on: the same as of the ledger in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_are_due_are_flushed_as_many_as_asked_for() {
    let bed = RedisBed::on(Backend::Standalone).await;
    let (_tenure, term) = Tenure::begin(1, Instant::now() + LONG);
    bed.ledger.win(&term).await;
    let ledger = &bed.ledger.ledger;
    assert_eq!(
        ledger.flush_due(&term, 2).await.unwrap(),
        GroupsFlushed::default()
    );
    assert_eq!(ledger.survey(&term).await.unwrap().next_group_in, None);
    let client = Client::from_store(bed.store.clone());
    let push = async |name: &str, grace| {
        let push = client.push_raw(name, "test", 1.into());
        push.grace(grace).max_delay(LONG).await.unwrap();
    };
    for name in ["a", "b", "c"] {
        push(name, Duration::from_millis(1)).await;
    }
    eventually("they are due", LONG, async || {
        let groups = client.groups().await.unwrap().items;
        let last = groups.iter().map(|group| group.due_at).max();
        let job = client.submit_raw("clock", 1.into()).await.unwrap().id();
        let now = client.job(job).await.unwrap().unwrap().created_at;
        last.is_some_and(|last| last <= now)
    })
    .await;
    push("d", LONG).await;
    assert_eq!(
        ledger.survey(&term).await.unwrap().next_group_in,
        Some(Duration::ZERO)
    );
    let first = ledger.flush_due(&term, 2).await.unwrap();
    assert_eq!((first.made, first.next_due_in), (2, Some(Duration::ZERO)));
    let second = ledger.flush_due(&term, 2).await.unwrap();
    assert_eq!(second.made, 1);
    let wait = second.next_due_in.unwrap();
    assert!(wait > Duration::ZERO && wait <= LONG, "{wait:?}");
    let last = ledger.flush_due(&term, 2).await.unwrap();
    assert_eq!(last.made, 0);
    let survey = ledger.survey(&term).await.unwrap().next_group_in.unwrap();
    assert!(survey > Duration::ZERO && survey <= LONG, "{survey:?}");
}
