//! Submitting: in pieces, again and again, given up, and wrong.

use paceline_store::calls::batch::{Accepted, WhichItems};
use paceline_tests::{Env, eventually, feature_test};
use paceline_types::{BatchStatus, EventKind};

use crate::hall::{Hall, House, batch_id, counts, plain};

feature_test! {
    /// W3: nothing of a batch is dispatched before it is accepted, so that no end can come too soon.
    async fn nothing_begins_before_the_batch_is_accepted(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let definition = plain(100);
        let plan = definition.validate(1 << 20).unwrap();
        let (id, store) = (batch_id(&env), &house.store);
        store.stage_batch(id, &plan, 0, &definition.items[..96]).await.unwrap();
        assert_eq!(store.accept_batch(id, &definition, &plan).await.unwrap(), Accepted::Incomplete);
        assert!(store.batch(id).await.unwrap().is_none());
        let page = paceline_store::calls::list::PageRequest::first(100);
        assert_eq!(store.list_batches(None, &page).await.unwrap().items.len(), 0);
        // Another batch goes all the way meanwhile.
        let other = house.submit(&plain(3)).await;
        house.ended(other).await;
        assert_eq!(hall.runs().len(), 3);
        store.stage_batch(id, &plan, 96, &definition.items[96..]).await.unwrap();
        assert_eq!(store.accept_batch(id, &definition, &plan).await.unwrap(), Accepted::Created);
        assert_eq!(counts(&house.ended(id).await), (BatchStatus::Completed, 100, 0, 0, 0));
        assert_eq!(hall.runs().len(), 103);
    }

    /// Every call of a submission may be sent again at any time, and changes nothing then.
    async fn a_submission_is_repeated_without_harm(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let definition = plain(200);
        let plan = definition.validate(1 << 20).unwrap();
        let id = batch_id(&env);
        for created in [true, false] {
            let submitted = house.store.submit_batch(id, &definition, &plan).await.unwrap();
            assert_eq!(submitted, created);
        }
        house.ended(id).await;
        let submitted = house.store.submit_batch(id, &definition, &plan).await.unwrap();
        assert!(!submitted);
        // Two of the same at once.
        let id = batch_id(&env);
        let (one, other) = tokio::join!(
            house.store.submit_batch(id, &definition, &plan),
            house.store.submit_batch(id, &definition, &plan)
        );
        assert!(one.unwrap() != other.unwrap(), "one of them was the first");
        assert_eq!(counts(&house.ended(id).await), (BatchStatus::Completed, 200, 0, 0, 0));
        assert_eq!(hall.runs().len(), 400);
        house.most_open(id).await;
        let events = house.events(id).await;
        let started = events.iter().filter(|event| event.kind == EventKind::BatchStarted);
        assert_eq!(started.count(), 1);
        assert_eq!(house.ids(id, WhichItems::Ended).await.len(), 200);
    }

    /// An upload that was given up is removed after a while, and one that comes back meanwhile
    /// begins anew.
    async fn what_was_staged_and_given_up_is_removed(env: Env) {
        let house = House::without_nodes(&env).await;
        let definition = plain(400);
        let plan = definition.validate(1 << 20).unwrap();
        let id = batch_id(&env);
        for first in [0, 96, 288] {
            let items = &definition.items[first..first + 96];
            let place = u32::try_from(first).unwrap();
            house.store.stage_batch(id, &plan, place, items).await.unwrap();
        }
        let mut redis = house.raw().await;
        let ended = house.key(id, "ended");
        let packets: Vec<(String, f64)> = redis::cmd("ZRANGE")
            .arg(&ended).arg(0).arg(-1).arg("WITHSCORES")
            .query_async(&mut redis).await.unwrap();
        assert_eq!(packets.len(), 1);
        redis::cmd("ZADD").arg(&ended).arg(1).arg(&packets[0].0)
            .exec_async(&mut redis).await.unwrap();
        let hall = Hall::default();
        let _node = hall.node(&env).start().await.unwrap();
        let items = house.key(id, "bi:");
        eventually("it is removed", crate::retention::SWEPT, async || {
            let keys = env.keys().await;
            let left: Vec<String> = keys
                .into_iter()
                .filter(|key| key.starts_with(&items) || key.contains("}:j:") || key.contains("}:bt:"))
                .collect();
            if left.is_empty() { Ok(()) } else { Err(left.len()) }
        })
        .await;
        let submitted = house.store.submit_batch(id, &definition, &plan).await.unwrap();
        assert!(submitted);
        assert_eq!(counts(&house.ended(id).await), (BatchStatus::Completed, 400, 0, 0, 0));
    }
}
