//! Lists by time, unique key and payload (rows 19 and 113).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use paceline_client::{Client, JobFilter, JobRequest, PayloadFilter, UniqueKey};
use paceline_tests::{Env, Look, feature_test};
use paceline_types::{JobId, JobStatus};
use serde_json::json;

use crate::{bare, done, key, options, raw};

/// What a list gives in pages of different sizes; each must give the same.
async fn listed(client: &Client, filter: JobFilter) -> BTreeSet<JobId> {
    let mut answers = Vec::new();
    for limit in [1, 7, 100] {
        let jobs = client.jobs(filter.clone()).limit(limit).stream();
        let jobs: Vec<_> = jobs.try_collect().await.unwrap();
        let ids: BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
        assert_eq!(ids.len(), jobs.len(), "each once, in pages of {limit}");
        answers.push(ids);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{filter:?}"
    );
    answers.swap_remove(0)
}

async fn submit(client: &Client, jobs: impl Iterator<Item = JobRequest>) -> BTreeSet<JobId> {
    let accepted = client.submit_many(jobs).await.unwrap();
    accepted.into_iter().map(|one| one.unwrap().id).collect()
}

feature_test! {
    /// Contract rows 19 and 113: a value in the payload, in a bounded scan that says how far it went.
    async fn jobs_are_found_by_a_value_in_their_payload(env: Env) {
        let client = env.client().await;
        let job = |n: u64| JobRequest::raw("t", json!({ "user": { "id": n % 50 }, "n": n }));
        let all = submit(&client, (0..400).map(job)).await;
        let filter = |text: &str| JobFilter {
            payload: Some(text.parse::<PayloadFilter>().unwrap()),
            ..JobFilter::default()
        };
        let found = listed(&client, filter("user.id=7")).await;
        assert_eq!(found.len(), 8);
        for id in &found {
            let payload: serde_json::Value =
                serde_json::from_slice(&client.look(*id).await.payload).unwrap();
            assert_eq!(payload["user"]["id"], 7);
        }
        assert_eq!(listed(&client, filter("n=399")).await.len(), 1);
        assert!(listed(&client, filter("n=400")).await.is_empty());
        // One page reads everything and finds one; it says so.
        let page = client.jobs(filter("n=399")).limit(10).await.unwrap();
        assert_eq!((page.items.len(), page.scanned), (1, all.len()));
        let plain = client.jobs(JobFilter::default()).limit(10).await.unwrap();
        assert_eq!((plain.items.len(), plain.scanned), (10, 10));
    }

    /// Contract row 113: by when jobs were accepted and when they ended.
    async fn jobs_are_found_by_time(env: Env) {
        let ride = env.ride(|it| it.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let client = &ride.client;
        let job = |n: u64| JobRequest::raw("t", json!(n));
        let early = submit(client, (0..20).map(job)).await;
        for id in &early { client.ended(*id).await; }
        let last = early.iter().copied();
        let mut border = 0;
        for id in last { border = border.max(client.look(id).await.completed_at.unwrap()); }
        // The server's clock shows the next millisecond.
        while client.stats().await.unwrap().at <= border {}
        let late = submit(client, (0..30).map(job)).await;
        for id in &late { client.ended(*id).await; }
        let waiting = submit(client, (0..5).map(|n| JobRequest::raw("nobody", json!(n)))).await;
        let border = border + 1;
        let accepted = |since, until| JobFilter { created_since: since, created_until: until, ..JobFilter::default() };
        let later: BTreeSet<_> = late.union(&waiting).copied().collect();
        assert_eq!(listed(client, accepted(Some(border), None)).await, later);
        assert_eq!(listed(client, accepted(None, Some(border))).await, early);
        assert!(listed(client, accepted(Some(border), Some(border))).await.is_empty());
        let ended = |since, until| JobFilter { ended_since: since, ended_until: until, ..JobFilter::default() };
        assert_eq!(listed(client, ended(Some(border), None)).await, late);
        assert_eq!(listed(client, ended(None, Some(border))).await, early);
        let completed = JobFilter { status: Some(JobStatus::Completed), ..ended(Some(border), None) };
        assert_eq!(listed(client, completed).await, late);
        ride.stop().await;
    }

    /// Contract row 113: by unique key, in the one shard of the key.
    async fn jobs_are_found_by_their_unique_key(env: Env) {
        let client = env.client().await;
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(client.submit_raw("t", json!(n)).unique(format!("k{n}")).await.unwrap().id());
        }
        client.cancel(ids[3]).await.unwrap();
        let again = client.submit_raw("t", json!(3)).unique("k3").await.unwrap().id();
        let filter = |key: &str| JobFilter {
            unique_key: Some(UniqueKey::new(key).unwrap()),
            ..JobFilter::default()
        };
        assert_eq!(listed(&client, filter("k7")).await, [ids[7]].into());
        assert_eq!(listed(&client, filter("k3")).await, [ids[3], again].into());
        assert!(listed(&client, filter("none")).await.is_empty());
    }

    /// Contract row 113: what is kept for ever is listed to its end, however much of it there is.
    async fn jobs_that_are_kept_for_ever_are_all_listed(env: Env) {
        let ride = env.ride(|it| it.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let mut ids = BTreeSet::new();
        // Each by itself: a packet each.
        for n in 0..70 {
            let submit = ride.client.submit_raw("t", json!(n)).retention(Duration::ZERO);
            let handle = submit.await.unwrap();
            handle.wait().await.unwrap();
            ids.insert(handle.id());
        }
        let filter = JobFilter { status: Some(JobStatus::Completed), ..JobFilter::default() };
        assert_eq!(listed(&ride.client, filter).await, ids);
        // What ends while a list is read does not keep the rest from being seen.
        let page = ride.client.jobs(JobFilter::default()).limit(20).await.unwrap();
        let mut seen: BTreeSet<_> = page.items.iter().map(|job| job.id).collect();
        for n in 0..30 {
            let submit = ride.client.submit_raw("t", json!(n)).retention(Duration::ZERO);
            submit.await.unwrap().wait().await.unwrap();
        }
        let rest = ride.client.jobs(JobFilter::default()).after(page.next.unwrap()).stream();
        let rest: Vec<_> = rest.try_collect().await.unwrap();
        seen.extend(rest.iter().map(|job| job.id));
        assert!(ids.is_subset(&seen), "{} of {}", seen.len(), ids.len());
        ride.stop().await;
    }

    /// Contract row 113: jobs that are parked at a limit are pending, and listed as such.
    async fn parked_jobs_are_listed_as_pending(env: Env) {
        let client = env.client().await;
        let store = env.store().await;
        let id = client.submit_raw("t", json!(1)).await.unwrap().id();
        client.cancel(id).await.unwrap();
        assert!(listed(&client, JobFilter { status: Some(JobStatus::Pending), ..JobFilter::default() })
            .await
            .is_empty());
        client.retry(id).await.unwrap();
        // As a claim leaves it: out of its lane, in the set of those that are parked.
        for shard in store.each_shard() {
            let lane = |name: &str| key(&store, shard, name);
            raw(&env, &["DEL", &lane("lane:n:t:"), &lane("waiting"), &lane("ready:n")]).await;
        }
        raw(&env, &["ZADD", &key(&store, id.shard(), "blocked"), "1", &bare(id)]).await;
        let pending = JobFilter { status: Some(JobStatus::Pending), ..JobFilter::default() };
        assert_eq!(listed(&client, pending).await, [id].into());
        assert_eq!(client.stats().await.unwrap().blocked, 1);
    }
}
