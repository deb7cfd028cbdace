//! What is around the stage: nodes, a client, and looks at what came of a workflow.

use std::panic::Location;

use paceline_client::{Client, WorkflowHandle};
use paceline_node::RunningNode;
use paceline_store::Store;
use paceline_tests::{Env, History, SOON, log, within};
use paceline_types::{Workflow, WorkflowId};
use serde_json::Value;

/// Everything around the stage; its nodes go with it.
pub(crate) struct Theatre {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) nodes: Vec<RunningNode>,
}

impl Theatre {
    pub(crate) async fn without_nodes(env: &Env) -> Theatre {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        Theatre {
            client,
            store,
            nodes: Vec::new(),
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

    /// Checks the whole log against the invariants: each of these workflows ended once, no task
    /// was dispatched twice.
    pub(crate) async fn assert_ended(&self, workflows: &[WorkflowId]) -> History {
        let history = History::read(&self.store).await;
        history.assert_workflows_ended(workflows);
        history
    }
}

/// Waits for the end of a workflow.
#[track_caller]
pub(crate) fn ended(handle: &WorkflowHandle) -> impl Future<Output = Workflow> {
    let caller = Location::caller();
    let handle = handle.clone();
    async move {
        let what = format!("{caller}: the end of {}", handle.id());
        within(&what, SOON, handle.wait()).await.unwrap()
    }
}

/// The output of a workflow that completed.
pub(crate) fn output(workflow: &Workflow) -> Value {
    assert_eq!(workflow.error, None, "{workflow:?}");
    serde_json::from_slice(workflow.output.as_ref().expect("an output")).unwrap()
}

/// How each task stands: `a completed`.
pub(crate) fn tasks(workflow: &Workflow) -> Vec<String> {
    let tasks = workflow.tasks.iter();
    tasks
        .map(|task| format!("{} {}", task.name, task.status))
        .collect()
}
