//! When a group becomes a job.

use std::time::Duration;

use paceline_tests::{Env, Look, SOON, eventually, feature_test, log, throughout, within};
use paceline_types::{EventKind, JobStatus, Tag};
use serde_json::json;

use crate::{Hand, MOMENT, NEVER, TYPE, given, listening, push};

feature_test! {
    /// Contract row 11: the push that completes the size makes the job, and says which.
    async fn a_group_becomes_a_job_when_enough_messages_stand(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        for n in 0..3 {
            let push = ride.client.push_raw("orders", TYPE, json!(n));
            let pushed = push.grace(NEVER).max_delay(NEVER).max_size(3).await.unwrap();
            assert_eq!((pushed.standing, pushed.jobs.len()), ((n + 1) % 3, n / 2));
            if let [job] = pushed.jobs[..] {
                assert_eq!(ride.client.ended(job).await.status, JobStatus::Completed);
            }
        }
        assert_eq!(heard.next().await, given("orders", "[0,1,2]"));
        assert!(ride.client.groups().await.unwrap().items.is_empty());
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }

    /// Contract row 11: the limits are 100 messages, 5 s after the last and 30 s after the first.
    async fn the_limits_of_a_group_are_those_of_the_contract(env: Env) {
        let client = env.client().await;
        let pushed = client.push_many("g", (0..99).map(Number)).await.unwrap();
        assert_eq!((pushed.standing, pushed.jobs.len()), (99, 0));
        let group = client.groups().await.unwrap().items.remove(0);
        assert_eq!((group.due_at - group.first_at, group.messages), (5_000, 99));
        let pushed = client.push("g", Number(99)).await.unwrap();
        assert_eq!((pushed.standing, pushed.jobs.len()), (0, 1));
        let job = client.look(pushed.jobs[0]).await;
        let numbers: Vec<usize> = serde_json::from_slice(&job.payload).unwrap();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());

        client.push("g", Number(0)).grace(NEVER).await.unwrap();
        let group = client.groups().await.unwrap().items.remove(0);
        assert_eq!(group.due_at - group.first_at, 30_000);
    }

    /// Contract row 11.
    async fn a_group_becomes_a_job_so_long_after_its_last_message(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        // The newest limits hold: only the last message sets a moment that is near.
        for (n, grace) in [NEVER, MOMENT].into_iter().enumerate() {
            let push = ride.client.push_raw("g", TYPE, json!(n));
            push.grace(grace).max_delay(NEVER).await.unwrap();
        }
        assert_eq!(heard.next().await, given("g", "[0,1]"));
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }

    /// Contract row 11: pushes that keep coming do not hold a group back for ever.
    async fn a_group_becomes_a_job_so_long_after_its_first_message_although_pushes_keep_coming(
        env: Env
    ) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        let client = ride.client.clone();
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let pushing = tokio::spawn(async move {
            let mut pushed = 0;
            while stopped.try_recv().is_err() {
                let push = client.push_raw("g", TYPE, json!(pushed));
                push.grace(NEVER).max_delay(3 * MOMENT).max_size(10_000).await.unwrap();
                pushed += 1;
            }
            pushed
        });
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let (_, payload) = heard.next().await;
            numbers.extend(serde_json::from_str::<Vec<usize>>(&payload).unwrap());
        }
        stop.send(()).unwrap();
        let pushed = within("the pushes end", SOON, pushing).await.unwrap();
        while numbers.len() < pushed {
            let (_, payload) = heard.next().await;
            numbers.extend(serde_json::from_str::<Vec<usize>>(&payload).unwrap());
        }
        assert_eq!(numbers, (0..pushed).collect::<Vec<_>>(), "in order, each once");
        ride.stop().await;
    }

    /// Contract row 11: a message that comes later puts the flush off.
    async fn each_push_puts_the_flush_off(env: Env) {
        let client = env.client().await;
        let push = async |grace| {
            let push = client.push_raw("g", TYPE, json!(1));
            push.grace(grace).max_delay(NEVER).await.unwrap();
            client.groups().await.unwrap().items.remove(0)
        };
        let first = push(Duration::from_secs(60)).await;
        let second = push(Duration::from_secs(60)).await;
        assert_eq!(first.first_at, second.first_at);
        assert!(second.due_at >= first.due_at);
        assert_eq!((second.messages, second.bytes), (2, 5));
        // The newest limits hold.
        let third = push(Duration::from_secs(30)).await;
        assert!(third.due_at < second.due_at);
    }

    /// Trap W13: two flushes in one moment are two jobs.
    async fn two_flushes_in_one_second_are_two_jobs(env: Env) {
        let hand = Hand::on(&env.store().await, "g", 2);
        let pushed = hand.push(1, &[1, 2, 3, 4, 5]).await;
        assert_eq!((pushed.standing, &pushed.jobs[..]), (1, &[hand.id(1), hand.id(2)][..]));
        assert_eq!(hand.payload(hand.id(1)).await.unwrap(), "[1,2]");
        assert_eq!(hand.payload(hand.id(2)).await.unwrap(), "[3,4]");
        let pushed = hand.push(100, &[6]).await;
        assert_eq!(hand.payload(pushed.jobs[0]).await.unwrap(), "[5,6]");
        let made = log(&hand.store).await.into_iter();
        assert_eq!(made.filter(|event| event.kind == EventKind::JobEnqueued).count(), 3);
    }

    /// A job never has more bytes than a payload may have.
    async fn a_group_becomes_a_job_before_it_is_too_large(env: Env) {
        let client = env.client().await;
        let large = |n: usize| format!("\"{}\"", n.to_string().repeat(100_000));
        let mut jobs = Vec::new();
        for n in 1..5 {
            let push = client.push_bytes("g", TYPE, [large(n)]).grace(NEVER);
            jobs.extend(push.await.unwrap().jobs);
        }
        let pushed = client.push_bytes("g", TYPE, [large(5), large(6), large(7)]).await.unwrap();
        jobs.extend(pushed.jobs);
        let mut payloads = Vec::new();
        for job in jobs {
            payloads.push(client.look(job).await.payload);
        }
        let pair = |n| format!("[{},{}]", large(n), large(n + 1));
        assert_eq!(payloads, [pair(1), pair(3), pair(5)]);
        assert_eq!(pushed.standing, 1);
    }

    /// By hand, and told when there is nothing.
    async fn a_group_is_flushed_when_it_is_asked_for(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        push(&ride.client, "a: {b}, ü", 7).await;
        let job = ride.client.flush_group("a: {b}, ü").await.unwrap();
        assert_eq!(ride.client.ended(job).await.payload, "[7]");
        assert_eq!(heard.next().await, given("a: {b}, ü", "[7]"));
        let error = ride.client.flush_group("a: {b}, ü").await.unwrap_err().to_string();
        assert!(error.starts_with("nothing stands in group `a: {b}, ü`"), "{error}");
        ride.stop().await;
    }

    /// The job of a group has the options of its pushes.
    async fn a_job_of_a_group_is_made_as_its_pushes_ask(env: Env) {
        let client = env.client().await;
        let push = |n: usize| {
            let push = client.push_raw("g", TYPE, json!(n)).max_size(2);
            push.priority(paceline_types::Priority::HIGH).tag("blue").header("trace", "x")
        };
        push(1).await.unwrap();
        let job = client.look(push(2).await.unwrap().jobs[0]).await;
        assert_eq!((job.status, job.priority.get()), (JobStatus::Pending, 8));
        assert_eq!(job.tags, [Tag::new("blue").unwrap()]);
        assert_eq!(job.headers["trace"], "x");
        assert_eq!(job.headers["x-paceline-group"], "g");
        let filter = paceline_client::JobFilter {
            tag: Some(Tag::new("blue").unwrap()),
            ..Default::default()
        };
        assert_eq!(client.jobs(filter).await.unwrap().items.len(), 1);
    }

    /// What a claim must look at, and what is noted of a job at its start, hold for it as well.
    async fn a_job_of_a_group_is_held_to_its_limits_and_audited(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        let push = ride.client.push_raw("g", TYPE, json!(1)).max_size(1);
        let pushed = push.limit("tenant").max_duration(NEVER).audited().await.unwrap();
        assert!(env.keys().await.iter().any(|key| key.ends_with("}:audited")));
        let job = ride.client.ended(pushed.jobs[0]).await;
        assert_eq!((job.status, job.audited, job.limits.len()), (JobStatus::Completed, true, 1));
        assert_eq!(heard.next().await, given("g", "[1]"));
        ride.stop().await;
    }

    /// A group waits without a node, and without a leader.
    async fn a_group_is_not_flushed_before_its_time(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        push(&ride.client, "g", 1).await;
        throughout("it stands", 3 * MOMENT, async || {
            ride.client.groups().await.unwrap().items.len() == 1
        })
        .await;
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }

    /// Groups are listed with how they stand, page by page.
    async fn groups_are_listed_page_by_page(env: Env) {
        let client = env.client().await;
        for n in 0..25 {
            push(&client, &format!("group {n}"), n).await;
        }
        let mut names = std::collections::BTreeSet::new();
        let mut cursor = None;
        loop {
            let mut list = client.groups().limit(10);
            if let Some(cursor) = cursor {
                list = list.after(cursor);
            }
            let page = list.await.unwrap();
            assert!(page.items.len() <= 10);
            for group in page.items {
                assert_eq!((group.task_type.as_str(), group.messages), (TYPE, 1));
                assert!(names.insert(group.name));
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(names.len(), 25);
    }

    /// What was due while nobody led is flushed by the next leader.
    async fn a_group_that_was_due_without_a_leader_is_flushed_by_the_next(env: Env) {
        let client = env.client().await;
        let push = client.push_raw("g", TYPE, json!(1)).grace(Duration::from_millis(1));
        push.await.unwrap();
        let (ride, mut heard) = listening(&env, |node| node).await;
        assert_eq!(heard.next().await, given("g", "[1]"));
        eventually("nothing stands", SOON, async || {
            client.groups().await.unwrap().items.is_empty()
        })
        .await;
        ride.stop().await;
    }
}

/// A message of a type.
#[derive(serde::Serialize, serde::Deserialize)]
struct Number(usize);

impl paceline_types::Task for Number {
    const TYPE: &'static str = TYPE;
    type Output = ();
}
