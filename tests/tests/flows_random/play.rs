//! The handlers of the suite: tasks play by the script of the oracle, items by their payload. Each
//! tells whoever disturbs the run that it has begun, and goes on when it is let.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paceline_node::{Context, HandlerOptions, NodeBuilder};
use paceline_orchestrator::oracle::generate::TASK_TYPE;
use paceline_orchestrator::oracle::script::{self, Act, Call};
use paceline_tests::{Serve, attempts};
use paceline_types::workflow::Hook;
use paceline_types::{BatchId, Bytes, JobError, Outcome, WorkflowId};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// The task type of items of batches.
pub(crate) const ITEM: &str = "item";

/// A start of a task of a workflow.
type Run = (WorkflowId, String, u32);

/// How often each start of each task ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Arc<Mutex<BTreeMap<Run, u32>>>);

impl Runs {
    fn note(&self, context: &Context) -> Option<(String, u32)> {
        let task = context.workflow_task()?.to_string();
        let iteration = context.workflow_iteration()?;
        let run = (context.workflow_id()?, task.clone(), iteration);
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *runs.entry(run).or_default() += 1;
        Some((task, iteration))
    }

    /// Of one workflow.
    pub(crate) fn of(&self, id: WorkflowId) -> BTreeMap<(String, u32), u32> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = runs.iter().filter(|((workflow, ..), _)| *workflow == id);
        own.map(|((_, task, iteration), times)| ((task.clone(), *iteration), *times))
            .collect()
    }
}

/// What a job is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Workflow(WorkflowId),
    Batch(BatchId),
}

/// A job has begun; it goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) of: Owner,
    _held: oneshot::Sender<()>,
}

/// What the handlers share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cast {
    pub(crate) runs: Runs,
    /// Who is told, if anybody is.
    prompter: Option<mpsc::UnboundedSender<Begun>>,
}

impl Cast {
    /// One that tells of each job that begins.
    pub(crate) fn prompted() -> (Cast, mpsc::UnboundedReceiver<Begun>) {
        let (sender, begun) = mpsc::unbounded_channel();
        let cast = Cast {
            prompter: Some(sender),
            ..Cast::default()
        };
        (cast, begun)
    }

    /// A node with these handlers, which try each job once.
    pub(crate) fn on(&self, node: NodeBuilder) -> NodeBuilder {
        let once = || HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        node.serve(TASK_TYPE, once(), self.clone(), play)
            .serve(ITEM, once(), self.clone(), item)
    }

    async fn tell(&self, of: Owner) {
        let Some(prompter) = &self.prompter else {
            return;
        };
        let (_held, let_go) = oneshot::channel();
        if prompter.send(Begun { of, _held }).is_ok() {
            // Nothing is ever sent: it is dropped.
            let _ = let_go.await;
        }
    }
}

async fn play(cast: Cast, context: Context, payload: Bytes) -> Outcome {
    let (task, iteration) = cast.runs.note(&context).expect("a task of a workflow");
    let workflow = context.workflow_id().expect("a task of a workflow");
    cast.tell(Owner::Workflow(workflow)).await;
    let given: Value = serde_json::from_slice(&payload)?;
    let act = if Hook::of_task_name(&task).is_some() {
        script::act_of_hook(&task, &given)
    } else {
        let input = context.workflow_input().await?;
        let input: Value = serde_json::from_slice(input.as_deref().unwrap_or(b"null"))?;
        script::act(&Call {
            headers: context.headers(),
            task: &task,
            iteration,
            attempt: 1,
            input: &input,
        })
    };
    match act {
        Act::Value(value) => Ok(value.to_string().into()),
        Act::Echo => Ok(payload),
        Act::Continue(value) => Err(JobError::continue_as_new(value)),
        Act::Dead(error) => Err(JobError::permanent(error)),
        Act::Panic(error) => panic!("{error}"),
        Act::Skip(reason) => Err(JobError::skip(reason)),
        Act::Cancel => Err(JobError::permanent("nobody is there to cancel it")),
    }
}

/// An item fails if its payload says so.
async fn item(cast: Cast, context: Context, payload: Bytes) -> Outcome {
    let batch = context.batch_id().expect("an item of a batch");
    cast.tell(Owner::Batch(batch)).await;
    let given: Value = serde_json::from_slice(&payload)?;
    // With a onetime task there is its result around it.
    match given.get("original").unwrap_or(&given) {
        Value::Bool(false) => Err(JobError::permanent("boom")),
        _ => Ok(payload),
    }
}
