//! Accepting jobs: one by one, many in a call, many at the same time.

use std::collections::HashSet;

use futures::future::join_all;
use paceline_client::{Client, JobRequest, SubmitError};
use paceline_node::Context;
use paceline_tests::{Env, Look, SOON, Serve, eventually, feature_test, log, notes};
use paceline_types::{EventKind, JobError, JobStatus, Priority, Task};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{MOMENT, done, options, tried};

#[derive(Serialize, Deserialize)]
struct Double {
    number: u64,
}

impl Task for Double {
    const TYPE: &'static str = "double";
    type Output = u64;
}

async fn double(_: Context, job: Double) -> Result<u64, JobError> {
    Ok(job.number * 2)
}

feature_test! {
    /// Rows 1 and 38.
    async fn typed_and_untyped_jobs_give_back_what_their_handlers_return(env: Env) {
        let ride = env.ride(|node| node.handle(double)).await;
        let typed = ride.client.submit(Double { number: 21 }).await.unwrap();
        assert!(typed.created());
        assert_eq!(typed.output().await.unwrap(), 42);
        let untyped = ride.client.submit_raw("double", json!({"number": 4})).await.unwrap();
        assert_eq!(untyped.output().await.unwrap(), json!(8));
        let record = ride.client.look(untyped.id()).await;
        assert_eq!(record.status, JobStatus::Completed);
        assert_eq!((record.attempt, record.run), (1, 1));
        assert_eq!(record.result.as_deref(), Some(&b"8"[..]));
        assert!(record.completed_at >= Some(record.created_at));
        ride.stop().await;
    }

    /// Row 1: on return the job is pending, at attempt 0, and its event is written.
    async fn an_accepted_job_is_pending_and_told(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let id = client.submit_raw("nobody", json!(1)).await.unwrap().id();
        let record = client.look(id).await;
        assert_eq!(record.status, JobStatus::Pending);
        assert_eq!((record.attempt, record.run), (0, 0));
        let events = log(&store).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, EventKind::JobEnqueued);
        assert_eq!(events[0].job_id, Some(id));
        assert_eq!(events[0].shard, id.shard());
    }

    /// Row 12.
    async fn a_thousand_jobs_in_one_call_are_each_accepted_and_run_once(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("many", options(), pen, async |pen, context: Context, payload| {
                pen.note((context.job_id(), payload.clone()));
                Ok(payload)
            }))
            .await;
        let jobs = (0..1_000).map(|n| JobRequest::raw("many", json!(n)));
        let accepted = ride.client.submit_many(jobs).await.unwrap();
        assert!(accepted.iter().all(|one| one.as_ref().unwrap().created));
        let ids: Vec<_> = accepted.iter().map(|one| one.as_ref().unwrap().id).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1_000);
        let mut runs = ran.take(1_000).await;
        runs.sort_by_key(|(_, payload)| serde_json::from_slice::<u32>(payload).unwrap());
        let in_order: Vec<_> = runs.into_iter().map(|(id, _)| id).collect();
        assert_eq!(in_order, ids, "the results stand in the order of the jobs");
        for &id in &ids[900..] {
            ride.client.ended(id).await;
        }
        ride.stop().await;
        assert!(ran.rest().is_empty(), "no job ran twice");
    }

    /// Row 12: one that is refused does not keep the others out.
    async fn each_item_of_a_call_has_its_own_result(env: Env) {
        let client = env.client().await;
        let holder = client.submit_raw("t", json!(0)).unique("taken").await.unwrap().id();
        let results = client
            .submit_many([
                JobRequest::raw("t", json!(1)),
                JobRequest::raw("a:b", json!(2)),
                JobRequest::raw("t", json!(3)).unique("taken"),
                JobRequest::raw("t", json!(4)).run_at(1_000),
                JobRequest::bytes("t", vec![0; 300_000]),
                JobRequest::raw("t", json!(6)).unique("twice"),
                JobRequest::raw("t", json!(7)).unique("twice"),
                JobRequest::raw("t", json!(8)),
            ])
            .await
            .unwrap();
        let told: Vec<_> = results
            .iter()
            .map(|result| match result {
                Ok(accepted) if accepted.created => "created",
                Ok(_) => "existing",
                Err(SubmitError::Invalid(_)) => "invalid",
                Err(SubmitError::Duplicate { holder: it, .. }) if *it == holder => "taken",
                Err(SubmitError::Duplicate { .. }) => "duplicate",
                Err(SubmitError::InThePast { .. }) => "past",
                Err(SubmitError::TooLarge { .. }) => "large",
                Err(_) => "other",
            })
            .collect();
        let expected =
            ["created", "invalid", "taken", "past", "large", "created", "duplicate", "created"];
        assert_eq!(told, expected);
        let first_of_two = results[5].as_ref().unwrap().id;
        assert!(matches!(
            &results[6],
            Err(SubmitError::Duplicate { holder, .. }) if *holder == first_of_two
        ));
    }

    /// Speed: submits that run at the same time share calls; a lone one is one call.
    async fn concurrent_submits_travel_together(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let before = store.link().stats().calls;
        client.submit_raw("t", json!(0)).await.unwrap();
        assert_eq!(store.link().stats().calls - before, 1);

        let before = store.link().stats().calls;
        let submits = (0..1_000).map(|n| client.submit_raw("t", json!(n)).into_future());
        let ids: HashSet<_> =
            join_all(submits).await.into_iter().map(|handle| handle.unwrap().id()).collect();
        assert_eq!(ids.len(), 1_000);
        let calls = store.link().stats().calls - before;
        assert!(calls <= 50, "{calls} calls for 1,000 jobs");
    }

    /// Rows 6 and 36.
    async fn a_handler_sees_what_is_known_of_its_job(env: Env) {
        let (pen, mut contexts) = notes();
        let ride = env
            .ride(|node| node.serve("seen", tried(4), pen, async |pen, context, _| {
                pen.note(context);
                Ok(done())
            }))
            .await;
        let handle = ride
            .client
            .submit_raw("seen", json!(null))
            .priority(Priority::HIGH)
            .header("trace", "abc: {1}\n")
            .header("user", "Zoë")
            .timeout(SOON)
            .await
            .unwrap();
        let context: Context = contexts.next().await;
        assert_eq!(context.job_id(), handle.id());
        assert_eq!(context.task_type().as_str(), "seen");
        assert_eq!(context.priority(), Priority::HIGH);
        let headers: Vec<_> = context.headers().iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(headers, [("trace", "abc: {1}\n"), ("user", "Zoë")]);
        assert_eq!((context.attempt(), context.max_attempts(), context.run()), (1, 4, 1));
        assert_eq!(context.node_id(), ride.node.id());
        assert_eq!(context.workflow_id(), None);
        assert!(context.deadline().is_some());
        assert!(!context.is_cancelled());
        let record = ride.client.ended(handle.id()).await;
        assert_eq!(context.created_at(), record.created_at);
        assert_eq!(record.headers, *context.headers());
        ride.stop().await;
    }

    /// Row 36: the fencing token grows with every claim, also when no attempt is used.
    async fn the_fencing_token_grows_with_every_claim(env: Env) {
        let (pen, mut runs) = notes();
        let ride = env
            .ride(|node| node.serve("again", tried(3), pen, async |pen, context: Context, _| {
                pen.note((context.attempt(), context.run()));
                match context.run() {
                    1 | 3 => Err(JobError::retryable("not yet")),
                    2 => Err(JobError::repeat(MOMENT / 10)),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("again", json!(null)).await.unwrap();
        assert_eq!(runs.take(4).await, [(1, 1), (2, 2), (2, 3), (3, 4)]);
        let record = ride.client.ended(handle.id()).await;
        assert_eq!((record.attempt, record.run), (3, 4));
        ride.stop().await;
    }

    /// Bad input: a sentence, and nothing is stored.
    async fn a_request_with_a_mistake_stores_nothing(env: Env) {
        let client = env.client().await;
        let before = env.keys().await;
        let table = [
            (JobRequest::raw("", json!(1)), "the task type is empty"),
            (JobRequest::raw("a{b", json!(1)), "the task type `a{b` contains '{'"),
            (JobRequest::raw("a", json!(1)).tag("x:y"), "the tag `x:y` contains ':'"),
            (JobRequest::raw("a", json!(1)).unique(""), "the unique key is empty"),
            (JobRequest::raw("a", json!(1)).header("h", "x".repeat(20_000)), "the headers have"),
            (JobRequest::raw("a", json!(1)).run_at(1_000), "run_at must be in the future"),
        ];
        for (request, words) in table {
            let error = client.submit_request::<Double>(request).await.unwrap_err();
            assert!(!error.maybe_stored());
            let error = error.to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        eventually("nothing is stored", SOON, async || {
            let now = env.keys().await;
            if now == before { Ok(()) } else { Err(now) }
        })
        .await;
    }
}
