//! Handlers that are left alone after failures in a row (row 43).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_node::{Breaker, Context, HandlerOptions};
use paceline_tests::{Env, Gate, Look, Serve, feature_test, notes, throughout};
use paceline_types::{JobError, JobId, JobStatus};
use serde_json::json;

use crate::{done, options, told, tried};

const JOBS: usize = 5;

feature_test! {
    /// Contract row 43: no run begins while it is open, and no attempt is used; then exactly one
    /// tries, whichever shard it comes from; it opens again or closes by what that one says.
    async fn an_open_breaker_uses_no_attempt_and_lets_one_run_try(env: Env) {
        let (pen, mut begun) = notes();
        let gate = Gate::default();
        let works = Arc::new(AtomicBool::new(false));
        let rule = Breaker { failures: 2, open_for: Duration::from_secs(1) };
        let state = (pen, gate.clone(), Arc::clone(&works));
        let ride = env
            .ride(|node| {
                let breaks = HandlerOptions { breaker: Some(rule), ..tried(20) };
                node.lease(Duration::from_secs(2))
                    .handle_raw("steady", options(), async |_, _| Ok(done()))
                    .serve("flaky", breaks, state, async |(pen, gate, works), context: Context, _| {
                        pen.note((context.job_id(), context.attempt()));
                        gate.pass().await;
                        if works.load(Ordering::SeqCst) {
                            Ok(done())
                        } else {
                            Err(JobError::retryable("not there"))
                        }
                    })
            })
            .await;
        let client = &ride.client;
        let mut jobs = Vec::new();
        for n in 0..JOBS {
            jobs.push(client.submit_raw("flaky", json!(n)).await.unwrap());
        }
        let mut runs: BTreeMap<JobId, u32> = BTreeMap::new();
        // All of them run before the first has failed, so that none slips in between.
        let mut note = |run: (JobId, u32)| {
            let count = runs.entry(run.0).or_default();
            *count += 1;
            assert_eq!(run.1, *count, "every attempt was a run");
        };
        begun.take(JOBS).await.into_iter().for_each(&mut note);
        gate.admit(JOBS);

        // One tries, and holds.
        note(begun.next().await);
        throughout("one probe", Duration::from_millis(600), async || begun.rest().is_empty()).await;
        let info = told(client, &ride.node, |info| info.breakers.contains_key("flaky")).await;
        let until = info.breakers["flaky"];
        assert!(until > info.started_at && until < info.last_heartbeat + 60_000, "{info:?}");
        // Other handlers are not concerned.
        let steady = client.submit_raw("steady", json!(1)).await.unwrap();
        assert_eq!(steady.output().await.unwrap(), "done");

        // It fails: open again, until the next one tries.
        gate.admit(1);
        note(begun.next().await);
        throughout("one probe", Duration::from_millis(300), async || begun.rest().is_empty()).await;
        let probes = client.list_running(&jobs).await;
        assert_eq!(probes, 1, "the others wait");

        works.store(true, Ordering::SeqCst);
        gate.open();
        for job in &jobs {
            assert_eq!(job.output().await.unwrap(), "done");
        }
        begun.rest().into_iter().for_each(note);
        for job in &jobs {
            let record = client.look(job.id()).await;
            assert_eq!(record.attempt, runs[&job.id()], "a breaker uses no attempt");
        }
        assert_eq!(runs.values().sum::<u32>() as usize, 2 * JOBS + 1);
        told(client, &ride.node, |info| info.breakers.is_empty()).await;
        ride.stop().await;
    }

    /// Contract row 43: per process; what one node leaves alone another one may do.
    async fn another_node_takes_what_an_open_breaker_leaves(env: Env) {
        let rule = Breaker { failures: 1, open_for: crate::LONG };
        let breaks = HandlerOptions { breaker: Some(rule), ..tried(20) };
        let ride = env
            .ride(|node| node.handle_raw("t", breaks, async |_, _| Err(JobError::retryable("no"))))
            .await;
        let first = ride.client.submit_raw("t", json!(1)).await.unwrap();
        told(&ride.client, &ride.node, |info| !info.breakers.is_empty()).await;
        ride.client.until(first.id(), JobStatus::Pending).await;
        let second = env.node().handle_raw("t", options(), async |_, _| Ok(done()));
        let second = second.start().await.unwrap();
        assert_eq!(first.output().await.unwrap(), "done");
        let other = ride.client.submit_raw("t", json!(2)).await.unwrap();
        assert_eq!(other.output().await.unwrap(), "done");
        assert_eq!(ride.client.look(other.id()).await.attempt, 1);
        ride.stop().await;
        second.stop().await;
    }

    /// Contract row 43: errors that are about the job do not count.
    async fn permanent_errors_do_not_open_a_breaker(env: Env) {
        let rule = Breaker { failures: 2, open_for: crate::LONG };
        let breaks = HandlerOptions { breaker: Some(rule), ..tried(1) };
        let ride = env
            .ride(|node| node.handle_raw("t", breaks, async |_, payload| match &*payload {
                b"1" => Err(JobError::permanent("bad payload")),
                _ => Ok(done()),
            }))
            .await;
        for _ in 0..4 {
            let bad = ride.client.submit_raw("t", json!(1)).await.unwrap();
            assert_eq!(ride.client.ended(bad.id()).await.status, JobStatus::Dead);
        }
        let good = ride.client.submit_raw("t", json!(2)).await.unwrap();
        assert_eq!(good.output().await.unwrap(), "done");
        ride.stop().await;
    }
}

/// How many of some jobs run now.
trait Running {
    async fn list_running(
        &self,
        jobs: &[paceline_client::JobHandle<paceline_client::Untyped>],
    ) -> usize;
}

impl Running for paceline_client::Client {
    async fn list_running(
        &self,
        jobs: &[paceline_client::JobHandle<paceline_client::Untyped>],
    ) -> usize {
        let ids: Vec<_> = jobs.iter().map(|job| job.id()).collect();
        let records = self.jobs_by_id(&ids).await.unwrap().into_iter().flatten();
        records
            .filter(|job| job.status == JobStatus::Running)
            .count()
    }
}
