//! The work of a pump for one incarnation of its node: collect, send, take up, start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use paceline_store::calls::turn::{Claimed, Settle, Settled, TurnReply};
use paceline_types::Settlement;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bell::Doorbell;
use super::deliver::{Delivered, Parcel};
use super::plan::{Load, MAX_BATCH, MAX_IN_FLIGHT};
use crate::identity::{Incarnation, Seat};
use crate::kit::Kit;
use crate::latch::CancelReason;
use crate::phase::Phase;
use crate::run::{self, Ended, Run};
use crate::slots::{Place, Reservation};
use crate::telemetry::ShardMetrics;

/// How often an idle node looks for work that no bell announced, with up to four shards.
const FALLBACK: Duration = Duration::from_secs(2);

/// How long work waits that was claimed although no handler of this node serves it: a fault of
/// the program, which must not turn into a busy loop.
const UNSERVED_DELAY: Duration = Duration::from_secs(5);

/// A run that ended, ready to be told.
struct Done {
    settle: Settle,
    /// Index in the registry; none for work without a handler.
    handler: Option<usize>,
}

impl From<Ended> for Done {
    fn from(ended: Ended) -> Done {
        Done {
            handler: Some(ended.run.handler),
            settle: ended.into_settle(),
        }
    }
}

/// Why a shift ended.
pub(super) enum ShiftEnd {
    /// The incarnation is over.
    Over,
    /// The node stops, and everything is told.
    Drained,
}

/// The work of a pump for one incarnation.
pub(super) struct Shift {
    kit: Arc<Kit>,
    seat: Arc<Seat>,
    incarnation: Arc<Incarnation>,
    metrics: ShardMetrics,
    door: Arc<Doorbell>,
    phase: watch::Receiver<Phase>,
    /// Runs that were started and have not been collected.
    running: usize,
    finished: VecDeque<Done>,
    in_flight: FuturesUnordered<BoxFuture<'static, Delivered>>,
    /// Numbers of the turns of each slot; none while one is under way.
    numbers: [u64; MAX_IN_FLIGHT],
    busy: [bool; MAX_IN_FLIGHT],
    /// Work may be waiting.
    hungry: bool,
    /// Handlers that the last claim had no room for: their work was not looked for.
    missed: Vec<usize>,
    /// Where it waits for slots.
    place: Option<Place>,
    /// The node has more pumps than one of them has turns under way.
    among_many: bool,
    stopping: bool,
    /// Jobs claimed so far.
    ticket: u64,
    to: UnboundedSender<Ended>,
    from: UnboundedReceiver<Ended>,
    fallback: Duration,
}

impl Shift {
    pub(super) fn new(
        kit: &Arc<Kit>,
        seat: &Arc<Seat>,
        incarnation: Arc<Incarnation>,
        metrics: ShardMetrics,
        door: &Arc<Doorbell>,
        phase: watch::Receiver<Phase>,
    ) -> Shift {
        let (to, from) = mpsc::unbounded_channel();
        Shift {
            kit: Arc::clone(kit),
            seat: Arc::clone(seat),
            incarnation,
            metrics,
            door: Arc::clone(door),
            phase,
            running: 0,
            finished: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            numbers: [0; MAX_IN_FLIGHT],
            busy: [false; MAX_IN_FLIGHT],
            hungry: true,
            missed: Vec::new(),
            place: None,
            among_many: usize::from(kit.store.shards()) > MAX_IN_FLIGHT,
            stopping: false,
            ticket: 0,
            to,
            from,
            fallback: FALLBACK * u32::from((kit.store.shards() / 4).max(1)),
        }
    }

    /// Works until the incarnation is over or the node has stopped.
    pub(super) async fn work(mut self) -> ShiftEnd {
        // A phase that began before this shift counts too.
        self.phase.mark_changed();
        let mut buffer = Vec::with_capacity(MAX_BATCH);
        loop {
            self.collect_together(&mut buffer).await;
            self.send();
            if self.is_drained() {
                return ShiftEnd::Drained;
            }
            let freed = match self.wait_in_line() {
                Waits::ForSlots(freed) => Some(freed),
                Waits::ForWork => None,
                Waits::Not => continue,
            };
            let in_line = freed.is_some();
            let idle = self.in_flight.is_empty() && !self.hungry && !self.stopping;
            self.door.set_idle(idle);
            tokio::select! {
                biased;
                () = self.incarnation.over() => return ShiftEnd::Over,
                Some(delivered) = self.in_flight.next() => self.take(delivered).await,
                _ = self.from.recv_many(&mut buffer, MAX_BATCH),
                    if self.in_flight.len() < MAX_IN_FLIGHT => {}
                () = self.door.rung(), if idle => self.hungry = true,
                () = tokio::time::sleep(self.fallback), if idle => self.hungry = true,
                () = wait_for(freed), if in_line => {}
                Ok(()) = self.phase.changed() => self.change_phase(),
            }
        }
    }

    /// Takes up the runs that finished, and beside many other pumps those that finish right behind
    /// them: measured with 16 shards a fifth fewer turns. A pump that is alone does not wait, as
    /// Redis would with it.
    async fn collect_together(&mut self, buffer: &mut Vec<Ended>) {
        while self.collect(buffer)
            && self.among_many
            && self.running > 0
            && self.finished.len() < MAX_BATCH
        {
            tokio::task::yield_now().await;
        }
    }

    /// Takes up the runs that finished; whether there were any.
    fn collect(&mut self, buffer: &mut Vec<Ended>) -> bool {
        while let Ok(ended) = self.from.try_recv() {
            buffer.push(ended);
        }
        if buffer.is_empty() {
            return false;
        }
        self.running = self.running.saturating_sub(buffer.len());
        self.incarnation.end(buffer.iter().map(|ended| &ended.run));
        self.finished.extend(buffer.drain(..).map(Done::from));
        true
    }

    /// Stands in line for slots that it lacks, as long as nothing else is under way.
    fn wait_in_line(&mut self) -> Waits<impl Future<Output = ()> + use<>> {
        let lacks = self.hungry || !self.missed.is_empty();
        if self.stopping || !lacks || !self.in_flight.is_empty() {
            self.place = None;
            return Waits::ForWork;
        }
        let (slots, pump) = (&self.kit.slots, self.seat.shard);
        let freed = slots.freed();
        match &self.place {
            Some(place) => place.also_for(self.hungry, &self.missed),
            None => self.place = Some(slots.stand_in_line(pump, self.hungry, &self.missed)),
        }
        let served = self.hungry && slots.room(pump) > 0 || slots.has_room_for(pump, &self.missed);
        if served {
            self.hungry = true;
            return Waits::Not;
        }
        Waits::ForSlots(freed)
    }

    /// Sends turns as long as they are worth it.
    fn send(&mut self) {
        while let Some(slot) = self.busy.iter().position(|busy| !busy) {
            let load = Load {
                finished: self.finished.len(),
                in_flight: self.in_flight.len(),
                free: self.kit.slots.room(self.seat.shard),
                hungry: self.hungry,
                stopping: self.stopping,
            };
            let Some(batch) = load.next() else { return };
            let reserved = self.kit.slots.reserve(self.seat.shard, batch.claim);
            let serves = self.kit.serves(&reserved);
            if batch.settle == 0 && serves.is_empty() {
                // Another shard was faster.
                return;
            }
            if !serves.is_empty() {
                self.hungry = false;
                self.place = None;
                self.missed = reserved.missed().to_vec();
                self.door.set_missed(&self.missed);
            }
            self.numbers[slot] += 1;
            self.busy[slot] = true;
            let done = self.finished.drain(..batch.settle);
            let (settle, handlers) = done.map(|done| (done.settle, done.handler)).unzip();
            let parcel = Parcel {
                kit: Arc::clone(&self.kit),
                shard: self.seat.shard,
                incarnation: Arc::clone(&self.incarnation),
                slot,
                number: self.numbers[slot],
                settle,
                handlers,
                reserved,
                serves,
                ticket: self.ticket,
                poll_errors: self.metrics.poll_errors.clone(),
            };
            self.in_flight.push(Box::pin(parcel.deliver()));
        }
    }

    /// Takes up the answer to a turn.
    async fn take(&mut self, delivered: Delivered) {
        let Delivered { parcel, reply } = delivered;
        self.busy[parcel.slot] = false;
        if let Some(max) = parcel.claims() {
            self.metrics
                .turn_claimed
                .record(batch_size(reply.claimed.len()));
            debug_assert!(reply.claimed.len() <= max as usize);
        }
        self.metrics
            .turn_settled
            .record(batch_size(parcel.settle.len()));
        self.count(&parcel, &reply);
        if reply.unregistered {
            self.incarnation.fence();
            return;
        }
        self.hungry |= reply.more;
        if !reply.claimed.is_empty() {
            self.start(reply.claimed, parcel.reserved);
            self.send();
            // Short jobs end right now: their settles go together in the next turn.
            tokio::task::yield_now().await;
        }
    }

    fn count(&self, parcel: &Parcel, reply: &TurnReply) {
        let (mut completed, mut failed) = (0, 0);
        let told = parcel
            .settle
            .iter()
            .zip(&parcel.handlers)
            .zip(&reply.settled);
        for ((settle, handler), settled) in told {
            match settled {
                Settled::Accepted => {}
                Settled::Cancelled => {
                    self.metrics.cancelled.increment(1);
                    continue;
                }
                Settled::Fenced => {
                    self.metrics.fenced.increment(1);
                    tracing::warn!(
                        job = %settle.job,
                        run = settle.run,
                        node = %self.incarnation.id,
                        shard = %self.seat.shard,
                        "the end of a run was refused: it is not this node's any more"
                    );
                    continue;
                }
            }
            match settle.settlement {
                Settlement::Completed { .. }
                | Settlement::Continued { .. }
                | Settlement::Skipped { .. } => completed += 1,
                Settlement::Retry { .. } | Settlement::Paused { .. } | Settlement::Dead { .. } => {
                    failed += 1;
                }
                Settlement::Repeat { .. } | Settlement::Released => {}
            }
            if let Some(entry) = handler.and_then(|handler| self.kit.handlers.get(handler)) {
                entry.metrics.settled(&settle.settlement);
            }
        }
        self.kit
            .tally
            .completed
            .fetch_add(completed, Ordering::Relaxed);
        self.kit.tally.failed.fetch_add(failed, Ordering::Relaxed);
    }

    fn start(&mut self, claimed: Vec<Claimed>, mut reserved: Reservation) {
        let now = Instant::now();
        if !self.incarnation.is_safe(now) {
            self.incarnation.fence();
            return;
        }
        self.ticket += claimed.len() as u64;
        let mut runs = Vec::with_capacity(claimed.len());
        for claimed in claimed {
            let handler = self.kit.registry.find(&claimed.record.spec.task_type);
            let Some(handler) = handler else {
                self.finished.push_back(unserved(&claimed));
                continue;
            };
            self.kit.handlers[handler].metrics.claimed.increment(1);
            match reserved.slot(handler).filter(|_| !self.stopping) {
                Some(slot) => {
                    let run = Run::new(claimed, handler, &self.incarnation, &self.kit, now);
                    runs.push((Arc::new(run), slot));
                }
                None => self.finished.push_back(Done {
                    settle: Settle::of(&claimed, Settlement::Released, Duration::ZERO),
                    handler: Some(handler),
                }),
            }
        }
        // Unused slots are free for other shards before the handlers take the processor.
        drop(reserved);
        if self
            .incarnation
            .begin(runs.iter().map(|(run, _)| run))
            .is_err()
        {
            return;
        }
        self.running += runs.len();
        self.kit
            .tally
            .started
            .fetch_add(runs.len() as u64, Ordering::Relaxed);
        for (run, slot) in runs {
            run::start(run, slot, self.to.clone());
        }
    }

    fn change_phase(&mut self) {
        let phase = *self.phase.borrow_and_update();
        self.stopping = phase >= Phase::Draining;
        if phase >= Phase::Cancelling {
            self.incarnation.cancel_all(CancelReason::Stopping);
        }
    }

    fn is_drained(&self) -> bool {
        let told = self.finished.is_empty() && self.in_flight.is_empty();
        self.stopping && told && self.running == 0
    }
}

fn unserved(claimed: &Claimed) -> Done {
    let error = format!(
        "no handler of this node serves {}, yet it was given the job",
        claimed.record.spec.task_type
    );
    tracing::error!(job = %claimed.job, run = claimed.run, error);
    let settlement = Settlement::Retry {
        delay: UNSERVED_DELAY,
        error,
        uses_attempt: false,
    };
    Done {
        settle: Settle::of(claimed, settlement, Duration::ZERO),
        handler: None,
    }
}

/// What a pump waits for.
enum Waits<F> {
    /// A slot that it lacks, or any of the other things.
    ForSlots(F),
    /// Anything but slots.
    ForWork,
    /// Nothing: it can claim at once.
    Not,
}

async fn wait_for(freed: Option<impl Future<Output = ()>>) {
    match freed {
        Some(freed) => freed.await,
        None => std::future::pending().await,
    }
}

fn batch_size(len: usize) -> f64 {
    f64::from(u32::try_from(len).unwrap_or(u32::MAX))
}
