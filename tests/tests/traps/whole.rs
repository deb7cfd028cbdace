//! One workflow with everything in it, undisturbed and under faults: what is told, what runs and what
//! it comes to is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_node::Node;
use paceline_store::{LinkOptions, Store, StoreOptions};
use paceline_tests::{
    Env, Fault, Proxy, RedisServer, Repeater, Request, attempts, feature_test, inboxes_empty, open,
    parked, rng, store_at,
};
use paceline_types::WorkflowStatus;
use rand::RngExt;
use serde_json::{Value, json};

use crate::{Bench, ended, plan, tell};

/// A loop, a map, a subflow in a subflow, children, a signal, an allowed failure, a task that fails
/// the first attempt, hooks at every moment.
fn everything() -> WorkflowBuilder {
    let child = WorkflowBuilder::new("child")
        .task(tell("x", json!(["{{input}}"])))
        .task(tell("y", json!("{{tasks.x.output[0]}}!")).after(["x"]));
    let bad = WorkflowBuilder::new("bad child")
        .task(Step::new("x", "fail").payload(json!({ "error": "boom", "permanent": true })));
    let deeper = plan("deeper", [tell("deep", json!("deep"))]);
    let section = [
        tell("one", json!(1)),
        deeper.after(["one"]),
        Step::map("squares", "tell")
            .items(json!([1, 4, 9]))
            .window(2)
            .after(["deeper"]),
    ];
    let again = json!({ "route": 0, "times": 2, "default": 1 });
    WorkflowBuilder::new("everything")
        .retry_policy(attempts(3))
        .execution_timeout(Duration::from_secs(600))
        .on_init("tell")
        .on_success("tell")
        .on_failure("tell")
        .on_exit("tell")
        .task(tell("a", json!([1, 2, 3, 4, 5])))
        .task(Step::map("each", "tell").over("a").after(["a"]).window(2))
        .task(tell("body", json!("{{tasks.each.output[1]}}")).after(["each"]))
        .task(
            Step::condition("more", "route")
                .payload(again)
                .after(["body"])
                .routes(["body", "out"]),
        )
        .task(tell("out", json!("{{tasks.body.output}}")).after(["more", "body"]))
        .task(plan("section", section).after(["out"]))
        .task(
            Step::child("c", child.clone())
                .payload(json!("c"))
                .after(["section"]),
        )
        .task(
            Step::child("d", child)
                .payload(json!("d"))
                .after(["section"]),
        )
        .task(Step::child("e", bad).allow_failure().after(["section"]))
        .task(
            Step::signal("go")
                .timeout(Duration::from_secs(600))
                .after(["c", "d", "e"]),
        )
        .task(Step::new("late", "late").payload("in time").after(["go"]))
        .task(
            tell(
                "end",
                json!([
                    "{{tasks.out.output}}",
                    "{{tasks.c.output}}",
                    "{{tasks.d.output}}",
                    "{{tasks.go.output}}",
                    "{{tasks.late.output}}"
                ]),
            )
            .after(["late", "out", "c", "d", "go"]),
        )
}

/// What it comes to, and everything that was told meanwhile, without an order.
struct Seen {
    output: Value,
    told: Vec<String>,
    ran: usize,
}

async fn play(bench: &Bench, signaller: &Client) -> Seen {
    let handle = signaller
        .submit_workflow(everything(), Some(json!({})))
        .await
        .unwrap();
    bench
        .told(handle.id(), "workflow.task.dispatched go", 1)
        .await;
    let sent = signaller.signal(handle.id(), "go", json!({ "by": "test" }));
    sent.key("once").await.unwrap();
    let found = ended(&handle).await;
    assert_eq!(found.status, WorkflowStatus::Completed, "{found:?}");
    bench
        .told(handle.id(), "workflow.hook.completed __hook.on_exit", 1)
        .await;
    let kinds = ["job.enqueued", "job.started", "job.completed", "job.dead"];
    let events = bench.events().await;
    let mut told: Vec<String> = events
        .iter()
        .filter(|event| {
            let kind = event.kind.to_string();
            kind.starts_with("workflow.") || kinds.contains(&kind.as_str())
        })
        .map(crate::told)
        .collect();
    told.sort_unstable();
    Seen {
        output: serde_json::from_slice(found.output.as_ref().unwrap()).unwrap(),
        told,
        ran: bench.ran_once(),
    }
}

/// What an undisturbed run tells.
async fn undisturbed() -> Seen {
    let redis = RedisServer::start().await;
    let mut bench = Bench::idle(store_at(&redis.url(), StoreOptions::default()).await);
    let node = Node::builder().redis(redis.url());
    bench.work(node).await;
    let client = bench.client.clone();
    let seen = play(&bench, &client).await;
    bench.stop().await;
    assert_eq!(
        seen.output,
        json!([2, "c!", "d!", { "by": "test" }, "in time"])
    );
    seen
}

#[track_caller]
fn assert_same(seen: &Seen, plain: &Seen) {
    assert_eq!(seen.output, plain.output);
    assert_eq!(seen.told, plain.told);
    assert_eq!(seen.ran, plain.ran);
}

feature_test! {
    /// Rows 65, 66, 70, 73, 74, 81, 82, 84 and 89, W4, W24: every entry of the inbox twice.
    async fn every_entry_twice_changes_nothing_of_anything(env: Env) {
        let plain = undisturbed().await;
        let bench = Bench::open(&env).await;
        let repeater = Repeater::start(&env).await;
        let client = bench.client.clone();
        let seen = play(&bench, &client).await;
        inboxes_empty(&env).await;
        assert_same(&seen, &plain);
        assert!(repeater.count() > 30, "the fault bit: {}", repeater.count());
        assert_eq!(parked(&env).await, Vec::<String>::new());
        bench.stop().await;
    }
}

/// A server of its own, a proxy before it, a node behind the proxy, and a store that is not.
async fn behind_a_proxy(shards: u16) -> (RedisServer, Proxy, Bench, Client) {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let direct = open(&redis.url(), "paceline", shards).await;
    let mut bench = Bench::idle(direct);
    let node = Node::builder()
        .redis(proxy.url())
        .namespace("paceline")
        .shards(shards)
        .lease(Duration::from_secs(20));
    bench.work(node).await;
    let link = LinkOptions {
        response_timeout: Duration::from_secs(2),
        ..LinkOptions::default()
    };
    let options = StoreOptions {
        namespace: paceline_types::Namespace::new("paceline").unwrap(),
        shards: Some(shards),
        link,
        ..StoreOptions::default()
    };
    let through = Store::open(&proxy.url().parse().unwrap(), options).await;
    let client = Client::from_store(through.unwrap());
    (redis, proxy, bench, client)
}

/// A call of any script.
fn is_script(request: &Request<'_>) -> bool {
    request.is("EVALSHA")
}

/// A call that takes a post out of the outbox: three keys and two arguments.
fn drops_a_post(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.words().len() == 8 && request.mentions("}:outbox")
}

/// A commit of the leader.
fn is_commit(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.mentions("}:inbox") && request.mentions("}:leader")
}

/// Rows 66, 74, 81, 82 and 84, W5, W24: every script twice, those that deliver to other shards among
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_twice_changes_nothing_of_anything() {
    let plain = undisturbed().await;
    let (_redis, proxy, bench, client) = behind_a_proxy(4).await;
    proxy.always(Fault::Twice, is_script);
    let seen = play(&bench, &client).await;
    assert_same(&seen, &plain);
    assert!(proxy.tally().faults > 100, "hardly a call came twice");
    proxy.heal();
    bench.stop().await;
}

/// Row 74: a post stays until it is known to be delivered, so each is delivered twice and more;
/// a child is made once, and its end counts once.
#[tokio::test(flavor = "multi_thread")]
async fn posts_that_come_again_change_nothing() {
    let plain = undisturbed().await;
    let (_redis, proxy, bench, client) = behind_a_proxy(4).await;
    let lost = Arc::new(AtomicUsize::new(0));
    let count = lost.clone();
    let mut turn = 0;
    proxy.always(Fault::LoseRequest, move |request| {
        let drops = drops_a_post(request);
        if drops {
            turn += 1;
        }
        let loses = drops && turn % 3 != 0;
        if loses {
            count.fetch_add(1, Ordering::SeqCst);
        }
        loses
    });
    let seen = play(&bench, &client).await;
    assert_same(&seen, &plain);
    assert!(lost.load(Ordering::SeqCst) >= 3, "hardly one came again");
    proxy.heal();
    bench.stop().await;
}

/// Rows 65 and 66, W5: state and dispatches are one script, so a leader that hears nothing of its
/// commit loads again, and neither loses a dispatch nor makes one twice.
#[tokio::test(flavor = "multi_thread")]
async fn commits_whose_replies_are_lost_change_nothing() {
    let plain = undisturbed().await;
    let (_redis, proxy, bench, client) = behind_a_proxy(2).await;
    let mut random = rng("commits");
    proxy.always(Fault::LoseReply, move |request| {
        is_commit(request) && random.random_ratio(1, 3)
    });
    let seen = play(&bench, &client).await;
    assert_same(&seen, &plain);
    assert!(proxy.tally().faults >= 5, "{:?}", proxy.tally());
    proxy.heal();
    bench.stop().await;
}
