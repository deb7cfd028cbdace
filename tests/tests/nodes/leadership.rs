//! Who leads a shard (rows 100 and 101).

use std::collections::BTreeMap;

use paceline_node::RunningNode;
use paceline_store::Store;
use paceline_store::calls::leadership::Lock;
use paceline_tests::{
    Backend, Env, Fault, Look, Proxy, Request, SOON, eventually, feature_test, log, shared_redis,
    within,
};
use paceline_types::EventKind::{LeaderElected, LeaderLost};
use paceline_types::{JobStatus, NodeId, ShardIndex};
use serde_json::json;

use crate::{LONG, done, options};

async fn locks(store: &Store) -> BTreeMap<ShardIndex, Option<Lock>> {
    let mut locks = BTreeMap::new();
    for shard in store.each_shard() {
        locks.insert(shard, store.look(shard).await.unwrap());
    }
    locks
}

async fn leads_everywhere(store: &Store, node: &RunningNode) -> BTreeMap<ShardIndex, u64> {
    eventually("it leads every shard", SOON, async || {
        let leads = node.leads();
        if leads.len() == usize::from(store.shards()) {
            Ok(leads)
        } else {
            Err(leads)
        }
    })
    .await
}

/// Node and term of the elections and of the terms given back, in order, of one shard.
async fn terms(store: &Store, shard: ShardIndex) -> Vec<(bool, NodeId, u64)> {
    let events = log(store)
        .await
        .into_iter()
        .filter(|event| event.shard == shard);
    events
        .filter(|event| matches!(event.kind, LeaderElected | LeaderLost))
        .map(|event| {
            (
                event.kind == LeaderElected,
                event.node_id.unwrap(),
                event.term.unwrap(),
            )
        })
        .collect()
}

feature_test! {
    /// I10: one leader in each shard, who tells so.
    async fn a_lone_node_leads_every_shard(env: Env) {
        let ride = env.ride(|node| node).await;
        let leads = leads_everywhere(&ride.store, &ride.node).await;
        for (shard, lock) in locks(&ride.store).await {
            let lock = lock.unwrap();
            assert_eq!(lock.holder, Some(ride.node.id()));
            assert_eq!((lock.term, leads[&shard]), (1, 1));
        }
        let told = eventually("it tells what it leads", SOON, async || {
            let node = ride.client.nodes().await.unwrap().pop().unwrap();
            (node.leads.len() == leads.len()).then_some(node.leads)
        })
        .await;
        assert_eq!(told, leads);
        ride.stop().await;
    }

    /// Contract rows 46 and 100, trap W42: given back on stop, so that the next one leads long before a lease is
    /// over.
    async fn a_stopping_leader_hands_over_at_once(env: Env) {
        let start = || env.node().leader_lease(LONG).start();
        let store = env.store().await;
        let first = start().await.unwrap();
        let before = leads_everywhere(&store, &first).await;
        let second = start().await.unwrap();
        let (old, new) = (first.id(), second.id());
        first.stop().await;
        let after = leads_everywhere(&store, &second).await;
        for (shard, term) in after {
            assert_eq!(term, before[&shard] + 1);
            assert_eq!(
                terms(&store, shard).await,
                [(true, old, term - 1), (false, old, term - 1), (true, new, term)]
            );
        }
        second.stop().await;
        for (shard, lock) in locks(&store).await {
            let lock = lock.unwrap();
            assert_eq!((lock.holder, lock.term), (None, 2), "the term of {shard} stays known");
        }
    }

    /// Row 100: a leader that is gone without a word is replaced once its lease is over.
    async fn a_leader_that_was_dropped_is_replaced(env: Env) {
        let start = || env.node().leader_lease(std::time::Duration::from_secs(1)).start();
        let store = env.store().await;
        let first = start().await.unwrap();
        leads_everywhere(&store, &first).await;
        let second = start().await.unwrap();
        let old = first.id();
        drop(first);
        for (shard, term) in leads_everywhere(&store, &second).await {
            assert!(term >= 2);
            let terms = terms(&store, shard).await;
            assert_eq!(terms[0], (true, old, 1));
            assert_eq!(*terms.last().unwrap(), (true, second.id(), term));
            assert!(terms.is_sorted_by_key(|(_, _, term)| *term));
        }
        second.stop().await;
    }

    /// Row 101: the services go on under the next leader.
    async fn delayed_work_outlives_its_leader(env: Env) {
        let first = env.node().leader_lease(LONG).start().await.unwrap();
        let second = env
            .ride(|node| {
                node.leader_lease(LONG).handle_raw("t", options(), async |_, _| Ok(done()))
            })
            .await;
        let mut handles = Vec::new();
        for n in 0..8 {
            let submit = second.client.submit_raw("t", json!(n));
            handles.push(submit.delay(std::time::Duration::from_millis(500)).await.unwrap());
        }
        first.stop().await;
        for handle in handles {
            handle.wait().await.unwrap();
            assert_eq!(second.client.look(handle.id()).await.status, JobStatus::Completed);
        }
        second.stop().await;
    }
}

/// The call that raises a leader's beat: two keys, the term and the node.
fn is_hold(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.mentions("}:leader") && request.words().len() == 7
}

/// Contract row 100, trap W42: a beat that fails is sent again, and the term goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_beat_is_lost_leads_on() {
    let env = Env::on(Backend::Standalone).await;
    let proxy = Proxy::before(shared_redis().await.addr());
    let store = env.store().await;
    let lease = std::time::Duration::from_secs(5);
    let node = env.node().redis(proxy.url()).leader_lease(lease).start();
    let node = node.await.unwrap();
    leads_everywhere(&store, &node).await;
    let shard = ShardIndex(0);
    let beat = async || store.look(shard).await.unwrap().unwrap().beat;
    for fault in [Fault::LoseRequest, Fault::LoseReply, Fault::LoseRequest] {
        let lost = proxy.once(fault, is_hold);
        let seen = beat().await;
        within("the loss of a beat", SOON, lost).await;
        eventually("the next beat", SOON, async || beat().await > seen).await;
    }
    assert_eq!(node.leads(), [(shard, 1)].into());
    assert_eq!(terms(&store, shard).await, [(true, node.id(), 1)]);
    node.stop().await;
}
