//! Code of the application that is told of what happens in the cluster (row 112).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_node::{Context, NodeBuilder};
use paceline_store::calls::callbacks::{CallbackPlace, CallbackRefusal, CallbacksLost};
use paceline_store::{CallError, Store};
use paceline_tests::{
    Backend, Env, Gate, Look, Notes, Pen, Proxy, SOON, Serve, eventually, feature_test, log, notes,
    shared_redis,
};
use paceline_types::event::EventCursor;
use paceline_types::{Event, EventKind, JobError, JobStatus, NodeId, NodeInfo, ShardIndex};
use serde_json::json;

use crate::{LONG, done, options, tried};

/// Which node was told, and of what.
type Told = (&'static str, Event);

/// A node that tells the test of every event.
fn telling(node: NodeBuilder, name: &'static str, pen: &Pen<Told>) -> NodeBuilder {
    let pen = pen.clone();
    node.on_any(move |event: Event| {
        let pen = pen.clone();
        async move { pen.note((name, event)) }
    })
}

/// Waits until callbacks are called in every shard. Returns where each log stands then.
async fn awake(
    client: &Client,
    store: &Store,
    told: &mut Notes<Told>,
) -> BTreeMap<ShardIndex, EventCursor> {
    let mut seen = BTreeMap::new();
    eventually("callbacks are called in every shard", SOON, async || {
        client.submit_raw("good", json!(0)).await.unwrap();
        seen.extend(
            told.rest()
                .into_iter()
                .map(|(_, event)| (event.shard, event.cursor)),
        );
        seen.len() == usize::from(store.shards())
    })
    .await;
    seen
}

/// What the log holds after these places.
async fn since(store: &Store, places: &BTreeMap<ShardIndex, EventCursor>) -> Vec<Event> {
    let events = log(store).await.into_iter();
    events
        .filter(|event| event.cursor > places[&event.shard])
        .collect()
}

/// Waits until every event after these places was told. Returns how often each was.
async fn all_told(
    store: &Store,
    places: &BTreeMap<ShardIndex, EventCursor>,
    told: &mut Notes<Told>,
    earlier: BTreeMap<(ShardIndex, EventCursor), Vec<&'static str>>,
) -> BTreeMap<(ShardIndex, EventCursor), Vec<&'static str>> {
    let mut counts = earlier;
    eventually("every event is told", SOON, async || {
        for (name, event) in told.rest() {
            counts
                .entry((event.shard, event.cursor))
                .or_default()
                .push(name);
        }
        let missing: Vec<_> = since(store, places)
            .await
            .into_iter()
            .filter(|event| !counts.contains_key(&(event.shard, event.cursor)))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing)
        }
    })
    .await;
    counts
}

feature_test! {
    /// Contract row 112, trap W43: each kind that the log has, once, for transitions of any node,
    /// though another callback panics at each of them.
    async fn every_event_reaches_the_callbacks_once(env: Env) {
        let (pen, mut told) = notes();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let (dead, mut buried) = notes();
        let listens = env
            .node()
            .on_any(async |event: Event| panic!("of {}", event.kind))
            .on(EventKind::JobDead, move |event: Event| {
                let dead = dead.clone();
                async move { dead.note(event.job_id) }
            });
        let listens = telling(listens, "listens", &pen).start().await.unwrap();
        let works = env
            .node()
            .handle_raw("good", options(), async |_, _| Ok(done()))
            .handle_raw("bad", tried(2), async |_, _| Err(JobError::retryable("no")))
            .handle_raw("waits", tried(2), async |context: Context, _| match context.run() {
                1 => Err(JobError::pause(None, "later")),
                _ => Ok(done()),
            })
            .start()
            .await
            .unwrap();
        let places = awake(&client, &store, &mut told).await;

        let bad = client.submit_raw("bad", json!(1)).await.unwrap();
        client.ended(bad.id()).await;
        let waits = client.submit_raw("waits", json!(1)).await.unwrap();
        client.until(waits.id(), JobStatus::Paused).await;
        client.resume(waits.id()).await.unwrap();
        client.ended(waits.id()).await;
        let nobody = client.submit_raw("nobody", json!(1)).await.unwrap();
        client.cancel(nobody.id()).await.unwrap();
        for task_type in ["good", "bad"] {
            let flow = WorkflowBuilder::new("w").task(Step::new("one", task_type));
            let flow = client.submit_workflow(flow, None).await.unwrap();
            flow.wait().await.unwrap();
        }
        let counts = all_told(&store, &places, &mut told, BTreeMap::new()).await;
        for event in since(&store, &places).await {
            assert_eq!(counts[&(event.shard, event.cursor)], ["listens"], "{event:?}");
        }
        let kinds: BTreeSet<_> = since(&store, &places).await.into_iter().map(|it| it.kind).collect();
        for kind in [
            EventKind::JobCompleted,
            EventKind::JobFailed,
            EventKind::JobDead,
            EventKind::JobPaused,
            EventKind::JobResumed,
            EventKind::JobCancelled,
            EventKind::WorkflowCompleted,
            EventKind::WorkflowFailed,
        ] {
            assert!(kinds.contains(&kind), "{kind} is among {kinds:?}");
        }
        let buried: BTreeSet<_> = buried.take(2).await.into_iter().collect();
        assert!(buried.contains(&Some(bad.id())));
        listens.stop().await;
        works.stop().await;
    }

    /// Contract row 112, trap W43: each event is told on one node; when that one is gone without a
    /// word, another one goes on, and no event is left out.
    async fn callbacks_survive_the_node_that_called_them(env: Env) {
        let (pen, mut told) = notes();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let node = || env.node().lease(LONG).leader_lease(Duration::from_secs(1));
        let works = node().handle_raw("good", options(), async |_, _| Ok(done()));
        let works = works.start().await.unwrap();
        let first = telling(node(), "first", &pen).start().await.unwrap();
        let places = awake(&client, &store, &mut told).await;
        let other = telling(node(), "second", &pen).start().await.unwrap();
        let submit = async |count: usize| {
            for n in 0..count {
                client.submit_raw("good", json!(n)).await.unwrap();
            }
        };
        submit(30).await;
        let counts = all_told(&store, &places, &mut told, BTreeMap::new()).await;
        assert!(counts.values().all(|names| *names == ["first"]), "{counts:?}");

        submit(30).await;
        let gone = first.id();
        drop(first);
        env.lapse(gone).await;
        submit(30).await;
        let counts = all_told(&store, &places, &mut told, counts).await;
        assert!(counts.values().any(|names| names.contains(&"second")));
        other.stop().await;
        works.stop().await;
    }

    /// Contract rows 46 and 112: a node that stops gives them back; nothing is told twice, and what
    /// happens while nobody is there is told later.
    async fn callbacks_are_handed_over_by_a_node_that_stops(env: Env) {
        let (pen, mut told) = notes();
        let gate = Gate::default();
        gate.open();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let works = env.node().serve("good", options(), gate, async |gate: Gate, _, _| {
            gate.pass().await;
            Ok(done())
        });
        let works = works.start().await.unwrap();
        let first = telling(env.node().lease(LONG), "first", &pen).start().await.unwrap();
        let places = awake(&client, &store, &mut told).await;
        first.stop().await;
        for n in 0..20 {
            let job = client.submit_raw("good", json!(n)).await.unwrap();
            job.wait().await.unwrap();
        }
        let second = telling(env.node(), "second", &pen).start().await.unwrap();
        let counts = all_told(&store, &places, &mut told, BTreeMap::new()).await;
        let twice: Vec<_> = counts.iter().filter(|(_, names)| names.len() > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        second.stop().await;
        works.stop().await;
    }

    /// Contract row 112: history that was trimmed before it could be told is passed over, and what
    /// follows is told.
    async fn callbacks_go_on_where_the_log_was_trimmed(env: Env) {
        let (pen, mut told) = notes();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let works = env.node().handle_raw("good", options(), async |_, _| Ok(done()));
        let works = works.start().await.unwrap();
        let first = telling(env.node(), "first", &pen).start().await.unwrap();
        let places = awake(&client, &store, &mut told).await;
        first.stop().await;
        let happens = async || {
            for n in 0..12 {
                let job = client.submit_raw("good", json!(n)).await.unwrap();
                job.wait().await.unwrap();
            }
        };
        happens().await;
        let mut raw = env.raw().await;
        for key in env.keys().await.iter().filter(|key| key.ends_with("}:events")) {
            let mut trim = redis::cmd("XTRIM");
            trim.arg(key).arg("MAXLEN").arg(1);
            let trimmed: u64 = trim.query_async(&mut raw).await.unwrap();
            assert!(trimmed > 0, "{key}");
        }
        told.rest();
        let second = telling(env.node(), "second", &pen).start().await.unwrap();
        happens().await;
        let counts = all_told(&store, &places, &mut told, BTreeMap::new()).await;
        assert!(counts.values().all(|names| names.len() == 1), "{counts:?}");
        second.stop().await;
        works.stop().await;
    }

    /// Contract row 112: one node calls at a time; one that lost the right notes nothing, and the
    /// next one begins where the last one noted.
    async fn one_node_calls_and_notes_at_a_time(env: Env) {
        let store = env.store().await;
        let shard = store.each_shard().last().unwrap();
        let join = async |number: u64, lease: Duration| {
            let node_id = NodeId::from_parts(1, shard, number);
            let told = json!({ "node_id": node_id, "task_types": [] });
            let info: NodeInfo = serde_json::from_value(told).unwrap();
            store.join(shard, &info, lease).await.unwrap();
            node_id
        };
        let (one, two) = (join(1, LONG).await, join(2, LONG).await);
        let end = store.last_event(shard).await.unwrap().unwrap();
        let begun = store.take_callbacks(shard, one).await.unwrap();
        let entry = |cursor: EventCursor| (cursor.millis, cursor.sequence);
        assert_eq!((entry(begun.cursor), begun.passed), (entry(end), 2));
        assert!(begun.cursor > end, "past everything that had happened");
        assert_eq!(store.take_callbacks(shard, one).await.unwrap(), begun, "a lost reply");

        let held = store.take_callbacks(shard, two).await;
        assert!(matches!(held, Err(CallError::Refused(CallbackRefusal::Held))), "{held:?}");
        let stranger = NodeId::from_parts(1, shard, 9);
        let gone = store.take_callbacks(shard, stranger).await;
        assert!(matches!(gone, Err(CallError::Refused(CallbackRefusal::Gone))), "{gone:?}");
        let lost = store.save_callbacks(shard, two, begun, false).await;
        assert!(matches!(lost, Err(CallError::Refused(CallbacksLost))), "{lost:?}");

        let reached = CallbackPlace { cursor: EventCursor { index: 0, ..end }, passed: 1 };
        store.save_callbacks(shard, one, reached, true).await.unwrap();
        assert_eq!(store.take_callbacks(shard, two).await.unwrap(), reached);
        let lost = store.save_callbacks(shard, one, begun, false).await;
        assert!(matches!(lost, Err(CallError::Refused(CallbacksLost))), "{lost:?}");
        store.save_callbacks(shard, two, reached, true).await.unwrap();

        // The lease of the holder decides, and no leader is needed to see it end.
        let three = join(3, Duration::from_millis(1)).await;
        store.take_callbacks(shard, three).await.unwrap();
        let taken = async || store.take_callbacks(shard, two).await.is_ok();
        eventually("the lease of the holder is over", SOON, taken).await;
    }

    /// Without callbacks nothing is read and nothing is stored for them.
    async fn callbacks_cost_nothing_where_there_are_none(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("good", options(), async |_, _| Ok(done())))
            .await;
        let job = ride.client.submit_raw("good", json!(1)).await.unwrap();
        assert_eq!(job.output().await.unwrap(), "done");
        ride.stop().await;
        assert!(env.keys().await.iter().all(|key| !key.ends_with("}:callbacks")));
    }
}

/// Contract row 112: a node that is cut off, and does not know it yet, loses the callbacks with its
/// lease; when it comes back it calls no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_cut_off_calls_no_more() {
    let env = Env::on(Backend::Standalone).await;
    let proxy = Proxy::before(shared_redis().await.addr());
    let (pen, mut told) = notes();
    let store = env.store().await;
    let client = Client::from_store(store.clone());
    let node = || env.node().lease(LONG).leader_lease(Duration::from_secs(1));
    let works = node().handle_raw("good", options(), async |_, _| Ok(done()));
    let works = works.start().await.unwrap();
    // It beats often enough to notice soon that its lease is over.
    let beats = node().lease(LONG / 6).redis(proxy.url());
    let cut_off = telling(beats, "cut off", &pen);
    let cut_off = cut_off.start().await.unwrap();
    let places = awake(&client, &store, &mut told).await;
    let other = telling(node(), "other", &pen).start().await.unwrap();
    let id = cut_off.id();
    proxy.pause();
    env.lapse(id).await;
    for n in 0..20 {
        client.submit_raw("good", json!(n)).await.unwrap();
    }
    let counts = all_told(&store, &places, &mut told, BTreeMap::new()).await;
    assert!(counts.values().any(|names| names.contains(&"other")));
    proxy.resume();
    eventually("it comes back under another id", SOON, async || {
        let nodes = client.nodes().await.unwrap();
        cut_off.id() != id && nodes.iter().any(|node| node.node_id == cut_off.id())
    })
    .await;
    let places: BTreeMap<_, _> = {
        let events = log(&store).await.into_iter();
        events.map(|event| (event.shard, event.cursor)).collect()
    };
    for n in 0..20 {
        client.submit_raw("good", json!(n)).await.unwrap();
    }
    let counts = all_told(&store, &places, &mut told, counts).await;
    for event in since(&store, &places).await {
        assert_eq!(counts[&(event.shard, event.cursor)], ["other"], "{event:?}");
    }
    cut_off.stop().await;
    other.stop().await;
    works.stop().await;
}
