//! Where a subscription begins, and what it delivers.

use std::collections::{BTreeMap, BTreeSet};

use paceline_client::{Cursors, JobRequest, SubscribeError};
use paceline_tests::{Env, feature_test};
use paceline_types::EventKind::{JobCancelled, JobCompleted, JobEnqueued};
use paceline_types::{EventKind, JobId, ShardIndex};
use serde_json::json;

use crate::{next, obedient, up_to};

feature_test! {
    /// Row 110: from now, from the start, and over all shards.
    async fn a_subscription_begins_where_it_is_told_to(env: Env) {
        let client = env.client().await;
        let submit = async |n: u32| {
            let jobs = (0..n).map(|n| JobRequest::raw("t", json!(n)).unique(format!("{n}")));
            let accepted = client.submit_many(jobs).await.unwrap();
            accepted.into_iter().map(|one| one.unwrap().id).collect::<Vec<_>>()
        };
        let mut expected = submit(40).await;
        let mut now = client.subscribe().await.unwrap();
        client.cancel_many(&expected, "no").await.unwrap();
        let mut start = client.subscribe().from_start().await.unwrap();
        let mut told = Vec::new();
        let mut again = Vec::new();
        for _ in 0..40 {
            let event = next(&mut now).await;
            assert_eq!(event.kind, JobCancelled);
            told.push(event.job_id.unwrap());
        }
        for _ in 0..80 {
            let event = next(&mut start).await;
            if event.kind == JobEnqueued {
                again.push(event.job_id.unwrap());
            }
        }
        expected.sort();
        told.sort();
        again.sort();
        assert_eq!(told, expected);
        assert_eq!(again, expected);
        let shards: BTreeSet<_> =
            expected.iter().map(|id| id.shard()).collect();
        assert_eq!(shards.len(), usize::from(env.shards()), "every shard took part");
        // A cursor of a single shard: the others are read from their beginning.
        let (shard, cursor) = now.cursors().iter().next().unwrap();
        let rest = client.subscribe().from([(shard, cursor)].into_iter().collect());
        let mut rest = rest.kinds([JobEnqueued]).await.unwrap();
        let marker = client.submit_raw("marker", json!(1)).await.unwrap().id();
        let mut seen = 0;
        let mut markers = 0;
        let elsewhere = expected.iter().filter(|id| id.shard() != shard).count();
        while seen < elsewhere || markers == 0 {
            let event = next(&mut rest).await;
            if event.job_id == Some(marker) {
                markers += 1;
            } else {
                assert_ne!(event.shard, shard);
                seen += 1;
            }
        }
        assert_eq!((seen, markers), (elsewhere, 1));
    }

    /// Row 110: by kind, job and task type; every condition must hold.
    async fn a_subscription_delivers_what_its_filter_accepts(env: Env) {
        let ride = env.ride(obedient).await;
        let client = &ride.client;
        let first = client.submit_raw("t", json!("once")).await.unwrap();
        let second = client.submit_raw("t", json!("succeed")).await.unwrap();
        let other = client.submit_raw("other", json!(1)).await.unwrap();
        first.wait().await.unwrap();
        second.wait().await.unwrap();
        other.cancel().await.unwrap();
        let marker = client.submit_raw("marker", json!(1)).await.unwrap();
        marker.cancel().await.unwrap();

        let start = || client.subscribe().from_start();
        let mut of_job = start().job(first.id()).await.unwrap();
        let told = up_to(&mut of_job, &JobCompleted).await;
        assert!(told.iter().all(|event| event.job_id == Some(first.id())));
        assert_eq!(told.len(), 6);

        let mut ends = start().kinds([JobCompleted, JobCancelled]).await.unwrap();
        let mut told = Vec::new();
        while told.len() < 4 {
            told.push(next(&mut ends).await.job_id.unwrap());
        }
        told.sort();
        let mut expected = [first.id(), second.id(), other.id(), marker.id()];
        expected.sort();
        assert_eq!(told, expected);

        let mut both = start().task_type("t").kinds([JobCompleted]).job(second.id()).await.unwrap();
        assert_eq!(next(&mut both).await.job_id, Some(second.id()));

        let mut others = start().task_type("other").task_type("marker").await.unwrap();
        let mut told = BTreeMap::<JobId, Vec<EventKind>>::new();
        for _ in 0..4 {
            let event = next(&mut others).await;
            told.entry(event.job_id.unwrap()).or_default().push(event.kind);
        }
        let path = vec![JobEnqueued, JobCancelled];
        assert_eq!(told, [(other.id(), path.clone()), (marker.id(), path)].into());
        ride.stop().await;
    }

    /// Row 110: a mistake is told when the subscription is opened.
    async fn a_subscription_that_cannot_be_is_refused(env: Env) {
        let client = env.client().await;
        let named = client.subscribe().task_type("a:b").await.unwrap_err();
        assert!(matches!(named, SubscribeError::TaskType(_)));
        let elsewhere = JobId::from_parts(1, ShardIndex(99), 1);
        let error = client.subscribe().job(elsewhere).await.unwrap_err();
        assert!(matches!(error, SubscribeError::UnknownShard { shard: ShardIndex(99), .. }));
        let cursors: Cursors = "99:1-1.0".parse().unwrap();
        let error = client.subscribe().from(cursors).await.unwrap_err().to_string();
        assert!(error.starts_with("shard 99 does not exist"), "{error}");
    }
}
