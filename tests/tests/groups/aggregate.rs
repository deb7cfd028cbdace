//! Aggregators: one payload of many messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use paceline_tests::{Env, Look, feature_test, notes};
use paceline_types::{JobError, JobStatus, Task};
use serde_json::json;

use crate::{TYPE, given, listening, push};

#[derive(serde::Serialize, serde::Deserialize)]
struct Total {
    sum: u64,
}

impl Task for Total {
    const TYPE: &'static str = "total";
    type Output = u64;
}

feature_test! {
    /// Contract row 11: the aggregator's payload is what the handler is given.
    async fn an_aggregator_makes_one_payload_of_the_messages(env: Env) {
        let join = |group: &str, messages: Vec<Bytes>| {
            let messages = messages.iter().map(|one| String::from_utf8_lossy(one).into_owned());
            let joined = messages.collect::<Vec<_>>().join("+");
            Ok(json!(format!("{group}: {joined}")).to_string().into())
        };
        let (ride, mut heard) = listening(&env, |node| node.aggregate(TYPE, join)).await;
        for n in 1..4 {
            push(&ride.client, "sum", n).await;
        }
        ride.client.flush_group("sum").await.unwrap();
        assert_eq!(heard.next().await, given("sum", "\"sum: 1+2+3\""));
        // A job of no group does not pass it.
        ride.client.submit_raw(TYPE, json!([1, 2])).await.unwrap();
        assert_eq!(heard.next().await, given("", "[1,2]"));
        ride.stop().await;
    }

    /// Contract row 11: an aggregator of a task's own type.
    async fn tasks_of_a_type_are_merged_by_their_aggregator(env: Env) {
        let ride = env
            .ride(|node| {
                node.handle(|_, total: Total| async move { Ok(total.sum) })
                    .aggregate_task::<Total, _>(|_, totals| {
                        let sum = totals.iter().map(|total| total.sum).sum();
                        Ok(Total { sum })
                    })
            })
            .await;
        let totals = (1..=10).map(|sum| Total { sum });
        let pushed = ride.client.push_many("g", totals).max_size(10).await.unwrap();
        let handle = ride.client.handle_of::<Total>(pushed.jobs[0]);
        assert_eq!(handle.output().await.unwrap(), 55);
        // A message that is none sends the job to the dead letters, and is named.
        let pushed = ride.client.push_raw("g", "total", json!("x")).max_size(1).await.unwrap();
        let dead = ride.client.ended(pushed.jobs[0]).await;
        assert_eq!(dead.status, JobStatus::Dead);
        let error = dead.last_error.unwrap();
        assert!(error.starts_with("message 0 of group `g` is not a total: "), "{error}");
        ride.stop().await;
    }

    /// Contract row 11, trap W13: the attempt fails, and the next has the same messages.
    async fn an_aggregator_that_fails_or_panics_is_tried_again_with_the_same_messages(env: Env) {
        let calls = Arc::new(AtomicU32::new(0));
        let (pen, mut tried) = notes();
        let aggregate = move |_: &str, messages: Vec<Bytes>| {
            pen.note(messages);
            match calls.fetch_add(1, Ordering::Relaxed) {
                0 => Err(JobError::retryable("not yet")),
                1 => panic!("half-way"),
                _ => Ok(Bytes::from_static(b"\"merged\"")),
            }
        };
        let (ride, mut heard) = listening(&env, |node| node.aggregate(TYPE, aggregate)).await;
        push(&ride.client, "g", 1).await;
        push(&ride.client, "g", 2).await;
        let job = ride.client.flush_group("g").await.unwrap();
        let ended = ride.client.ended(job).await;
        assert_eq!((ended.status, ended.attempt), (JobStatus::Completed, 3));
        assert_eq!(tried.take(3).await, vec![vec![Bytes::from("1"), Bytes::from("2")]; 3]);
        assert_eq!(heard.next().await, given("g", "\"merged\""));
        assert_eq!(ended.payload, "[1,2]", "what was pushed is kept");
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }

    /// Contract row 11: the last failure buries the job with all its messages.
    async fn messages_that_cannot_be_merged_are_a_dead_letter(env: Env) {
        let refuse = |_: &str, _| Err(JobError::retryable("never"));
        let (ride, mut heard) = listening(&env, |node| node.aggregate(TYPE, refuse)).await;
        push(&ride.client, "g", 1).await;
        let job = ride.client.flush_group("g").await.unwrap();
        let ended = ride.client.ended(job).await;
        assert_eq!((ended.status, ended.last_error.as_deref()), (JobStatus::Dead, Some("never")));
        assert_eq!(ended.payload, "[1]");
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }
}
