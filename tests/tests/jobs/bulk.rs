//! Acting on many jobs, jobs afresh, and submits as plain commands.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use paceline_client::{Cancelled, Client, Deleted, JobFilter, JobRequest, RetryError};
use paceline_node::{CancelReason, Context};
use paceline_tests::{Backend, Env, Look, Serve, feature_test, notes, story};
use paceline_types::EventKind::{JobCancelled, JobDead, JobEnqueued, JobStarted};
use paceline_types::{JobError, JobId, JobStatus};
use serde_json::json;

use crate::{MOMENT, done, options, tried};

fn status(status: JobStatus) -> JobFilter {
    JobFilter {
        status: Some(status),
        ..JobFilter::default()
    }
}

feature_test! {
    /// Contract row 116, trap W38: over a thousand jobs of all kinds of waiting are cancelled, retried,
    /// cancelled and deleted, page by page, each told once.
    async fn a_thousand_jobs_are_acted_on_page_by_page(env: Env) {
        let client = env.client().await;
        let jobs = (0..1_050).map(|n| {
            let job = JobRequest::raw("t", json!(n)).tags(["bulk"]);
            if n % 3 == 0 { job.delay(MOMENT * 6_000) } else { job }
        });
        let accepted = client.submit_many(jobs).await.unwrap();
        let ids: BTreeSet<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        let other = client.submit_raw("other", json!(1)).await.unwrap().id();

        let mut cancelled = BTreeSet::new();
        for state in [JobStatus::Scheduled, JobStatus::Pending] {
            let filter = JobFilter { task_type: Some("t".parse().unwrap()), ..status(state) };
            let mut bulk = client.bulk_cancel(filter, "all of them");
            while let Some(page) = bulk.next_page().await.unwrap() {
                assert!(page.len() <= 100, "bounded steps");
                for (id, outcome) in page {
                    assert_eq!(outcome, Cancelled::Done);
                    assert!(cancelled.insert(id), "told once");
                }
            }
        }
        assert_eq!(cancelled, ids);
        assert_eq!(client.look(other).await.status, JobStatus::Pending);

        let retried: Vec<_> =
            client.bulk_retry(status(JobStatus::Cancelled)).stream().try_collect().await.unwrap();
        assert!(retried.iter().all(|(_, outcome)| outcome.is_ok()));
        assert_eq!(retried.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), ids);

        let tagged = JobFilter { tag: Some("bulk".parse().unwrap()), ..JobFilter::default() };
        let refused: Vec<_> =
            client.bulk_delete(tagged.clone()).stream().try_collect().await.unwrap();
        assert_eq!(refused.len(), ids.len());
        let waits = Deleted::Unfinished(JobStatus::Pending);
        assert!(refused.iter().all(|(_, outcome)| *outcome == waits));
        let ids: Vec<_> = ids.into_iter().collect();
        client.cancel_many(&ids, "again").await.unwrap();
        let deleted: Vec<_> = client.bulk_delete(tagged).stream().try_collect().await.unwrap();
        assert_eq!(deleted.len(), ids.len());
        assert!(deleted.iter().all(|(_, outcome)| *outcome == Deleted::Done));
        assert!(client.jobs_by_id(&ids).await.unwrap().iter().all(Option::is_none));
        let keys = env.keys().await;
        let left: Vec<_> = keys.iter().filter(|key| key.contains(":tag:") || key.contains(":s:")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Contract row 116, trap W38: cancelling many goes the way of cancelling one; runs are told.
    async fn runs_that_are_cancelled_in_bulk_are_told(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", options(), pen, async |pen, context: Context, _| {
                pen.note(None);
                context.cancelled().await;
                pen.note(context.cancel_reason());
                Ok(done())
            }))
            .await;
        let jobs = (0..3).map(|n| JobRequest::raw("t", json!(n)));
        let accepted = ride.client.submit_many(jobs).await.unwrap();
        assert_eq!(told.take(3).await, [None; 3]);
        let bulk = ride.client.bulk_cancel(status(JobStatus::Running), "all of them");
        let outcomes: Vec<_> = bulk.stream().try_collect().await.unwrap();
        assert_eq!(outcomes.len(), 3);
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Cancelled::Requested));
        assert_eq!(told.take(3).await, [Some(CancelReason::Requested); 3]);
        for one in accepted {
            assert_eq!(ride.client.ended(one.unwrap().id).await.status, JobStatus::Cancelled);
        }
        ride.stop().await;
    }

    /// Contract rows 30 and 116: by ids, of any shards, each on its own terms.
    async fn many_ids_are_acted_on_each_on_its_own_terms(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(1), async |_, payload| {
                if payload == "1" { Err(JobError::permanent("no")) } else { Ok(done()) }
            }))
            .await;
        let client = &ride.client;
        let dead = client.submit_raw("t", json!(1)).await.unwrap().id();
        let completed = client.submit_raw("t", json!(2)).await.unwrap().id();
        let waiting = client.submit_raw("nobody", json!(3)).await.unwrap().id();
        client.ended(dead).await;
        client.ended(completed).await;
        let unknown = JobId::from_parts(1, dead.shard(), 7);
        let ids = [unknown, waiting, completed, dead];
        let retried = client.retry_many(&ids).await.unwrap();
        assert!(matches!(retried[0], Err(RetryError::Unknown { .. })));
        let refused = |place: usize, expected: JobStatus| {
            matches!(&retried[place], Err(RetryError::WrongStatus { status, .. }) if *status == expected)
        };
        assert!(refused(1, JobStatus::Pending) && refused(2, JobStatus::Completed));
        assert!(retried[3].is_ok());
        client.ended(dead).await;
        let deleted = client.delete_many(&ids).await.unwrap();
        let waits = Deleted::Unfinished(JobStatus::Pending);
        assert_eq!(deleted, [Deleted::Unknown, waits, Deleted::Done, Deleted::Done]);
        assert!(client.dead_letters().list().await.unwrap().items.is_empty());
        assert_eq!(client.delete(dead).await.unwrap(), Deleted::Unknown, "nothing the second time");
        ride.stop().await;
    }

    /// Contract rows 29 and 139: a new job of the same definition; the old one stays as it is.
    async fn a_job_is_retried_as_a_new_one(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(1), async |_, _| Err(JobError::permanent("no"))))
            .await;
        let client = &ride.client;
        let submit = client.submit_raw("t", json!({ "n": 1 })).unique("k").tag("x").header("h", "v");
        let old = submit.idempotency_key("once").dlq_after(1).await.unwrap().id();
        let before = client.ended(old).await;
        let new = client.retry_as_new(old).await.unwrap();
        assert!(new.created() && new.id() != old);
        let record = client.ended(new.id()).await;
        assert_eq!((&record.payload, &record.tags), (&before.payload, &before.tags));
        assert_eq!((&record.headers, &record.unique_key), (&before.headers, &before.unique_key));
        assert_eq!(client.look(old).await, before);
        assert_eq!(story(&ride.store, new.id()).await, [JobEnqueued, JobStarted, JobDead]);

        let holder = client.submit_raw("nobody", json!(1)).unique("k").await.unwrap().id();
        match client.retry_as_new(old).await {
            Err(RetryError::Duplicate { holder: found, .. }) => assert_eq!(found, holder),
            other => panic!("{:?}", other.map(|handle| handle.id())),
        }
        let refused = client.retry_as_new(holder).await.map(|handle| handle.id());
        assert!(matches!(refused, Err(RetryError::WrongStatus { .. })));
        ride.stop().await;
    }

    /// Contract row 32: who holds it is cancelled and the key is free; that nobody does is well.
    async fn a_job_is_cancelled_by_its_unique_key(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let client: &Client = &ride.client;
        assert_eq!(client.cancel_by_unique("order 17").await.unwrap(), None);
        for _ in 0..2 {
            let id = client.submit_raw("nobody", json!(1)).unique("order 17").await.unwrap().id();
            let cancelled = client.cancel_by_unique("order 17").reason("paid").await.unwrap();
            assert_eq!(cancelled, Some((id, Cancelled::Done)));
            assert_eq!(client.look(id).await.last_error.as_deref(), Some("paid"));
            assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobCancelled]);
        }
        client.cancel_by_unique("").await.unwrap_err();
        ride.stop().await;
    }

    /// Contract row 14: a caller sends the call among commands of their own.
    async fn a_submit_is_sent_in_a_transaction_of_the_callers(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let jobs = [1, 2].map(|n| JobRequest::raw("t", json!(n)).unique(format!("{{k}}{n}")));
        for command in ride.client.submit_command(jobs).unwrap() {
            let mut raw = env.raw().await;
            let as_command = |arguments: &[Vec<u8>]| {
                let mut command = redis::Cmd::new();
                for argument in arguments {
                    command.arg(argument.as_slice());
                }
                command
            };
            // The source goes along; the same call by its hash afterwards makes no second job.
            for arguments in [command.eval_arguments(), command.arguments().to_vec()] {
                let reply: Vec<Vec<u8>> = if env.backend() == Backend::Standalone {
                    let mut transaction = redis::pipe();
                    transaction.atomic().cmd("PING").ignore();
                    transaction.add_command(as_command(&arguments));
                    let (reply,) = transaction.query_async(&mut raw).await.unwrap();
                    reply
                } else {
                    as_command(&arguments).query_async(&mut raw).await.unwrap()
                };
                let results = command.read_reply(&reply).unwrap();
                for (result, id) in results.into_iter().zip(command.ids()) {
                    let accepted = result.unwrap();
                    assert_eq!((accepted.id, accepted.created), (id, true));
                }
            }
            for id in command.ids() {
                assert_eq!(ride.client.ended(id).await.status, JobStatus::Completed);
            }
            assert!(command.read_reply(&["nonsense"]).is_err());
        }
        assert!(ride.client.submit_command([JobRequest::raw("", json!(1))]).is_err());
        ride.stop().await;
    }
}
