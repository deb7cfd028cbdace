//! Unique keys, idempotency keys and tags.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use paceline_client::{Client, JobFilter, JobRequest, SubmitError, Tag};
use paceline_node::Context;
use paceline_store::Store;
use paceline_tests::{Env, Gate, Look, SOON, Serve, eventually, feature_test, log, notes};
use paceline_types::{EventKind, JobError, JobId, JobStatus, ShardIndex};
use serde_json::json;

use crate::{done, options, tried};

/// One key for each shard of the store.
fn a_key_on_every_shard(store: &Store) -> Vec<String> {
    let on = |shard: ShardIndex| {
        (0..)
            .map(|n| format!("order: {{{n}}} ü"))
            .find(|key| ShardIndex::of_key(key, store.shards()) == shard)
            .unwrap()
    };
    store.each_shard().map(on).collect()
}

/// Who holds the unique key, according to a refusal.
async fn holder(client: &Client, key: &str) -> Option<JobId> {
    match client.submit_raw("probe", json!(null)).unique(key).await {
        Ok(handle) => {
            assert!(handle.created());
            None
        }
        Err(SubmitError::Duplicate { key: named, holder }) => {
            assert_eq!(named.as_str(), key);
            Some(holder)
        }
        Err(other) => panic!("{other}"),
    }
}

feature_test! {
    /// Row 7, on every shard.
    async fn a_unique_key_is_held_until_the_job_has_completed(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("held", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        for key in a_key_on_every_shard(&ride.store) {
            let first = ride.client.submit_raw("held", json!(1)).unique(&key).await.unwrap();
            assert_eq!(holder(&ride.client, &key).await, Some(first.id()));
            ride.client.until(first.id(), JobStatus::Running).await;
            assert_eq!(holder(&ride.client, &key).await, Some(first.id()));
            gate.admit(1);
            first.wait().await.unwrap();
            let second = ride.client.submit_raw("held", json!(2)).unique(&key).await.unwrap();
            assert_ne!(second.id(), first.id());
            gate.admit(1);
            second.wait().await.unwrap();
        }
        ride.stop().await;
    }

    /// Row 7: freed in the script that makes the job dead or cancelled; held while it is retried.
    async fn a_unique_key_is_freed_by_death_and_by_cancellation(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("fails", tried(2), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Err(JobError::retryable("no"))
            }))
            .await;
        let job = ride.client.submit_raw("fails", json!(1)).unique("k").await.unwrap();
        gate.admit(1);
        eventually("the second attempt", SOON, async || {
            ride.client.look(job.id()).await.attempt == 2
        })
        .await;
        assert_eq!(holder(&ride.client, "k").await, Some(job.id()));
        gate.open();
        ride.client.until(job.id(), JobStatus::Dead).await;
        // Delayed, waiting, cancelled: each holds it until it is cancelled.
        for delay in [Duration::ZERO, Duration::from_secs(600)] {
            let job = ride
                .client
                .submit_raw("nobody", json!(1))
                .unique("k")
                .delay(delay)
                .await
                .unwrap();
            assert_eq!(holder(&ride.client, "k").await, Some(job.id()));
            job.cancel().await.unwrap();
        }
        assert_eq!(holder(&ride.client, "k").await, None);
        ride.stop().await;
    }

    /// Row 29 with row 7: a retry takes its key again, or names who has it by now.
    async fn a_retried_job_takes_its_unique_key_again(env: Env) {
        let client = env.client().await;
        let first = client.submit_raw("t", json!(1)).unique("k").await.unwrap();
        first.cancel().await.unwrap();
        let second = client.submit_raw("t", json!(2)).unique("k").await.unwrap();
        let refused = client.retry(first.id()).await.unwrap_err().to_string();
        assert!(refused.contains(&second.id().to_string()), "{refused}");
        second.cancel().await.unwrap();
        client.retry(first.id()).await.unwrap();
        assert_eq!(holder(&client, "k").await, Some(first.id()));
    }

    /// Row 8: the same id again, also after the job has completed, on every shard.
    async fn an_idempotency_key_returns_the_first_job(env: Env) {
        let ride =
            env.ride(|node| node.handle_raw("once", options(), async |_, _| Ok(done()))).await;
        for key in a_key_on_every_shard(&ride.store) {
            let submit = || ride.client.submit_raw("once", json!(1)).idempotency_key(&key);
            let first = submit().await.unwrap();
            assert!(first.created());
            first.wait().await.unwrap();
            let again = submit().await.unwrap();
            assert_eq!((again.id(), again.created()), (first.id(), false));
            assert_eq!(again.output().await.unwrap(), "done");
        }
        let count = usize::from(ride.store.shards());
        let accepted = log(&ride.store).await.into_iter();
        assert_eq!(accepted.filter(|event| event.kind == EventKind::JobEnqueued).count(), count);
        ride.stop().await;
    }

    /// Row 8, trap W12, I14.
    async fn concurrent_submits_with_one_idempotency_key_make_one_job(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("once", options(), pen, async |pen, context: Context, _| {
                pen.note(context.job_id());
                Ok(done())
            }))
            .await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(env.client().await);
        }
        let submits = (0..20).map(|n: usize| {
            clients[n % 4].submit_raw("once", json!(n)).idempotency_key("one").into_future()
        });
        let handles: Vec<_> =
            join_all(submits).await.into_iter().map(Result::unwrap).collect();
        let ids: HashSet<_> = handles.iter().map(|handle| handle.id()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(handles.iter().filter(|handle| handle.created()).count(), 1);
        handles[0].wait().await.unwrap();
        assert_eq!(ran.next().await, handles[0].id());
        ride.stop().await;
        assert!(ran.rest().is_empty());
    }

    /// Row 8: in one call as well, and an idempotent repeat is no duplicate of its unique key.
    async fn both_keys_on_one_submit_go_together(env: Env) {
        let client = env.client().await;
        let request =
            |n: u32| JobRequest::raw("t", json!(n)).unique("u").idempotency_key("i");
        let first = client.submit_many([request(1), request(2)]).await.unwrap();
        let (one, two) = (first[0].as_ref().unwrap(), first[1].as_ref().unwrap());
        assert!(one.created && !two.created);
        assert_eq!(one.id, two.id);
        let third = client.submit_raw("t", json!(3)).unique("u").idempotency_key("i");
        let third = third.await.unwrap();
        assert_eq!((third.id(), third.created()), (one.id, false));
        let other = client.submit_raw("t", json!(4)).unique("u").idempotency_key("j").await;
        assert!(matches!(other, Err(SubmitError::Duplicate { holder, .. }) if holder == one.id));
    }

    /// Row 8: what was refused is not remembered, and a short lifetime ends.
    async fn an_idempotency_key_is_remembered_for_its_lifetime(env: Env) {
        let client = env.client().await;
        let submit = |ttl| {
            client.submit_raw("t", json!(1)).idempotency_key("i").idempotency_ttl(ttl)
        };
        let refused = submit(SOON).run_at(1_000).await;
        assert!(matches!(refused, Err(SubmitError::InThePast { .. })));
        let first = submit(Duration::from_millis(50)).await.unwrap();
        assert!(first.created());
        let second = eventually("the key is forgotten", SOON, async || {
            let handle = submit(SOON).await.unwrap();
            handle.created().then_some(handle)
        })
        .await;
        assert_ne!(second.id(), first.id());
        assert!(!submit(SOON).await.unwrap().created());
    }

    /// Row 6.
    async fn jobs_are_listed_by_their_tags(env: Env) {
        let client = env.client().await;
        let mut red = HashSet::new();
        for n in 0..8 {
            let colour = if n % 2 == 0 { "red" } else { "blue" };
            let job = client.submit_raw("t", json!(n)).tags([colour, "all"]).await.unwrap();
            if colour == "red" {
                red.insert(job.id());
            }
        }
        let tagged = async |tag: &str| {
            let tag = Some(Tag::new(tag).unwrap());
            let filter = JobFilter { tag, ..JobFilter::default() };
            client.jobs(filter).await.unwrap().items
        };
        let found: HashSet<_> = tagged("red").await.iter().map(|job| job.id).collect();
        assert_eq!(found, red);
        let all = tagged("all").await;
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|job| job.tags.len() == 2));
        assert!(tagged("green").await.is_empty());
    }
}
