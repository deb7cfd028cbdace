//! What the reference system got wrong, and what nobody thinks of: one workflow with everything in
//! it under faults, and moments that meet.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use paceline_client::{Client, IntoDefinition, Step, Tasks, Workflow, WorkflowHandle};
use paceline_node::builtin::{self, BuiltinOptions};
use paceline_node::{Context, HandlerOptions, NodeBuilder, RunningNode};
use paceline_store::Store;
use paceline_tests::{Env, Gate, Notes, Pen, SOON, attempts, eventually, log, notes, within};
use paceline_types::{Bytes, Event, JobError, Outcome, WorkflowId, WorkflowStatus};
use serde_json::Value;

mod ends;
mod lost;
mod meet;
mod parts;
mod signals;
mod still;
mod whole;

/// How often each start of a task ran: its workflow, name and iteration.
type Runs = Arc<Mutex<BTreeMap<(WorkflowId, String, u32), usize>>>;

/// A node that counts what it runs, and a client.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) gate: Gate,
    pub(crate) begun: Notes<(String, u32)>,
    runs: Runs,
    state: State,
    node: Option<RunningNode>,
}

#[derive(Clone)]
struct State {
    runs: Runs,
    gate: Gate,
    pen: Pen<(String, u32)>,
}

impl Bench {
    pub(crate) async fn open(env: &Env) -> Bench {
        let mut bench = Bench::idle(env.store().await);
        bench.work(env.node()).await;
        bench
    }

    /// Without a node, so that nobody leads.
    pub(crate) fn idle(store: Store) -> Bench {
        let (pen, begun) = notes();
        let state = State {
            runs: Runs::default(),
            gate: Gate::default(),
            pen,
        };
        Bench {
            client: Client::from_store(store.clone()),
            store,
            gate: state.gate.clone(),
            begun,
            runs: state.runs.clone(),
            state,
            node: None,
        }
    }

    /// Puts a node to work.
    pub(crate) async fn work(&mut self, node: NodeBuilder) {
        let once = HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        let serve = |node: NodeBuilder, name: &str, state: State| {
            node.handle_raw(name, once.clone(), move |context, payload| {
                run(state.clone(), context, payload)
            })
        };
        let node = builtin::register(node, BuiltinOptions::default()).unwrap();
        let node = serve(node, "tell", self.state.clone());
        let node = serve(node, "hold", self.state.clone());
        let node = serve(node, "stay", self.state.clone());
        let node = serve(node, "late", self.state.clone());
        self.node = Some(node.start().await.unwrap());
    }

    pub(crate) async fn submit(
        &self,
        workflow: impl IntoDefinition,
        input: Value,
    ) -> WorkflowHandle {
        let input = (!input.is_null()).then_some(input);
        self.client.submit_workflow(workflow, input).await.unwrap()
    }

    /// Workflows of this status, or all.
    pub(crate) async fn all(&self, status: Option<WorkflowStatus>) -> Vec<Workflow> {
        let found = self.client.workflows(status).stream();
        found.try_collect().await.unwrap()
    }

    /// Everything that the log holds of workflows, and how the jobs of their tasks went.
    pub(crate) async fn events(&self) -> Vec<Event> {
        log(&self.store).await
    }

    /// The events of one workflow, in order: `workflow.task.dispatched a`.
    pub(crate) async fn tale(&self, id: WorkflowId) -> Vec<String> {
        let events = self.events().await.into_iter();
        let of_it = events.filter(|event| event.workflow_id == Some(id));
        of_it.map(|event| told(&event)).collect()
    }

    /// Waits until the tale of a workflow holds an event so often.
    #[track_caller]
    pub(crate) fn told(
        &self,
        id: WorkflowId,
        event: &str,
        times: usize,
    ) -> impl Future<Output = ()> {
        let what = format!("{}: {event}", Location::caller());
        async move {
            eventually(&what, SOON, async || {
                let tale = self.tale(id).await;
                if count(&tale, event) >= times {
                    Ok(())
                } else {
                    Err(tale)
                }
            })
            .await;
        }
    }

    /// That no start of a task ran twice, and how many there were.
    #[track_caller]
    pub(crate) fn ran_once(&self) -> usize {
        let runs = self.runs.lock().unwrap();
        let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "these ran more than once: {twice:?}");
        runs.len()
    }

    pub(crate) async fn stop(self) {
        if let Some(node) = self.node {
            node.stop().await;
        }
    }
}

/// Answers its payload: at once, or once the test lets it. A `late` one fails at its first start.
async fn run(state: State, context: Context, payload: Bytes) -> Outcome {
    let name = context.workflow_task().unwrap().to_string();
    let iteration = context.workflow_iteration().unwrap();
    let start = (context.workflow_id().unwrap(), name.clone(), iteration);
    *state.runs.lock().unwrap().entry(start).or_default() += 1;
    state.pen.note((name, iteration));
    match context.task_type().as_str() {
        "late" if iteration == 0 => Err(JobError::permanent("not yet")),
        "stay" => {
            state.gate.pass().await;
            Ok(payload)
        }
        "hold" => tokio::select! {
            () = state.gate.pass() => Ok(payload),
            () = context.cancelled() => Err(JobError::retryable("cancelled")),
        },
        _ => Ok(payload),
    }
}

fn told(event: &Event) -> String {
    match &event.workflow_task {
        Some(task) => format!("{} {task}", event.kind),
        None => event.kind.to_string(),
    }
}

/// How often a tale holds an event.
pub(crate) fn count(tale: &[String], event: &str) -> usize {
    tale.iter().filter(|told| *told == event).count()
}

/// A task that answers its payload.
pub(crate) fn tell(name: &str, payload: Value) -> Step {
    Step::new(name, "tell").payload(payload)
}

/// A task that waits for the test.
pub(crate) fn hold(name: &str) -> Step {
    Step::new(name, "hold").payload(name)
}

/// A subflow whose handler answers these tasks.
pub(crate) fn plan(name: &str, steps: impl IntoIterator<Item = Step>) -> Step {
    Step::subflow(name, "tell").payload(steps.into_iter().collect::<Tasks<Step>>())
}

/// Waits for the end of a handle's workflow.
#[track_caller]
pub(crate) fn ended(handle: &WorkflowHandle) -> impl Future<Output = Workflow> {
    let what = format!("{}: the end of {}", Location::caller(), handle.id());
    let handle = handle.clone();
    async move { within(&what, LONG, handle.wait()).await.unwrap() }
}

/// For what is disturbed all the time.
const LONG: Duration = Duration::from_secs(45);
