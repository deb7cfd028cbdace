//! What a job was asked for stays with it on every way back to its lane.

use std::time::Duration;

use paceline_client::Priority;
use paceline_node::Context;
use paceline_tests::{Env, Look, Serve, feature_test, notes};
use paceline_types::{JobError, JobStatus};
use serde_json::json;

use crate::{MOMENT, done, tried};

feature_test! {
    /// Traps W11 and W39, row 20: failed, repeated, paused and resumed, retried from the dead letters:
    /// each run is given the whole of what was asked for, all of which a client can ask for.
    async fn a_job_keeps_what_it_was_asked_for_however_often_it_comes_back(env: Env) {
        let (pen, mut seen) = notes();
        let ride = env
            .ride(|node| node.serve("back", tried(3), pen, async |pen, context: Context, payload| {
                pen.note((
                    context.headers().clone(),
                    context.priority(),
                    context.deadline().is_some(),
                    context.max_attempts(),
                    payload,
                ));
                match context.run() {
                    1 => Err(JobError::retryable("not yet")),
                    2 => Err(JobError::repeat(Duration::ZERO)),
                    3 => Err(JobError::repeat(MOMENT / 10)),
                    4 => Err(JobError::pause(Some(MOMENT / 10), "a moment")),
                    5 => Err(JobError::permanent("given up")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride
            .client
            .submit_raw("back", json!({"n": 7}))
            .priority(Priority::CRITICAL)
            .header("trace", "abc")
            .tag("kept")
            .timeout(Duration::from_secs(60))
            .limit("kept")
            .max_duration(Duration::from_secs(3_600))
            .heartbeat_timeout(Duration::from_secs(600))
            .schedule_to_start_timeout(Duration::from_secs(600))
            .unique("kept")
            .await
            .unwrap();
        let asked = ride.client.look(handle.id()).await;
        ride.client.until(handle.id(), JobStatus::Dead).await;
        ride.client.retry(handle.id()).await.unwrap();
        let record = ride.client.until(handle.id(), JobStatus::Completed).await;

        let runs = seen.take(6).await;
        for run in &runs[1..] {
            assert_eq!(*run, runs[0], "as the first run was");
        }
        assert_eq!(runs[0].0["trace"], "abc");
        assert_eq!(runs[0].1, Priority::CRITICAL);
        assert_eq!(record.limits, asked.limits);
        assert_eq!(record.tags, asked.tags);
        assert_eq!(record.unique_key, asked.unique_key);
        assert_eq!(record.max_duration, Some(Duration::from_secs(3_600)));
        assert_eq!(record.heartbeat_timeout, Some(Duration::from_secs(600)));
        assert_eq!(record.schedule_to_start_timeout, Some(Duration::from_secs(600)));
        ride.stop().await;
    }
}
