//! Tiers: real shares, and nothing starves (rows 3 and 4, I13).

use std::collections::BTreeMap;

use paceline_client::{Client, JobRequest};
use paceline_node::{Context, Node, NodeBuilder};
use paceline_tests::{Env, History, Look, Pen, Serve, feature_test, notes, open};
use paceline_types::{EventKind, JobId, Priority, Tier, TierWeights};
use serde_json::json;

use crate::{done, options};

/// One shard: shares are those of a node in a shard.
fn one_shard(env: &Env) -> NodeBuilder {
    Node::builder()
        .redis(env.url())
        .namespace(env.namespace())
        .shards(1)
}

async fn backlog(client: &Client, counts: [(i64, usize); 3]) {
    for (priority, count) in counts {
        let priority = Priority::new(priority);
        let jobs = (0..count).map(|_| JobRequest::raw("work", json!(1)).priority(priority));
        let accepted = client.submit_many(jobs).await.unwrap();
        assert!(accepted.iter().all(Result::is_ok));
    }
}

fn shares(claims: &[Tier]) -> BTreeMap<Tier, usize> {
    let mut shares = BTreeMap::new();
    for &tier in claims {
        *shares.entry(tier).or_default() += 1;
    }
    shares
}

async fn tell(pen: Pen<Tier>, context: Context) -> paceline_types::Outcome {
    pen.note(context.priority().tier());
    Ok(done())
}

feature_test! {
    /// Row 4: of any 160 claims in a row 100 are high, 50 normal and 10 low.
    async fn a_saturated_node_claims_by_the_weights(env: Env) {
        let client = Client::from_store(open(&env.url(), env.namespace(), 1).await);
        backlog(&client, [(10, 210), (5, 110), (1, 30)]).await;
        let (pen, mut ran) = notes();
        let node = one_shard(&env)
            .concurrency(1)
            .serve("work", options(), pen, async |pen, context, _| tell(pen, context).await)
            .start()
            .await
            .unwrap();
        let claims = ran.take(350).await;
        for window in claims[..320].windows(160) {
            let expected = [(Tier::High, 100), (Tier::Normal, 50), (Tier::Low, 10)];
            assert_eq!(shares(window), expected.into());
        }
        node.stop().await;
    }

    /// Row 4: the stated bound with other weights and with more slots, and nothing starves while
    /// the tiers above never run dry.
    async fn the_lowest_tier_is_served_within_its_bound(env: Env) {
        let store = open(&env.url(), env.namespace(), 1).await;
        let client = Client::from_store(store.clone());
        backlog(&client, [(8, 150), (4, 150), (2, 30)]).await;
        let (pen, mut ran) = notes();
        let node = one_shard(&env)
            .concurrency(3)
            .weights(TierWeights::new(3, 2, 1))
            .serve("work", options(), pen, async |pen, context, _| {
                pen.note((context.job_id(), context.priority().tier()));
                Ok(done())
            })
            .start()
            .await
            .unwrap();
        let tiers: BTreeMap<JobId, Tier> = ran.take(330).await.into_iter().collect();
        // Three run at once, so only the log knows in which order they were claimed.
        let history = History::read(&store).await;
        let started = history.events.iter().filter(|event| event.kind == EventKind::JobStarted);
        let claims: Vec<Tier> = started.map(|event| tiers[&event.job_id.unwrap()]).collect();
        for window in claims[..160].windows(12) {
            let low = shares(window).get(&Tier::Low).copied().unwrap_or(0);
            assert!((1..=3).contains(&low), "{low} of {window:?}");
        }
        let shares = shares(&claims[..60]);
        for (tier, share) in [(Tier::High, 30), (Tier::Normal, 20), (Tier::Low, 10_usize)] {
            assert!(shares[&tier].abs_diff(share) <= 3, "{shares:?}");
        }
        node.stop().await;
    }

    /// Row 4: the share of a tier without work goes to the others.
    async fn a_tier_without_work_gives_its_share_away(env: Env) {
        let client = Client::from_store(open(&env.url(), env.namespace(), 1).await);
        backlog(&client, [(1, 20), (1, 20), (5, 0)]).await;
        let (pen, mut ran) = notes();
        let node = one_shard(&env)
            .concurrency(1)
            .serve("work", options(), pen, async |pen, context, _| tell(pen, context).await)
            .start()
            .await
            .unwrap();
        assert_eq!(shares(&ran.take(40).await), [(Tier::Low, 40)].into());
        node.stop().await;
    }

    /// Row 3: the one mapping, as the store has it.
    async fn a_priority_falls_into_its_tier(env: Env) {
        let client = env.client().await;
        let table = [
            (-3, 5, 'n'), (0, 5, 'n'), (1, 1, 'l'), (2, 2, 'l'), (3, 3, 'n'), (7, 7, 'n'),
            (8, 8, 'h'), (10, 10, 'h'), (99, 10, 'h'),
        ];
        for (given, number, tier) in table {
            let task_type = format!("type{given}");
            let submit = client.submit_raw(&task_type, json!(1)).priority(Priority::new(given));
            let id = submit.await.unwrap().id();
            assert_eq!(client.look(id).await.priority.get(), number);
            let lane = format!("lane:{tier}:{task_type}:");
            assert!(env.keys().await.iter().any(|key| key.ends_with(&lane)), "{lane}");
        }
    }
}
