//! Random definitions on the ledger in memory, with all services of a leader, which dies before or
//! after commits; entries of the inbox come twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::workflow::{Hook, Stage, TaskRecord, Work};
use paceline_types::{JobId, SignalName, WorkflowDefinition, WorkflowId};
use serde_json::Value;
use tokio::time::Instant;

use super::super::chance::Chance;
use super::super::generate::{self, Wish};
use super::super::interpret::{signal_payload, tell};
use super::super::judge::{Disturbed, Seen, judge};
use super::super::picture::Picture;
use super::super::worker::{self, Given};
use crate::alarms::{self, Alarms};
use crate::courier::{self, Courier};
use crate::desk::{DEFAULT_CACHE_BYTES, Desk};
use crate::memory::{Fault, MemoryLedger};
use crate::ports::{Alarm, LedgerError};
use crate::term::{Tenure, Term};
use crate::workflows::{self, Workflows};

/// One leader; it dies with all that it knows.
struct Leader {
    desk: Desk<MemoryLedger>,
    workflows: Workflows,
    alarms: Alarms,
    courier: Courier<MemoryLedger>,
    _tenure: Tenure,
    term: Term,
}

impl Leader {
    fn new(ledger: &Arc<MemoryLedger>, number: u64) -> Leader {
        let (tenure, term) = Tenure::begin(number, Instant::now() + Duration::from_secs(3_600));
        Leader {
            desk: Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES),
            workflows: Workflows::new(workflows::Options::default()),
            alarms: Alarms::new(alarms::Options::default()),
            courier: Courier::new(ledger.clone(), courier::Options::default()),
            _tenure: tenure,
            term,
        }
    }

    /// One round of all services; whether there is more to do.
    async fn tick(&mut self) -> Result<bool, LedgerError> {
        let workflows = self.workflows.tick(&mut self.desk, &self.term).await?;
        let alarms = self.alarms.tick(&mut self.desk, &self.term).await?;
        let posts = self.courier.tick(&self.term).await?;
        Ok(workflows.busy || alarms.busy || posts.delivered > 0 || posts.failed > 0)
    }
}

struct Run {
    ledger: Arc<MemoryLedger>,
    chance: Chance,
    leader: Leader,
    number: u64,
    faults: u32,
}

impl Run {
    /// Everything that happens until nothing happens any more.
    async fn finish(&mut self, root: WorkflowId, most: usize) -> Result<(), String> {
        let mut idle = 0;
        for _ in 0..most {
            if self.faults > 0 && self.chance.percent(15) {
                self.faults -= 1;
                let fault = *self.chance.pick(&[Fault::Before, Fault::After]);
                match self.chance.percent(70) {
                    true => self.ledger.fail_commit(fault),
                    false => self.ledger.fail_delivery(fault),
                }
            }
            match self.leader.tick().await {
                Ok(true) => idle = 0,
                Ok(false) if self.ledger.inbox_len() > 0 => idle = 0,
                Ok(false) => {
                    // As the loop does when its look at everything finds marks.
                    self.leader.workflows.resume();
                    idle += 1;
                }
                Err(_) => {
                    idle = 0;
                    // Mostly the next leader knows nothing of this one.
                    if self.chance.percent(70) {
                        self.number += 1;
                        self.leader = Leader::new(&self.ledger, self.number);
                    }
                }
            }
            let some = 1 + self.chance.below(4);
            if self.work(some)? || self.help() {
                idle = 0;
            }
            if idle > 3 {
                return match self.all_retired() {
                    None => Ok(()),
                    Some(open) => Err(format!("{open} hangs: {:?}", self.ledger.kept(open))),
                };
            }
        }
        Err(format!("{root} has not ended after {most} rounds"))
    }

    fn all_retired(&self) -> Option<WorkflowId> {
        let all = self.ledger.workflows();
        all.into_iter()
            .map(|(id, _)| id)
            .find(|id| !self.ledger.retired(*id))
    }

    /// Ends some jobs; whether there were any.
    fn work(&mut self, max: usize) -> Result<bool, String> {
        let claimed = self.ledger.claim(max);
        let mut ended = Vec::new();
        for id in &claimed {
            let Some(job) = self.ledger.job(*id) else {
                continue;
            };
            let input = self.ledger.input(job.workflow);
            let input: Value = serde_json::from_slice(input.as_deref().unwrap_or(b"null"))
                .map_err(|error| error.to_string())?;
            let attempt = self
                .ledger
                .kept(job.workflow)
                .map_or(0, |(header, _)| header.attempt);
            let given = Given {
                task: job.task.as_str(),
                index: job.index,
                iteration: job.iteration,
                attempt,
                spec: &job.spec,
                composition: &job.composition,
                input: &input,
            };
            let (outcome, result) = worker::perform(&given, &|job| self.read(job))?;
            ended.push((*id, outcome, result));
        }
        self.ledger.end_with(ended);
        Ok(!claimed.is_empty())
    }

    fn read(&self, job: JobId) -> Option<Value> {
        serde_json::from_slice(&self.ledger.result(job)?).ok()
    }

    /// Gives signals that are waited for, and lets time pass for alarms; whether there was need.
    fn help(&mut self) -> bool {
        let mut helped = false;
        for (id, _) in self.ledger.workflows() {
            let Some(picture) = self.picture(id) else {
                continue;
            };
            for (index, record) in &picture.tasks {
                if !matches!(record, TaskRecord::Dispatched { .. }) || !picture.is_live(*index) {
                    continue;
                }
                let Some(Work::Signal { name }) = picture.work(*index) else {
                    continue;
                };
                // One that stands in the queue will be taken.
                if name.as_str() != "never" && self.ledger.pending_signals(id) == 0 {
                    helped |= self.give(id, &name);
                }
            }
            let soon = self.ledger.alarms(id).into_iter().any(|alarm| match alarm {
                Alarm::Retry => true,
                Alarm::Deadline => false,
                Alarm::Signal { task, .. } => {
                    matches!(picture.work(task), Some(Work::Signal { name }) if name.as_str() == "never")
                }
            });
            if soon {
                self.ledger.pass(Duration::from_millis(60));
                helped = true;
            }
        }
        helped
    }

    fn give(&self, id: WorkflowId, name: &SignalName) -> bool {
        let payload = signal_payload(name.as_str()).to_string().into();
        self.ledger.signal(id, name, payload)
    }

    fn picture(&self, id: WorkflowId) -> Option<Picture> {
        let (header, tasks) = self.ledger.kept(id)?;
        let definition = self.ledger.definition(id)?;
        let definition =
            WorkflowDefinition::from_json(std::str::from_utf8(&definition).ok()?).ok()?;
        Some(Picture {
            id,
            plan: Arc::new(definition.validate(256 << 10).ok()?),
            header,
            tasks,
            history: self.ledger.history(id),
            sections: self.ledger.sections(id).into_values().collect(),
        })
    }

    fn seen(&self, id: WorkflowId) -> Option<Seen> {
        let picture = self.picture(id)?;
        let keys = picture.keys();
        let mut children = BTreeMap::new();
        for (child, origin) in self.ledger.workflows() {
            if let Some(origin) = origin
                && origin.parent == id
                && !self.is_successor(child)
            {
                let start = Picture::start(&keys, (origin.task, origin.iteration));
                if !start.0.starts_with('?') {
                    children.insert(start, self.seen(child)?);
                }
            }
        }
        let log = self.ledger.log(id);
        let hooks = log.iter().filter_map(|line| {
            let task = line.strip_prefix("workflow.hook.dispatched ")?;
            Hook::of_task_name(task)
        });
        let output = self.ledger.output(id);
        let next = match picture.header.stage {
            Stage::Continued { to } => self.seen(to).map(Box::new),
            _ => None,
        };
        Some(Seen {
            hooks: hooks.collect(),
            output: output.and_then(|output| serde_json::from_slice(&output).ok()),
            children,
            next,
            ..picture.seen(&|job| self.read(job))
        })
    }

    fn is_successor(&self, id: WorkflowId) -> bool {
        self.ledger.workflows().into_iter().any(|(other, _)| {
            matches!(self.ledger.kept(other), Some((header, _)) if header.stage == Stage::Continued { to: id })
        })
    }
}

async fn run(seed: u64) -> Result<bool, String> {
    let wish = Wish {
        size: 8,
        depth: 2,
        in_memory: true,
    };
    let generated = generate::definition(seed, wish);
    if generated.definition.validate(256 << 10).is_err() {
        return Ok(false);
    }
    let Ok(told) = tell(
        &generated.definition,
        &generated.input,
        &mut Chance::new(seed),
    ) else {
        return Ok(false);
    };
    let ledger = Arc::new(MemoryLedger::new());
    let mut chance = Chance::of(seed, "ledger");
    if chance.percent(30) {
        ledger.repeat_deliveries();
    }
    let mut run = Run {
        leader: Leader::new(&ledger, 1),
        ledger,
        number: 1,
        // Fewer in a row than the service has patience for.
        faults: 4,
        chance,
    };
    let input = generated.input.to_string().into();
    let root = run.ledger.submit_with(&generated.definition, Some(input));
    let mut disturbed = Disturbed::default();
    if run.chance.percent(15) {
        let _ = run.finish(root, 1 + run.chance.clone().below(20)).await;
        run.ledger.cancel(root, "enough");
        disturbed.ended = true;
    }
    run.finish(root, 2_000 + 100 * told.steps).await?;
    let parked = run.ledger.parked();
    if !parked.is_empty() {
        return Err(format!("parked: {parked:?}"));
    }
    let seen = run.seen(root).ok_or("nothing is kept")?;
    judge(&told, &seen, disturbed)?;
    Ok(true)
}

/// Invariant 2 and 5: leaders that die before and after commits lose and double nothing.
#[tokio::test]
async fn random_definitions_survive_their_leaders() {
    let first = std::env::var("ORACLE_SEED")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let first = first.unwrap_or(1) * 5_000_000;
    let count = std::env::var("ORACLE_COUNT")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let mut ran = 0;
    let mut failures = Vec::new();
    for seed in first..first + count.unwrap_or(400) {
        match run(seed).await {
            Ok(fit) => ran += u32::from(fit),
            Err(error) => {
                let generated = generate::definition(
                    seed,
                    Wish {
                        size: 8,
                        depth: 2,
                        in_memory: true,
                    },
                );
                let json = serde_json::to_string(&generated.definition).expect("json");
                failures.push(format!("seed {seed}: {error}\n{json}\n"));
            }
        }
        if failures.len() > 3 {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(ran > 100, "only {ran} ran");
}
