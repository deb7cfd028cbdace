//! Ends before the end: cancelled, timed out, items that are cancelled by hand.

use std::time::Duration;

use paceline_store::CallError;
use paceline_store::calls::batch::{BatchRefusal, WhichItems};
use paceline_store::calls::cancel::Cancelled;
use paceline_tests::{Env, feature_test};
use paceline_types::{BatchStatus, JobId, JobStatus};
use serde_json::Value;

use crate::hall::{Hall, House, batch, batch_id, counts, held, plain};

feature_test! {
    /// Row 99: waiting items are cancelled at once, running ones are told, and no more begin.
    async fn a_cancelled_batch_stops_its_items(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..50).map(|n| if n < 5 { Value::Null } else { held() }));
        definition.chunk_size = 8;
        let id = house.submit(&definition).await;
        hall.began(13).await;
        house.store.cancel_batch(id, "enough").await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Cancelled, 5, 8, 0, 37));
        assert_eq!(batch.error.as_deref(), Some("cancelled: enough"));
        assert_eq!(hall.runs().len(), 13);
        assert_eq!(house.tale(id).await, ["batch.started", "batch.cancelled"]);
        assert_eq!(house.most_open(id).await, 8);
        let again = house.store.cancel_batch(id, "again").await;
        let ended = BatchRefusal::Ended(BatchStatus::Cancelled);
        assert!(matches!(again, Err(CallError::Refused(refusal)) if refusal == ended));
        let unknown = house.store.cancel_batch(batch_id(&env), "").await;
        assert!(matches!(unknown, Err(CallError::Refused(BatchRefusal::Unknown))));
    }

    /// Row 99: without a node that serves the items they wait, and are cancelled where they wait.
    async fn items_that_wait_are_cancelled_at_once(env: Env) {
        let mut house = House::without_nodes(&env).await;
        let node = env.node().start().await.unwrap();
        house.nodes.push(node);
        let mut definition = plain(300);
        definition.chunk_size = 200;
        let id = house.submit(&definition).await;
        house.until(id, "two hundred wait", |batch| batch.running_items == 200).await;
        house.store.cancel_batch(id, "").await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Cancelled, 0, 200, 0, 100));
        assert_eq!(house.most_open(id).await, 200);
    }

    /// Row 99: by the server's clock; its items are cancelled too.
    async fn a_batch_times_out(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..6).map(|_| held()));
        definition.chunk_size = 2;
        definition.execution_timeout = Some(Duration::from_secs(600));
        let id = house.submit(&definition).await;
        hall.began(2).await;
        let begun = house.look(id).await;
        assert!(begun.deadline.unwrap() >= begun.created_at + 600_000);
        env.run_out_batch(id).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Failed, 0, 2, 0, 4));
        assert_eq!(batch.error.as_deref(), Some("execution timed out"));
        assert_eq!(house.tale(id).await, ["batch.started", "batch.timed_out"]);
        assert_eq!(hall.runs().len(), 2);

        // By the server's clock, and not before.
        definition.execution_timeout = Some(Duration::from_millis(300));
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!((batch.status, batch.completed_items), (BatchStatus::Failed, 0));
        assert_eq!(batch.error.as_deref(), Some("execution timed out"));
        assert!(batch.completed_at.unwrap() >= batch.created_at + 300);
    }

    /// An item that is cancelled by hand has failed; one whose turn has not come cannot be cancelled:
    /// it waits in no lane, whose count must not suffer.
    async fn an_item_is_cancelled_by_hand(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..5).map(|_| held()));
        definition.chunk_size = 2;
        let id = house.submit(&definition).await;
        hall.began(2).await;
        let staged = JobId::of_item(id, 4, 0);
        let job = house.store.job(staged).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Pending);
        let cancelled = house.store.cancel(&[staged], "no").await.unwrap();
        assert_eq!(cancelled, [Cancelled::Unknown]);
        let paused = house.store.pause(staged, None, "no").await;
        assert!(paused.is_err(), "{paused:?}");
        let running = JobId::of_item(id, 0, 0);
        house.store.cancel(&[running], "by hand").await.unwrap();
        hall.began(3).await;
        for n in 1..5 {
            hall.release(&format!("i{n}"));
        }
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Failed, 4, 1, 0, 0));
        assert_eq!(house.ids(id, WhichItems::Failed).await, ["i0"]);
        assert_eq!(house.most_open(id).await, 2);
        // No lane is left that claims to hold work.
        let mut redis = house.raw().await;
        let waiting: Vec<String> = redis::cmd("HGETALL")
            .arg(house.key(id, "waiting"))
            .query_async(&mut redis)
            .await
            .unwrap();
        assert_eq!(waiting, Vec::<String>::new());
    }

    /// A batch that is cancelled before the leader began it.
    async fn a_batch_is_cancelled_before_it_begins(env: Env) {
        let mut house = House::without_nodes(&env).await;
        let id = house.submit(&plain(3)).await;
        assert_eq!(house.look(id).await.status, BatchStatus::Pending);
        house.store.cancel_batch(id, "too soon").await.unwrap();
        let hall = Hall::default();
        house.nodes.push(hall.node(&env).start().await.unwrap());
        let batch = house.ended(id).await;
        // The start came first, so some items may have been in their lane.
        assert_eq!(batch.status, BatchStatus::Cancelled);
        assert_eq!(batch.completed_items, 0);
    }
}
