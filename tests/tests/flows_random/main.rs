//! Random workflows on real Redis: nodes whose handlers play by the script of the oracle, and ends
//! that must be those that the interpreter tells; undisturbed but for a node that stops, and while
//! leaders are killed, workflows sleep, and everything is delivered twice. When they are cancelled as
//! well, everything must be over.
#![cfg(test)]

mod disturb;
mod over;
mod play;
mod told;

use std::time::Duration;

use futures::StreamExt;
use futures::future::{join, join_all};
use paceline_client::{BatchBuilder, BatchHandle, Client, WorkflowHandle};
use paceline_node::{NodeBuilder, Role, RunningNode};
use paceline_orchestrator::oracle::chance::Chance;
use paceline_orchestrator::oracle::generate::{self, Generated, Wish};
use paceline_orchestrator::oracle::interpret::{Told, signal_payload, tell};
use paceline_tests::{
    Env, History, Repeater, SOON, eventually, feature_test, inboxes_empty, live_keys, parked, seed,
    within,
};
use paceline_types::workflow::TaskKind;
use paceline_types::{EventKind, JobStatus, WorkflowStatus};
use tokio::task::JoinHandle;

use disturb::{Disturber, Plan};
use play::{Cast, ITEM};

/// Definitions that nothing disturbs, those that are disturbed, and those that are cancelled too.
const PLAIN: usize = 120;
const DISTURBED: usize = 80;
const CANCELLED: usize = 60;

/// Batches among those that are cancelled.
const BATCHES: usize = 12;

/// For all of them together, in a debug build, on a machine that is busy.
const LONG: Duration = Duration::from_secs(50);

/// For what ends after its workflow.
const LATER: Duration = Duration::from_secs(5);

async fn nodes(cast: &Cast, build: impl Fn() -> NodeBuilder) -> Vec<RunningNode> {
    let started = join_all((0..3).map(|_| cast.on(build()).start())).await;
    started
        .into_iter()
        .map(|node| node.expect("a node"))
        .collect()
}

/// Nodes that never lead, with few places, so that jobs wait in their lanes.
async fn workers(env: &Env, cast: &Cast) -> Vec<RunningNode> {
    nodes(cast, || env.node().roles([Role::Worker]).concurrency(8)).await
}

/// Gives signals to whatever waits for one, until it is aborted.
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

/// A definition that is accepted, and what is told of it.
struct Piece {
    seed: u64,
    generated: Generated,
    told: Told,
}

/// Pieces that a scenario of this name plays.
fn pieces(name: &str, count: usize) -> Vec<Piece> {
    let wish = Wish {
        size: 8,
        depth: 2,
        in_memory: false,
    };
    let mut found = Vec::new();
    let mut at = Chance::of(seed(), name).number();
    while found.len() < count {
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
            found.push(Piece {
                seed: at,
                generated,
                told,
            });
        }
    }
    found
}

/// How many jobs they have, about.
fn jobs(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.told.made.len()).sum()
}

async fn submit(client: &Client, generated: &Generated) -> WorkflowHandle {
    let (definition, input) = (generated.definition.clone(), generated.input.clone());
    client
        .submit_workflow(definition, Some(input))
        .await
        .expect("it is accepted")
}

/// A run of pieces that is under way.
struct Run {
    client: Client,
    pieces: Vec<Piece>,
    handles: Vec<WorkflowHandle>,
    signals: JoinHandle<()>,
}

impl Run {
    async fn begin(env: &Env, pieces: Vec<Piece>) -> Run {
        let client = env.client().await;
        let signals = tokio::spawn(give_signals(client.clone()));
        let submitted = pieces.iter().map(|piece| submit(&client, &piece.generated));
        let handles = join_all(submitted).await;
        Run {
            client,
            pieces,
            handles,
            signals,
        }
    }

    /// Waits for the ends of all.
    async fn ends(&self) {
        let ends = self.handles.iter().map(|handle| async {
            let ended = handle.wait().await;
            ended.unwrap_or_else(|error| panic!("{}: {error}", handle.id()))
        });
        within("the end of all", LONG, join_all(ends)).await;
    }

    /// All of them are, or come to be, as they were told.
    async fn assert_as_told(&self, cast: &Cast) {
        for (piece, handle) in self.pieces.iter().zip(&self.handles) {
            let Piece {
                seed,
                generated,
                told,
            } = piece;
            let json = serde_json::to_string(&generated.definition).expect("json");
            let what = format!("seed {seed} is as told, of {}: {json}", generated.input);
            // Hooks, and children that are cancelled, end a little later.
            eventually(&what, LATER, async || {
                told::check(&self.client, &cast.runs, told, handle.id()).await
            })
            .await;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.signals.abort();
    }
}

/// Batches of items of which some fail.
async fn submit_batches(client: &Client, chance: &mut Chance) -> Vec<BatchHandle> {
    let mut handles = Vec::new();
    for number in 0..BATCHES {
        let good: Vec<bool> = (0..=chance.below(50)).map(|_| !chance.percent(5)).collect();
        let items = good.into_iter().enumerate();
        let mut batch = BatchBuilder::new(format!("batch {number}"), ITEM)
            .items(items.map(|(n, good)| (format!("i{n}"), good)))
            .chunk_size(u32::try_from(1 + chance.below(20)).expect("few"));
        if chance.percent(50) {
            batch = batch.onetime(ITEM, true);
        }
        if chance.percent(30) {
            batch = batch.fail_fast();
        }
        handles.push(client.submit_batch(batch).await.expect("accepted"));
    }
    handles
}

async fn stop(nodes: Vec<RunningNode>) {
    join_all(nodes.into_iter().map(RunningNode::stop)).await;
}

feature_test! {
    /// Rows 65 to 90, W14 to W22, invariant 5, on real Redis.
    async fn random_workflows_end_as_the_interpreter_says(env: Env) {
        let cast = Cast::default();
        let mut nodes = nodes(&cast, || env.node()).await;
        let run = Run::begin(&env, pieces("plain", PLAIN)).await;
        // Whatever it leads goes to the others, in the middle of all this.
        nodes.remove(0).stop().await;
        run.ends().await;
        run.assert_as_told(&cast).await;
        stop(nodes).await;
    }

    /// Rows 66, 85 and 101, W4, W7 and W8: leaders that are killed, workflows that sleep for a while,
    /// and entries and posts that come twice change no end and repeat nothing.
    async fn disturbed_workflows_end_as_the_interpreter_says(env: Env) {
        const KILLS: usize = 2;
        let pieces = pieces("disturbed", DISTURBED);
        let mut chance = Chance::of(seed(), "disturbed moments");
        let plan = Plan {
            suspended: 8,
            ..Plan::default()
        };
        let plan = plan.killing(KILLS, jobs(&pieces), &mut chance);
        let (cast, begun) = Cast::prompted();
        let disturber = Disturber::new(&env, plan, chance, begun).await;
        let repeater = Repeater::with_posts(&env).await;
        let run = Run::begin(&env, pieces).await;
        let nodes = workers(&env, &cast).await;
        let (deeds, _leaders) = disturber.until(run.ends()).await;
        println!("{deeds:?}, {} repeated", repeater.count());
        run.assert_as_told(&cast).await;
        inboxes_empty(&env).await;
        assert_eq!(parked(&env).await, Vec::<String>::new());
        let store = env.store().await;
        let history = History::read(&store).await;
        let ids = over::all(&run.client).await;
        over::assert_each_event_once(&history, &ids);
        over::assert_sleepers_begin_nothing(&history);
        let fresh = usize::from(env.shards()) + KILLS;
        assert!(history.count(&EventKind::LeaderElected) >= fresh, "no kill bit");
        assert_eq!(deeds.kills, KILLS);
        assert!(deeds.suspended > 0 && deeds.resumed > 0, "{deeds:?}");
        assert!(repeater.count() > DISTURBED, "only {} were repeated", repeater.count());
        stop(nodes).await;
    }

    /// Rows 80, 85, 86 and 99: whatever is cancelled at whichever moment, with whatever is under it,
    /// is over then, was told once, and leaves nothing.
    async fn what_is_cancelled_at_any_moment_is_over(env: Env) {
        const KILLS: usize = 1;
        let pieces = pieces("cancelled", CANCELLED);
        let mut chance = Chance::of(seed(), "cancelled moments");
        let client = env.client().await;
        let batches = submit_batches(&client, &mut chance).await;
        let plan = Plan {
            suspended: 4,
            cancelled: 70,
            ..Plan::default()
        };
        let plan = plan.killing(KILLS, jobs(&pieces) / 3, &mut chance);
        let (cast, begun) = Cast::prompted();
        let disturber = Disturber::new(&env, plan, chance, begun).await;
        let repeater = Repeater::with_posts(&env).await;
        let run = Run::begin(&env, pieces).await;
        let nodes = workers(&env, &cast).await;
        let items = join_all(batches.iter().map(BatchHandle::wait));
        let items = within("the end of the batches", LONG, items);
        let (deeds, _leaders) = disturber.until(join(run.ends(), items)).await;
        println!("{deeds:?}, {} repeated", repeater.count());
        let ids = eventually("all of it is over", SOON, async || over::over(&client).await).await;
        inboxes_empty(&env).await;
        eventually("nothing is left", SOON, async || match live_keys(&env).await {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        }).await;
        assert_eq!(parked(&env).await, Vec::<String>::new());
        let store = env.store().await;
        let history = History::read(&store).await;
        over::assert_each_event_once(&history, &ids);
        over::assert_sleepers_begin_nothing(&history);
        over::assert_exits(&client, &history, &ids).await;
        over::assert_batches(&history, &batches).await;
        assert_eq!(history.open_jobs(), []);
        assert_eq!(deeds.kills, KILLS);
        assert!(deeds.cancelled > CANCELLED / 3, "{deeds:?}");
        stop(nodes).await;
    }
}
