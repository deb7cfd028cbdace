//! W4: the inbox delivers at least once. Every entry is put there a second time.

use paceline_store::calls::batch::WhichItems;
use paceline_tests::{Env, Repeater, feature_test, inboxes_empty, parked};
use paceline_types::BatchStatus;
use serde_json::{Value, json};

use crate::hall::{Hall, batch, counts};

/// Waits until the leaders have seen everything, copies included, and parked none of it.
async fn seen(env: &Env) {
    inboxes_empty(env).await;
    assert_eq!(parked(env).await, Vec::<String>::new());
}

feature_test! {
    /// W4: counters are not counted twice, nothing runs twice, and the end is told once.
    async fn every_entry_twice_changes_nothing(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let _repeater = Repeater::start(&env).await;
        let mut definition = batch((0..120).map(|n| match n % 9 {
            4 => json!({ "fail_until": 1 }),
            _ => Value::Null,
        }));
        definition.chunk_size = 11;
        definition.onetime_task_type = Some("prepare".into());
        let id = house.submit(&definition).await;
        let failed = house.ended(id).await;
        assert_eq!(counts(&failed), (BatchStatus::Failed, 107, 13, 0, 0));
        seen(&env).await;
        house.store.retry_batch(id, true).await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 120, 0, 0, 0));
        seen(&env).await;
        assert_eq!(batch.attempt, 2);
        assert_eq!(hall.runs().len(), 1 + 120 + 13);
        assert_eq!(house.most_open(id).await, 11);
        assert_eq!(house.ids(id, WhichItems::Failed).await.len(), 0);
        assert_eq!(
            house.tale(id).await,
            ["batch.started", "batch.failed", "batch.retrying", "batch.completed"]
        );
    }
}
