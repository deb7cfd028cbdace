//! Other attempts: by the policy, by hand, of what failed and of everything.

use std::time::Duration;

use paceline_store::CallError;
use paceline_store::calls::batch::{BatchRefusal, WhichItems};
use paceline_tests::{Env, feature_test};
use paceline_types::batch::BatchFailurePolicy;
use paceline_types::{BatchStatus, JobStatus, RetryPolicy};
use serde_json::{Value, json};

use crate::hall::{Hall, batch, batch_id, counts, failing};

fn policy(attempts: u32, delay: Duration) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        max_attempts: attempts,
        initial_delay: delay,
        multiplier: 1.0,
        ..RetryPolicy::default()
    })
}

feature_test! {
    /// Row 96: what failed runs again after the policy's delay, what completed is kept, and the counters
    /// are counted anew.
    async fn a_policy_tries_what_failed_again(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..40).map(|n| match n {
            5 => json!({ "fail_until": 1 }),
            35 => json!({ "fail_until": 2 }),
            _ => Value::Null,
        }));
        definition.chunk_size = 6;
        definition.retry_policy = policy(3, Duration::from_millis(50));
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 40, 0, 0, 0));
        assert_eq!((batch.attempt, batch.max_attempts), (3, 3));
        let times = hall.times();
        assert_eq!((times["i5"], times["i35"], times["i6"]), (2, 3, 1));
        assert_eq!(hall.runs().len(), 43);
        assert_eq!(
            house.tale(id).await,
            ["batch.started", "batch.retrying", "batch.retrying", "batch.completed"]
        );
        let result = house.store.batch_item(id, "i35").await.unwrap().unwrap();
        assert_eq!(result.output.as_deref(), Some(&b"\"i35\""[..]));
        assert_eq!(house.most_open(id).await, 6);
    }

    /// W29: a policy is about each failure, that of the onetime task and of failing fast included.
    async fn every_failure_follows_the_policy(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch([json!({ "fail_until": 1 }), Value::Null, Value::Null]);
        definition.chunk_size = 1;
        definition.onetime_task_type = Some("prepare".into());
        definition.onetime_payload = serde_json::value::to_raw_value(&json!({ "fail_until": 1 })).ok();
        definition.failure_policy = BatchFailurePolicy::FailFast;
        definition.retry_policy = policy(3, Duration::ZERO);
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 3, 0, 0, 0));
        assert_eq!(batch.attempt, 3, "the onetime task failed, then an item");
        let times = hall.times();
        assert_eq!((times["onetime"], times["i0"], times["i1"]), (2, 2, 1));
    }

    /// Row 96: after its last attempt a batch has failed.
    async fn attempts_are_used_up(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch([failing(), Value::Null]);
        definition.retry_policy = policy(2, Duration::ZERO);
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Failed, 1, 1, 0, 0));
        assert_eq!((batch.attempt, hall.times()["i0"], hall.times()["i1"]), (2, 2, 1));
    }

    /// W29: cancelled items and those that never began run in a retry of what failed, each payload
    /// as it was submitted.
    async fn a_cancelled_batch_is_gone_on_with(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let echo = |n: usize| json!({ "hold": n >= 10, "echo": true });
        let mut definition = batch((0..60).map(echo));
        definition.chunk_size = 10;
        definition.onetime_task_type = Some("prepare".into());
        let id = house.submit(&definition).await;
        hall.began(21).await;
        let early = house.store.retry_batch(id, true).await;
        assert!(matches!(early, Err(CallError::Refused(BatchRefusal::NotEnded))));
        house.store.cancel_batch(id, "").await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Cancelled, 10, 10, 0, 40));
        for n in 0..60 {
            hall.release(&format!("i{n}"));
        }
        house.store.retry_batch(id, true).await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 60, 0, 0, 0));
        assert_eq!(batch.attempt, 2);
        let times = hall.times();
        assert_eq!((times["onetime"], times["i3"], times["i15"], times["i30"]), (1, 1, 2, 1));
        for result in house.results(id, WhichItems::All).await {
            let given: Value = serde_json::from_slice(&result.output.unwrap()).unwrap();
            let original = echo(result.place as usize);
            assert_eq!(given, json!({ "upstream": "onetime", "original": original }));
        }
        assert_eq!(
            house.tale(id).await,
            ["batch.started", "batch.cancelled", "batch.retrying", "batch.completed"]
        );
        assert_eq!(house.most_open(id).await, 10);
        let over = house.store.retry_batch(id, true).await;
        assert!(matches!(over, Err(CallError::Refused(BatchRefusal::Completed))));
        let unknown = house.store.retry_batch(batch_id(&env), true).await;
        assert!(matches!(unknown, Err(CallError::Refused(BatchRefusal::Unknown))));
    }

    /// Row 96: everything, the onetime task included; what an earlier attempt came to is no result of
    /// this one.
    async fn everything_is_tried_again(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..50).map(|n| match n {
            0 => json!({ "fail_until": 1 }),
            _ => Value::Null,
        }));
        definition.onetime_task_type = Some("prepare".into());
        definition.chunk_size = 3;
        let id = house.submit(&definition).await;
        assert_eq!(house.ended(id).await.status, BatchStatus::Failed);
        house.store.retry_batch(id, false).await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 50, 0, 0, 0));
        assert!(hall.times().values().all(|&times| times == 2), "{:?}", hall.times());
        assert_eq!(house.most_open(id).await, 3);
        let job = house.store.batch_item(id, "i7").await.unwrap().unwrap().job_id;
        assert_eq!(job, Some(paceline_types::JobId::of_item(id, 7, 1)));
    }

    /// While it is tried again, items ahead are pending, whatever they came to before.
    async fn what_is_ahead_is_pending(env: Env) {
        let (_hall, mut house) = Hall::open(&env).await;
        let mut definition = batch([failing(), failing(), failing()]);
        definition.chunk_size = 1;
        let id = house.submit(&definition).await;
        house.ended(id).await;
        assert_eq!(house.ids(id, WhichItems::Failed).await.len(), 3);
        // Nobody runs items any more.
        house.nodes.push(env.node().start().await.unwrap());
        house.nodes.remove(0).stop().await;
        house.store.retry_batch(id, true).await.unwrap();
        let again = house.until(id, "the first waits", |batch| batch.running_items == 1).await;
        assert_eq!(counts(&again), (BatchStatus::Running, 0, 0, 1, 2));
        assert_eq!(house.ids(id, WhichItems::Ended).await.len(), 0);
        for result in house.results(id, WhichItems::All).await {
            assert_eq!((result.status, result.error), (JobStatus::Pending, None));
            assert_eq!(result.job_id.is_some(), result.place == 0);
        }
        house.store.cancel_batch(id, "").await.unwrap();
        assert_eq!(house.ended(id).await.status, BatchStatus::Cancelled);
    }

    /// A cancelled batch rests no more.
    async fn a_batch_that_rests_is_cancelled(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch([failing()]);
        definition.retry_policy = policy(9, Duration::from_secs(3_600));
        let id = house.submit(&definition).await;
        hall.began(1).await;
        house.until(id, "it rests", |batch| batch.error.is_some()).await;
        assert_eq!(house.look(id).await.status, BatchStatus::Running);
        house.store.cancel_batch(id, "enough").await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Cancelled, 0, 1, 0, 0));
        assert_eq!(hall.runs().len(), 1);
    }
}
