//! What a caller writes: the items and what runs them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::duration;
use crate::reading::from_json;
use crate::workflow::DefinitionError;
use crate::{Priority, RetryPolicy};

/// Many items of one task type. Read from JSON with [`BatchDefinition::from_json`], or built in
/// Rust; it is only accepted after [validation](BatchDefinition::validate).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a batch: an object with a name and items"
)]
pub struct BatchDefinition {
    /// For readers; need not be unique.
    pub name: String,
    /// Runs once before the items; without it they begin at once. Its result reaches every item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onetime_task_type: Option<String>,
    /// Given to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onetime_payload: Option<Box<RawValue>>,
    /// Which handler runs each item.
    pub item_task_type: String,
    /// At least one, with ids of their own; they begin in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<BatchItem>,
    /// What the failure of an item means for the others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failure_policy: BatchFailurePolicy,
    /// How many items may be under way at once, from 1 to 10,000; 0 means 100.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chunk_size: u32,
    /// Retry policy of each item, in place of the handler's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_retry_policy: Option<RetryPolicy>,
    /// The batch fails when it has run for longer than this.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub execution_timeout: Option<Duration>,
    /// How often, and after which waits, a batch that failed is tried again: the items that failed
    /// run again, what completed is kept. Without it, once. Its `non_retryable_errors` and pauses
    /// mean nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Priority of all its jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_priority: Option<Priority>,
}

/// One item.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an item: an object with an id")]
pub struct BatchItem {
    /// Unique in the batch; up to 256 bytes of printable text.
    pub id: String,
    /// Given to the handler; `null` without it. With a onetime task the handler is given
    /// `{"upstream": <its result>, "original": <payload>}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

/// What the failure of an item means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchFailurePolicy {
    /// The others go on; at the end the batch has failed.
    #[default]
    ContinueOnError,
    /// Nothing new begins, what runs is cancelled, and the batch has failed.
    FailFast,
}

fn is_default(policy: &BatchFailurePolicy) -> bool {
    *policy == BatchFailurePolicy::default()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl BatchDefinition {
    /// Reads a definition from JSON. Not validated yet.
    ///
    /// # Errors
    /// The first unknown field, missing field or wrong type, with its path.
    pub fn from_json(text: &str) -> Result<BatchDefinition, DefinitionError> {
        from_json(text)
    }

    /// The definition without its items, as it is kept beside them.
    #[must_use]
    pub fn head(&self) -> BatchDefinition {
        BatchDefinition {
            name: self.name.clone(),
            onetime_task_type: self.onetime_task_type.clone(),
            onetime_payload: self.onetime_payload.clone(),
            item_task_type: self.item_task_type.clone(),
            items: Vec::new(),
            failure_policy: self.failure_policy,
            chunk_size: self.chunk_size,
            item_retry_policy: self.item_retry_policy.clone(),
            execution_timeout: self.execution_timeout,
            retry_policy: self.retry_policy.clone(),
            default_priority: self.default_priority,
        }
    }
}

impl BatchItem {
    /// An item with this payload.
    #[must_use]
    pub fn new(id: impl Into<String>, payload: Option<Box<RawValue>>) -> BatchItem {
        BatchItem {
            id: id.into(),
            payload,
        }
    }

    /// The payload as its job is given it.
    #[must_use]
    pub fn payload_bytes(&self) -> &[u8] {
        let payload = self.payload.as_ref();
        payload.map_or(b"null", |payload| payload.get().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 91: the fields of the reference.
    #[test]
    fn a_definition_of_the_reference_parses() {
        let text = r#"{"name":"resize","onetime_task_type":"prepare","onetime_payload":{"x":1},
            "item_task_type":"img.resize","failure_policy":"fail_fast","chunk_size":7,
            "items":[{"id":"a","payload":{"n":123456789012345678901}},{"id":"b"}],
            "item_retry_policy":{"max_attempts":2},"execution_timeout":60000000000,
            "retry_policy":{"max_attempts":3},"default_priority":8}"#;
        let definition = BatchDefinition::from_json(text).expect("definition");
        assert_eq!(definition.failure_policy, BatchFailurePolicy::FailFast);
        assert_eq!(definition.execution_timeout, Some(Duration::from_secs(60)));
        assert_eq!(definition.items[1].payload_bytes(), b"null");
        assert_eq!(
            definition.items[0].payload_bytes(),
            br#"{"n":123456789012345678901}"#
        );
        let head = serde_json::to_string(&definition.head()).expect("json");
        assert!(
            !head.contains("items") && head.contains("chunk_size"),
            "{head}"
        );
        let again = BatchDefinition::from_json(&head).expect("a head is a definition");
        assert_eq!(again.items.len(), 0);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let table = [
            (
                r#"{"name":"x","item_task_type":"t","items":[{"idd":"a"}]}"#,
                "items[0].idd",
            ),
            (
                r#"{"name":"x","item_task_type":"t","items":[{"id":7}]}"#,
                "items[0].id",
            ),
            (r#"{"name":"x","item_task_type":"t","items":{}}"#, "items"),
            (r#"{"name":"x","items":[]}"#, "definition"),
            (
                r#"{"name":"x","item_task_type":"t","failure_policy":"?"}"#,
                "failure_policy",
            ),
            ("[]", "definition"),
        ];
        for (text, path) in table {
            let error = BatchDefinition::from_json(text).expect_err(text);
            assert_eq!(error.path, path, "{error}");
        }
    }
}
