//! Workflows, whole, end to end: clients, nodes and leaders on real Redis. Values and handlers,
//! routes and loops, sections, children, signals, hooks, suspensions, retries, chains.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::panic::Location;
use std::time::Duration;

use paceline_client::{
    Client, IntoDefinition, Step, TaskState, WaitError, Workflow, WorkflowHandle,
};
use paceline_node::builtin::{self, BuiltinOptions};
use paceline_node::{Context, NodeBuilder};
use paceline_store::Store;
use paceline_tests::{
    Env, Gate, Notes, Pen, Ride, SOON, Serve, attempts, eventually, log, notes, within,
};
use paceline_types::{Bytes, JobError, Outcome, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

mod again;
mod chain;
mod children;
mod handlers;
mod hooks;
mod routes;
mod sections;
mod signals;
mod suspend;
mod templates;

/// An execution timeout that is over when the test says so.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// The task type of [`held`].
const HOLD: &str = "hold";

/// A node with the built-in task types and one that waits for the test, and a client.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) gate: Gate,
    pub(crate) begun: Notes<Begun>,
    ride: Ride,
}

/// A task that waits for the test has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) task: String,
    pub(crate) iteration: u32,
}

pub(crate) fn begun(task: &str, iteration: u32) -> Begun {
    Begun {
        task: task.to_owned(),
        iteration,
    }
}

impl Scene {
    pub(crate) async fn open(env: &Env) -> Scene {
        Scene::with(env, |node| node).await
    }

    /// With handlers of the test's own.
    pub(crate) async fn with(env: &Env, own: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Scene {
        let (pen, begun) = notes();
        let gate = Gate::default();
        let state = (pen, gate.clone());
        let ride = env
            .ride(|node| {
                let options = BuiltinOptions { allow_shell: true };
                let node = builtin::register(node, options).unwrap();
                own(node.serve(HOLD, crate::tried(1), state, hold))
            })
            .await;
        Scene {
            client: ride.client.clone(),
            store: ride.store.clone(),
            gate,
            begun,
            ride,
        }
    }

    pub(crate) async fn submit(
        &self,
        workflow: impl IntoDefinition,
        input: Value,
    ) -> WorkflowHandle {
        let input = (!input.is_null()).then_some(input);
        self.client.submit_workflow(workflow, input).await.unwrap()
    }

    /// Submits a workflow and waits for its end.
    #[track_caller]
    pub(crate) fn run(
        &self,
        workflow: impl IntoDefinition,
        input: Value,
    ) -> impl Future<Output = Workflow> {
        let caller = Location::caller();
        async move {
            let handle = self.submit(workflow, input).await;
            let what = format!("{caller}: the end of {}", handle.id());
            within(&what, SOON, handle.wait()).await.unwrap()
        }
    }

    /// Submits a workflow that must complete, and returns its output.
    #[track_caller]
    pub(crate) fn output(
        &self,
        workflow: impl IntoDefinition,
        input: Value,
    ) -> impl Future<Output = Value> {
        let ended = self.run(workflow, input);
        async move { output(&ended.await) }
    }

    /// Submits a workflow that must fail, and returns why.
    #[track_caller]
    pub(crate) fn error(
        &self,
        workflow: impl IntoDefinition,
        input: Value,
    ) -> impl Future<Output = String> {
        let ended = self.run(workflow, input);
        async move {
            let workflow = ended.await;
            assert_eq!(workflow.status, WorkflowStatus::Failed, "{workflow:?}");
            workflow.error.unwrap()
        }
    }

    /// The events of a workflow and its tasks: `workflow.started`, `job.started a`.
    pub(crate) async fn tale(&self, id: WorkflowId) -> Vec<String> {
        let events = log(&self.store).await.into_iter();
        let of_it = events.filter(|event| event.workflow_id == Some(id));
        of_it
            .map(|event| match &event.workflow_task {
                Some(task) => format!("{} {task}", event.kind),
                None => event.kind.to_string(),
            })
            .collect()
    }

    /// Waits until the tale of a workflow holds an event.
    #[track_caller]
    pub(crate) fn told(&self, id: WorkflowId, event: &str) -> impl Future<Output = Vec<String>> {
        let what = format!("{}: {event}", Location::caller());
        async move {
            eventually(&what, SOON, async || {
                let tale = self.tale(id).await;
                if tale.iter().any(|told| told == event) {
                    Ok(tale)
                } else {
                    Err(tale)
                }
            })
            .await
        }
    }

    /// Waits until a workflow has this status.
    #[track_caller]
    pub(crate) fn until(
        &self,
        id: WorkflowId,
        status: WorkflowStatus,
    ) -> impl Future<Output = Workflow> {
        let what = format!("{}: {id} is {status}", Location::caller());
        async move {
            eventually(&what, SOON, async || {
                let found = self
                    .client
                    .workflow(id)
                    .await
                    .map_err(|error| error.to_string())?;
                let found = found.ok_or("no such workflow")?;
                if found.status == status {
                    Ok(found)
                } else {
                    Err(found.status.to_string())
                }
            })
            .await
        }
    }

    pub(crate) async fn stop(self) {
        self.ride.stop().await;
    }
}

/// Tries so often, at once.
pub(crate) fn tried(max_attempts: u32) -> paceline_node::HandlerOptions {
    paceline_node::HandlerOptions {
        retry_policy: Some(attempts(max_attempts)),
        ..paceline_node::HandlerOptions::default()
    }
}

async fn hold((pen, gate): (Pen<Begun>, Gate), context: Context, payload: Bytes) -> Outcome {
    let task = context.workflow_task().unwrap().to_string();
    let iteration = context.workflow_iteration().unwrap();
    pen.note(Begun { task, iteration });
    tokio::select! {
        () = gate.pass() => Ok(payload),
        () = context.cancelled() => Err(JobError::retryable("cancelled")),
    }
}

/// A task that answers its payload.
pub(crate) fn echo(name: &str, payload: Value) -> Step {
    Step::new(name, "echo").payload(payload)
}

/// A task that fails for good.
pub(crate) fn failing(name: &str) -> Step {
    Step::new(name, "fail").payload(json!({ "error": "boom", "permanent": true }))
}

/// A task that notes its beginning, and waits for the gate.
pub(crate) fn held(name: &str) -> Step {
    Step::new(name, HOLD).payload(name)
}

/// The output of a workflow that completed.
#[track_caller]
pub(crate) fn output(workflow: &Workflow) -> Value {
    assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:?}");
    serde_json::from_slice(workflow.output.as_ref().expect("an output")).unwrap()
}

/// How each task stands: `a completed`, `b skipped`.
pub(crate) fn tasks(workflow: &Workflow) -> Vec<String> {
    let tasks = workflow.tasks.iter();
    tasks
        .map(|task| match task.skipped {
            true => format!("{} skipped", task.name),
            false => format!("{} {}", task.name, task.status),
        })
        .collect()
}

#[track_caller]
pub(crate) fn task<'a>(workflow: &'a Workflow, name: &str) -> &'a TaskState {
    let mut tasks = workflow.tasks.iter();
    tasks.find(|task| task.name.as_str() == name).expect(name)
}

/// How often a tale holds an event.
pub(crate) fn count(tale: &[String], event: &str) -> usize {
    tale.iter().filter(|told| *told == event).count()
}

/// Where a tale holds an event.
#[track_caller]
pub(crate) fn place(tale: &[String], event: &str) -> usize {
    let found = tale.iter().position(|told| told == event);
    found.unwrap_or_else(|| panic!("no {event} in {tale:#?}"))
}

/// Waits for the end of a handle's workflow.
#[track_caller]
pub(crate) fn ended(handle: &WorkflowHandle) -> impl Future<Output = Result<Workflow, WaitError>> {
    let what = format!("{}: the end of {}", Location::caller(), handle.id());
    let handle = handle.clone();
    async move { within(&what, SOON, handle.wait()).await }
}
