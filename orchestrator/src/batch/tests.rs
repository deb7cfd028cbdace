//! Batches, decided: what each event leads to. Here are a batch to decide about, and the hands on it.

mod chaos;
mod failures;
mod refused;
mod retries;
mod walk;
mod window;

use std::sync::Arc;
use std::time::Duration;

use paceline_types::batch::{
    BatchEnding, BatchFailurePolicy, BatchItem, BatchPlan, BatchStage, ItemRecord, ItemState,
    MAX_ATTEMPTS, ONETIME_PLACE, OnetimeState,
};
use paceline_types::{BatchDefinition, BatchId, RetryPolicy, ShardIndex};

use super::*;
use crate::ports::{BatchAlarm, TaskOutcome};
use crate::transition::Late;

/// More than any test starts at once.
const PLENTY: usize = 1_000;

/// `items` items with a window of `window`, and what else is asked for.
fn definition(items: usize, window: u32) -> BatchDefinition {
    BatchDefinition {
        name: "b".into(),
        item_task_type: "item".into(),
        items: (0..items)
            .map(|n| BatchItem::new(format!("i{n}"), None))
            .collect(),
        chunk_size: window,
        ..BatchDefinition::default()
    }
}

fn retried(attempts: u32) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        max_attempts: attempts,
        initial_delay: Duration::from_secs(10),
        jitter: 0.0,
        ..RetryPolicy::default()
    })
}

fn plan(definition: &BatchDefinition) -> Arc<BatchPlan> {
    Arc::new(definition.validate(1 << 20).expect("valid"))
}

fn instance(definition: &BatchDefinition) -> BatchInstance {
    let id = BatchId::from_parts(7, ShardIndex(0), 0x1234_5678_9abc_def0);
    BatchInstance::new(id, plan(definition))
}

fn ended(batch: &BatchInstance, place: u32, iteration: u32, outcome: TaskOutcome) -> BatchEvent {
    BatchEvent::JobEnded {
        place,
        item: format!("i{place}").into(),
        iteration,
        job: batch.job(place, iteration),
        outcome,
    }
}

fn dead() -> TaskOutcome {
    TaskOutcome::Dead {
        error: "boom".into(),
    }
}

/// Applies an event that must apply.
fn apply(batch: &mut BatchInstance, event: &BatchEvent) -> BatchTransition {
    advance_batch(batch, event, PLENTY).expect("applies")
}

fn end(batch: &mut BatchInstance, place: u32, outcome: TaskOutcome) -> BatchTransition {
    let iteration = match place {
        ONETIME_PLACE => batch.header().onetime.as_ref().expect("onetime").iteration,
        place => batch.record(place).expect("item").iteration.into(),
    };
    let event = ended(batch, place, iteration, outcome);
    apply(batch, &event)
}

fn kinds(transition: &BatchTransition) -> Vec<&str> {
    transition
        .events
        .iter()
        .map(|event| event.kind.as_str())
        .collect()
}

fn started(transition: &BatchTransition) -> Vec<(u32, u8)> {
    let effects = transition.effects.iter();
    effects
        .filter_map(|effect| match effect {
            BatchEffect::Dispatch(start) => Some((start.place, start.iteration)),
            _ => None,
        })
        .collect()
}

fn cancelled(transition: &BatchTransition) -> usize {
    let effects = transition.effects.iter();
    effects
        .filter(|effect| matches!(effect, BatchEffect::Cancel(_)))
        .count()
}
