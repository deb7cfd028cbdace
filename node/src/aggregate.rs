//! Aggregators: what makes one payload of the messages of a group.
//!
//! The job of a group holds its messages as a JSON array. An aggregator stands in front of the
//! handler and runs in the attempt: when it fails or panics, the attempt has failed, and the next
//! one is given the same messages.

use std::collections::HashMap;

use bytes::Bytes;
use paceline_types::group::GROUP_HEADER;
use paceline_types::{JobError, Task, TaskType};
use serde_json::value::RawValue;

use crate::builder::{BuildError, NodeBuilder};
use crate::handler::HandlerFn;
use crate::registry::Registry;

/// Makes one payload of messages, given the name of their group.
pub(crate) type Aggregator = Box<dyn Fn(&str, Vec<Bytes>) -> Result<Bytes, JobError> + Send + Sync>;

impl NodeBuilder {
    /// What makes one payload of the messages of a group, for the jobs of one task type. Without
    /// one, the handler is given the messages as a JSON array.
    ///
    /// It is given the name of the group and the messages in the order in which they were pushed,
    /// and runs in the attempt, before the handler: an error or a panic fails the attempt, and the
    /// next one is given the same messages. It must not block for long, as a handler must not.
    pub fn aggregate<F>(mut self, task_type: impl Into<String>, aggregate: F) -> Self
    where
        F: Fn(&str, Vec<Bytes>) -> Result<Bytes, JobError> + Send + Sync + 'static,
    {
        let entry = (task_type.into(), Box::new(aggregate) as Aggregator);
        self.aggregators.push(entry);
        self
    }

    /// [`NodeBuilder::aggregate`] for a task whose messages are of its own type.
    ///
    /// A message that is not a `T` sends the job to the dead letters at once, and the error says
    /// which it is.
    pub fn aggregate_task<T, F>(mut self, aggregate: F) -> Self
    where
        T: Task,
        F: Fn(&str, Vec<T>) -> Result<T, JobError> + Send + Sync + 'static,
    {
        let entry = (T::TYPE.to_owned(), typed(aggregate));
        self.aggregators.push(entry);
        self
    }

    /// Puts the aggregators in front of the handlers of their task types.
    pub(crate) fn aggregated(mut self, registry: &Registry) -> Result<Self, BuildError> {
        let mut sorted = HashMap::<usize, HashMap<TaskType, Aggregator>>::new();
        for (name, aggregator) in std::mem::take(&mut self.aggregators) {
            let task_type = TaskType::new(&name).map_err(BuildError::TaskType)?;
            let Some(index) = registry.find(&task_type) else {
                return Err(BuildError::Aggregator(name));
            };
            let before = sorted
                .entry(index)
                .or_default()
                .insert(task_type, aggregator);
            if before.is_some() {
                return Err(BuildError::AggregatedTwice(name));
            }
        }
        let handlers = self.handlers.into_iter().enumerate();
        self.handlers = handlers
            .map(
                |(index, (name, options, call))| match sorted.remove(&index) {
                    Some(aggregators) => (name, options, in_front(call, aggregators)),
                    None => (name, options, call),
                },
            )
            .collect();
        Ok(self)
    }
}

/// An aggregator of messages that have a type.
fn typed<T, F>(aggregate: F) -> Aggregator
where
    T: Task,
    F: Fn(&str, Vec<T>) -> Result<T, JobError> + Send + Sync + 'static,
{
    Box::new(move |group, messages| {
        let read = |(place, message): (usize, &Bytes)| {
            serde_json::from_slice(message).map_err(|error| {
                let what = T::TYPE;
                JobError::permanent(format!(
                    "message {place} of group `{group}` is not a {what}: {error}"
                ))
            })
        };
        let messages = messages.iter().enumerate().map(read);
        let merged = aggregate(group, messages.collect::<Result<_, _>>()?)?;
        let written = serde_json::to_vec(&merged).map_err(|error| {
            JobError::permanent(format!(
                "what group `{group}` was merged to cannot be written as JSON: {error}"
            ))
        })?;
        Ok(written.into())
    })
}

/// A handler with the aggregators of the task types that it serves in front of it. Jobs of no
/// group reach it as they are.
fn in_front(call: HandlerFn, aggregators: HashMap<TaskType, Aggregator>) -> HandlerFn {
    Box::new(move |context, payload| {
        let group = context.headers().get(GROUP_HEADER);
        let merged = match (group, aggregators.get(context.task_type())) {
            (Some(group), Some(aggregate)) => {
                split(group, &payload).and_then(|messages| aggregate(group, messages))
            }
            _ => Ok(payload),
        };
        match merged {
            Ok(payload) => call(context, payload),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    })
}

/// The messages of a payload, in order, each as it was pushed.
fn split(group: &str, payload: &Bytes) -> Result<Vec<Bytes>, JobError> {
    let messages: Vec<&RawValue> = serde_json::from_slice(payload).map_err(|error| {
        JobError::permanent(format!(
            "the payload of group `{group}` is not an array of messages: {error}"
        ))
    })?;
    let messages = messages.into_iter();
    Ok(messages
        .map(|message| payload.slice_ref(message.get().as_bytes()))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Sum(u64);

    impl Task for Sum {
        const TYPE: &'static str = "sum";
        type Output = ();
    }

    fn add(_: &str, terms: Vec<Sum>) -> Result<Sum, JobError> {
        Ok(Sum(terms.iter().map(|term| term.0).sum()))
    }

    #[test]
    fn messages_come_as_they_were_pushed() {
        let payload = Bytes::from_static(b"[1, {\"big\": 123456789012345678901},[ 2 ],\"x\",null]");
        let messages = split("g", &payload).expect("an array");
        let expected: [&[u8]; 5] = [
            b"1",
            b"{\"big\": 123456789012345678901}",
            b"[ 2 ]",
            b"\"x\"",
            b"null",
        ];
        assert_eq!(messages, expected);
        assert_eq!(split("g", &Bytes::from_static(b"[]")), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_message_is_told_with_its_place() {
        let aggregate = typed::<Sum, _>(add);
        let told = |payload: &'static [u8]| {
            let merged = split("g", &Bytes::from_static(payload))
                .and_then(|messages| aggregate("g", messages));
            match merged {
                Ok(payload) => String::from_utf8_lossy(&payload).into_owned(),
                Err(JobError::Permanent(error)) => error,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(told(b"[1,2,3]"), "6");
        assert!(told(b"[1,\"x\"]").starts_with("message 1 of group `g` is not a sum: "));
        assert!(told(b"7").starts_with("the payload of group `g` is not an array of messages: "));
    }
}
