//! Replies that are lost, calls that come twice, leaders that are late.

use std::time::Duration;

use bytes::Bytes;
use paceline_client::Client;
use paceline_store::calls::group::Push;
use paceline_store::{CallError, Fenced, LinkOptions, StoreOptions};
use paceline_tests::{
    Env, Fault, PATIENCE, Proxy, RedisServer, Request, feature_test, log, store_at, within,
};
use paceline_types::{EventKind, GroupLimits, JobId, NodeId, ShardIndex};

use crate::{Hand, NEVER, TYPE};

fn node(number: u64, shard: ShardIndex) -> NodeId {
    NodeId::from_parts(1, shard, number)
}

async fn enqueued(hand: &Hand) -> usize {
    let events = log(&hand.store).await.into_iter();
    events
        .filter(|event| event.kind == EventKind::JobEnqueued)
        .count()
}

feature_test! {
    /// Contract row 11, trap W13: while it stands, and after it was flushed.
    async fn a_push_that_comes_twice_counts_once(env: Env) {
        let hand = Hand::on(&env.store().await, "g", 4);
        let first = hand.push(10, &[1, 2]).await;
        assert_eq!((first.standing, hand.push(10, &[1, 2]).await), (2, first));
        let second = hand.push(20, &[3, 4, 5]).await;
        assert_eq!((second.standing, &second.jobs[..]), (1, &[hand.id(20)][..]));
        // The flush that the second one made has taken the first one.
        for _ in 0..2 {
            assert_eq!(hand.push(20, &[3, 4, 5]).await, second);
            assert_eq!(hand.push(10, &[1, 2]).await.standing, 1);
        }
        assert_eq!(hand.payload(hand.id(20)).await.unwrap(), "[1,2,3,4]");
        let group = hand.store.list_groups(&Default::default()).await.unwrap().items.remove(0);
        assert_eq!((group.messages, group.bytes), (1, 3));
        assert_eq!(enqueued(&hand).await, 1);
    }

    /// Contract row 11, trap W13: pushes are remembered by spans of five minutes, and one that comes
    /// again may come in the next of them.
    async fn a_push_that_comes_twice_in_two_spans_counts_once(env: Env) {
        let hand = Hand::on(&env.store().await, "g", 2);
        let mut redis = env.raw().await;
        for number in (10..).step_by(10) {
            let pushed = hand.push(number, &[1, 2, 3]).await;
            let keys = env.keys().await;
            let newest = keys.iter().filter(|key| key.contains("}:pushes:")).max().unwrap();
            let (prefix, span) = newest.rsplit_once(':').unwrap();
            let span: u64 = span.parse().unwrap();
            let mut earlier = redis::cmd("RENAME");
            earlier.arg(newest).arg(format!("{prefix}:{}", span - 1));
            earlier.exec_async(&mut redis).await.unwrap();
            let again = hand.push(number, &[1, 2, 3]).await;
            let now: (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
            // Otherwise a span has ended meanwhile.
            if now.0 / 300 == span {
                assert_eq!(again, pushed);
                break;
            }
        }
    }

    /// Trap W13: a flush of the leader whose reply is lost is sent again.
    async fn a_flush_that_comes_twice_makes_one_job_and_loses_nothing(env: Env) {
        let mut hand = Hand::on(&env.store().await, "g", 100);
        hand.limits.max_delay = Duration::from_millis(1);
        let shard = hand.shard();
        let term = hand.store.take(shard, node(1, shard), None, 0).await.unwrap();
        hand.push(10, &[1, 2]).await;
        let ids = [hand.id(1), hand.id(2)];
        let flushed = paceline_tests::eventually("it is due", PATIENCE, async || {
            let flushed = hand.store.flush_groups(shard, term, &ids).await.unwrap();
            (flushed.made > 0).then_some(flushed)
        })
        .await;
        assert_eq!((flushed.made, flushed.next_due_in), (1, None));
        for _ in 0..2 {
            let again = hand.store.flush_groups(shard, term, &ids).await.unwrap();
            assert_eq!((again.made, again.next_due_in), (0, None));
        }
        assert_eq!(hand.payload(ids[0]).await.unwrap(), "[1,2]");
        assert_eq!(hand.payload(ids[1]).await, None);
        assert_eq!(enqueued(&hand).await, 1);

        // What came since does not overwrite the job that the same call had made.
        hand.push(20, &[3]).await;
        paceline_tests::eventually("it is due", PATIENCE, async || {
            hand.store.flush_groups(shard, term, &ids).await.unwrap().made == 1
        })
        .await;
        assert_eq!(hand.payload(ids[0]).await.unwrap(), "[1,2]");
        assert_eq!(hand.payload(ids[1]).await.unwrap(), "[3]");
        // All ids are used up: the group waits for a call with others.
        hand.push(30, &[4]).await;
        paceline_tests::eventually("it is due", PATIENCE, async || {
            let flushed = hand.store.flush_groups(shard, term, &ids).await.unwrap();
            assert_eq!(flushed.made, 0);
            flushed.next_due_in == Some(Duration::ZERO)
        })
        .await;
        let other = hand.store.flush_groups(shard, term, &[hand.id(3)]).await.unwrap();
        assert_eq!(other.made, 1);
        assert_eq!(hand.payload(hand.id(3)).await.unwrap(), "[4]");
    }

    /// Trap W13, contract row 101: a leader that was overtaken takes nothing.
    async fn a_flush_of_an_older_term_is_refused_and_changes_nothing(env: Env) {
        let mut hand = Hand::on(&env.store().await, "g", 100);
        hand.limits.grace = Duration::from_millis(1);
        let (store, shard) = (&hand.store, hand.shard());
        let old = store.take(shard, node(1, shard), None, 0).await.unwrap();
        let seen = store.look(shard).await.unwrap();
        let new = store.take(shard, node(2, shard), seen.as_ref(), old).await.unwrap();
        hand.push(10, &[1]).await;
        let refused = store.flush_groups(shard, old, &[hand.id(1)]).await;
        assert!(matches!(refused, Err(CallError::Refused(Fenced { newest })) if newest == new));
        assert_eq!((hand.payload(hand.id(1)).await, enqueued(&hand).await), (None, 0));
        paceline_tests::eventually("it is due", PATIENCE, async || {
            store.flush_groups(shard, new, &[hand.id(2)]).await.unwrap().made == 1
        })
        .await;
        assert_eq!(hand.payload(hand.id(2)).await.unwrap(), "[1]");
    }

    /// A flush by hand that is sent again is the same job.
    async fn a_flush_by_hand_that_comes_twice_makes_one_job(env: Env) {
        let hand = Hand::on(&env.store().await, "g", 100);
        hand.push(10, &[1]).await;
        hand.store.flush_group(&hand.group, hand.id(1)).await.unwrap();
        hand.push(20, &[2]).await;
        hand.store.flush_group(&hand.group, hand.id(1)).await.unwrap();
        assert_eq!(hand.payload(hand.id(1)).await.unwrap(), "[1]");
        assert_eq!(hand.store.list_groups(&Default::default()).await.unwrap().items.len(), 1);
        assert_eq!(enqueued(&hand).await, 1);
    }
}

/// A call of a script on groups.
fn is_push(request: &Request<'_>) -> bool {
    request.is("EVALSHA") && request.mentions("}:group:")
}

/// Contract row 11, trap W13.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_whose_replies_are_lost_count_once() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let link = LinkOptions {
        response_timeout: Duration::from_millis(300),
        ..LinkOptions::default()
    };
    let options = StoreOptions {
        link,
        ..StoreOptions::default()
    };
    let client = Client::from_store(store_at(&proxy.url(), options.clone()).await);
    let mut jobs = Vec::new();
    for n in 0..12_usize {
        // Also of the one that makes the job.
        let lost = (n % 3 == 2).then(|| proxy.once(Fault::LoseReply, is_push));
        let push = client.push_raw("g", TYPE, n.into());
        let pushed = push
            .grace(NEVER)
            .max_delay(NEVER)
            .max_size(5)
            .await
            .unwrap();
        jobs.extend(pushed.jobs);
        assert_eq!(pushed.standing, (n + 1) % 5);
        if let Some(lost) = lost {
            within("the loss", PATIENCE, lost).await;
        }
    }
    let direct = store_at(&redis.url(), options).await;
    let mut numbers = Vec::new();
    for job in &jobs {
        let job = direct.job(*job).await.unwrap().unwrap();
        numbers.extend(serde_json::from_slice::<Vec<usize>>(&job.payload).unwrap());
    }
    assert_eq!((jobs.len(), numbers), (2, (0..10).collect()));
}

/// Every call is delivered twice: nothing is pushed or made twice.
#[tokio::test(flavor = "multi_thread")]
async fn every_push_delivered_twice_counts_once() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let store = store_at(&proxy.url(), StoreOptions::default()).await;
    proxy.always(Fault::Twice, is_push);
    let hand = Hand::on(&store, "g", 7);
    let mut jobs = Vec::new();
    for n in 0..10_u64 {
        let numbers = [3 * n, 3 * n + 1, 3 * n + 2].map(|n| usize::try_from(n).unwrap());
        jobs.extend(hand.push(100 * (n + 1), &numbers).await.jobs);
    }
    let mut numbers = Vec::new();
    for job in &jobs {
        let payload = hand.payload(*job).await.unwrap();
        numbers.extend(serde_json::from_str::<Vec<usize>>(&payload).unwrap());
    }
    assert_eq!(numbers, (0..28).collect::<Vec<_>>());
    assert!(proxy.tally().faults >= 10, "hardly a call came twice");
}

/// A push that is refused leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_full_redis_is_told_and_stores_nothing() {
    let redis = RedisServer::start().await;
    let store = store_at(&redis.url(), StoreOptions::default()).await;
    let hand = Hand::on(&store, "g", 100);
    hand.push(10, &[1]).await;
    let mut raw = redis.connect().await;
    let set = |value: &'static str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(value);
        command
    };
    set("1").exec_async(&mut raw).await.unwrap();
    let ids: [JobId; 2] = [hand.id(20), hand.id(21)];
    let push = Push {
        group: &hand.group,
        template: &hand.template,
        limits: GroupLimits::default(),
        max_bytes: 1_000,
        ids: &ids,
        messages: &[Bytes::from_static(b"2")],
    };
    let error = hand.store.push_group(&push).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Store(error) if !error.maybe_stored()),
        "{error}"
    );
    // What stands can leave all the same.
    hand.store
        .flush_group(&hand.group, hand.id(1))
        .await
        .unwrap();
    set("0").exec_async(&mut raw).await.unwrap();
    assert_eq!(hand.payload(hand.id(1)).await.unwrap(), "[1]");
    assert_eq!(hand.push(20, &[2]).await.standing, 1);
}
