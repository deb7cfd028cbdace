//! Nodes that are told to claim no more (row 47), and what one that stops hands over (row 46).

use std::time::Duration;

use paceline_client::DrainError;
use paceline_node::{Context, NodeBuilder, RunningNode};
use paceline_tests::{Env, Gate, SOON, Serve, eventually, feature_test, log, notes, throughout};
use paceline_types::EventKind::{LeaderElected, LeaderLost, NodeCrashDetected};
use paceline_types::{NodeId, NodeInfo, ShardIndex};
use serde_json::json;

use crate::{LONG, done, leads_everywhere, options};

async fn has_heard(node: &RunningNode, drained: bool) {
    eventually("the node hears of it", SOON, async || {
        node.is_drained() == drained
    })
    .await;
}

feature_test! {
    /// Contract row 47: others take what is new, what runs goes on to its end, and undrained it
    /// claims again.
    async fn a_drained_node_finishes_what_runs_and_claims_no_more(env: Env) {
        let (pen, mut begun) = notes();
        let gate = Gate::default();
        let serve = |node: NodeBuilder, name: &str| {
            let state = (pen.clone(), gate.clone());
            node.name(name).serve("t", options(), state, async |(pen, gate), context: Context, _| {
                pen.note(context.node_id());
                gate.pass().await;
                Ok(done())
            })
        };
        let client = env.client().await;
        let first = serve(env.node(), "first").start().await.unwrap();
        let running = client.submit_raw("t", json!(0)).await.unwrap();
        assert_eq!(begun.next().await, first.id());

        client.drain(first.id()).await.unwrap();
        // Shown at once, whatever the node says of itself.
        let nodes = client.nodes().await.unwrap();
        assert_eq!(nodes.len(), 1);
        assert!(nodes[0].draining);
        has_heard(&first, true).await;
        let mut jobs = Vec::new();
        for n in 1..=8 {
            jobs.push(client.submit_raw("t", json!(n)).await.unwrap());
        }
        let none = async || begun.rest().is_empty();
        throughout("nobody begins", Duration::from_millis(500), none).await;

        let second = serve(env.node(), "second").start().await.unwrap();
        for node in begun.take(8).await {
            assert_eq!(node, second.id());
        }
        gate.admit(9);
        assert_eq!(running.output().await.unwrap(), "done");
        for job in jobs {
            assert_eq!(job.output().await.unwrap(), "done");
        }
        second.stop().await;

        client.undrain(first.id()).await.unwrap();
        assert!(!client.nodes().await.unwrap()[0].draining);
        let last = client.submit_raw("t", json!(9)).await.unwrap();
        assert_eq!(begun.next().await, first.id());
        gate.open();
        assert_eq!(last.output().await.unwrap(), "done");
        has_heard(&first, false).await;
        first.stop().await;
    }

    /// Contract rows 46 and 47: a drained leader gives its terms back, and another one leads long
    /// before a lease would be over.
    async fn a_drained_leader_hands_over(env: Env) {
        let store = env.store().await;
        let client = env.client().await;
        let first = env.node().leader_lease(LONG).start().await.unwrap();
        leads_everywhere(&store, &first).await;
        let second = env.node().leader_lease(LONG).start().await.unwrap();
        client.drain(first.id()).await.unwrap();
        leads_everywhere(&store, &second).await;
        let terms: Vec<_> = log(&store)
            .await
            .into_iter()
            .filter(|event| matches!(event.kind, LeaderElected | LeaderLost))
            .map(|event| (event.shard, event.kind, event.node_id.unwrap(), event.term.unwrap()))
            .collect();
        let expected: Vec<_> = store
            .each_shard()
            .flat_map(|shard| {
                [
                    (shard, LeaderElected, first.id(), 1),
                    (shard, LeaderLost, first.id(), 1),
                    (shard, LeaderElected, second.id(), 2),
                ]
            })
            .collect();
        assert_eq!(terms, expected);
        assert_eq!(client.nodes().await.unwrap().len(), 2, "it keeps its lease");
        first.stop().await;
        second.stop().await;
    }

    /// Contract row 47: a cluster without any leader would be worse, so a drained node that is
    /// alone leads on, in a term of its own.
    async fn a_drained_node_that_is_alone_leads_on(env: Env) {
        let store = env.store().await;
        let client = env.client().await;
        let node = env.node().leader_lease(Duration::from_secs(1)).start().await.unwrap();
        leads_everywhere(&store, &node).await;
        client.drain(node.id()).await.unwrap();
        let given_back = async || {
            let events = log(&store).await.into_iter();
            let lost = events.filter(|event| event.kind == LeaderLost);
            lost.map(|event| (event.shard, event.term)).collect::<Vec<_>>()
        };
        let back = eventually("it leads in later terms than it gave back", SOON, async || {
            let (leads, back) = (node.leads(), given_back().await);
            let later = back.iter().all(|(shard, term)| leads.get(shard).copied() > *term);
            let all = [leads.len(), back.len()] == [usize::from(store.shards()); 2];
            if all && later { Ok(back) } else { Err((leads, back)) }
        })
        .await;
        // A lease that a busy machine loses is no term that is given back.
        let still = async || given_back().await == back;
        throughout("it stays", Duration::from_millis(500), still).await;
        node.stop().await;
    }

    /// Contract row 47: the flag goes with the node, however that ends.
    async fn the_flag_of_a_node_that_is_gone_is_removed(env: Env) {
        let flag = async || env.keys().await.iter().any(|key| key.ends_with("}:draining"));
        let client = env.client().await;
        let keeps_house = env.node().start().await.unwrap();
        let leaves = env.node().start().await.unwrap();
        client.drain(leaves.id()).await.unwrap();
        assert!(flag().await);
        let id = leaves.id();
        leaves.stop().await;
        assert!(!flag().await, "it left");
        let unknown = client.drain(id).await.unwrap_err();
        assert!(matches!(unknown, DrainError::Unknown { node } if node == id), "{unknown}");

        // One that falls silent says nothing: the leader declares it dead.
        let dies = NodeId::from_parts(1, ShardIndex(0), 7);
        let told = json!({ "node_id": dies, "task_types": [] });
        let told: NodeInfo = serde_json::from_value(told).unwrap();
        let store = env.store().await;
        store.join(ShardIndex(0), &told, LONG).await.unwrap();
        client.drain(dies).await.unwrap();
        assert!(flag().await);
        env.lapse(dies).await;
        eventually("the dead node's flag is removed", SOON, async || !flag().await).await;
        let crashed = log(&store).await.into_iter().find(|event| event.kind == NodeCrashDetected);
        assert_eq!(crashed.unwrap().node_id, Some(dies));
        keeps_house.stop().await;
    }
}
