//! Retention: what was kept long enough is removed until nothing is left (row 106, I16).

use std::time::Duration;

use paceline_client::WaitError;
use paceline_node::{Context, HandlerOptions};
use paceline_tests::{Env, Look, SOON, attempts, eventually, feature_test};
use paceline_types::{JobError, JobStatus, Priority};
use serde_json::json;

use crate::{MOMENT, done, tried};

/// The leader looks every ten seconds while something is past its time.
const SWEPT: Duration = Duration::from_secs(40);

/// Keys of a shard that stay when no job is left.
fn is_fixed(key: &str) -> bool {
    let name = key.split_once("}:").unwrap().1;
    let fixed = [
        "events",
        "events:count",
        "lanes",
        "leader",
        "leases",
        "nodes",
        "stats:days",
        "meta",
    ];
    // Tokens of bells: one at most for each task type, and the last turns of a node that lives.
    fixed.contains(&name) || name.starts_with("bell") || name.starts_with("turn:")
}

async fn nothing_but_fixed_keys(env: &Env) {
    eventually("only the fixed keys are left", SWEPT, async || {
        let mut keys = env.keys().await;
        keys.retain(|key| !is_fixed(key));
        if keys.is_empty() { Ok(()) } else { Err(keys) }
    })
    .await;
}

fn short() -> HandlerOptions {
    HandlerOptions {
        retention: Some(MOMENT),
        dead_retention: Some(MOMENT),
        ..tried(2)
    }
}

feature_test! {
    /// Row 106, traps W34 and W35, I16: for jobs of every kind and end.
    async fn after_retention_only_the_fixed_keys_are_left(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", short(), async |context: Context, payload| {
                match &*payload {
                    b"0" => Ok(done()),
                    b"1" => Err(JobError::skip("nothing")),
                    b"2" => Err(JobError::permanent("dead")),
                    b"3" => Err(JobError::retryable("twice")),
                    _ if context.run() > 1 => Ok(done()),
                    b"4" => Err(JobError::pause(Some(MOMENT), "wait")),
                    b"5" => Err(JobError::repeat(MOMENT)),
                    _ => Err(JobError::rate_limited(MOMENT)),
                }
            }))
            .await;
        let mut handles = Vec::new();
        for case in 0..7 {
            for (priority, delay) in [(1, 0), (5, 0), (9, 50)] {
                let name = format!("{case}-{priority}");
                let submit = ride
                    .client
                    .submit_raw("t", json!(case))
                    .priority(Priority::new(priority))
                    .unique(&name)
                    .idempotency_key(&name)
                    .idempotency_ttl(Duration::from_millis(500))
                    .tags(["all", &name])
                    .header("a", "b")
                    .audited()
                    .delay(Duration::from_millis(delay));
                handles.push(submit.await.unwrap());
            }
        }
        for handle in &handles {
            // Those that ended first may be gone by now.
            let ended = handle.wait().await;
            assert!(matches!(ended, Ok(_) | Err(WaitError::Unknown { .. })), "{ended:?}");
        }
        nothing_but_fixed_keys(&env).await;
        for handle in &handles {
            assert_eq!(ride.client.job(handle.id()).await.unwrap(), None);
        }
        assert!(ride.client.dead_letters().list().await.unwrap().items.is_empty());
        ride.stop().await;
    }

    /// Row 106: the job's own retention comes before its handler's, and zero is for ever.
    async fn a_job_is_kept_for_as_long_as_it_asks(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", short(), async |_, _| Ok(done()))).await;
        let submit = |retention| ride.client.submit_raw("t", json!(1)).retention(retention);
        let brief = submit(Duration::from_millis(1)).await.unwrap();
        let long = submit(Duration::from_secs(600)).await.unwrap();
        let ever = submit(Duration::ZERO).await.unwrap();
        let default = ride.client.submit_raw("t", json!(1)).await.unwrap();
        for handle in [&long, &ever] {
            handle.wait().await.unwrap();
        }
        for handle in [&brief, &default] {
            eventually("it is removed", SWEPT, async || {
                ride.client.job(handle.id()).await.unwrap().is_none()
            })
            .await;
        }
        for handle in [&long, &ever] {
            let record = ride.client.look(handle.id()).await;
            assert_eq!(record.status, JobStatus::Completed);
            assert_eq!(handle.output().await.unwrap(), "done");
        }
        ride.stop().await;
    }

    /// Row 106 with row 29: a retried job is not removed by the time of its first end.
    async fn a_retried_job_outlives_the_retention_of_its_first_end(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", HandlerOptions {
                dead_retention: Some(Duration::from_secs(1)),
                ..tried(1)
            }, async |context: Context, payload| {
                if payload == "2" || context.run() == 1 {
                    return Err(JobError::permanent("dead"));
                }
                context.cancelled().await;
                Ok(done())
            }))
            .await;
        // In the same shard, so that the sweep that takes the one has seen the other.
        let kept = ride.client.submit_raw("t", json!(1)).unique("k");
        let kept = kept.retry_policy(attempts(1)).await.unwrap();
        ride.client.until(kept.id(), JobStatus::Dead).await;
        let gone = ride.client.submit_raw("t", json!(2)).unique("k").await.unwrap();
        assert_eq!(gone.id().shard(), kept.id().shard());
        ride.client.until(gone.id(), JobStatus::Dead).await;
        ride.client.retry(kept.id()).await.unwrap();
        eventually("the other one is removed", SWEPT, async || {
            ride.client.job(gone.id()).await.unwrap().is_none()
        })
        .await;
        assert_eq!(ride.client.look(kept.id()).await.status, JobStatus::Running);
        kept.cancel().await.unwrap();
        let _ = kept.output_within(SOON).await;
        ride.stop().await;
    }

    /// What is cancelled or claimed leaves no empty lane behind.
    async fn empty_lanes_have_no_keys(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", short(), async |_, _| Ok(done()))).await;
        for n in 0..20 {
            let nobody = ride.client.submit_raw("nobody", json!(n)).await.unwrap();
            let submit = ride.client.submit_raw("t", json!(n)).priority(Priority::new(n));
            submit.await.unwrap().wait().await.unwrap();
            nobody.cancel().await.unwrap();
        }
        let keys = env.keys().await;
        let left: Vec<_> = keys
            .iter()
            .filter(|key| [":lane:", ":ready:", ":runs"].iter().any(|part| key.contains(part)))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        ride.stop().await;
    }
}
