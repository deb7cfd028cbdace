//! Handlers that fail without meaning to: panics, timeouts, payloads of another type.

use paceline_node::{CancelReason, Context, HandlerOptions};
use paceline_tests::{Env, Look, SOON, Serve, attempts, feature_test, notes};
use paceline_types::{Bytes, JobStatus, Task};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{MOMENT, done, tried};

#[derive(Serialize, Deserialize)]
struct Sized {
    width: u32,
}

impl Task for Sized {
    const TYPE: &'static str = "sized";
    type Output = u32;
}

feature_test! {
    /// A payload that is not the handler's type cannot get better.
    async fn a_payload_of_another_type_is_dead_and_names_the_field(env: Env) {
        let ride = env
            .ride(|node| node.handle(async |_, job: Sized| Ok(job.width)))
            .await;
        let id = ride.client.submit_raw("sized", json!({"width": "wide"})).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 1));
        let error = record.last_error.unwrap();
        assert!(error.contains("not a sized at `width`"), "{error}");
        ride.stop().await;
    }

    /// Row 33: the handler is told, it counts as a failure, and the sentence names the limit.
    async fn a_handler_that_takes_too_long_has_failed(env: Env) {
        let (pen, mut reasons) = notes();
        let options = HandlerOptions { timeout: Some(MOMENT / 2), ..tried(2) };
        let ride = env
            .ride(|node| node.serve("slow", options, pen, async |pen, context: Context, _| {
                context.cancelled().await;
                pen.note(context.cancel_reason());
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("slow", json!(1)).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 2));
        assert_eq!(
            record.last_error.as_deref(),
            Some("handler exceeded its timeout of 50ms")
        );
        let late = Some(CancelReason::TimedOut);
        assert_eq!(reasons.rest(), [late, late]);
        // Row 33: the job's own timeout comes before the handler's.
        let patient = ride.client.submit_raw("slow", json!(1)).timeout(MOMENT).await.unwrap();
        let record = ride.client.ended(patient.id()).await;
        let error = record.last_error.unwrap();
        assert!(error.ends_with("its timeout of 100ms"), "{error}");
        ride.stop().await;
    }

    /// Row 34: the message and the place are kept, and the node goes on.
    async fn a_panic_is_a_failure_with_its_message(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("panics", tried(2), async |context: Context, _| {
                assert!(context.attempt() > 5, "no luck with attempt {}", context.attempt());
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("panics", json!(1)).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 2));
        let error = record.last_error.unwrap();
        assert!(error.starts_with("handler panicked: no luck with attempt 2"), "{error}");
        assert!(error.contains("failures.rs:"), "{error}");
        let fine = ride.client.submit_raw("panics", json!(1)).retry_policy(attempts(9));
        let fine = fine.await.unwrap().output_within(SOON).await.unwrap();
        assert_eq!(fine, "done");
        ride.stop().await;
    }

    /// Row 25: any error of a handler converts, and is retryable.
    async fn an_error_of_the_handler_keeps_its_causes(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("parse", tried(1), async |_, payload: Bytes| {
                let text = std::str::from_utf8(&payload)?;
                let _: u32 = text.parse()?;
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("parse", json!("x")).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!(record.last_error.as_deref(), Some("invalid digit found in string"));
        let fine = ride.client.submit_bytes("parse", "7").await.unwrap();
        assert_eq!(fine.output().await.unwrap(), "done");
        ride.stop().await;
    }
}
