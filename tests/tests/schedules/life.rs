//! Schedules under a real leader, on one Redis and on a cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use paceline_client::{Applied, JobRequest, PutScheduleError, Schedule, ScheduleError};
use paceline_node::{Context, HandlerOptions};
use paceline_tests::{Env, Look, SOON, Serve, eventually, feature_test, log, notes};
use paceline_types::schedule::{OverlapPolicy, Timing};
use paceline_types::scheduled::{HEADER_SCHEDULED_AT, ScheduleStatus, moment};
use paceline_types::{Bytes, EventKind, JobError, JobStatus, ScheduleId, ScheduleInfo, ShardIndex};
use serde_json::json;

use crate::{HOUR, definition, jobs_of, until};

fn job() -> JobRequest {
    JobRequest::raw("t", json!({"n": 1}))
}

fn done() -> paceline_types::Outcome {
    Ok(Bytes::from_static(b"1"))
}

fn often() -> Schedule {
    Schedule::every(Duration::from_millis(200))
}

fn hourly() -> Schedule {
    Schedule::every(Duration::from_millis(HOUR))
}

feature_test! {
    /// Contract rows 50, 51 and 136: an interval fires again and again, on its own grid.
    async fn an_interval_fires_on_its_grid(env: Env) {
        let (pen, mut times) = notes();
        let ride = env
            .ride(|node| node.serve("t", HandlerOptions::default(), pen, async |pen, run: Context, payload| {
                let at = run.headers()[HEADER_SCHEDULED_AT].clone();
                pen.note((run.job_id(), at, payload, run.attempt()));
                done()
            }))
            .await;
        let applied = ride.client.schedule("a", often(), job()).await;
        assert_eq!(applied.expect("stored"), Applied::Created);
        let seen = times.take(4).await;
        let info = until(&ride.client, "a", "four fired", |info| info.fired >= 4).await;
        ride.client.delete_schedule("a").await.expect("deleted");
        let jobs = jobs_of(&ride.client, "a").await;
        // By their jobs: firings that waited together for a late node begin in any order.
        let mut times = BTreeSet::new();
        for (id, at, payload, attempt) in seen {
            let job = jobs.iter().find(|job| job.id == id).expect("a job of it");
            let scheduled = job.firing.as_ref().expect("a firing").at;
            assert!(times.insert(scheduled), "{scheduled} fired twice");
            assert_eq!(at, moment(scheduled));
            assert_eq!((scheduled - info.anchored_at) % 200, 0);
            assert_eq!((&*payload, attempt), (&br#"{"n":1}"#[..], 1));
        }
        ride.stop().await;
    }

    /// Contract row 63, trap W30: after more firings that completed than one has attempts, a firing that
    /// fails is tried again all the same, and firings that are dead do not end the schedule.
    async fn firings_that_die_do_not_end_their_schedule(env: Env) {
        let (pen, mut runs) = notes();
        let twice = HandlerOptions {
            retry_policy: Some(paceline_tests::attempts(2)),
            ..HandlerOptions::default()
        };
        let state = (pen, Arc::new(AtomicU32::new(0)));
        let ride = env
            .ride(|node| node.serve("t", twice, state, async |(pen, runs), run: Context, _| {
                pen.note((run.job_id(), run.attempt()));
                match runs.fetch_add(1, Ordering::SeqCst) {
                    0..4 => done(),
                    _ => Err(JobError::retryable("no")),
                }
            }))
            .await;
        ride.client.schedule("a", often(), job()).await.expect("stored");
        assert!(runs.take(4).await.iter().all(|(_, attempt)| *attempt == 1));
        let dead = loop {
            let (job, attempt) = runs.next().await;
            if attempt == 2 {
                break job;
            }
        };
        let record = ride.client.ended(dead).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 2));
        let fired = jobs_of(&ride.client, "a").await.len() as u64;
        let more = |info: &ScheduleInfo| info.fired > fired + 1;
        let info = until(&ride.client, "a", "it fires on", more).await;
        assert_eq!(info.status, ScheduleStatus::Active);
        ride.client.delete_schedule("a").await.expect("deleted");
        ride.stop().await;
    }

    /// Contract rows 50 and 53: what fires once is gone afterwards, and says so.
    async fn what_fires_once_fires_and_is_removed(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", HandlerOptions::default(), async |_, _| done()))
            .await;
        ride.client.schedule("now", Schedule::immediate(), job()).await.unwrap();
        for name in ["once", "ends"] {
            let until = |soon| match name {
                "once" => Schedule::one_time(soon),
                _ => often().with_ends_at(soon),
            };
            // A moment that has passed when the call arrives is refused.
            eventually("it is stored before its end", SOON, async || {
                let (_, now) = ride.store.schedule(&ScheduleId::new("x").unwrap()).await.unwrap();
                ride.client.schedule(name, until(now + 500), job()).await
            })
            .await;
        }
        for name in ["now", "once", "ends"] {
            eventually("it is removed", SOON, async || {
                matches!(ride.client.schedule_info(name).await, Err(ScheduleError::Unknown { .. }))
            })
            .await;
            let jobs = jobs_of(&ride.client, name).await;
            match name {
                "ends" => assert!((1..=3).contains(&jobs.len()), "{jobs:?}"),
                _ => assert_eq!(jobs.len(), 1, "{name}"),
            }
            for job in jobs {
                assert_eq!(ride.client.ended(job.id).await.status, JobStatus::Completed);
            }
        }
        let events = log(&ride.store).await;
        for kind in [EventKind::ScheduleCreated, EventKind::ScheduleRemoved] {
            let mut named: Vec<_> = events
                .iter()
                .filter(|event| event.kind == kind)
                .map(|event| event.schedule_id.as_ref().expect("an id").as_str())
                .collect();
            named.sort_unstable();
            assert_eq!(named, ["ends", "now", "once"], "{kind}");
        }
        ride.stop().await;
    }

    /// Contract row 60, trap W32: a paused schedule fires nothing, and goes on from now.
    async fn a_paused_schedule_fires_nothing_and_goes_on_from_now(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", HandlerOptions::default(), async |_, _| done()))
            .await;
        ride.client.schedule("a", often(), job()).await.unwrap();
        until(&ride.client, "a", "it fires", |info| info.fired > 0).await;
        ride.client.pause_schedule("a").await.expect("paused");
        ride.client.pause_schedule("a").await.expect("paused already");
        let paused = ride.client.schedule_info("a").await.unwrap();
        assert_eq!((paused.status, paused.next_run_at), (ScheduleStatus::Paused, None));
        // Another one shows that time goes on.
        ride.client.schedule("b", often(), job()).await.unwrap();
        until(&ride.client, "b", "three fired", |info| info.fired >= 3).await;
        assert_eq!(ride.client.schedule_info("a").await.unwrap().fired, paused.fired);
        let (_, now) = ride.store.schedule(&paused.id).await.unwrap();
        ride.client.resume_schedule("a").await.expect("resumed");
        let info = until(&ride.client, "a", "it fires again", |info| info.fired > paused.fired).await;
        assert!(info.last_run_at.unwrap() > now, "nothing of the pause is made up for");
        for kind in [EventKind::SchedulePaused, EventKind::ScheduleResumed] {
            let told = log(&ride.store).await.into_iter().filter(|event| event.kind == kind);
            assert_eq!(told.count(), 1, "{kind}");
        }
        ride.stop().await;
    }

    /// Contract row 60: what there is not is an error, for every call.
    async fn what_there_is_not_is_an_error(env: Env) {
        let client = env.client().await;
        let unknown = |result: Result<(), ScheduleError>| {
            let error = result.expect_err("there is none").to_string();
            assert!(error.starts_with("there is no schedule `x`"), "{error}");
        };
        unknown(client.pause_schedule("x").await);
        unknown(client.resume_schedule("x").await);
        unknown(client.delete_schedule("x").await);
        unknown(client.run_schedule("x").await.map(drop));
        unknown(client.backfill_schedule("x", 1, 2).await.map(drop));
        unknown(client.schedule_info("x").await.map(drop));
        unknown(client.next_firings("x", 3).await.map(drop));
    }

    /// Contract row 61: the next firing is computed again only when the times change.
    async fn a_change_keeps_the_next_firing_unless_the_times_change(env: Env) {
        let client = env.client().await;
        let first = client.schedule("a", hourly(), job()).await.unwrap();
        assert_eq!(first, Applied::Created);
        let before = client.schedule_info("a").await.unwrap();
        let same = client.schedule("a", hourly(), job()).await.unwrap();
        assert_eq!(same, Applied::Unchanged);
        let changed = [
            (hourly(), job().tags(["x"])),
            (hourly().with_overlap_policy(OverlapPolicy::Skip), job()),
            (Schedule::cron("@every 1h").unwrap(), job()),
        ];
        let mut revision = before.revision;
        for (schedule, job) in changed {
            assert_eq!(client.schedule("a", schedule, job).await.unwrap(), Applied::Updated);
            let after = client.schedule_info("a").await.unwrap();
            assert_eq!(after.next_run_at, before.next_run_at);
            assert!(after.revision > revision);
            revision = after.revision;
        }
        client.schedule("a", often(), job()).await.unwrap();
        let after = client.schedule_info("a").await.unwrap();
        assert!(after.next_run_at < before.next_run_at, "{after:?}");
        assert_eq!(after.created_at, before.created_at);
        let told = client.next_firings("a", 3).await.unwrap();
        let next = after.next_run_at.unwrap();
        let times: Vec<_> = told.iter().map(|firing| firing.at).collect();
        assert_eq!(times, [next, next + 200, next + 400]);
    }

    /// Contract row 50: mistakes are told with the paths of their fields, and nothing is stored.
    async fn a_schedule_with_mistakes_is_refused(env: Env) {
        let client = env.client().await;
        let none = Schedule::from(Timing::Every { interval: Duration::ZERO });
        let elsewhere = (0..)
            .map(|n| format!("limit-{n}"))
            .find(|key| {
                let shard = |key| ShardIndex::of_key(key, 64).0 % client.shards();
                client.shards() == 1 || shard(key.as_str()) != shard("a")
            })
            .unwrap();
        let mut table = vec![
            (client.schedule("a", none, job()), "schedule.interval"),
            (client.schedule("a", Schedule::one_time(7), job()), "schedule.run_at: must be in the future"),
            (client.schedule("a", hourly(), job().unique("x")), "a schedule is unique by its id"),
            (client.schedule("a", hourly(), job().idempotency_key("x")), "job.idempotency_key"),
            (client.schedule("a", hourly(), job().delay(SOON)), "job.run_at"),
            (client.schedule("a", hourly(), JobRequest::bytes("t", "x")), "job.payload: is not JSON"),
            (client.schedule("a", hourly(), JobRequest::bytes("t", vec![b'1'; 300_000])), "300000 bytes"),
            (client.schedule("a b", hourly(), job()), "contains ' '"),
        ];
        if ShardIndex::of_key(&elsewhere, client.shards()) != ShardIndex::of_key("a", client.shards()) {
            table.push((client.schedule("a", hourly(), job().limit(&elsewhere)), "lives in another shard"));
        }
        for (put, words) in table {
            let error = put.await.expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(matches!(client.schedule_info("a").await, Err(ScheduleError::Unknown { .. })));
        let owned = client.schedule("a", hourly(), job()).await.map(drop);
        assert!(!matches!(owned, Err(PutScheduleError::Owned { .. })));
    }

    /// Contract row 136: a list comes page by page, of all shards.
    async fn schedules_are_listed_page_by_page(env: Env) {
        let client = env.client().await;
        let mut names: Vec<String> = (0..25).map(|n| format!("s{n:02}")).collect();
        for name in &names {
            client.apply_schedule(definition(name, hourly())).await.unwrap();
        }
        let page = client.schedules().limit(10).await.unwrap();
        assert_eq!(page.items.len(), 10);
        assert!(page.next.is_some());
        let all: Vec<_> = client.schedules().limit(10).stream().try_collect().await.unwrap();
        let mut found: Vec<String> = all.iter().map(|info| info.id.to_string()).collect();
        found.sort();
        assert_eq!(found, names);
        for name in names.drain(..) {
            client.delete_schedule(&name).await.unwrap();
        }
        assert!(client.schedules().await.unwrap().items.is_empty());
        let mut keys = env.keys().await;
        keys.retain(|key| key.contains("schedule:") || key.contains("buffer:") || key.ends_with("schedules"));
        assert_eq!(keys, [""; 0], "nothing is left of them");
    }

    /// Contract rows 54 and 55: the buffer drains run after run, under a real leader.
    async fn runs_of_a_buffering_schedule_never_overlap(env: Env) {
        let (pen, mut spans) = notes();
        let ride = env
            .ride(|node| node.serve("t", HandlerOptions::default(), pen, async |pen, context, _| {
                let job = context.job_id();
                pen.note((job, true));
                // Longer than the interval, so that firings find it running.
                let long = Duration::from_millis(300);
                let _ = tokio::time::timeout(long, context.cancelled()).await;
                pen.note((job, false));
                done()
            }))
            .await;
        let buffering = often().with_overlap_policy(OverlapPolicy::BufferAll);
        ride.client.schedule("a", buffering, job()).await.unwrap();
        let seen = spans.take(8).await;
        ride.client.delete_schedule("a").await.unwrap();
        for pair in seen.chunks_exact(2) {
            assert_eq!((pair[0].0, pair[0].1, pair[1].1), (pair[1].0, true, false), "{seen:?}");
        }
        ride.stop().await;
    }
}
