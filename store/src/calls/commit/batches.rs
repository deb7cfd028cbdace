//! The next state of batches, as `lua/lib/batches.lua` takes it.

use std::fmt::Write as _;
use std::time::Duration;

use paceline_types::batch::{
    BatchHeader, BatchPlan, BatchProgress, ItemRecord, ONETIME_NAME, ONETIME_PLACE,
    ONETIME_RESULT_PLACE,
};
use paceline_types::id::ID_LEN;
use paceline_types::{BatchId, EventKind, JobId, JobSpec};

use crate::script::Invocation;
use crate::wire::batch::{BLOCK, ItemRef, encode_header, write_item};
use crate::wire::pack::pack;
use crate::wire::{RS, US, job, millis, plain};

/// The next state of one batch.
#[derive(Clone, Debug)]
pub struct BatchCommit<'a> {
    /// Which.
    pub batch: BatchId,
    /// The revision that the decision rests on.
    pub expected: u64,
    /// What it carries out; none only when nothing is started and nothing told.
    pub plan: Option<&'a BatchPlan>,
    /// The header, if it changed.
    pub header: Option<&'a BatchHeader>,
    /// Items that changed, by place.
    pub items: &'a [(u32, ItemRecord)],
    /// The job of the onetime task to make.
    pub onetime: Option<OnetimeJob<'a>>,
    /// What this start of the onetime task came to is what the items read.
    pub keep_onetime: Option<u32>,
    /// Items whose jobs go into their lane.
    pub starts: Vec<ItemStart>,
    /// Jobs to cancel.
    pub cancels: &'a [JobId],
    /// Why they are cancelled.
    pub reason: &'a str,
    /// For the log, in order.
    pub events: Vec<BatchEvent<'a>>,
    /// There is more to do for it, beyond this commit.
    pub more: bool,
    /// What becomes of its execution timeout: none as it is, by the server's clock from the commit on,
    /// or not waited for any more.
    pub deadline: Option<Option<Duration>>,
    /// The same of its next attempt.
    pub retry: Option<Option<Duration>>,
    /// It comes to its outcome.
    pub close: bool,
}

impl BatchCommit<'_> {
    /// One that changes nothing but the revision.
    #[must_use]
    pub fn new(batch: BatchId, expected: u64) -> Self {
        BatchCommit {
            batch,
            expected,
            plan: None,
            header: None,
            items: &[],
            onetime: None,
            keep_onetime: None,
            starts: Vec::new(),
            cancels: &[],
            reason: "",
            events: Vec::new(),
            more: false,
            deadline: None,
            retry: None,
            close: false,
        }
    }
}

/// An item whose job goes into its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemStart {
    /// Where it stands in the definition.
    pub place: u32,
    /// Which start of it.
    pub iteration: u8,
    /// The start whose record this one's is a copy of; none of the first.
    pub from: Option<u8>,
}

/// The job of the onetime task.
#[derive(Clone, Copy, Debug)]
pub struct OnetimeJob<'a> {
    /// Its id.
    pub job: JobId,
    /// Which start of it.
    pub iteration: u32,
    /// What is asked for.
    pub spec: &'a JobSpec,
}

/// An event of a batch.
#[derive(Clone, Debug)]
pub struct BatchEvent<'a> {
    /// What happened.
    pub kind: &'a EventKind,
    /// Place, id and iteration of the item, or of the onetime task; none for the batch itself.
    pub item: Option<(u32, &'a str, u32)>,
    /// Why.
    pub error: Option<&'a str>,
    /// How far the batch is, of `batch.progress`.
    pub progress: Option<BatchProgress>,
}

/// What `write_batch()` takes.
pub(super) fn add(call: &mut Invocation, commit: &BatchCommit<'_>) {
    match commit.header {
        Some(header) => call.arg(encode_header(header)),
        None => call.arg(""),
    };
    call.arg(commit.expected + 1);
    add_records(call, commit.items);
    add_events(call, commit);
    add_starts(call, commit);
    add_onetime(call, commit);
    call.arg(commit.cancels.len())
        .arg(plain(commit.reason, 500).as_ref());
    for id in commit.cancels {
        call.arg(id.bare(&mut [0; ID_LEN]) as &str);
    }
    for wait in [commit.deadline, commit.retry] {
        match wait {
            None => call.arg(""),
            Some(None) => call.arg("-"),
            Some(Some(after)) => call.arg(millis(after)),
        };
    }
    call.arg(u8::from(commit.more && !commit.close))
        .arg(u8::from(commit.close));
}

/// Items beside one another are written with one command.
fn add_records(call: &mut Invocation, items: &[(u32, ItemRecord)]) {
    let beside = |one: &(u32, ItemRecord), next: &(u32, ItemRecord)| one.0 + 1 == next.0;
    let runs = || items.chunk_by(beside);
    call.arg(runs().count());
    for run in runs() {
        let first = run[0].0 as usize * ItemRecord::SIZE;
        let bytes: Vec<u8> = run
            .iter()
            .flat_map(|(_, record)| record.to_bytes())
            .collect();
        call.arg(first).bytes(&bytes);
    }
}

/// Events that follow one another and are of one kind stand together. Those of a commit's items
/// and those of the batch itself have an order; among the items there is none, so that all that
/// ended well stand together.
fn add_events(call: &mut Invocation, commit: &BatchCommit<'_>) {
    let mut runs: Vec<(&EventKind, bool, usize, String)> = Vec::new();
    for event in &commit.events {
        let of_item = event.item.is_some();
        // Back to the last event of the batch itself.
        let alike = runs
            .iter_mut()
            .rev()
            .take_while(|(_, of_items, ..)| *of_items && of_item)
            .find(|(kind, ..)| *kind == event.kind);
        let (_, _, count, text) = match alike {
            Some(run) => run,
            None => {
                runs.push((event.kind, of_item, 0, String::new()));
                let last = runs.len() - 1;
                &mut runs[last]
            }
        };
        if *count > 0 {
            text.push(RS);
        }
        *count += 1;
        write_event(text, commit, event);
    }
    call.arg(runs.len());
    for (kind, _, count, text) in &runs {
        call.arg(kind.as_str()).arg(count).arg(text);
    }
}

/// batch US item US task type US job US iteration US error; empty ends are left out.
fn write_event(text: &mut String, commit: &BatchCommit<'_>, event: &BatchEvent<'_>) {
    let batch = commit.batch;
    text.push_str(batch.bare(&mut [0; ID_LEN]));
    if let Some(progress) = event.progress {
        let (done, total, failed) = (progress.done, progress.total, progress.failed);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{US}{done}{US}{total}{US}{failed}{US}{}",
            progress.step.as_str()
        );
        return;
    }
    if let Some((place, item, iteration)) = event.item {
        text.push(US);
        write_item(text, place, item);
        let task_type = commit.plan.map_or("", |plan| match (place, &plan.onetime) {
            (ONETIME_PLACE, Some(onetime)) => onetime.task_type.as_str(),
            _ => plan.item_type.as_str(),
        });
        let mut buffer = [0; ID_LEN];
        let job = JobId::of_item(batch, place, iteration)
            .bare(&mut buffer)
            .to_owned();
        let _ = write!(text, "{US}{task_type}{US}{job}{US}{iteration}");
    } else if event.error.is_some() {
        text.extend([US; 4]);
    }
    if let Some(error) = event.error {
        text.push(US);
        text.push_str(&plain(error, 500));
    }
}

/// Groups of one block and one iteration; items that are copies stand apart from others.
fn add_starts(call: &mut Invocation, commit: &BatchCommit<'_>) {
    let Some(plan) = commit.plan.filter(|_| !commit.starts.is_empty()) else {
        call.arg(0);
        return;
    };
    let alike = |one: &ItemStart, next: &ItemStart| {
        one.place / BLOCK == next.place / BLOCK
            && one.iteration == next.iteration
            && one.from.is_some() == next.from.is_some()
    };
    let groups = || commit.starts.chunk_by(alike);
    let spec = plan.item_spec(bytes::Bytes::new());
    call.arg(groups().count())
        .arg(job::lane(&spec))
        .arg(if plan.onetime.is_some() { "u" } else { "w" });
    for group in groups() {
        let places: Vec<u8> = group
            .iter()
            .map(|start| b'0' + u8::try_from(start.place % BLOCK).unwrap_or(0))
            .collect();
        let of = |start: &ItemStart, iteration: u8| {
            JobId::of_item(commit.batch, start.place, iteration.into())
        };
        call.arg(group[0].place / BLOCK)
            .bytes(&places)
            .arg(format!("{:03}", group[0].iteration))
            .arg(pack(group.iter().map(|start| of(start, start.iteration))))
            .arg(pack(
                group
                    .iter()
                    .filter_map(|start| Some(of(start, start.from?))),
            ));
    }
}

fn add_onetime(call: &mut Invocation, commit: &BatchCommit<'_>) {
    match &commit.onetime {
        None => call.arg("").arg(""),
        Some(onetime) => {
            let item = ItemRef {
                batch: commit.batch,
                place: ONETIME_PLACE,
                item: ONETIME_NAME.into(),
                iteration: onetime.iteration,
            };
            call.arg(onetime.job.bare(&mut [0; ID_LEN]) as &str)
                .bytes(&job::encode_item(onetime.spec, &item, None))
        }
    };
    match commit.keep_onetime {
        None => call.arg("").arg(""),
        Some(iteration) => {
            let from = JobId::of_item(commit.batch, ONETIME_PLACE, iteration);
            let kept = JobId::of_item(commit.batch, ONETIME_RESULT_PLACE, 0);
            call.arg(from.bare(&mut [0; ID_LEN]) as &str)
                .arg(kept.bare(&mut [0; ID_LEN]) as &str)
        }
    };
}
