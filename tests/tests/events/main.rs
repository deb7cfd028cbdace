//! Events: one for each transition, in order, followed from anywhere without loss (rows 109
//! to 111).
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paceline_client::{Delivery, JobRequest, Subscription};
use paceline_node::{Context, HandlerOptions, NodeBuilder};
use paceline_tests::{Env, Look, SOON, attempts, feature_test, log, story, within};
use paceline_types::EventKind::{
    JobCancelled, JobCompleted, JobDead, JobDispatched, JobEnqueued, JobFailed, JobPaused,
    JobResumed, JobRetrying, JobScheduled, JobStarted,
};
use paceline_types::{Bytes, Event, EventKind, JobError, JobId, JobStatus, ShardIndex};
use serde_json::json;

mod places;
mod resume;

const MOMENT: Duration = Duration::from_millis(50);

/// A handler that does what its payload says.
fn obedient(node: NodeBuilder) -> NodeBuilder {
    let options = HandlerOptions {
        retry_policy: Some(attempts(3)),
        ..HandlerOptions::default()
    };
    node.handle_raw("t", options, async |context: Context, payload| {
        match (&*payload, context.run()) {
            (b"\"fail\"", _) => Err(JobError::retryable("no luck")),
            (b"\"once\"", 1) => Err(JobError::retryable("not yet")),
            (b"\"dead\"", _) => Err(JobError::permanent("for good")),
            (b"\"pause\"", 1) => Err(JobError::pause(None, "wait")),
            (b"\"rest\"", 1) => Err(JobError::pause(Some(MOMENT), "wait")),
            (b"\"repeat\"", 1) => Err(JobError::repeat(MOMENT)),
            (b"\"cancel\"", _) => {
                context.cancelled().await;
                Ok(Bytes::new())
            }
            _ => Ok(Bytes::from_static(b"1")),
        }
    })
}

async fn delivery(events: &mut Subscription) -> Delivery {
    within("the next event", SOON, events.next())
        .await
        .unwrap()
        .unwrap()
}

async fn next(events: &mut Subscription) -> Event {
    match delivery(events).await {
        Delivery::Event(event) => event,
        gap => panic!("{gap:?}"),
    }
}

/// The next events up to one of this kind, that one included.
async fn up_to(events: &mut Subscription, last: &EventKind) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = next(events).await;
        let end = event.kind == *last;
        seen.push(event);
        if end {
            return seen;
        }
    }
}

feature_test! {
    /// Row 109, trap W43: these and no others, each path of a job's life, told live as well as in the log.
    async fn every_path_of_a_job_has_its_sequence_of_events(env: Env) {
        let ride = env.ride(obedient).await;
        let client = &ride.client;
        let table: [(&str, u64, &[EventKind]); 9] = [
            ("succeed", 0, &[JobEnqueued, JobStarted, JobCompleted]),
            ("succeed", 20, &[JobScheduled, JobDispatched, JobStarted, JobCompleted]),
            ("once", 0, &[
                JobEnqueued, JobStarted, JobFailed, JobDispatched, JobStarted, JobCompleted,
            ]),
            ("fail", 0, &[
                JobEnqueued, JobStarted, JobFailed, JobDispatched, JobStarted, JobFailed,
                JobDispatched, JobStarted, JobDead,
            ]),
            ("dead", 0, &[JobEnqueued, JobStarted, JobDead]),
            ("repeat", 0, &[
                JobEnqueued, JobStarted, JobScheduled, JobDispatched, JobStarted, JobCompleted,
            ]),
            ("rest", 0, &[
                JobEnqueued, JobStarted, JobPaused, JobResumed, JobStarted, JobCompleted,
            ]),
            ("pause", 0, &[
                JobEnqueued, JobStarted, JobPaused, JobResumed, JobStarted, JobCompleted,
            ]),
            ("cancel", 0, &[JobEnqueued, JobStarted, JobCancelled]),
        ];
        for (case, delay, expected) in table {
            let mut live = client.subscribe().task_type("t").await.unwrap();
            let submit = client.submit_raw("t", json!(case)).delay(Duration::from_millis(delay));
            let id = submit.await.unwrap().id();
            match case {
                "pause" => {
                    client.until(id, JobStatus::Paused).await;
                    client.resume(id).await.unwrap();
                }
                "cancel" => {
                    client.until(id, JobStatus::Running).await;
                    client.cancel(id).await.unwrap();
                }
                _ => {}
            }
            client.ended(id).await;
            assert_eq!(story(&ride.store, id).await, expected, "{case}");
            let told = up_to(&mut live, expected.last().unwrap()).await;
            assert!(told.iter().all(|event| event.job_id == Some(id)));
            assert_eq!(told.into_iter().map(|event| event.kind).collect::<Vec<_>>(), expected);
        }
        ride.stop().await;
    }

    /// Row 109 with row 29: another generation goes on in the same log.
    async fn an_explicit_retry_is_told_as_retrying(env: Env) {
        let client = env.client().await;
        let handle = client.submit_raw("t", json!("succeed")).await.unwrap();
        handle.cancel().await.unwrap();
        client.retry(handle.id()).await.unwrap();
        let ride = env.ride(obedient).await;
        handle.wait().await.unwrap();
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobCancelled, JobRetrying, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Row 111: who, what, which execution, where, and why.
    async fn an_event_says_what_is_known(env: Env) {
        let ride = env.ride(obedient).await;
        let clock = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let id = ride.client.submit_raw("t", json!("fail")).await.unwrap().id();
        let submitted = clock();
        ride.client.ended(id).await;
        let told = clock();
        let node = ride.node.id();
        let events: Vec<_> =
            log(&ride.store).await.into_iter().filter(|event| event.job_id == Some(id)).collect();
        let mut run = 0;
        for event in &events {
            assert_eq!(event.shard, id.shard());
            assert_eq!(event.task_type.as_ref().unwrap().as_str(), "t");
            assert_eq!((&event.workflow_id, &event.workflow_task), (&None, &None));
            if event.kind == JobStarted {
                run += 1;
            }
            if matches!(event.kind, JobStarted | JobFailed | JobDead) {
                assert_eq!(event.node_id, Some(node), "{event:?}");
                assert_eq!((event.run, event.attempt), (Some(run), Some(run as u32)));
            }
            let error = matches!(event.kind, JobFailed | JobDead).then_some("no luck");
            assert_eq!(event.error.as_deref(), error, "{event:?}");
        }
        assert!(events.is_sorted_by_key(|event| (event.timestamp, event.cursor)));
        let record = ride.client.look(id).await;
        // An entry of the log is dated when it is written, at the end of the script, before its reply.
        assert!((record.created_at..=submitted).contains(&events[0].timestamp));
        let last = events.last().unwrap().timestamp;
        assert!((record.completed_at.unwrap()..=told).contains(&last));
        ride.stop().await;
    }

    /// I9: the events of a job are in the order of its shard, and fold into its state.
    async fn the_events_of_each_job_fold_into_its_state(env: Env) {
        let ride = env.ride(obedient).await;
        let client = &ride.client;
        let cases = ["succeed", "once", "fail", "dead", "repeat", "rest"];
        let jobs = (0..240).map(|n: usize| {
            JobRequest::raw("t", json!(cases[n % 6])).unique(format!("{n}"))
        });
        let mut live = client.subscribe().from_start().task_type("t").await.unwrap();
        let accepted = client.submit_many(jobs).await.unwrap();
        let ids: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        let mut standing = BTreeMap::<JobId, (JobStatus, u64)>::new();
        let mut places = BTreeMap::<ShardIndex, _>::new();
        let mut ended = 0;
        while ended < ids.len() {
            let event = next(&mut live).await;
            let before = places.insert(event.shard, event.cursor);
            assert!(before < Some(event.cursor), "in the order of the shard");
            let id = event.job_id.unwrap();
            let from = standing.get(&id).copied();
            let run = event.run.unwrap_or(0);
            use JobStatus::{Completed, Dead, Paused, Pending, Retrying, Running, Scheduled};
            let to = match (from.map(|(status, _)| status), &event.kind) {
                (None, JobEnqueued) => Pending,
                (Some(Pending), JobStarted) => Running,
                (Some(Running), JobCompleted) => Completed,
                (Some(Running), JobDead) => Dead,
                (Some(Running), JobFailed) => Retrying,
                (Some(Running), JobScheduled) => Scheduled,
                (Some(Running), JobPaused) => Paused,
                (Some(Retrying | Scheduled), JobDispatched) | (Some(Paused), JobResumed) => Pending,
                step => panic!("{id}: {step:?}"),
            };
            let least = from.map_or(0, |(_, run)| run) + u64::from(to == Running);
            assert_eq!(run, least, "{event:?}");
            ended += usize::from(to.is_terminal());
            standing.insert(id, (to, run));
        }
        for job in client.jobs_by_id(&ids).await.unwrap() {
            let job = job.unwrap();
            assert_eq!(standing[&job.id], (job.status, job.run));
        }
        ride.stop().await;
    }
}
