//! Random workflows on real Redis: three nodes, one handler that plays by the script of the
//! oracle, and ends that must be those that the interpreter tells.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use paceline_client::{Client, WorkflowHandle};
use paceline_node::{Context, HandlerOptions, RunningNode};
use paceline_orchestrator::oracle::chance::Chance;
use paceline_orchestrator::oracle::generate::{self, Generated, TASK_TYPE, Wish};
use paceline_orchestrator::oracle::interpret::{Kind, Start, Told, signal_payload, tell};
use paceline_orchestrator::oracle::judge::{bare, same_value};
use paceline_orchestrator::oracle::script::{self, Act, Call};
use paceline_tests::{Env, attempts, eventually, feature_test, seed, within};
use paceline_types::workflow::{Hook, TaskKind, TaskState};
use paceline_types::{Bytes, JobError, JobStatus, Outcome, Workflow, WorkflowId, WorkflowStatus};
use serde_json::Value;

/// Definitions of one run.
const DEFINITIONS: usize = 200;

/// For all of them together, in a debug build, on a machine that is busy.
const LONG: Duration = Duration::from_secs(50);

/// A start of a task of a workflow.
type Run = (WorkflowId, String, u32);

/// For what ends after its workflow.
const LATER: Duration = Duration::from_secs(5);

/// How often each start of each task ran.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<Mutex<BTreeMap<Run, u32>>>);

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
    fn of(&self, id: WorkflowId) -> BTreeMap<(String, u32), u32> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = runs.iter().filter(|((workflow, ..), _)| *workflow == id);
        own.map(|((_, task, iteration), times)| ((task.clone(), *iteration), *times))
            .collect()
    }
}

async fn play(runs: Runs, context: Context, payload: Bytes) -> Outcome {
    let (task, iteration) = runs.note(&context).expect("a task of a workflow");
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

async fn nodes(env: &Env, runs: &Runs) -> Vec<RunningNode> {
    let node = || {
        let runs = runs.clone();
        let options = HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        let node = env
            .node()
            .handle_raw(TASK_TYPE, options, move |context, payload| {
                play(runs.clone(), context, payload)
            });
        node.start()
    };
    let started = join_all((0..3).map(|_| node())).await;
    started
        .into_iter()
        .map(|node| node.expect("a node"))
        .collect()
}

/// Gives signals to whatever waits for one, until it is dropped.
async fn give_signals(client: Client) {
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    loop {
        looks.tick().await;
        let mut listing = client.workflows(Some(WorkflowStatus::Running)).stream();
        while let Some(Ok(workflow)) = listing.next().await {
            let Ok(Some(workflow)) = client.workflow(workflow.id).await else {
                continue;
            };
            let waits = workflow
                .tasks
                .iter()
                .any(|task| task.kind == TaskKind::Signal && task.status == JobStatus::Running);
            if waits {
                for name in ["given", "other"] {
                    // It may have ended since.
                    let _ = client.signal(workflow.id, name, signal_payload(name)).await;
                }
            }
        }
    }
}

/// Whether a task stands as it was told.
fn is_as_told(kind: Kind, task: &TaskState) -> bool {
    let passed_by = task.skip_reason.as_deref() == Some("no route led here");
    match kind {
        Kind::Completed => task.status == JobStatus::Completed && !task.skipped,
        Kind::Routed(route) => {
            task.status == JobStatus::Completed && task.condition_route == route && !task.skipped
        }
        Kind::Skipped => task.status == JobStatus::Completed && task.skipped && !passed_by,
        Kind::Bypassed => task.status == JobStatus::Completed && task.skipped && passed_by,
        Kind::FailedAllowed | Kind::Dead => task.status == JobStatus::Dead && task.error.is_some(),
        Kind::Cancelled => task.status == JobStatus::Cancelled,
    }
}

/// Compares a workflow and its children with what was told of them.
async fn check(client: &Client, runs: &Runs, told: &Told, id: WorkflowId) -> Result<(), String> {
    let seen = client
        .workflow_with_elements(id)
        .await
        .map_err(|error| error.to_string())?;
    let seen = seen.ok_or("it is gone")?;
    if seen.status != told.status {
        return Err(format!(
            "{id} is {}, not {}: {:?}",
            seen.status, told.status, seen.error
        ));
    }
    let stands: BTreeMap<&str, &TaskState> = seen
        .tasks
        .iter()
        .map(|task| (task.name.as_str(), task))
        .collect();
    let whole = seen.status != WorkflowStatus::Failed;
    for start in &told.last {
        let Some(task) = stands.get(bare(&start.0)) else {
            match whole {
                true => return Err(format!("{id}: there is no task {}", start.0)),
                false => continue,
            }
        };
        if !whole && matches!(task.status, JobStatus::Cancelled) {
            continue;
        }
        // A run that failed may have come to an earlier start only.
        let start: Start = (start.0.clone(), task.iteration);
        let end = told
            .ends
            .get(&start)
            .ok_or(format!("{id}: {start:?} was not told"))?;
        if !is_as_told(end.kind, task) {
            return Err(format!("{id}: {task:?} is not {end:?}"));
        }
    }
    check_runs(&seen, runs, told, whole)?;
    if whole {
        let last: BTreeSet<&str> = told.last.iter().map(|start| bare(&start.0)).collect();
        if let Some(more) = stands.keys().find(|name| !last.contains(*name)) {
            return Err(format!("{id}: {more} was not told"));
        }
    }
    let open = seen.tasks.iter().find(|task| !task.status.is_terminal());
    if let Some(task) = open {
        return Err(format!("{id} has ended, but {task:?}"));
    }
    if seen.status == WorkflowStatus::Completed {
        let output = seen.output.as_deref().unwrap_or(b"null");
        let output = serde_json::from_slice(output).map_err(|error| error.to_string())?;
        if !same_value(&output, &told.output) {
            return Err(format!("{id}: its output is {output}, not {}", told.output));
        }
    }
    for task in &seen.tasks {
        let Some(child) = task.child_workflow_id else {
            continue;
        };
        let of_it =
            |start: &&Start| bare(&start.0) == task.name.as_str() && start.1 == task.iteration;
        let told = told
            .children
            .keys()
            .find(of_it)
            .map(|start| &told.children[start]);
        if let Some(told) = told
            && whole
        {
            Box::pin(check(client, runs, told, child)).await?;
        }
    }
    match (&told.next, seen.continued_to) {
        (Some(told), Some(next)) => Box::pin(check(client, runs, told, next)).await,
        (None, None) => Ok(()),
        (_, next) => Err(format!("{id} goes on as {next:?}")),
    }
}

/// Each start ran at most once, and only those that were told; of a whole workflow, all of them.
fn check_runs(seen: &Workflow, runs: &Runs, told: &Told, whole: bool) -> Result<(), String> {
    let id = seen.id;
    let mut told_runs: BTreeSet<(String, u32)> = BTreeSet::new();
    for start in &told.made {
        let is_child = told.children.contains_key(start);
        // One whose payload cannot be made does not come to its handler.
        let end = told.ends.get(start);
        let unmade = end
            .and_then(|end| end.error.as_deref())
            .is_some_and(|error| error.starts_with("payload: "));
        if !is_child && !unmade {
            told_runs.insert((bare(&start.0).to_owned(), start.1));
        }
    }
    let runs = runs.of(id);
    if let Some((run, times)) = runs.iter().find(|(_, times)| **times != 1) {
        // Sections of one name in several starts of their generator have the same names.
        let many = told
            .made
            .iter()
            .filter(|start| bare(&start.0) == run.0)
            .count();
        if many <= 1 {
            return Err(format!("{id}: {run:?} ran {times} times"));
        }
    }
    let is_hook = |task: &str| Hook::of_task_name(task).is_some();
    let ran: BTreeSet<(String, u32)> = runs
        .keys()
        .filter(|(task, _)| !is_hook(task))
        .cloned()
        .collect();
    if let Some(run) = ran.difference(&told_runs).next() {
        return Err(format!("{id}: {run:?} should not have run"));
    }
    if let Some(run) = told_runs.difference(&ran).next().filter(|_| whole) {
        return Err(format!("{id}: {run:?} should have run"));
    }
    let hooks: BTreeSet<&str> = runs
        .keys()
        .filter(|(task, _)| is_hook(task))
        .map(|(task, _)| task.as_str())
        .collect();
    let wanted: BTreeSet<String> = told.hooks.iter().map(|hook| hook.task_name()).collect();
    if hooks != wanted.iter().map(String::as_str).collect() {
        return Err(format!("{id}: hooks {hooks:?}, not {wanted:?}"));
    }
    Ok(())
}

/// Accepted definitions, with what is told of them.
fn definitions(seed: u64) -> Vec<(u64, Generated, Told)> {
    let wish = Wish {
        size: 8,
        depth: 2,
        in_memory: false,
    };
    let mut found = Vec::new();
    let mut at = seed;
    while found.len() < DEFINITIONS {
        at = at.wrapping_add(1);
        let generated = generate::definition(at, wish);
        if generated.definition.validate(256 << 10).is_err() {
            continue;
        }
        let told = tell(
            &generated.definition,
            &generated.input,
            &mut Chance::new(at),
        );
        if let Ok(told) = told
            && told.steps < 60
        {
            found.push((at, generated, told));
        }
    }
    found
}

async fn submit(client: &Client, generated: &Generated) -> WorkflowHandle {
    let (definition, input) = (generated.definition.clone(), generated.input.clone());
    client
        .submit_workflow(definition, Some(input))
        .await
        .expect("it is accepted")
}

feature_test! {
    /// Rows 65 to 90, W14 to W22, invariant 5, on real Redis.
    async fn random_workflows_end_as_the_interpreter_says(env: Env) {
        let runs = Runs::default();
        let mut nodes = nodes(&env, &runs).await;
        let client = env.client().await;
        let signals = tokio::spawn(give_signals(client.clone()));
        let definitions = definitions(seed());
        let submitted = definitions.iter().map(|(_, generated, _)| submit(&client, generated));
        let handles = join_all(submitted).await;
        // Whatever it leads goes to the others, in the middle of all this.
        nodes.remove(0).stop().await;
        let ends = join_all(handles.iter().map(WorkflowHandle::wait));
        within("the end of all", LONG, ends).await;
        for ((seed, generated, told), handle) in definitions.iter().zip(&handles) {
            let json = serde_json::to_string(&generated.definition).expect("json");
            let what = format!("seed {seed} is as told, of {}: {json}", generated.input);
            // Hooks, and children that are cancelled, end a little later.
            eventually(&what, LATER, async || check(&client, &runs, told, handle.id()).await).await;
        }
        signals.abort();
        for node in nodes {
            node.stop().await;
        }
    }
}
