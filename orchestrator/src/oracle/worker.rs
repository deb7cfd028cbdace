//! What a node does with a job: it puts the payload together, and the script answers.

use bytes::Bytes;
use paceline_types::workflow::Hook;
use paceline_types::{JobId, JobSpec};
use serde_json::{Value, json};

use super::script::{self, Act, Call};
use super::values;
use crate::ports::{Composition, TaskOutcome, Upstream, UpstreamJob};

/// A job, as a node gets it.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The task.
    pub task: &'a str,
    /// Its index.
    pub index: u32,
    /// Which start of it.
    pub iteration: u32,
    /// Which attempt of the workflow.
    pub attempt: u32,
    /// What was asked for.
    pub spec: &'a JobSpec,
    /// What the payload is composed of.
    pub composition: &'a Composition,
    /// The input of the workflow.
    pub input: &'a Value,
}

/// How the job ends, and what it leaves if that is well. `read` is what other jobs left.
///
/// # Errors
/// When the job is one that no node could run.
pub fn perform(
    given: &Given<'_>,
    read: &dyn Fn(JobId) -> Option<Value>,
) -> Result<(TaskOutcome, Bytes), String> {
    let act = match compose(given, read)? {
        Err(error) => Act::Dead(error),
        Ok(payload) => match act(given, &payload) {
            Act::Echo => Act::Value(payload),
            other => other,
        },
    };
    let none = Bytes::new();
    Ok(match act {
        Act::Value(value) => (TaskOutcome::Completed, value.to_string().into()),
        Act::Continue(value) => (TaskOutcome::Continued, value.to_string().into()),
        Act::Skip(reason) => (TaskOutcome::Skipped { reason }, none),
        Act::Dead(error) | Act::Panic(error) => (TaskOutcome::Dead { error }, none),
        Act::Cancel => (TaskOutcome::Cancelled, none),
        Act::Echo => return Err(format!("{} echoes an echo", given.task)),
    })
}

fn act(given: &Given<'_>, payload: &Value) -> Act {
    if Hook::of_index(given.index).is_some() {
        return script::act_of_hook(given.task, payload);
    }
    script::act(&Call {
        headers: &given.spec.headers,
        task: given.task,
        iteration: given.iteration,
        attempt: given.attempt,
        input: given.input,
    })
}

/// The payload; inside, why the job is dead without one.
fn compose(
    given: &Given<'_>,
    read: &dyn Fn(JobId) -> Option<Value>,
) -> Result<Result<Value, String>, String> {
    let composition = given.composition;
    let payload: Value = serde_json::from_slice(&given.spec.payload)
        .map_err(|error| format!("the payload of {} is no JSON: {error}", given.task))?;
    let of = |upstream: &UpstreamJob| match upstream.job {
        None => Ok(Value::Null),
        Some(job) => read(job).ok_or(format!(
            "{} is given the result of {}, which is gone",
            given.task, upstream.task
        )),
    };
    let mut known = serde_json::Map::new();
    for reference in &composition.references {
        known.insert(format!("tasks.{}.output", reference.task), of(reference)?);
    }
    if composition.input {
        known.insert("input".to_owned(), given.input.clone());
    }
    let payload = match composition.template {
        false => payload,
        true => match values::render(&payload, &|root: &str| known.get(root).cloned()) {
            Ok(payload) => payload,
            Err(reference) => return Ok(Err(format!("payload: {reference} is not there"))),
        },
    };
    let upstream = match &composition.upstream {
        Upstream::None => return Ok(Ok(payload)),
        Upstream::One(one) => of(one)?,
        Upstream::Many(many) => many
            .iter()
            .map(|one| Ok((one.task.to_string(), of(one)?)))
            .collect::<Result<serde_json::Map<_, _>, String>>()?
            .into(),
    };
    Ok(Ok(json!({ "upstream": upstream, "original": payload })))
}
