//! Callbacks: code of the application that is told of what happens in the cluster.
//!
//! The event log is the source, so it does not matter which node made a transition, and none is
//! forgotten. A record in each shard says which node calls the callbacks and how far it came. A
//! node with callbacks takes it when nobody alive holds it, calls for one event after the other,
//! and notes its place; the next one goes on from there. So each event is told at least once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use paceline_store::calls::callbacks::CallbackPlace;
use paceline_store::calls::events::{EventTail, LogPage};
use paceline_store::{CallError, StoreError};
use paceline_types::event::EventCursor;
use paceline_types::{Event, EventKind, NodeId, ShardIndex};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::identity::Seat;
use crate::kit::Kit;
use crate::latch::Latch;
use crate::panics::Guarded;
use crate::phase::Phase;
use crate::telemetry::CallbackMetrics;

/// How often a node asks whether the callbacks of a shard are to be taken over.
const LOOK: Duration = Duration::from_secs(2);

/// How long one read waits for events.
const READ_WAIT: Duration = Duration::from_secs(5);

/// Entries of the log that the first read takes, which may begin inside of one.
const FIRST_ENTRIES: usize = 100;

/// How long the place may be out of date while calls are made, or while none is.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Wait after an error of the store.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// How long one call may take; then it is dropped where it stands.
const LONGEST_CALL: Duration = Duration::from_secs(30);

type CallbackFn = Box<dyn Fn(Event) -> BoxFuture<'static, ()> + Send + Sync>;

/// What is called, and for which events.
pub(crate) struct Callback {
    /// None for all.
    kind: Option<EventKind>,
    call: CallbackFn,
}

impl Callback {
    pub(crate) fn new<F, Fut>(kind: Option<EventKind>, callback: F) -> Callback
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Callback {
            kind,
            call: Box::new(move |event| Box::pin(callback(event))),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == event.kind)
    }
}

/// Takes part in calling the callbacks of one shard until `over` fires; then it ends after the
/// call that it is in.
pub(crate) async fn run(
    kit: Arc<Kit>,
    seat: Arc<Seat>,
    callbacks: Arc<[Callback]>,
    mut phase: watch::Receiver<Phase>,
    over: Arc<Latch>,
) {
    let mut seated = seat.incarnation.subscribe();
    loop {
        let incarnation = tokio::select! {
            biased;
            () = over.fired() => return,
            _ = phase.wait_for(|phase| *phase >= Phase::Leaving) => return,
            seated = seated.wait_for(|seated| seated.as_ref().is_some_and(|one| !one.is_over())) => {
                match seated.as_deref() {
                    Ok(Some(incarnation)) => Arc::clone(incarnation),
                    Ok(None) | Err(_) => return,
                }
            }
        };
        let caller = Caller {
            kit: &kit,
            shard: seat.shard,
            node: incarnation.id,
            callbacks: &callbacks,
            metrics: CallbackMetrics::new(),
            over: &over,
        };
        tokio::select! {
            biased;
            // Another node goes on from the last note.
            () = incarnation.over() => {}
            () = caller.work() => return,
        }
    }
}

/// Why a node no longer calls.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Another one does.
    Lost,
    /// The node stops, and the callbacks are given back.
    Stopped,
}

/// One incarnation of the node in one shard.
struct Caller<'a> {
    kit: &'a Kit,
    shard: ShardIndex,
    node: NodeId,
    callbacks: &'a [Callback],
    metrics: CallbackMetrics,
    over: &'a Latch,
}

impl Caller<'_> {
    /// Waits for its turn, and calls; until the node stops.
    async fn work(&self) {
        loop {
            match self.kit.store.take_callbacks(self.shard, self.node).await {
                Ok(place) => {
                    tracing::info!(shard = %self.shard, node = %self.node, after = %place.cursor, "calling callbacks");
                    let end = self.call_from(place).await;
                    tracing::info!(shard = %self.shard, node = %self.node, reason = ?end, "not calling callbacks");
                    if end == End::Stopped {
                        return;
                    }
                }
                Err(CallError::Refused(_)) => {}
                Err(CallError::Store(error)) => {
                    tracing::debug!(shard = %self.shard, %error, "callbacks cannot be taken");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.over.fired() => return,
            }
        }
    }

    async fn call_from(&self, place: CallbackPlace) -> End {
        let mut tail = match self.kit.store.event_tail(self.shard) {
            Ok(tail) => tail,
            Err(error) => {
                tracing::error!(shard = %self.shard, %error, "events cannot be read");
                return End::Lost;
            }
        };
        let mut log = Log {
            place,
            saved: place,
            saved_at: Instant::now(),
            called: false,
            inside: true,
        };
        loop {
            let page = tokio::select! {
                biased;
                () = self.over.fired() => return self.give_back(log.place).await,
                page = self.read(&log, &mut tail) => page,
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(shard = %self.shard, %error, "events for callbacks cannot be read, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            log.inside = false;
            if let Some(end) = self.take_up(page, &mut log).await {
                return end;
            }
        }
    }

    async fn read(&self, log: &Log, tail: &mut EventTail) -> Result<LogPage, StoreError> {
        let cursor = log.place.cursor;
        let after = (cursor != EventCursor::default()).then_some(cursor);
        if log.inside {
            let store = &self.kit.store;
            store.read_events(self.shard, after, FIRST_ENTRIES).await
        } else {
            tail.next(after, READ_WAIT).await
        }
    }

    /// Calls for the events of a page, one after the other, and notes the place.
    async fn take_up(&self, page: LogPage, log: &mut Log) -> Option<End> {
        if let Some(ordinal) = page.ordinal {
            self.tell_gap(log.place.passed, ordinal);
            log.place.passed = ordinal;
        }
        for event in page.events {
            if self.over.is_fired() {
                return Some(self.give_back(log.place).await);
            }
            let cursor = event.cursor;
            log.called |= self.call(event).await;
            log.place.cursor = cursor;
            log.place.passed += 1;
            if log.called && log.saved_at.elapsed() >= SAVE_EVERY && self.save(log).await.is_err() {
                return Some(End::Lost);
            }
        }
        log.place.cursor = page.end.unwrap_or(log.place.cursor);
        let old = log.saved_at.elapsed() >= SAVE_EVERY;
        if log.saved != log.place && (log.called || old) && self.save(log).await.is_err() {
            return Some(End::Lost);
        }
        None
    }

    fn tell_gap(&self, passed: u64, ordinal: u64) {
        if ordinal > passed {
            tracing::warn!(
                shard = %self.shard,
                missed = ordinal - passed,
                "events were trimmed from the log before callbacks were called for them"
            );
        } else if ordinal < passed {
            tracing::warn!(
                shard = %self.shard,
                "the log counts from an earlier point: it was flushed, or a failover took its end; \
                 callbacks may miss events"
            );
        }
    }

    /// Calls all callbacks that want the event; whether there were any.
    async fn call(&self, event: Event) -> bool {
        let mut called = false;
        for callback in self.callbacks {
            if !callback.wants(&event) {
                continue;
            }
            called = true;
            self.metrics.called.increment(1);
            let given = event.clone();
            let call = Guarded::call(|| {
                let call = (callback.call)(given);
                Box::pin(async move {
                    call.await;
                    Ok(Bytes::new())
                })
            });
            let problem = match tokio::time::timeout(LONGEST_CALL, call).await {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => format!("{error:?}"),
                Err(_) => format!("it took longer than {} s", LONGEST_CALL.as_secs()),
            };
            self.metrics.failed.increment(1);
            tracing::error!(
                shard = %self.shard,
                kind = %event.kind,
                cursor = %event.cursor,
                problem,
                "a callback failed and is not called again for this event"
            );
        }
        called
    }

    async fn save(&self, log: &mut Log) -> Result<(), End> {
        let store = &self.kit.store;
        let save = store.save_callbacks(self.shard, self.node, log.place, false);
        match save.await {
            Ok(()) => {
                log.saved = log.place;
                log.saved_at = Instant::now();
                log.called = false;
                Ok(())
            }
            Err(CallError::Refused(_)) => Err(End::Lost),
            Err(CallError::Store(error)) => {
                // The next note takes it along.
                tracing::warn!(shard = %self.shard, %error, "the place of callbacks was not noted");
                Ok(())
            }
        }
    }

    async fn give_back(&self, place: CallbackPlace) -> End {
        let store = &self.kit.store;
        if let Err(error) = store
            .save_callbacks(self.shard, self.node, place, true)
            .await
        {
            tracing::warn!(shard = %self.shard, %error, "callbacks could not be given back");
        }
        End::Stopped
    }
}

/// How far the log was read.
struct Log {
    place: CallbackPlace,
    saved: CallbackPlace,
    saved_at: Instant,
    /// A callback was called since the place was noted.
    called: bool,
    /// The place may stand inside an entry, whose rest a tail would pass over.
    inside: bool,
}
