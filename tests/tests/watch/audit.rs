//! Audit trails (row 111): opt-in, complete at once, exact, and removed with the job.

use paceline_client::{Audit, AuditSource, Client};
use paceline_node::Context;
use paceline_store::CallError;
use paceline_store::calls::leadership::Lock;
use paceline_tests::{
    Bench, Env, Look, SOON, attempts, eventually, feature_test, log, shared_redis,
};
use paceline_types::audit::moves;
use paceline_types::{Event, JobError, JobId, JobStatus, NodeId};
use redis::AsyncTypedCommands;
use serde_json::json;
use std::time::Duration;

use crate::{bare, done, key, options};

/// What the log says of a job.
async fn logged(store: &paceline_store::Store, id: JobId) -> Vec<Event> {
    let events = log(store).await.into_iter();
    let own = |event: &Event| event.job_id == Some(id) && event.kind.as_str().starts_with("job.");
    events.filter(own).collect()
}

async fn assert_as_logged(client: &Client, store: &paceline_store::Store, id: JobId) -> Audit {
    let audit = client.audit(id).await.unwrap();
    assert_eq!(audit.entries, moves(&logged(store, id).await, &[]), "{id}");
    audit
}

feature_test! {
    /// Contract row 111: everything that happens to an audited job, as soon as it has happened,
    /// and after the leader has copied it.
    async fn a_trail_is_complete_at_once_and_stays_so(env: Env) {
        let ride = env
            .ride(|it| it.handle_raw("t", options(), async |context: Context, case| match &*case {
                b"0" => Ok(done()),
                b"1" if context.run() < 3 => Err(JobError::retryable("not yet")),
                b"1" => Ok(done()),
                _ => Err(JobError::permanent("boom")),
            }))
            .await;
        let client = &ride.client;
        let mut ids = Vec::new();
        for case in 0..3 {
            let submit = client.submit_raw("t", json!(case)).audited();
            let submit = submit.retry_policy(attempts(5)).delay(Duration::from_millis(5));
            ids.push(submit.await.unwrap().id());
        }
        for &id in &ids {
            client.ended(id).await;
            let audit = assert_as_logged(client, &ride.store, id).await;
            assert!(audit.complete && audit.source == AuditSource::Trail, "{audit:?}");
        }
        let dead = ids[2];
        let told = client.audit(dead).await.unwrap();
        let last = told.entries.last().unwrap();
        assert_eq!((last.from, last.to), (Some(JobStatus::Running), Some(JobStatus::Dead)));
        assert_eq!((last.node, last.attempt), (Some(ride.node.id()), Some(1)));
        assert_eq!(last.error.as_deref(), Some("boom"));
        // Copied, and nothing is looked for any more.
        for shard in ride.store.each_shard() {
            let name = key(&ride.store, shard, "audited");
            eventually("all is copied", SOON, async || !env.keys().await.contains(&name)).await;
        }
        let statuses: Vec<_> = told.entries.iter().map(|entry| entry.to).collect();
        for &id in &ids {
            assert_as_logged(client, &ride.store, id).await;
        }
        assert_eq!(statuses.len(), 4, "{statuses:?}");
        // A retry after the end goes on with the same trail.
        client.retry(dead).await.unwrap();
        client.until(dead, JobStatus::Dead).await;
        let audit = assert_as_logged(client, &ride.store, dead).await;
        assert_eq!(audit.entries.len(), 7);
        ride.stop().await;
    }

    /// Contract row 111: nothing is kept for a job that did not ask for it.
    async fn a_job_that_is_not_audited_is_read_from_the_log(env: Env) {
        let ride = env.ride(|it| it.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let id = ride.client.submit_raw("t", json!(1)).await.unwrap().id();
        ride.client.ended(id).await;
        let audit = assert_as_logged(&ride.client, &ride.store, id).await;
        assert!(audit.complete && audit.source == AuditSource::Log, "{audit:?}");
        let kept: Vec<_> = env.keys().await.into_iter().filter(|key| key.contains("audit")).collect();
        assert!(kept.is_empty(), "{kept:?}");
        let nobody = JobId::from_parts(1, id.shard(), 1);
        let error = ride.client.audit(nobody).await.unwrap_err().to_string();
        assert!(error.contains("is not known"), "{error}");
        ride.stop().await;
    }
}

/// Audited jobs with some of the log behind them, driven by hand.
async fn audited(bench: &Bench, node: NodeId, jobs: u64) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..jobs {
        // Every other one is not audited, and is in no trail.
        ids.push(bench.submit(2 * number, |spec| spec.audited = true).await);
        bench.submit(2 * number + 1, |_| {}).await;
    }
    let claimed = bench.turn(node, 1, &[], 100).await.claimed;
    let settles: Vec<_> = claimed.iter().map(Bench::completed).collect();
    bench.turn(node, 2, &settles, 0).await;
    ids
}

/// Contract row 111: two leaders copy at once; what the older one copies is refused, and no event
/// is copied twice or left out.
#[tokio::test(flavor = "multi_thread")]
async fn two_leaders_copy_each_event_once() {
    let bench = Bench::new().await;
    let node = bench.join(1, Duration::from_secs(600)).await;
    let old = bench.lead().await;
    let ids = audited(&bench, node, 40).await;
    let mut raw = shared_redis().await.connect().await;
    // A long log: more than one call copies.
    for number in 1_000..1_200 {
        bench.submit(number, |_| {}).await;
    }
    let first = bench.store.copy_audit(Bench::SHARD, old).await.unwrap();
    assert!(first.more && first.copied > 0, "{first:?}");
    let lock: Lock = bench.store.look(Bench::SHARD).await.unwrap().unwrap();
    let other = NodeId::from_parts(1, Bench::SHARD, 77);
    let new = bench
        .store
        .take(Bench::SHARD, other, Some(&lock), 0)
        .await
        .unwrap();
    let refused = bench.store.copy_audit(Bench::SHARD, old).await;
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
    let mut copied = first.copied;
    let left = key(&bench.store, Bench::SHARD, "audited");
    while raw.exists(&left).await.unwrap() {
        copied += bench
            .store
            .copy_audit(Bench::SHARD, new)
            .await
            .unwrap()
            .copied;
    }
    assert_eq!(copied, 3 * ids.len());
    let client = Client::from_store(bench.store.clone());
    for &id in &ids {
        let trail = key(&bench.store, Bench::SHARD, &format!("audit:{}", bare(id)));
        assert_eq!(raw.xlen(&trail).await.unwrap(), 3, "{id}");
        let audit = assert_as_logged(&client, &bench.store, id).await;
        assert!(audit.complete, "{audit:?}");
    }
}

/// Contract row 111: a log that was cut before it was copied leaves a mark, not a false story.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_log_is_told() {
    let bench = Bench::new().await;
    let node = bench.join(1, Duration::from_secs(600)).await;
    let term = bench.lead().await;
    let id = bench.submit(0, |spec| spec.audited = true).await;
    let mut raw = shared_redis().await.connect().await;
    bench.store.copy_audit(Bench::SHARD, term).await.unwrap();
    let claimed = bench.claim(node, 1).await;
    // The start is lost; the end is not.
    let events = key(&bench.store, Bench::SHARD, "events");
    redis::cmd("XTRIM")
        .arg(&events)
        .arg("MAXLEN")
        .arg(0)
        .exec_async(&mut raw)
        .await
        .unwrap();
    bench.turn(node, 2, &[Bench::completed(&claimed)], 0).await;
    bench.store.copy_audit(Bench::SHARD, term).await.unwrap();
    let audit = Client::from_store(bench.store.clone())
        .audit(id)
        .await
        .unwrap();
    assert!(!audit.complete, "{audit:?}");
    let told: Vec<_> = audit
        .entries
        .iter()
        .map(|entry| (entry.from, entry.to))
        .collect();
    assert_eq!(
        told,
        [
            (None, Some(JobStatus::Pending)),
            (None, Some(JobStatus::Completed))
        ]
    );
}

/// Contract row 111, trap W11: the leader does not trim what trails still need.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_not_cut_before_trails_are_copied() {
    let redis = paceline_tests::RedisServer::start().await;
    let options = paceline_store::StoreOptions {
        event_cap: 300,
        shards: Some(1),
        ..Default::default()
    };
    let store = paceline_tests::store_at(&redis.url(), options).await;
    let bench = Bench { store };
    let term = bench.lead().await;
    bench.submit(0, |spec| spec.audited = true).await;
    // Entries of three events: fewer entries than the cap, and more than twice as many events.
    let mut number = 1;
    for _ in 0..250 {
        let make = |n| paceline_store::calls::submit::NewJob {
            id: Bench::job_id(n),
            spec: Bench::spec(),
        };
        let jobs: Vec<_> = (number..number + 3).map(make).collect();
        bench.submit_all(&jobs).await;
        number += 3;
    }
    let mut raw = redis.connect().await;
    let events = key(&bench.store, Bench::SHARD, "events");
    let whole = raw.xlen(&events).await.unwrap();
    bench.store.purge(Bench::SHARD, term, 100).await.unwrap();
    assert_eq!(raw.xlen(&events).await.unwrap(), whole);
    while bench
        .store
        .copy_audit(Bench::SHARD, term)
        .await
        .unwrap()
        .more
    {}
    bench.store.purge(Bench::SHARD, term, 100).await.unwrap();
    let kept = raw.xlen(&events).await.unwrap();
    assert!(kept < whole, "{kept}");
}
