//! From the first item to the last: windows, policies, onetime tasks, priorities, progress, results.

use paceline_store::calls::batch::{ResultsRequest, WhichItems};
use paceline_tests::{Env, feature_test};
use paceline_types::batch::{BatchFailurePolicy, BatchStep};
use paceline_types::{BatchStatus, Event, EventKind, JobStatus, Priority};
use serde_json::{Value, json};

use crate::hall::{Hall, batch, counts, failing, held, plain};

feature_test! {
    /// Rows 91, 93, 97 and 98: all items run once, no more at a time than the window allows, the
    /// progress is told as it moves, and the results are read in pages.
    async fn a_batch_runs_every_item_once(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = plain(250);
        definition.chunk_size = 7;
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 250, 0, 0, 0));
        assert_eq!((batch.attempt, batch.max_attempts), (1, 1));
        assert_eq!((batch.next_chunk_index, batch.total_items), (250, 250));
        assert!(batch.error.is_none() && batch.completed_at.is_some());
        assert_eq!(batch.definition.chunk_size, 7);
        assert!(hall.times().values().all(|&times| times == 1));
        assert_eq!(hall.runs().len(), 250);
        assert_eq!(house.most_open(id).await, 7);
        assert_eq!(house.tale(id).await, ["batch.started", "batch.completed"]);

        let progress = house.store.batch_progress(id).await.unwrap().unwrap();
        assert_eq!((progress.done, progress.total, progress.failed), (250, 250, 0));
        assert_eq!(progress.step, BatchStep::Done);
        let events = house.events(id).await;
        let told: Vec<&Event> = events.iter().filter(|event| event.batch_progress.is_some()).collect();
        assert_eq!(told.last().unwrap().batch_progress, Some(progress));
        let steps = told.iter().map(|event| event.batch_progress.unwrap().step);
        assert!(steps.clone().any(|step| step == BatchStep::Processing));
        let ended = events.iter().filter(|event| event.kind == EventKind::BatchItemCompleted);
        assert_eq!(ended.count(), 250);

        let results = house.results(id, WhichItems::Ended).await;
        assert_eq!(results.len(), 250);
        for (place, result) in results.iter().enumerate() {
            assert_eq!((result.item_id.as_str(), result.place as usize), (&*format!("i{place}"), place));
            assert!(result.success && result.error.is_none());
            assert_eq!(result.output.as_deref(), Some(format!("\"i{place}\"").as_bytes()));
            assert_eq!((result.batch_id, result.status), (id, JobStatus::Completed));
        }
        let one = house.store.batch_item(id, "i201").await.unwrap().unwrap();
        assert_eq!(one, results[201]);
        assert_eq!(house.store.batch_item(id, "i250").await.unwrap(), None);
        let job = house.store.job(one.job_id.unwrap()).await.unwrap().unwrap();
        assert_eq!((job.batch_id, job.batch_item.as_deref()), (Some(id), Some("i201")));
    }

    /// Rows 94 and 98: the others go on; what failed is told, listed and counted.
    async fn errors_are_collected(env: Env) {
        let (_hall, house) = Hall::open(&env).await;
        let payload = |n: usize| match n % 10 {
            3 => failing(),
            6 => json!({ "skip": true }),
            _ => Value::Null,
        };
        let mut definition = batch((0..40).map(payload));
        definition.chunk_size = 4;
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Failed, 36, 4, 0, 0));
        assert_eq!(batch.error.as_deref(), Some("4 items failed"));
        assert_eq!(house.tale(id).await, ["batch.started", "batch.failed"]);
        assert_eq!(house.ids(id, WhichItems::Failed).await, ["i3", "i13", "i23", "i33"]);
        assert_eq!(house.ids(id, WhichItems::Ended).await.len(), 40);
        let dead = house.store.batch_item(id, "i13").await.unwrap().unwrap();
        assert_eq!((dead.success, dead.error.as_deref()), (false, Some("boom")));
        assert_eq!((dead.status, dead.output), (JobStatus::Dead, None));
        let skipped = house.store.batch_item(id, "i16").await.unwrap().unwrap();
        assert!(skipped.success && skipped.skipped && skipped.output.is_none());
        let events = house.events(id).await;
        let failed: Vec<_> = events.iter().filter(|event| event.kind == EventKind::BatchItemFailed).collect();
        assert_eq!(failed.len(), 4);
        assert_eq!(failed[0].error.as_deref(), Some("boom"));
        assert_eq!(failed[0].task_type.as_ref().map(AsRef::as_ref), Some("item"));
        // Dead items are told by their batch, not by the dead letters.
        let mut redis = house.raw().await;
        let mut dead_letters = redis::cmd("ZCARD");
        dead_letters.arg(house.key(id, "dead"));
        assert_eq!(dead_letters.query_async::<u64>(&mut redis).await.unwrap(), 0);
    }

    /// Row 94: nothing new begins, what runs is cancelled, and the end waits for it.
    async fn failing_fast_cancels_what_runs(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..20).map(|n| match n {
            2 => json!({ "hold": true, "fail": true }),
            _ => held(),
        }));
        definition.chunk_size = 5;
        definition.failure_policy = BatchFailurePolicy::FailFast;
        let id = house.submit(&definition).await;
        hall.began(5).await;
        hall.release("i2");
        let batch = house.ended(id).await;
        assert_eq!(batch.status, BatchStatus::Failed);
        assert_eq!(batch.error.as_deref(), Some("item i2 failed: boom"));
        assert_eq!((batch.failed_items, batch.completed_items, batch.running_items), (5, 0, 0));
        assert_eq!((batch.pending_items, batch.next_chunk_index), (15, 5));
        assert_eq!(hall.runs().len(), 5, "nothing new began");
        assert_eq!(house.tale(id).await, ["batch.started", "batch.failed"]);
        let cancelled = house.store.batch_item(id, "i4").await.unwrap().unwrap();
        assert_eq!(cancelled.status, JobStatus::Cancelled);
        assert_eq!(house.most_open(id).await, 5);
    }

    /// Row 92: it runs first, and its result reaches every item.
    async fn a_onetime_task_prepares_the_items(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..30).map(|n| json!({ "echo": true, "flaky": n % 2 })));
        definition.onetime_task_type = Some("prepare".into());
        definition.onetime_payload = serde_json::value::to_raw_value(&held()).ok();
        definition.item_retry_policy = Some(paceline_types::RetryPolicy {
            initial_delay: std::time::Duration::ZERO,
            ..paceline_types::RetryPolicy::default()
        });
        let id = house.submit(&definition).await;
        hall.began(1).await;
        let preparing = house.look(id).await;
        assert_eq!((preparing.step, preparing.running_items), (BatchStep::Onetime, 0));
        let state = preparing.onetime_state.unwrap();
        assert_eq!(state.status, JobStatus::Running);
        hall.release("onetime");
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 30, 0, 0, 0));
        let onetime = batch.onetime_state.unwrap();
        assert_eq!(onetime.status, JobStatus::Completed);
        assert_eq!(onetime.result_data.as_deref(), Some(&b"\"onetime\""[..]));
        assert_eq!(hall.runs()[0].item, "onetime");
        for result in house.results(id, WhichItems::Ended).await {
            let given: Value = serde_json::from_slice(&result.output.unwrap()).unwrap();
            let flaky = result.place % 2;
            let original = json!({ "echo": true, "flaky": flaky });
            assert_eq!(given, json!({ "upstream": "onetime", "original": original }));
        }
        let events = house.events(id).await;
        let place = |kind: EventKind| events.iter().position(|event| event.kind == kind).unwrap();
        let prepared = place(EventKind::BatchOnetimeCompleted);
        let first_item = events.iter().position(|event| {
            event.kind == EventKind::JobEnqueued && event.batch_item.as_deref() != Some("onetime")
        });
        assert!(prepared < first_item.unwrap());
        assert_eq!(house.most_open(id).await, 30);
    }

    /// Row 92: its failure is the batch's, and no item begins.
    async fn a_onetime_task_that_fails_ends_the_batch(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = plain(30);
        definition.onetime_task_type = Some("prepare".into());
        definition.onetime_payload = serde_json::value::to_raw_value(&failing()).ok();
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Failed, 0, 0, 0, 30));
        assert_eq!(batch.error.as_deref(), Some("the onetime task failed: boom"));
        assert_eq!(hall.runs().len(), 1);
        let events = house.events(id).await;
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "batch.started", "job.enqueued", "job.started", "job.dead", "batch.onetime.failed",
                "batch.progress", "batch.failed"
            ]
        );
        assert_eq!(house.ids(id, WhichItems::Ended).await.len(), 0);
    }

    /// Row 78 for batches, and row 95: an item's own attempts.
    async fn items_have_the_priority_and_the_retry_policy_of_the_batch(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch([json!({ "flaky": 2 }), Value::Null]);
        definition.default_priority = Some(Priority::new(9));
        definition.onetime_task_type = Some("prepare".into());
        definition.item_retry_policy = Some(paceline_types::RetryPolicy {
            max_attempts: 3,
            initial_delay: std::time::Duration::ZERO,
            ..paceline_types::RetryPolicy::default()
        });
        let id = house.submit(&definition).await;
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 2, 0, 0, 0));
        assert!(hall.runs().iter().all(|run| run.priority == Priority::new(9)));
        assert_eq!(hall.times()["i0"], 3, "only a dead item counts as failed");
    }

    /// Row 98: pages of any size, from any place, of what is wanted.
    async fn results_are_read_in_pages(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..100).map(|n| if n < 90 { Value::Null } else { held() }));
        definition.chunk_size = 10;
        let id = house.submit(&definition).await;
        hall.began(100).await;
        let ninety = house.until(id, "ninety are done", |batch| batch.completed_items == 90).await;
        assert_eq!(counts(&ninety), (BatchStatus::Running, 90, 0, 10, 0));
        assert_eq!(ninety.step, BatchStep::Processing);
        let page = |from, max, which| ResultsRequest { from, max, which };
        let ended = house.store.batch_results(id, &page(85, 10, WhichItems::Ended)).await;
        let ended = ended.unwrap().unwrap();
        assert_eq!((ended.items.len(), ended.next), (5, None));
        let all = house.store.batch_results(id, &page(85, 10, WhichItems::All)).await;
        let all = all.unwrap().unwrap();
        assert_eq!((all.items.len(), all.next), (10, Some(95)));
        assert_eq!(all.items[9].status, JobStatus::Running);
        let first = house.store.batch_results(id, &page(0, 3, WhichItems::Ended)).await;
        let first = first.unwrap().unwrap();
        assert_eq!((first.items.len(), first.next), (3, Some(3)));
        assert_eq!(house.ids(id, WhichItems::All).await.len(), 100);
        for n in 90..100 {
            hall.release(&format!("i{n}"));
        }
        house.ended(id).await;
        let missing = crate::hall::batch_id(&env);
        assert_eq!(house.store.batch_results(missing, &page(0, 3, WhichItems::All)).await.unwrap(), None);
        assert!(house.store.batch(missing).await.unwrap().is_none());
        assert_eq!(house.store.batch_progress(missing).await.unwrap(), None);
        assert_eq!(house.store.batch_item(missing, "x").await.unwrap(), None);
    }

    /// Batches are listed, of one status or all, and workflows are not among them.
    async fn batches_are_listed(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let good = house.submit(&plain(2)).await;
        let bad = house.submit(&batch([failing()])).await;
        house.ended(good).await;
        house.ended(bad).await;
        let running = house.submit(&batch([held()])).await;
        hall.began(4).await;
        let page = paceline_store::calls::list::PageRequest::first(100);
        for (status, mut expected) in [
            (None, vec![good, bad, running]),
            (Some(BatchStatus::Completed), vec![good]),
            (Some(BatchStatus::Failed), vec![bad]),
            (Some(BatchStatus::Running), vec![running]),
            (Some(BatchStatus::Cancelled), vec![]),
        ] {
            let listed = house.store.list_batches(status, &page).await.unwrap();
            let mut ids: Vec<_> = listed.items.iter().map(|batch| batch.id).collect();
            ids.sort_unstable();
            expected.sort_unstable();
            assert_eq!(ids, expected, "{status:?}");
        }
        let workflows = house.store.list_workflows(None, &page).await.unwrap();
        assert_eq!(workflows.items.len(), 0);
        hall.release("i0");
        house.ended(running).await;
    }
}
