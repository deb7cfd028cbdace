//! Nodes and leaders are lost, and the batch goes on.

use paceline_store::calls::batch::WhichItems;
use paceline_tests::{Env, feature_test};
use paceline_types::BatchStatus;
use serde_json::{Value, json};

use crate::hall::{Hall, batch, counts};

feature_test! {
    /// A leader that stops in the middle is followed by another, which loads the batch and goes on; items
    /// that its node gave back run elsewhere.
    async fn another_leader_goes_on(env: Env) {
        let (hall, mut house) = Hall::open(&env).await;
        let mut definition = batch((0..300).map(|n| match n % 50 {
            7 => json!({ "hold": true }),
            _ => Value::Null,
        }));
        definition.chunk_size = 20;
        definition.onetime_task_type = Some("prepare".into());
        let id = house.submit(&definition).await;
        hall.began(100).await;
        house.nodes.push(hall.node(&env).start().await.unwrap());
        let first = house.nodes.remove(0);
        for n in 0..6 {
            hall.release(&format!("i{}", n * 50 + 7));
        }
        first.stop().await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 300, 0, 0, 0));
        assert_eq!(house.most_open(id).await, 20);
        assert_eq!(house.ids(id, WhichItems::Ended).await.len(), 300);
    }

    /// Two nodes, several batches at once, of several shards.
    async fn batches_run_beside_one_another(env: Env) {
        let (hall, mut house) = Hall::open(&env).await;
        house.nodes.push(hall.node(&env).start().await.unwrap());
        let mut ids = Vec::new();
        for n in 0..12 {
            let mut definition = batch((0..60).map(|place| json!({ "skip": place % 17 > 3 })));
            definition.chunk_size = 5 + n;
            ids.push((house.submit(&definition).await, definition.chunk_size));
        }
        for (id, window) in ids {
            let batch = house.ended(id).await;
            assert_eq!(counts(&batch), (BatchStatus::Completed, 60, 0, 0, 0));
            assert!(house.most_open(id).await <= window as usize);
        }
        assert_eq!(hall.runs().len(), 12 * 60);
    }
}
