//! Signals are numbered, kept, taken once, and known again when they come twice.

use paceline_store::CallError;
use paceline_store::calls::commit::Committed;
use paceline_store::calls::inbox::InboxItem;
use paceline_store::calls::workflow::{MAX_SIGNALS, SignalRefusal};
use paceline_tests::{Fault, PATIENCE, Proxy, RedisServer, log, shared_redis, within};
use paceline_types::workflow::{Ending, Stage};
use paceline_types::{EventKind, IdempotencyKey, JobId, SignalName, WorkflowId, WorkflowStatus};
use redis::AsyncTypedCommands;

use crate::{Hand, Left, at, failed, plain};

fn signal(name: &str) -> SignalName {
    SignalName::new(name).unwrap()
}

fn key(key: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(key).unwrap())
}

impl Hand {
    async fn signal(
        &self,
        id: WorkflowId,
        name: &str,
        key: Option<IdempotencyKey>,
    ) -> Result<u64, SignalRefusal> {
        let payload = format!("{{\"of\":\"{name}\"}}");
        let name = signal(name);
        let sent = self
            .store
            .signal_workflow(id, &name, payload.as_bytes(), key.as_ref());
        sent.await.map_err(|error| match error {
            CallError::Refused(refusal) => refusal,
            CallError::Store(error) => panic!("{error}"),
        })
    }

    async fn pending(&self, id: WorkflowId) -> Vec<(u64, String)> {
        let signals = self.store.signals(id, 0, 100).await.unwrap().into_iter();
        signals
            .map(|signal| (signal.number, signal.name.to_string()))
            .collect()
    }
}

/// Row 84: durable, in their order, and told as events.
#[tokio::test]
async fn signals_are_numbered_and_kept_in_their_order() {
    let hand = Hand::new().await;
    let id = hand.accept(&plain(&["a"])).await;
    for (name, number) in [("paid", 1), ("shipped", 2), ("paid", 3)] {
        assert_eq!(hand.signal(id, name, None).await, Ok(number));
    }
    let expected = [(1, "paid"), (2, "shipped"), (3, "paid")];
    let expected = expected.map(|(number, name)| (number, name.to_owned()));
    assert_eq!(hand.pending(id).await, expected);
    let told: Vec<_> = hand.inbox(0).await.into_iter().skip(1).collect();
    let items = expected.clone().map(|(number, name)| InboxItem::Signal {
        workflow: id,
        number,
        name: signal(&name),
    });
    assert_eq!(told, items);
    let signals = hand.store.signals(id, 1, 1).await.unwrap();
    assert_eq!((signals.len(), signals[0].number), (1, 2), "a page of them");
    assert_eq!(
        signals[0].payload.as_deref(),
        Some(&br#"{"of":"shipped"}"#[..])
    );
    assert!(signals[0].sent_at > 1_700_000_000_000);
    let events = log(&hand.store).await;
    let received: Vec<_> = events
        .iter()
        .filter(|event| event.kind == EventKind::WorkflowSignalReceived)
        .map(|event| (event.workflow_id, event.error.clone().unwrap()))
        .collect();
    let expected = ["signal paid", "signal shipped", "signal paid"];
    assert_eq!(received, expected.map(|text| (Some(id), text.to_owned())));
    assert_eq!(
        hand.store
            .workflow(id)
            .await
            .unwrap()
            .unwrap()
            .signals_pending,
        3
    );
}

/// Row 84: refused when there is nobody to receive it.
#[tokio::test]
async fn a_workflow_that_has_ended_takes_no_signals() {
    let hand = Hand::new().await;
    let unknown = hand.id(0);
    assert_eq!(
        hand.signal(unknown, "x", None).await,
        Err(SignalRefusal::Unknown)
    );
    let mut ends = Vec::new();
    for (stage, refusal) in [
        (
            Stage::Completed,
            SignalRefusal::Ended(WorkflowStatus::Completed),
        ),
        (failed(), SignalRefusal::Ended(WorkflowStatus::Failed)),
        (
            Stage::Ended(Ending::Cancelled {
                reason: String::new(),
            }),
            SignalRefusal::Ended(WorkflowStatus::Cancelled),
        ),
    ] {
        let id = hand.begin(&plain(&["a"])).await;
        assert_eq!(hand.signal(id, "x", key("k")).await, Ok(1));
        hand.close(id, stage).await;
        ends.push((id, refusal));
    }
    let id = hand.begin(&plain(&["a"])).await;
    assert_eq!(hand.signal(id, "x", key("k")).await, Ok(1));
    let to = id.of_successor();
    hand.close(id, Stage::Continued { to }).await;
    ends.push((id, SignalRefusal::Continued(to)));
    for (id, refusal) in ends {
        assert_eq!(hand.signal(id, "x", None).await, Err(refusal.clone()));
        assert_eq!(hand.pending(id).await.len(), 1);
        let number = 1;
        let known = Err(SignalRefusal::Duplicate { number });
        assert_eq!(
            hand.signal(id, "x", key("k")).await,
            known,
            "the key is known still"
        );
    }
}

/// Row 84: one signal for a key, for 30 days.
#[tokio::test]
async fn of_signals_with_one_key_the_first_is_accepted() {
    let hand = Hand::new().await;
    let id = hand.accept(&plain(&["a"])).await;
    let other = hand.accept(&plain(&["a"])).await;
    assert_eq!(hand.signal(id, "paid", key("order 7")).await, Ok(1));
    let refused = Err(SignalRefusal::Duplicate { number: 1 });
    assert_eq!(hand.signal(id, "paid", key("order 7")).await, refused);
    assert_eq!(hand.signal(id, "other", key("order 7")).await, refused);
    assert_eq!(hand.signal(id, "paid", key("order 8")).await, Ok(2));
    assert_eq!(hand.signal(other, "paid", key("order 7")).await, Ok(1));
    assert_eq!(hand.signal(id, "paid", None).await, Ok(3));

    // Taken or not, the key stays, until its time is over.
    assert!(hand.store.ack_signal(id, 1).await.unwrap());
    assert_eq!(hand.signal(id, "paid", key("order 7")).await, refused);
    let mut raw = shared_redis().await.connect().await;
    let prefix = format!(
        "{{{}:0}}:sk:{}",
        hand.store.namespace(),
        id.bare(&mut [0; 26])
    );
    let kept = raw.hget(&prefix, "korder 7").await.unwrap().unwrap();
    let (until, rest) = kept.split_once(' ').unwrap();
    let days = (until.parse::<u64>().unwrap() - 1_700_000_000_000) / 86_400_000;
    let now = hand.stored(id).await.created_at;
    assert!(
        days >= (now - 1_700_000_000_000) / 86_400_000 + 29,
        "{days}"
    );
    raw.hset(&prefix, "korder 7", format!("1 {rest}"))
        .await
        .unwrap();
    raw.zadd(format!("{prefix}:due"), "korder 7", 1)
        .await
        .unwrap();
    assert_eq!(hand.signal(id, "paid", key("order 7")).await, Ok(4));
    // Others whose time is over go with any signal.
    raw.hset(&prefix, "korder 8", "1 2 x").await.unwrap();
    raw.zadd(format!("{prefix}:due"), "korder 8", 1)
        .await
        .unwrap();
    assert_eq!(hand.signal(id, "paid", None).await, Ok(5));
    assert!(!raw.hexists(&prefix, "korder 8").await.unwrap());
    let due = raw.zscore(format!("{prefix}:due"), "korder 8").await;
    assert_eq!(
        due.unwrap(),
        None,
        "it does not stand before others for ever"
    );
}

/// Row 84: a queue that nobody reads does not grow for ever.
#[tokio::test]
async fn a_full_queue_refuses() {
    let hand = Hand::new().await;
    let id = hand.accept(&plain(&["a"])).await;
    let mut raw = shared_redis().await.connect().await;
    let name = format!(
        "{{{}:0}}:sg:{}",
        hand.store.namespace(),
        id.bare(&mut [0; 26])
    );
    let fields: Vec<(String, String)> = (1..MAX_SIGNALS)
        .map(|number| (format!("9{number}"), "1 x\n1".to_owned()))
        .collect();
    raw.hset_multiple(&name, &fields).await.unwrap();
    assert_eq!(hand.signal(id, "x", None).await, Ok(1));
    assert_eq!(hand.signal(id, "x", None).await, Err(SignalRefusal::Full));
    assert!(hand.store.ack_signal(id, 1).await.unwrap());
    assert_eq!(hand.signal(id, "x", None).await, Ok(2));
}

/// Row 84: reading and acknowledging is once, and no task takes what was acknowledged.
#[tokio::test]
async fn what_was_acknowledged_is_taken_by_nobody_else() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    for name in ["x", "y"] {
        hand.signal(id, name, None).await.unwrap();
    }
    let picture = hand.stored(id).await;
    assert_eq!(picture.signals.len(), 2);
    assert!(hand.store.ack_signal(id, 1).await.unwrap());
    assert!(!hand.store.ack_signal(id, 1).await.unwrap());
    assert!(!hand.store.ack_signal(id, 7).await.unwrap());
    let take = |number| (JobId::of_task(id, 0, 0), Left::Signal(number));
    let stale = hand
        .commit_at(id, picture.revision, |next| next.conclusions.push(take(1)))
        .await;
    assert_eq!(stale, Committed::Stale, "the leader saw it pending");
    assert_eq!(hand.left(id, 0, 0).await, None);
    assert_eq!(hand.stored(id).await.signals, [(2, signal("y"))]);

    hand.commit(id, |next| next.conclusions.push(take(2))).await;
    assert_eq!(hand.left(id, 0, 0).await.as_deref(), Some(r#"{"of":"y"}"#));
    assert!(
        !hand.store.ack_signal(id, 2).await.unwrap(),
        "a task took it"
    );
    assert_eq!(hand.stored(id).await.signals, []);
    assert_eq!(hand.pending(id).await, []);
}

/// Row 84: a call whose reply is lost is sent again, and is one signal all the same.
#[tokio::test(flavor = "multi_thread")]
async fn signals_whose_replies_are_lost_are_one_each() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let hand = Hand::behind(&proxy).await;
    let id = hand.accept(&plain(&["a"])).await;
    for (number, key) in [(1, key("k")), (2, None), (3, key("l")), (4, None)] {
        let lost = proxy.once(Fault::LoseReply, |request| {
            request.is("EVALSHA") && request.mentions("}:sg:")
        });
        assert_eq!(hand.signal(id, "x", key).await, Ok(number));
        within("the loss", PATIENCE, lost).await;
    }
    assert_eq!(hand.pending(id).await.len(), 4);
    assert_eq!(hand.events().await, ["workflow.signal.received"; 4]);
}

/// One that is suspended, or ends, still takes what it is sent.
#[tokio::test]
async fn whatever_has_not_ended_takes_signals() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.store.suspend_workflow(id).await.unwrap();
    assert_eq!(hand.signal(id, "x", None).await, Ok(1));
    let ending = Stage::Ending(Ending::TimedOut);
    hand.commit(id, |next| next.header = Some(at(ending))).await;
    assert_eq!(hand.signal(id, "x", None).await, Ok(2));
}
