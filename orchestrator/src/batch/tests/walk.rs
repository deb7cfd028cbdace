//! Random walks: ends in every order, twice, with restarts in between, against a reference that
//! keeps lists of what is to do.

use std::collections::{BTreeSet, VecDeque};

use paceline_types::batch::{BatchHeader, ItemRecord};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// The same rules, told as lists.
struct Reference {
    window: usize,
    fail_fast: bool,
    attempts: u32,
    onetime: bool,
    prepared: bool,
    /// Items to start, in their order.
    queue: VecDeque<u32>,
    open: BTreeSet<u32>,
    onetime_open: bool,
    completed: BTreeSet<u32>,
    /// Items whose last end was a good one, in whichever attempt.
    well: BTreeSet<u32>,
    failed: BTreeSet<u32>,
    attempt: u32,
    starts: Vec<u32>,
    state: &'static str,
    again: bool,
}

impl Reference {
    fn new(definition: &BatchDefinition) -> Reference {
        Reference {
            window: definition.chunk_size as usize,
            fail_fast: definition.failure_policy == BatchFailurePolicy::FailFast,
            attempts: definition
                .retry_policy
                .as_ref()
                .map_or(1, |policy| policy.max_attempts),
            onetime: definition.onetime_task_type.is_some(),
            prepared: false,
            queue: VecDeque::new(),
            open: BTreeSet::new(),
            onetime_open: false,
            completed: BTreeSet::new(),
            well: BTreeSet::new(),
            failed: BTreeSet::new(),
            attempt: 0,
            starts: vec![0; definition.items.len()],
            state: "pending",
            again: false,
        }
    }

    fn begin(&mut self, failed_only: bool) {
        self.attempt += 1;
        self.state = "running";
        self.failed.clear();
        self.completed = match failed_only {
            true => self.well.clone(),
            false => BTreeSet::new(),
        };
        self.prepared &= failed_only;
        let all = 0..u32::try_from(self.starts.len()).expect("few");
        self.queue = all
            .filter(|place| !self.completed.contains(place))
            .collect();
        self.onetime_open = self.onetime && !self.prepared;
        self.fill();
    }

    fn fill(&mut self) {
        while self.state == "running"
            && !self.onetime_open
            && self.open.len() < self.window
            && let Some(place) = self.queue.pop_front()
        {
            self.starts[place as usize] += 1;
            self.well.remove(&place);
            self.open.insert(place);
        }
        if !self.open.is_empty() || self.onetime_open {
            return;
        }
        match self.state {
            "running" if self.queue.is_empty() && self.failed.is_empty() => {
                self.state = "completed"
            }
            "running" if self.queue.is_empty() => self.fail(),
            "failing" => self.fail(),
            "cancelling" => self.state = "cancelled",
            "late" => self.state = "failed",
            _ => {}
        }
    }

    fn fail(&mut self) {
        self.again = self.attempt < self.attempts;
        self.state = if self.again { "resting" } else { "failed" };
    }

    fn end(&mut self, place: u32, well: bool) {
        if place == ONETIME_PLACE {
            self.onetime_open = false;
            self.prepared |= well;
            if !well && self.state == "running" {
                self.state = "failing";
            }
        } else {
            self.open.remove(&place);
            if well {
                self.well.insert(place);
            }
            match well {
                true => self.completed.insert(place),
                false => self.failed.insert(place),
            };
            if !well && self.fail_fast && self.state == "running" {
                self.state = "failing";
            }
        }
        self.fill();
    }

    fn stop(&mut self, state: &'static str) {
        self.state = state;
        self.fill();
    }
}

fn state_of(batch: &BatchInstance) -> &'static str {
    match batch.stage() {
        BatchStage::Pending => "pending",
        BatchStage::Preparing | BatchStage::Processing => "running",
        BatchStage::Ending(BatchEnding::Cancelled { .. }) => "cancelling",
        BatchStage::Ending(BatchEnding::TimedOut) => "late",
        BatchStage::Ending(_) => "failing",
        BatchStage::Resting(_) => "resting",
        BatchStage::Completed => "completed",
        BatchStage::Ended(BatchEnding::Cancelled { .. }) => "cancelled",
        BatchStage::Ended(_) => "failed",
    }
}

/// What is kept, written and read again.
fn restored(batch: &BatchInstance) -> BatchInstance {
    let header = serde_json::to_string(batch.header()).expect("json");
    let header: BatchHeader = serde_json::from_str(&header).expect("header");
    let records = batch.records().iter();
    let records = records.map(|record| ItemRecord::from_bytes(record.to_bytes()).expect("record"));
    let (id, plan) = (batch.id(), batch.plan().clone());
    BatchInstance::restore(id, plan, header, records.collect()).expect("restores")
}

/// Applies an event under a limit, goes on until nothing is left over, and sees to it that the
/// live batch is what a new leader would load, at each step.
fn drain(batch: &mut BatchInstance, event: &BatchEvent, limit: usize) -> Result<(), BatchRefusal> {
    let mut transition = advance_batch(batch, event, limit)?;
    loop {
        assert!(batch.under_way() <= batch.plan().window as usize);
        assert_eq!(transition.more, batch.has_leftover());
        assert_eq!(*batch, restored(batch));
        if transition.header.is_none() {
            // Whoever wrote the items and not the header would load another batch.
            assert!(
                transition
                    .items
                    .iter()
                    .all(|(_, it)| it.state == ItemState::Cancelling)
            );
        }
        if !transition.more {
            return Ok(());
        }
        transition = advance_batch(batch, &BatchEvent::Continue, limit)?;
    }
}

fn walk(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut definition = definition(random.random_range(1..=9), random.random_range(1..=4));
    if random.random_bool(0.4) {
        definition.failure_policy = BatchFailurePolicy::FailFast;
    }
    if random.random_bool(0.5) {
        definition.onetime_task_type = Some("prepare".into());
    }
    if random.random_bool(0.5) {
        definition.retry_policy = retried(random.random_range(1..=3));
    }
    definition.execution_timeout = Some(Duration::from_secs(1));
    let plenty = random.random_bool(0.5);
    let mut batch = instance(&definition);
    let mut reference = Reference::new(&definition);
    let mut told: Vec<BatchEvent> = Vec::new();
    let mut by_hand = 2;
    drain(&mut batch, &BatchEvent::Start, PLENTY).expect("starts");
    reference.begin(false);
    loop {
        assert_eq!(state_of(&batch), reference.state, "seed {seed}");
        let open: BTreeSet<u32> = batch
            .open_items(0, 100)
            .iter()
            .map(|(place, _)| *place)
            .collect();
        assert_eq!(open, reference.open, "seed {seed}");
        assert_eq!(batch.onetime_is_open(), reference.onetime_open);
        let header = batch.header();
        assert_eq!(
            header.completed as usize,
            reference.completed.len(),
            "seed {seed}"
        );
        assert_eq!(
            header.failed as usize,
            reference.failed.len(),
            "seed {seed}"
        );
        assert_eq!(header.attempt, reference.attempt);

        let limit = if plenty {
            PLENTY
        } else {
            random.random_range(1..=3)
        };
        let event = match reference.state {
            "completed" => break,
            "failed" | "cancelled" if by_hand == 0 => break,
            "failed" | "cancelled" => {
                by_hand -= 1;
                let failed_only = random.random();
                reference.begin(failed_only);
                BatchEvent::RetryRequested { failed_only }
            }
            "resting" if random.random_bool(0.2) => {
                reference.stop("cancelling");
                BatchEvent::CancelRequested {
                    reason: String::new(),
                }
            }
            "resting" => {
                reference.begin(true);
                BatchEvent::Rang(BatchAlarm::Retry)
            }
            "running" if random.random_bool(0.04) => {
                reference.stop("late");
                BatchEvent::Rang(BatchAlarm::Deadline)
            }
            "running" if random.random_bool(0.04) => {
                reference.stop("cancelling");
                BatchEvent::CancelRequested {
                    reason: String::new(),
                }
            }
            _ => {
                let mut places: Vec<u32> = reference.open.iter().copied().collect();
                places.extend(reference.onetime_open.then_some(ONETIME_PLACE));
                let place = places[random.random_range(0..places.len())];
                let outcome = match random.random_range(0..8) {
                    0 => dead(),
                    1 => TaskOutcome::Cancelled,
                    2 => TaskOutcome::Skipped { reason: "x".into() },
                    _ => TaskOutcome::Completed,
                };
                let well = !matches!(outcome, TaskOutcome::Dead { .. } | TaskOutcome::Cancelled);
                let iteration = match place {
                    ONETIME_PLACE => batch.header().onetime.as_ref().expect("open").iteration,
                    place => batch.record(place).expect("item").iteration.into(),
                };
                reference.end(place, well);
                ended(&batch, place, iteration, outcome)
            }
        };
        drain(&mut batch, &event, limit).expect("applies");
        told.push(event);
        // Anything that was told before comes again, in any order: it is late, and changes nothing.
        for _ in 0..2 {
            let event = &told[random.random_range(0..told.len())];
            if matches!(event, BatchEvent::JobEnded { .. }) {
                let before = batch.clone();
                let refused = advance_batch(&mut batch, event, PLENTY);
                assert!(matches!(refused, Err(BatchRefusal::Late(_))), "{refused:?}");
                assert_eq!(batch, before);
            }
        }
    }
}

/// W4: whatever comes twice, late or in another order.
#[test]
fn a_batch_goes_as_the_lists_say() {
    for seed in 0..4_000 {
        walk(seed);
    }
}
