//! What runs around handlers (row 35).

use paceline_node::{Context, Next};
use paceline_tests::{Env, Look, feature_test, log, notes, story};
use paceline_types::EventKind::{JobCompleted, JobEnqueued, JobFailed, JobRetrying, JobStarted};
use paceline_types::{Bytes, JobError, JobStatus, Outcome};
use serde_json::json;

use crate::{done, options, tried};

/// Middleware that tells when it is entered and left, and puts its name around the result.
fn layer(
    pen: &paceline_tests::Pen<String>,
    name: &'static str,
) -> impl Fn(Context, Bytes, Next) -> futures::future::BoxFuture<'static, Outcome> + Send + Sync + 'static
{
    let pen = pen.clone();
    move |context, payload, next| {
        let pen = pen.clone();
        Box::pin(async move {
            pen.note(format!("{name} in"));
            let result = next.run(context, payload).await?;
            pen.note(format!("{name} out"));
            let result = String::from_utf8_lossy(&result).replace('"', "");
            Ok(Bytes::from(format!("\"{name}({result})\"")))
        })
    }
}

feature_test! {
    /// Contract row 35: the node's, then the handler's, each in the order of registration; also
    /// around handlers that were registered before.
    async fn middleware_runs_from_the_outside_in(env: Env) {
        let (pen, mut told) = notes();
        let own = options().middleware(layer(&pen, "c")).middleware(layer(&pen, "d"));
        let ride = env
            .ride(|node| {
                node.handle_raw("all", own, async |_, _| Ok(done()))
                    .middleware(layer(&pen, "a"))
                    .middleware(layer(&pen, "b"))
                    .handle_raw("two", options(), async |_, _| Ok(done()))
            })
            .await;
        let all = ride.client.submit_raw("all", json!(1)).await.unwrap();
        assert_eq!(all.output().await.unwrap(), "a(b(c(d(done))))");
        let order = ["a in", "b in", "c in", "d in", "d out", "c out", "b out", "a out"];
        assert_eq!(told.take(8).await, order);
        let two = ride.client.submit_raw("two", json!(1)).await.unwrap();
        assert_eq!(two.output().await.unwrap(), "a(b(done))");
        ride.stop().await;
    }

    /// Contract row 35: it sees the job, may change its payload, and may answer in its place.
    async fn middleware_may_change_and_answer(env: Env) {
        let guard = options()
            .middleware(async |context: Context, payload, next: Next| {
                if context.headers().contains_key("forbidden") {
                    return Err(JobError::permanent("forbidden"));
                }
                next.run(context, payload).await
            })
            .middleware(async |context: Context, _: Bytes, next: Next| {
                next.run(context, Bytes::from_static(b"\"changed\"")).await
            });
        let ride = env
            .ride(|node| node.handle_raw("echo", guard, async |_, payload| Ok(payload)))
            .await;
        let client = &ride.client;
        let echo = client.submit_raw("echo", json!("sent")).await.unwrap();
        assert_eq!(echo.output().await.unwrap(), "changed");
        let refused = client.submit_raw("echo", json!(1)).header("forbidden", "1").await.unwrap();
        let record = client.ended(refused.id()).await;
        assert_eq!(record.status, JobStatus::Dead);
        assert_eq!(record.last_error.as_deref(), Some("forbidden"));
        ride.stop().await;
    }

    /// Contract row 35: a panic in middleware is a panic of the handler, tried again.
    async fn a_panic_in_middleware_is_a_failure_that_is_tried_again(env: Env) {
        let fragile = tried(2).middleware(async |context: Context, payload, next: Next| {
            assert!(context.attempt() > 1, "not yet");
            next.run(context, payload).await
        });
        let ride =
            env.ride(|node| node.handle_raw("t", fragile, async |_, _| Ok(done()))).await;
        let handle = ride.client.submit_raw("t", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let story: Vec<_> = story(&ride.store, handle.id())
            .await
            .into_iter()
            .filter(|kind| [JobEnqueued, JobStarted, JobFailed, JobCompleted, JobRetrying].contains(kind))
            .collect();
        assert_eq!(story, [JobEnqueued, JobStarted, JobFailed, JobStarted, JobCompleted]);
        let failed = log(&ride.store).await.into_iter().find(|event| event.kind == JobFailed);
        let error = failed.unwrap().error.unwrap();
        assert!(error.starts_with("handler panicked: not yet at "), "{error}");
        assert!(error.contains("middleware.rs:"), "{error}");
        ride.stop().await;
    }
}
