//! For tests: one leader's services on a ledger in memory, and workers that do as payloads say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobId, WorkflowDefinition, WorkflowId, WorkflowStatus};
use serde_json::Value;
use tokio::time::Instant;

use crate::alarms::{self, Alarms};
use crate::courier::{self, Courier};
use crate::desk::{DEFAULT_CACHE_BYTES, Desk, MAX_ROUNDS};
use crate::memory::{MemoryJob, MemoryLedger};
use crate::ports::{LedgerError, TaskOutcome};
use crate::reconciler::{self, Reconciler};
use crate::term::{Tenure, Term};
use crate::workflows::{self, Workflows};

/// More steps than any test needs: what takes longer goes round in circles.
const MANY: usize = 20_000;

/// One leader's services.
pub(crate) struct Troupe {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) desk: Desk<MemoryLedger>,
    pub(crate) workflows: Workflows,
    alarms: Alarms,
    courier: Courier<MemoryLedger>,
    reconciler: Reconciler,
    _tenure: Tenure,
    pub(crate) term: Term,
}

impl Troupe {
    pub(crate) fn new(ledger: &Arc<MemoryLedger>, number: u64) -> Troupe {
        let (tenure, term) = Tenure::begin(number, Instant::now() + Duration::from_secs(36_000));
        Troupe {
            ledger: ledger.clone(),
            desk: Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES),
            workflows: Workflows::new(workflows::Options::default()),
            alarms: Alarms::new(alarms::Options::default()),
            courier: Courier::new(ledger.clone(), courier::Options::default()),
            reconciler: Reconciler::new(reconciler::Options::default()),
            _tenure: tenure,
            term,
        }
    }

    /// Each service once; whether there is more to do.
    pub(crate) async fn round(&mut self) -> Result<bool, LedgerError> {
        let inbox = self.workflows.tick(&mut self.desk, &self.term).await?;
        let alarms = self.alarms.tick(&mut self.desk, &self.term).await?;
        let courier = self.courier.tick(&self.term).await?;
        let again = courier.again_in == Some(Duration::ZERO);
        let busy = inbox.busy || alarms.busy || again || courier.delivered > 0;
        Ok(busy || self.ledger.inbox_len() > 0 || self.desk.has_backlog())
    }

    /// Rounds until nothing is left to do.
    pub(crate) async fn settle(&mut self) -> Result<(), LedgerError> {
        for _ in 0..MANY / 10 {
            if !self.round().await? {
                return Ok(());
            }
        }
        panic!("it does not settle");
    }

    /// Runs everything to its end: workers do as payloads say, and time passes when nothing else
    /// is left but to wait.
    pub(crate) async fn finish(&mut self) {
        for _ in 0..MANY {
            self.settle().await.expect("settled");
            let claimed = self.ledger.claim(100);
            if !claimed.is_empty() {
                work(&self.ledger, claimed);
            } else if !self.ledger.pass_to_next_alarm() {
                return;
            }
        }
        panic!("it does not finish");
    }

    /// One whole walk of the reconciler; what it repaired.
    pub(crate) async fn walk(&mut self) -> usize {
        self.walk_if_it_can().await.expect("a walk")
    }

    /// As [`Troupe::walk`], unless the ledger fails.
    pub(crate) async fn walk_if_it_can(&mut self) -> Result<usize, LedgerError> {
        let mut repaired = 0;
        for _ in 0..MANY {
            let before = self.ledger.tally();
            let report = self.reconciler.tick(&mut self.desk, &self.term).await?;
            let after = self.ledger.tally();
            // One for what is composed once more, one for the turn that repairs.
            let reads = after.reads - before.reads;
            assert!(
                reads <= 2 * MAX_ROUNDS as u64,
                "a step reads as a turn does"
            );
            let others = after.calls - before.calls - reads;
            assert!(others <= 6, "a step takes a few calls");
            repaired += report.repaired;
            if report.done {
                return Ok(repaired);
            }
        }
        panic!("the walk has no end");
    }
}

/// What the handler of a job answers: its payload may say `{"answers": [one for each start]}`, the
/// last of which stands for all that follow; each is `{"ok": result}`, `{"next": input}`,
/// `{"skip": why}` or `{"dead": why}`. Without it, `null`.
pub(crate) fn answer(job: &MemoryJob) -> (TaskOutcome, Bytes) {
    let payload: Value = serde_json::from_slice(&job.spec.payload).unwrap_or_default();
    // A hook is given its payload as the original.
    let payload = payload.get("original").unwrap_or(&payload);
    let answers = payload.get("answers").and_then(Value::as_array);
    let answer = answers.and_then(|answers| {
        let start = usize::try_from(job.iteration).unwrap_or(usize::MAX);
        answers.get(start).or(answers.last())
    });
    let Some((word, said)) = answer
        .and_then(Value::as_object)
        .and_then(|one| one.iter().next())
    else {
        return (TaskOutcome::Completed, Bytes::from_static(b"null"));
    };
    let text = || said.as_str().unwrap_or_default().to_owned();
    let outcome = match word.as_str() {
        "ok" => TaskOutcome::Completed,
        "next" => TaskOutcome::Continued,
        "skip" => TaskOutcome::Skipped { reason: text() },
        "dead" => TaskOutcome::Dead { error: text() },
        _ => panic!("{word} is no answer"),
    };
    (outcome, said.to_string().into())
}

/// Workers end these jobs, in this order, as their payloads say; those that were asked to stop are
/// cancelled.
pub(crate) fn work(ledger: &MemoryLedger, jobs: impl IntoIterator<Item = JobId>) {
    let ends: Vec<_> = jobs
        .into_iter()
        .filter_map(|id| {
            let job = ledger.job(id)?;
            let (outcome, result) = match job.state {
                crate::memory::JobState::CancelRequested => (TaskOutcome::Cancelled, Bytes::new()),
                _ => answer(&job),
            };
            Some((id, outcome, result))
        })
        .collect();
    ledger.end_with(ends);
}

/// A definition of JSON.
pub(crate) fn definition(value: &Value) -> WorkflowDefinition {
    let definition = WorkflowDefinition::from_json(&value.to_string()).expect("a definition");
    if let Err(errors) = definition.validate(1 << 20) {
        panic!("{errors:?}");
    }
    definition
}

/// Statuses of all workflows, and how often each event was told of each: what must not depend on
/// faults, repetitions, or the order of what has none.
pub(crate) type Story = (
    BTreeMap<WorkflowId, WorkflowStatus>,
    BTreeMap<(WorkflowId, String), usize>,
);

pub(crate) fn story(ledger: &MemoryLedger) -> Story {
    let mut statuses = BTreeMap::new();
    let mut told = BTreeMap::new();
    for (workflow, _) in ledger.workflows() {
        statuses.extend(ledger.status(workflow).map(|status| (workflow, status)));
        for line in ledger.full_log(workflow) {
            *told.entry((workflow, line)).or_default() += 1;
        }
    }
    (statuses, told)
}

/// That every parent was told, and nothing is left over.
pub(crate) fn check_over(ledger: &MemoryLedger) {
    assert_eq!(ledger.parked(), []);
    assert_eq!(ledger.outbox(), []);
    assert_eq!(ledger.inbox_len(), 0);
    for (workflow, origin) in ledger.workflows() {
        let status = ledger.status(workflow);
        assert!(
            status.is_some_and(WorkflowStatus::is_terminal),
            "{workflow}: {status:?}, child of {origin:?}"
        );
        assert!(ledger.retired(workflow), "{workflow} stays active");
        assert_eq!(ledger.alarms(workflow), [], "{workflow}");
    }
}
