//! Building a batch in Rust.
//!
//! Nothing is checked here: validation finds every mistake at once when the batch is submitted, with
//! the same words and places as for one read from a file. Only a payload that has no JSON form is
//! noted here, since a definition could not hold it.

use std::time::Duration;

use paceline_types::batch::{BatchDefinition, BatchFailurePolicy, BatchItem};
use paceline_types::workflow::DefinitionError;
use paceline_types::{Priority, RetryPolicy, Task};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A batch in the making.
///
/// ```
/// use paceline_client::BatchBuilder;
/// use serde_json::json;
///
/// let batch = BatchBuilder::new("thumbnails", "image.resize")
///     .onetime("bucket.open", json!({ "bucket": "photos" }))
///     .items((1..=3).map(|n| (format!("photo-{n}"), json!({ "width": 640 }))))
///     .chunk_size(20)
///     .build()?;
/// batch.validate(256 * 1024)?;
/// # Ok::<(), Vec<paceline_client::DefinitionError>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a definition does nothing until it is submitted"]
pub struct BatchBuilder {
    definition: BatchDefinition,
    mistakes: Vec<DefinitionError>,
}

impl BatchBuilder {
    /// A batch without items, each of which a handler of this task type runs. The name is for
    /// readers and need not be unique.
    pub fn new(name: impl Into<String>, item_task_type: impl Into<String>) -> BatchBuilder {
        BatchBuilder {
            definition: BatchDefinition {
                name: name.into(),
                item_task_type: item_task_type.into(),
                ..BatchDefinition::default()
            },
            mistakes: Vec::new(),
        }
    }

    /// A batch of typed items, each of which is its own payload.
    pub fn of<T: Task>(
        name: impl Into<String>,
        items: impl IntoIterator<Item = (impl Into<String>, T)>,
    ) -> BatchBuilder {
        BatchBuilder::new(name, T::TYPE).items(items)
    }

    /// Runs once before the items; its result reaches every item, whose payload becomes
    /// `{"upstream": <result>, "original": <payload>}`. If it fails the batch fails, and no item
    /// begins.
    pub fn onetime(mut self, task_type: impl Into<String>, payload: impl Serialize) -> Self {
        self.definition.onetime_task_type = Some(task_type.into());
        self.definition.onetime_payload = self.written("onetime_payload", &payload);
        self
    }

    /// Adds an item; its id must be unique in the batch.
    pub fn item(mut self, id: impl Into<String>, payload: impl Serialize) -> Self {
        self.push(id.into(), &payload);
        self
    }

    /// Adds many items, each an id and a payload.
    pub fn items<I, P>(mut self, items: impl IntoIterator<Item = (I, P)>) -> Self
    where
        I: Into<String>,
        P: Serialize,
    {
        for (id, payload) in items {
            self.push(id.into(), &payload);
        }
        self
    }

    fn push(&mut self, id: String, payload: &impl Serialize) {
        let path = format!("items[{}].payload", self.definition.items.len());
        let payload = self.written(&path, payload);
        self.definition.items.push(BatchItem::new(id, payload));
    }

    fn written(&mut self, path: &str, payload: &impl Serialize) -> Option<Box<RawValue>> {
        let written = to_raw_value(payload);
        let wrong = |error: serde_json::Error| DefinitionError {
            path: path.to_owned(),
            problem: format!("cannot be written as JSON: {error}"),
        };
        written
            .map_err(|error| self.mistakes.push(wrong(error)))
            .ok()
    }

    /// How many items may be under way at once: 1 to 10,000; 100 unless said otherwise.
    pub fn chunk_size(mut self, items: u32) -> Self {
        self.definition.chunk_size = items;
        self
    }

    /// The first item that is given up ends the batch: no other begins, and those under way are
    /// cancelled. Without it the others go on, and at the end the batch has failed.
    pub fn fail_fast(mut self) -> Self {
        self.definition.failure_policy = BatchFailurePolicy::FailFast;
        self
    }

    /// When a failed run of an item is tried again, in place of the handler's policy.
    pub fn item_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.definition.item_retry_policy = Some(policy);
        self
    }

    /// How often, and after which waits, a batch that failed is tried again: items that failed run
    /// again, the results of the others are kept.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.definition.retry_policy = Some(policy);
        self
    }

    /// The batch fails when an attempt of it has run for longer than this.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.definition.execution_timeout = Some(timeout);
        self
    }

    /// Priority of all its jobs.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.definition.default_priority = Some(priority);
        self
    }

    /// The definition, not validated yet.
    ///
    /// # Errors
    /// Every payload that cannot be written as JSON.
    pub fn build(self) -> Result<BatchDefinition, Vec<DefinitionError>> {
        if self.mistakes.is_empty() {
            Ok(self.definition)
        } else {
            Err(self.mistakes)
        }
    }
}

/// What [`submit_batch`](crate::Client::submit_batch) takes: a [`BatchDefinition`], or a
/// [`BatchBuilder`].
pub trait IntoBatch {
    /// The definition, not validated yet.
    ///
    /// # Errors
    /// What keeps it from being one.
    fn into_batch(self) -> Result<BatchDefinition, Vec<DefinitionError>>;
}

impl IntoBatch for BatchDefinition {
    fn into_batch(self) -> Result<BatchDefinition, Vec<DefinitionError>> {
        Ok(self)
    }
}

impl IntoBatch for BatchBuilder {
    fn into_batch(self) -> Result<BatchDefinition, Vec<DefinitionError>> {
        self.build()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_built_batch_is_the_one_that_its_json_reads_as() {
        let policy = RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::default()
        };
        let built = BatchBuilder::new("b", "t")
            .onetime("o", json!({ "n": 1 }))
            .item("a", json!([1]))
            .items([("b", json!(2)), ("c", json!(null))])
            .chunk_size(7)
            .fail_fast()
            .item_retry_policy(policy.clone())
            .retry_policy(policy)
            .execution_timeout(Duration::from_secs(90))
            .priority(Priority::HIGH)
            .build()
            .expect("batch");
        let read = BatchDefinition::from_json(
            r#"{"name":"b","onetime_task_type":"o","onetime_payload":{"n":1},"item_task_type":"t",
              "items":[{"id":"a","payload":[1]},{"id":"b","payload":2},{"id":"c","payload":null}],
              "failure_policy":"fail_fast","chunk_size":7,"item_retry_policy":{"max_attempts":2},
              "execution_timeout":"1m30s","retry_policy":{"max_attempts":2},
              "default_priority":8}"#,
        )
        .expect("batch");
        let json = |definition: &BatchDefinition| {
            let mut value = serde_json::to_value(definition).expect("json");
            // `null` and no payload are given to the handler alike.
            value["items"][2] = json!({ "id": "c" });
            value
        };
        assert_eq!(json(&built), json(&read));
    }

    #[test]
    fn payloads_without_a_json_form_are_told_with_their_places() {
        let pairs = std::collections::HashMap::from([((1, 2), 3)]);
        let mistakes = BatchBuilder::new("b", "t")
            .item("a", 1)
            .item("b", &pairs)
            .onetime("o", &pairs)
            .build()
            .expect_err("keys are pairs");
        let paths: Vec<_> = mistakes.iter().map(|mistake| &mistake.path[..]).collect();
        assert_eq!(paths, ["items[1].payload", "onetime_payload"]);
    }
}
