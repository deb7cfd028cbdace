//! What a handler tells while it runs: that it lives, and how far it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_client::Client;
use paceline_node::{CancelReason, Context, ProgressError};
use paceline_store::calls::report::Report;
use paceline_store::calls::turn::Settled;
use paceline_tests::{
    Backend, Bench, Env, Gate, History, Look, SOON, Serve, eventually, feature_test, log, notes,
    story, within,
};
use paceline_types::EventKind::{
    JobAutoRecovered, JobCompleted, JobDead, JobEnqueued, JobFailed, JobFenced, JobStarted,
};
use paceline_types::{Bytes, JobStatus};
use serde_json::json;

use crate::{MOMENT, done, options, tried};

feature_test! {
    /// Contract row 23: the node itself takes a silent handler for hung; that uses an attempt.
    async fn a_handler_that_gives_no_sign_of_life_has_failed(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(2), pen, async |pen, context: Context, _| {
                if context.attempt() == 2 {
                    return Ok(done());
                }
                context.cancelled().await;
                pen.note(context.cancel_reason());
                Ok(done())
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).heartbeat_timeout(MOMENT).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(told.next().await, Some(CancelReason::HeartbeatLost));
        let events = log(&ride.store).await;
        let failed = events.iter().find(|event| event.kind == JobFailed).unwrap();
        assert_eq!(failed.error.as_deref(), Some("no heartbeat for 100ms"));
        let record = ride.client.look(handle.id()).await;
        assert_eq!((record.attempt, record.crashes), (2, 0));
        ride.stop().await;
    }

    /// Contract row 23: one that tells that it lives goes on as long as it likes.
    async fn a_handler_that_gives_signs_of_life_goes_on(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", tried(1), gate.clone(), async |gate: Gate, context: Context, _| {
                let mut ticks = tokio::time::interval(MOMENT / 4);
                loop {
                    tokio::select! {
                        () = gate.pass() => return Ok(done()),
                        _ = ticks.tick() => context.heartbeat(),
                    }
                }
            }))
            .await;
        let silence = Duration::from_secs(2);
        let handle = ride.client.submit_raw("t", json!(1)).heartbeat_timeout(silence).await.unwrap();
        ride.client.until(handle.id(), JobStatus::Running).await;
        let other = ride.client.submit_raw("nobody", json!(1)).schedule_to_start_timeout(silence * 2);
        ride.client.ended(other.await.unwrap().id()).await;
        gate.open();
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(story(&ride.store, handle.id()).await, [JobEnqueued, JobStarted, JobCompleted]);
        ride.stop().await;
    }

    /// Contract row 37: the newest value reaches the record while the job runs, and stays with it.
    async fn progress_is_seen_while_the_job_runs_and_afterwards(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate: Gate, context: Context, _| {
                for percent in 0..=50 {
                    context.progress(json!({ "percent": percent })).unwrap();
                }
                gate.pass().await;
                let large = context.progress("x".repeat(16 * 1024));
                assert!(matches!(large, Err(ProgressError::TooLarge { .. })));
                context.progress(json!({ "percent": 100 })).unwrap();
                Ok(done())
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).await.unwrap();
        let id = handle.id();
        let shows = async |percent: &str| {
            eventually("the progress is shown", SOON, async || {
                let progress = ride.client.look(id).await.progress.unwrap_or_default();
                progress == format!(r#"{{"percent":{percent}}}"#)
            })
            .await;
        };
        shows("50").await;
        gate.open();
        handle.wait().await.unwrap();
        shows("100").await;
        ride.client.delete(id).await.unwrap();
        let left = env.keys().await.into_iter().find(|key| key.ends_with(":progress"));
        assert_eq!(left, None, "it goes with the job");
        ride.stop().await;
    }
}

/// Contract rows 20, 21 and 23: the leader takes a run whose node says nothing of it although the
/// node lives, by the same way as from a dead node; its late end is refused, counted, and told once.
#[tokio::test]
async fn a_run_without_a_sign_of_life_is_taken_by_force() {
    let bench = Bench::new().await;
    let term = bench.lead().await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    let job = bench
        .submit(1, |spec| {
            spec.heartbeat_timeout = Some(Duration::from_secs(30))
        })
        .await;
    let claimed = bench.claim(node, 1).await;
    let expire = async || {
        bench
            .store
            .expire_jobs(Bench::SHARD, term, 100)
            .await
            .unwrap()
    };
    let wait = expire().await.next_in.unwrap();
    assert!(
        wait > Duration::from_secs(40),
        "the timeout and what the node has beyond it: {wait:?}"
    );

    // The node speaks for it: the timer is pushed on, and here brought near.
    let report = |wait: u64| Report {
        job,
        token: claimed.token.clone(),
        silent_after: Some(Duration::from_millis(wait)),
        progress: Some(Bytes::from_static(b"1")),
    };
    assert_eq!(
        bench
            .store
            .report(Bench::SHARD, &[report(90_000)])
            .await
            .unwrap(),
        [true]
    );
    assert!(expire().await.next_in.unwrap() > Duration::from_secs(80));
    assert_eq!(
        bench
            .store
            .report(Bench::SHARD, &[report(1)])
            .await
            .unwrap(),
        [true]
    );
    eventually("it is taken", SOON, async || expire().await.seen == 1).await;
    let record = bench.store.job(job).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.attempt, record.crashes),
        (JobStatus::Pending, 1, 1)
    );
    assert!(record.last_error.unwrap().starts_with("no heartbeat: "));
    assert_eq!(
        bench
            .store
            .report(Bench::SHARD, &[report(1)])
            .await
            .unwrap(),
        [false]
    );

    for number in [2, 3] {
        let late = bench
            .turn(node, number, &[Bench::completed(&claimed)], 0)
            .await;
        assert_eq!(late.settled, [Settled::Fenced]);
    }
    let again = bench.claim(node, 4).await;
    assert_eq!((again.attempt, again.crashes), (2, 1));
    assert!(again.run > claimed.run, "the fence moved on");
    let late = bench.turn(node, 5, &[Bench::completed(&claimed)], 0).await;
    assert_eq!(late.settled, [Settled::Fenced]);
    bench.turn(node, 6, &[Bench::completed(&again)], 0).await;
    let expected = [
        JobEnqueued,
        JobStarted,
        JobAutoRecovered,
        JobFenced,
        JobStarted,
        JobCompleted,
    ];
    assert_eq!(story(&bench.store, job).await, expected, "told once");
    assert_eq!(expire().await.next_in, None);
    History::read(&bench.store).await.assert_jobs_ended(&[job]);
}

/// Contract row 23, trap W10: a job that hangs its nodes again and again is dead in the end.
#[tokio::test]
async fn a_job_that_hangs_again_and_again_is_dead() {
    let bench = Bench::new().await;
    let term = bench.lead().await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    let silence = Some(Duration::from_secs(30));
    let job = bench
        .submit(1, |spec| spec.heartbeat_timeout = silence)
        .await;
    for number in 1..=3 {
        let claimed = bench.claim(node, number).await;
        let report = Report {
            job,
            token: claimed.token,
            silent_after: Some(Duration::from_millis(1)),
            progress: None,
        };
        bench.store.report(Bench::SHARD, &[report]).await.unwrap();
        eventually("it is taken", SOON, async || {
            bench
                .store
                .expire_jobs(Bench::SHARD, term, 100)
                .await
                .unwrap()
                .seen
                == 1
        })
        .await;
    }
    let client = Client::from_store(bench.store.clone());
    let record = client.look(job).await;
    assert_eq!((record.status, record.crashes), (JobStatus::Dead, 3));
    assert!(record.last_error.unwrap().ends_with("(crash 3)"));
    let story = story(&bench.store, job).await;
    assert_eq!(story.last(), Some(&JobDead));
    History::read(&bench.store).await.assert_jobs_ended(&[job]);
}

/// Contract row 23, trap W9: a handler that keeps its thread cannot be asked to end, and the lease of
/// its node lives: the leader takes the run all the same, and what the handler returns at last does
/// not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_keeps_its_thread_loses_its_run() {
    let env = Env::on(Backend::Standalone).await;
    // It leads, as what is stuck may be more than a handler.
    let ride = env
        .ride(|node| node.handle_raw("other", options(), async |_, _| Ok(done())))
        .await;
    let (pen, mut told) = notes();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let stuck =
        env.node()
            .concurrency(1)
            .serve("t", tried(3), (pen, held), async |(pen, held), _, _| {
                pen.note("stuck");
                // The end of the channel is as good as a word.
                let _ = held.lock().unwrap().recv();
                Ok(done())
            });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let node = stuck.start().await.unwrap();
            let _ = stopped.await;
            node.stop().await;
        });
    });
    let submit = ride.client.submit_raw("t", json!(1));
    let handle = submit.heartbeat_timeout(MOMENT).await.unwrap();
    assert_eq!(told.next().await, "stuck");
    let able = env
        .node()
        .handle_raw("t", options(), async |_, _| Ok(done()));
    let able = able.start().await.unwrap();
    // The leader waits 15 s beyond the timeout.
    let record = within("the end of another run", SOON * 3, handle.wait()).await;
    assert_eq!(record.unwrap().crashes, 1);
    release.send(()).unwrap();
    let expected = [
        JobEnqueued,
        JobStarted,
        JobAutoRecovered,
        JobStarted,
        JobCompleted,
        JobFenced,
    ];
    eventually("its late end is refused", SOON, async || {
        let story = story(&ride.store, handle.id()).await;
        if story == expected {
            Ok(())
        } else {
            Err(story)
        }
    })
    .await;
    let _ = stop.send(());
    able.stop().await;
    ride.stop().await;
    tokio::task::spawn_blocking(|| thread.join().unwrap())
        .await
        .unwrap();
}
