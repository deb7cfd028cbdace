//! Every mistake of a definition, with its place.

use std::time::Duration;

use serde_json::value::RawValue;

use super::*;
use crate::Priority;
use crate::batch::BatchFailurePolicy;

fn items(ids: &[&str]) -> Vec<BatchItem> {
    ids.iter().map(|id| BatchItem::new(*id, None)).collect()
}

fn batch(ids: &[&str]) -> BatchDefinition {
    BatchDefinition {
        name: "b".into(),
        item_task_type: "t".into(),
        items: items(ids),
        ..BatchDefinition::default()
    }
}

fn mistakes(definition: &BatchDefinition) -> Vec<String> {
    let errors = definition.validate(16).expect_err("mistakes");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let plan = batch(&["a", "b"]).validate(16).expect("plan");
    assert_eq!((plan.total, plan.window), (2, 100));
    assert_eq!(plan.failure_policy, BatchFailurePolicy::ContinueOnError);
    assert_eq!(
        (plan.max_attempts(), plan.priority),
        (1, Priority::default())
    );
    assert!(plan.onetime.is_none() && plan.onetime_spec().is_none());
    assert!(BatchPlan::onetime_name().is_some());
}

/// Row 91, W29: no items, ids that are empty or there twice.
#[test]
fn each_mistake_is_told_with_its_place() {
    let definition = BatchDefinition {
        name: " ".into(),
        onetime_payload: RawValue::from_string("\"0123456789abcdef\"".into()).ok(),
        item_task_type: "a b".into(),
        items: items(&["x", "", "y", "x", "z\n", "y"]),
        chunk_size: 10_001,
        item_retry_policy: Some(RetryPolicy {
            max_attempts: 0,
            ..RetryPolicy::default()
        }),
        execution_timeout: Some(Duration::ZERO),
        retry_policy: Some(RetryPolicy {
            max_attempts: 256,
            ..RetryPolicy::default()
        }),
        ..BatchDefinition::default()
    };
    let told = mistakes(&definition);
    let begins = [
        "name: the batch has no name",
        "onetime_payload: there is no onetime_task_type",
        "onetime_payload: 18 bytes, at most 16",
        "item_task_type: the task type `a b` contains ' '",
        "items[1].id: the item has no id",
        "items[3].id: \"x\" is also the id of items[0]",
        "items[4].id: the item's id contains '\\n'",
        "items[5].id: \"y\" is also the id of items[2]",
        "chunk_size: 10001, at most 10000",
        "item_retry_policy.max_attempts: must be at least 1",
        "retry_policy.max_attempts: must be at most 255",
        "execution_timeout: must be longer than zero",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
    assert_eq!(
        mistakes(&batch(&[])),
        ["items: the batch has no items; give it at least one"]
    );
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let told = mistakes(&batch(&[""; 1_500]));
    assert_eq!(told.len(), 1_001);
    assert_eq!(
        told[1_000],
        "definition: 500 more mistakes; mend these first"
    );
}

#[test]
fn a_payload_has_its_limit() {
    let mut definition = batch(&["a"]);
    definition.items[0].payload = RawValue::from_string("\"0123456789abcdef\"".into()).ok();
    let told = mistakes(&definition);
    assert!(
        told[0].starts_with("items[0].payload: 18 bytes, at most 16"),
        "{told:?}"
    );
    assert!(definition.validate(18).is_ok());
}

#[test]
fn a_plan_is_restored_without_the_items() {
    let mut definition = batch(&["a", "b", "c"]);
    definition.onetime_task_type = Some("prepare".into());
    definition.chunk_size = 2;
    let plan = definition.validate(16).expect("plan");
    assert_eq!(
        BatchPlan::restore(&definition.head(), 3).ok(),
        Some(plan.clone())
    );
    let spec = plan.onetime_spec().expect("spec");
    assert_eq!(
        (spec.task_type.as_str(), &spec.payload[..]),
        ("prepare", &b"null"[..])
    );
}
