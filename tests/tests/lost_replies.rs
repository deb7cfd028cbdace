//! Replies are lost and requests come twice: the same call again changes nothing.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_store::{LinkOptions, StoreOptions};
use paceline_tests::{
    Fault, History, PATIENCE, Proxy, RedisServer, Request, WORK, all_completed, eventually, rng,
    store_at, submit_all, within, work,
};
use paceline_types::{Bytes, EventKind};
use rand::RngExt;

fn options() -> StoreOptions {
    let link = LinkOptions {
        response_timeout: Duration::from_millis(500),
        ..LinkOptions::default()
    };
    StoreOptions {
        link,
        ..StoreOptions::default()
    }
}

/// A node that counts how often it runs a handler.
async fn node(url: &str, runs: &Arc<AtomicUsize>) -> RunningNode {
    let runs = runs.clone();
    Node::builder()
        .redis(url)
        .lease(Duration::from_secs(5))
        .handle_raw(WORK, HandlerOptions::default(), move |_, payload: Bytes| {
            runs.fetch_add(1, Ordering::Relaxed);
            async move { Ok(payload) }
        })
        .start()
        .await
        .expect("a node")
}

/// A call of a script on a unique key: a submit of a job that has one.
fn is_submit(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.mentions("}:unique:")
}

/// A call of a script on the owners: a turn of a node.
fn is_turn(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.mentions("}:runs") && !request.mentions("}:leases")
}

/// Rows 1 and 9, trap W12.
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_whose_reply_is_lost_stores_one_job() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let through = store_at(&proxy.url(), options()).await;
    let client = Client::from_store(through);
    let lost = proxy.once(Fault::LoseReply, is_submit);
    let handle = client
        .submit_raw(WORK, serde_json::json!(1))
        .unique("one")
        .await
        .expect("accepted in spite of the loss");
    within("the loss", PATIENCE, lost).await;
    assert!(handle.created());

    let direct = store_at(&redis.url(), options()).await;
    let history = History::read(&direct).await;
    assert_eq!(history.count(&EventKind::JobEnqueued), 1);
    let runs = Arc::default();
    let node = node(&redis.url(), &runs).await;
    all_completed(&direct, &[handle.id()]).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    node.stop().await;
}

/// Row 9.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_whose_reply_is_lost_neither_strands_its_claims_nor_settles_twice() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let direct = store_at(&redis.url(), options()).await;
    let client = Client::from_store(direct.clone());
    let jobs = submit_all(&client, work(1_000)).await;
    let mut losses = Vec::new();
    for _ in 0..3 {
        losses.push(proxy.once(Fault::LoseReply, is_turn));
    }
    let runs = Arc::default();
    let node = node(&proxy.url(), &runs).await;
    for lost in losses {
        within("a loss", PATIENCE, lost).await;
    }
    all_completed(&direct, &jobs).await;
    let history = History::read(&direct).await;
    history.assert_jobs_ended(&jobs);
    // The lease has not ended, so nothing was taken from the node: each job ran once.
    assert_eq!(history.count(&EventKind::JobAutoRecovered), 0);
    assert_eq!(history.count(&EventKind::JobStarted), jobs.len());
    assert_eq!(runs.load(Ordering::Relaxed), jobs.len());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_delivered_twice_changes_nothing() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    proxy.always(Fault::Twice, |request| request.is("EVALSHA"));
    let through = store_at(&proxy.url(), options()).await;
    let client = Client::from_store(through);
    let runs = Arc::default();
    let node = node(&proxy.url(), &runs).await;
    let jobs = submit_all(&client, work(500)).await;
    let fan = (0..20).fold(WorkflowBuilder::new("fan"), |builder, n| {
        let mut step = Step::new(format!("t{n}"), WORK).payload(serde_json::json!(n));
        if n > 0 {
            step = step.after(["t0"]);
        }
        builder.task(step)
    });
    let workflow = client.submit_workflow(fan, None).await.expect("accepted");

    let direct = store_at(&redis.url(), options()).await;
    all_completed(&direct, &jobs).await;
    eventually("the workflow completes", PATIENCE, async || {
        let found = direct
            .workflow(workflow.id())
            .await
            .expect("an answer")
            .expect("accepted");
        if found.status.is_terminal() {
            Ok(())
        } else {
            Err(found.status)
        }
    })
    .await;
    let history = History::read(&direct).await;
    history.assert_jobs_ended(&jobs);
    history.assert_workflows_ended(&[workflow.id()]);
    assert_eq!(history.count(&EventKind::JobEnqueued), 520);
    assert_eq!(history.count(&EventKind::JobStarted), 520);
    assert_eq!(runs.load(Ordering::Relaxed), 520);
    assert!(proxy.tally().faults > 10, "hardly a call came twice");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_loses_one_reply_in_twenty_costs_time_only() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let through = store_at(&proxy.url(), options()).await;
    let client = Client::from_store(through);
    let runs = Arc::default();
    let node = node(&proxy.url(), &runs).await;
    let mut random = rng("losses");
    proxy.always(Fault::LoseReply, move |request| {
        (is_submit(request) || is_turn(request)) && random.random_ratio(1, 20)
    });
    let jobs = submit_all(&client, work(2_000)).await;
    let direct = store_at(&redis.url(), options()).await;
    all_completed(&direct, &jobs).await;
    let history = History::read(&direct).await;
    history.assert_jobs_ended(&jobs);
    assert_eq!(history.count(&EventKind::JobEnqueued), jobs.len());
    proxy.heal();
    node.stop().await;
}
