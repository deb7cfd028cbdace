//! One handler for all of these tests: each task says in its payload how it plays.
//!
//! What happens on the stage is written down in one list; the place in it is the logical time.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use paceline_client::Step;
use paceline_node::{CancelReason, Context, HandlerOptions, NodeBuilder};
use paceline_tests::{Env, SOON, within};
use paceline_types::{Bytes, JobError, NodeId, Outcome, Priority, WorkflowId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::theatre::Theatre;

/// The task type of every [`act`].
pub(crate) const ACT: &str = "act";

/// A task type that no node serves: its jobs wait.
pub(crate) const NOBODY: &str = "nobody";

/// Leases that are short, so that recovery is soon, and long enough for a busy machine.
const LEASE: Duration = Duration::from_secs(2);

/// How a task plays; in this order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Act {
    /// Waits until it is released, or told to end.
    hold: bool,
    /// Told to end, it waits for its release all the same.
    stubborn: bool,
    /// Fails for now in so many attempts.
    flaky: u32,
    /// Fails for good.
    fail: Option<String>,
    /// Says that there was nothing to do.
    skip: Option<String>,
    /// Returns what it was given, as it was given.
    echo: bool,
    /// Returns the input of the workflow, or `"none"`.
    input: bool,
    /// Returns this, else `null`.
    returns: Value,
}

/// What a task did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Began,
    Told(CancelReason),
    /// Its handler is about to return.
    Ended,
}

/// What was written down.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) workflow: WorkflowId,
    pub(crate) task: String,
    pub(crate) what: What,
    pub(crate) priority: Priority,
    pub(crate) node: NodeId,
}

/// Where tasks play. Clones are the same stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    marks: watch::Sender<Vec<Mark>>,
    released: watch::Sender<BTreeSet<String>>,
}

/// A task that plays on the stage.
pub(crate) fn act(name: &str) -> Step {
    Step::new(name, ACT)
}

/// A task that waits for its release.
pub(crate) fn held(name: &str) -> Step {
    act(name).payload(json!({ "hold": true }))
}

/// A task that fails for good.
pub(crate) fn failing(name: &str) -> Step {
    act(name).payload(json!({ "fail": "boom" }))
}

impl Stage {
    /// A node whose handler plays here.
    pub(crate) fn node(&self, env: &Env) -> NodeBuilder {
        let stage = self.clone();
        bare_node(env).handle_raw(ACT, HandlerOptions::default(), move |context, payload| {
            play(stage.clone(), context, payload)
        })
    }

    /// The same at work, with a store and a client.
    pub(crate) async fn open(env: &Env) -> (Stage, Theatre) {
        let stage = Stage::default();
        let theatre = Theatre::without_nodes(env).await;
        let nodes = vec![stage.node(env).start().await.unwrap()];
        (stage, Theatre { nodes, ..theatre })
    }

    /// Lets every task of this name go on, now and later.
    pub(crate) fn release(&self, task: &str) {
        self.0.released.send_modify(|released| {
            released.insert(task.to_owned());
        });
    }

    /// Waits until a task has done this so often.
    #[track_caller]
    pub(crate) fn saw(&self, task: &str, what: What, times: usize) -> impl Future<Output = ()> {
        let said = format!("{}: {task}: {what:?}, {times} times", Location::caller());
        let mut marks = self.0.marks.subscribe();
        let task = task.to_owned();
        async move {
            let enough = |marks: &Vec<Mark>| {
                let same = |mark: &&Mark| mark.task == task && mark.what == what;
                marks.iter().filter(same).count() >= times
            };
            within(&said, SOON, marks.wait_for(enough)).await.unwrap();
        }
    }

    /// Waits until a task is at work.
    #[track_caller]
    pub(crate) fn began(&self, task: &str) -> impl Future<Output = ()> {
        self.saw(task, What::Began, 1)
    }

    /// Everything so far.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.0.marks.borrow().clone()
    }

    /// The tasks in the order of their beginnings.
    pub(crate) fn order(&self) -> Vec<String> {
        let begun = self
            .marks()
            .into_iter()
            .filter(|mark| mark.what == What::Began);
        begun.map(|mark| mark.task).collect()
    }

    /// How often a task began.
    pub(crate) fn begins(&self, task: &str) -> usize {
        self.order().iter().filter(|begun| *begun == task).count()
    }

    /// When a task did this for the first time.
    pub(crate) fn when(&self, task: &str, what: What) -> usize {
        let marks = self.marks();
        let found = marks
            .iter()
            .position(|mark| mark.task == task && mark.what == what);
        found.unwrap_or_else(|| panic!("{task} never {what:?}: {marks:?}"))
    }

    fn mark(&self, context: &Context, what: What) {
        let mark = Mark {
            workflow: context.workflow_id().expect("a task of a workflow"),
            task: name_of(context),
            what,
            priority: context.priority(),
            node: context.node_id(),
        };
        self.0.marks.send_modify(|marks| marks.push(mark));
    }

    async fn released(&self, task: &str) {
        let mut released = self.0.released.subscribe();
        released
            .wait_for(|released| released.contains(task))
            .await
            .unwrap();
    }
}

/// A node of the test without handlers, which may lead all the same.
pub(crate) fn bare_node(env: &Env) -> NodeBuilder {
    env.node().lease(LEASE).leader_lease(LEASE)
}

fn name_of(context: &Context) -> String {
    context
        .workflow_task()
        .expect("a task of a workflow")
        .to_string()
}

async fn play(stage: Stage, context: Context, payload: Bytes) -> Outcome {
    stage.mark(&context, What::Began);
    let outcome = perform(&stage, &context, &payload).await;
    stage.mark(&context, What::Ended);
    outcome
}

async fn perform(stage: &Stage, context: &Context, payload: &Bytes) -> Outcome {
    let act = read(payload)?;
    if act.hold {
        let task = name_of(context);
        tokio::select! {
            () = stage.released(&task) => {}
            () = context.cancelled() => {
                stage.mark(context, What::Told(context.cancel_reason().unwrap()));
                if act.stubborn {
                    stage.released(&task).await;
                } else {
                    return Err(JobError::retryable("told to end"));
                }
            }
        }
    }
    if context.attempt() <= act.flaky {
        return Err(JobError::retryable(format!(
            "attempt {}",
            context.attempt()
        )));
    }
    match (act.fail, act.skip) {
        (Some(error), _) => Err(JobError::permanent(error)),
        (None, Some(reason)) => Err(JobError::skip(reason)),
        (None, None) if act.echo => Ok(payload.clone()),
        (None, None) if act.input => {
            let input = context.workflow_input().await?;
            Ok(input.unwrap_or(Bytes::from_static(b"\"none\"")))
        }
        (None, None) => Ok(act.returns.to_string().into()),
    }
}

/// The act of a payload, which may have upstream results around it.
fn read(payload: &[u8]) -> Result<Act, JobError> {
    let mut given: Value = serde_json::from_slice(payload)?;
    if let Some(original) = given.get_mut("original") {
        given = original.take();
    }
    match given {
        Value::Null => Ok(Act::default()),
        given => serde_json::from_value(given).map_err(JobError::permanent),
    }
}
