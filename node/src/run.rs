//! A run: one claimed job on its way through a handler.
//!
//! Whatever happens to the task that executes it, a run is reported exactly once and its slot
//! returns: the report is sent by a guard when nobody sent it before.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_store::StoreError;
use paceline_store::calls::report;
use paceline_store::calls::turn::{Claimed, Composition, Settle};
use paceline_types::{JobError, NodeId, Outcome, RetryPolicy, Settlement};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::breaker::Verdict;
use crate::compose;
use crate::context::Context;
use crate::execute::{self, End, Limits};
use crate::identity::Incarnation;
use crate::kit::{Entry, Kit};
use crate::latch::CancelSignal;
use crate::panics::Guarded;
use crate::signs::{Reports, Signs};
use crate::slots::{Slot, Turned};

/// Everything about a run that its handler, its node and its settlement need.
pub(crate) struct Run {
    pub(crate) claimed: Claimed,
    pub(crate) node: NodeId,
    /// Index in the registry.
    pub(crate) handler: usize,
    pub(crate) max_attempts: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) started: Instant,
    pub(crate) signal: CancelSignal,
    pub(crate) signs: Signs,
    /// Where it says that it has something to tell.
    pub(crate) reports: Arc<Reports>,
    pub(crate) kit: Arc<Kit>,
}

/// A run that ended, and what becomes of its job.
pub(crate) struct Ended {
    pub(crate) run: Arc<Run>,
    pub(crate) settlement: Settlement,
}

impl Run {
    /// A run that begins now.
    pub(crate) fn new(
        claimed: Claimed,
        handler: usize,
        incarnation: &Incarnation,
        kit: &Arc<Kit>,
        started: Instant,
    ) -> Run {
        let spec = &claimed.record.spec;
        let entry = &kit.handlers[handler];
        let policy = policy(&claimed, entry);
        let max_attempts = execute::max_attempts(policy, spec.dlq_after);
        let dials = &entry.dials;
        let max_attempts = dials.max_attempts().unwrap_or(max_attempts);
        let timeout = spec.timeout.or(entry.options.timeout);
        Run {
            timeout: dials.timeout().or(timeout),
            max_attempts,
            node: incarnation.id,
            handler,
            started,
            signal: CancelSignal::default(),
            signs: Signs::default(),
            reports: Arc::clone(&incarnation.reports),
            kit: Arc::clone(kit),
            claimed,
        }
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.kit.handlers[self.handler]
    }

    fn limits(&self) -> Limits {
        Limits {
            timeout: self.timeout,
            silence: self.silence(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.started + timeout)
    }

    /// How long it may be silent; none when it need not tell that it lives.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.claimed.record.spec.heartbeat_timeout
    }

    /// Returns when it has been silent for too long.
    async fn silent(&self) {
        let Some(timeout) = self.silence() else {
            return std::future::pending().await;
        };
        loop {
            let silent_at = self.signs.silent_at(self.started, timeout);
            if silent_at <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(silent_at).await;
        }
    }

    /// What Redis is to be told of it, if anything is new.
    pub(crate) fn report(&self) -> Option<report::Report> {
        let now = Instant::now();
        let silent_after = self
            .silence()
            .and_then(|timeout| self.signs.news(self.started, timeout, now));
        let progress = self.signs.take_progress();
        (silent_after.is_some() || progress.is_some()).then(|| report::Report {
            job: self.claimed.job,
            token: self.claimed.token.clone(),
            silent_after,
            progress,
        })
    }

    /// A report did not reach Redis, and is to be made again.
    pub(crate) fn take_back(&self, report: &report::Report) {
        self.signs.forget_told();
        if let Some(progress) = &report.progress {
            self.signs.put_back(progress.clone());
        }
    }

    /// The input of its workflow; none outside a workflow, or when it was given none.
    pub(crate) async fn input(&self) -> Result<Option<Bytes>, StoreError> {
        let Some(place) = &self.claimed.record.workflow else {
            return Ok(None);
        };
        let fetch = async || self.kit.store.workflow_input(place.workflow).await;
        self.kit.inputs.of(place.workflow, fetch).await
    }

    /// What its handler is to be given, or what becomes of the job without running it.
    fn given(&self) -> Result<Given, Settlement> {
        let claimed = &self.claimed;
        if let Some(error) = execute::used_up(claimed.attempt, self.max_attempts) {
            return Err(Settlement::Dead { error });
        }
        let payload = claimed.record.spec.payload.clone();
        match claimed.composition() {
            Ok(None) => Ok(Given::Payload(payload)),
            Ok(Some(composition)) if composition.template => Ok(Given::Template(composition)),
            Ok(Some(composition)) => Ok(Given::Payload(composition.upstream.wrap(payload))),
            Err(missing) => Err(Settlement::Dead {
                error: missing.to_string(),
            }),
        }
    }

    fn settlement(&self, end: End) -> Settlement {
        let claimed = &self.claimed;
        execute::settlement(
            end,
            policy(claimed, self.entry()),
            self.max_attempts,
            claimed.attempt,
            claimed.consecutive_errors,
            self.kit.options.max_payload,
        )
    }
}

/// What a handler is given.
enum Given {
    /// These bytes.
    Payload(Bytes),
    /// The payload, once the values that it refers to are put in.
    Template(Composition),
}

fn policy<'a>(claimed: &'a Claimed, entry: &'a Entry) -> &'a RetryPolicy {
    let of_job = claimed.record.spec.retry_policy.as_ref();
    of_job.unwrap_or(&entry.retry_policy)
}

impl Ended {
    /// The part of a turn that tells the store.
    pub(crate) fn into_settle(self) -> Settle {
        let options = &self.run.entry().options;
        let spec = &self.run.claimed.record.spec;
        let retention = execute::retention(&self.settlement, spec.retention, options);
        Settle::of(&self.run.claimed, self.settlement, retention)
    }
}

/// Reports the end of a run, also when its task is dropped before it came to one.
struct Report {
    ended: Option<Arc<Run>>,
    to: UnboundedSender<Ended>,
    slot: Option<Slot>,
}

impl Report {
    fn send(mut self, settlement: Settlement, verdict: Verdict) {
        if let Some(run) = self.ended.take() {
            self.judge(&run, verdict);
            self.tell(run, settlement);
        }
    }

    /// Tells the breaker of the handler, before the slot is anybody else's.
    fn judge(&mut self, run: &Run, verdict: Verdict) {
        let turned = self.slot.as_mut().and_then(|slot| slot.judge(verdict));
        let Some(turned) = turned else { return };
        let entry = run.entry();
        match turned {
            Turned::Open(_) => {
                let handler = entry.name.as_str();
                tracing::warn!(handler, "a handler failed too often and is left alone");
                entry.metrics.breaker(true);
            }
            Turned::Closed => {
                let handler = entry.name.as_str();
                tracing::info!(handler, "a handler that was left alone works again");
                entry.metrics.breaker(false);
            }
        }
    }

    fn tell(&mut self, run: Arc<Run>, settlement: Settlement) {
        // The slot first: whoever hears of the end may claim for it at once.
        drop(self.slot.take());
        // Nobody listens once the node was fenced, and then it does not count.
        let _ = self.to.send(Ended { run, settlement });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(run) = self.ended.take() {
            let end = End::answered(Err(JobError::Panicked("the run was dropped".to_owned())));
            let settlement = run.settlement(end);
            self.tell(run, settlement);
        }
    }
}

/// Starts a run in a task of its own. It is reported to `to`, and `slot` returns when it ended.
pub(crate) fn start(run: Arc<Run>, slot: Slot, to: UnboundedSender<Ended>) {
    let report = Report {
        ended: Some(Arc::clone(&run)),
        to,
        slot: Some(slot),
    };
    let span = tracing::debug_span!(
        target: "paceline::run",
        "run",
        job = %run.claimed.job,
        run = run.claimed.run,
        node = %run.node,
        shard = %run.claimed.job.shard(),
        task_type = %run.claimed.record.spec.task_type,
    );
    let work = async move {
        let (settlement, verdict) = drive(&run).await;
        drop(run);
        report.send(settlement, verdict);
    };
    // A span of its own only for those who look at it: it costs about as much as a no-op job.
    if span.is_disabled() {
        tokio::spawn(work);
    } else {
        tokio::spawn(work.instrument(span));
    }
}

async fn drive(run: &Arc<Run>) -> (Settlement, Verdict) {
    let given = match run.given() {
        Ok(given) => given,
        Err(settlement) => return (settlement, Verdict::Neither),
    };
    let entry = run.entry();
    let context = Context::new(Arc::clone(run));
    let handler = match given {
        Given::Payload(payload) => Guarded::call(|| (entry.call)(context, payload)),
        Given::Template(composition) => {
            let run = Arc::clone(run);
            Guarded::call(|| Box::pin(composed(run, composition, context)))
        }
    };
    let end = execute::to_its_end(handler, &run.signal, run.limits(), run.silent()).await;
    entry
        .metrics
        .duration
        .record(run.started.elapsed().as_secs_f64());
    let verdict = execute::verdict(&end, policy(&run.claimed, entry));
    let settlement = run.settlement(end);
    if let Some(error) = execute::error_of(&settlement) {
        tracing::warn!(
            job = %run.claimed.job,
            run = run.claimed.run,
            attempt = run.claimed.attempt,
            node = %run.node,
            shard = %run.claimed.job.shard(),
            task_type = %run.claimed.record.spec.task_type,
            error,
            "a run failed"
        );
    }
    (settlement, verdict)
}

/// Puts a payload together and calls the handler with it: both within the limits of the run.
async fn composed(run: Arc<Run>, composition: Composition, context: Context) -> Outcome {
    let payload = run.claimed.record.spec.payload.clone();
    let limit = run.kit.options.max_payload;
    let payload = compose::payload(&composition, payload, limit, async || run.input().await);
    (run.entry().call)(context, payload.await?).await
}
