//! The leader of a shard: one closed loop over all of its services.
//!
//! A round runs the services that are due, one after the other; then the loop waits for one of
//! the four things that wake it. Nothing is decided while it waits, and no two services run at
//! once, so that they never see each other's half-done work. Under load a round follows the
//! other; when nothing happens, one survey a second asks for everything at once, and only what
//! it finds is run.
//!
//! A service that fails is due again after a while and does not keep the others from running.
//! Only a newer term, the end of this one, or shutdown end the loop.

mod options;
mod round;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::agenda::{Agenda, Service};
use crate::alarms::Alarms;
use crate::courier::Courier;
use crate::desk::Desk;
use crate::groups::Flusher;
use crate::ports::{Bell, World};
use crate::promoter::Promoter;
use crate::reconciler::Reconciler;
use crate::recovery::Recovery;
use crate::retention::Sweeper;
use crate::scheduler::Scheduler;
use crate::term::Term;
use crate::timers::Timekeeper;
use crate::workflows::Workflows;
use round::Fenced;

pub use options::{
    DEFAULT_RECONCILE_EVERY, DEFAULT_RECONCILE_STEP, DEFAULT_RETENTION_EVERY, DEFAULT_RETRY_AFTER,
    DEFAULT_SURVEY_EVERY, DEFAULT_SURVEY_GAP, Options,
};

/// Why a leader stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The term was given up, or not prolonged in time.
    TermLost,
    /// A newer term has written.
    Fenced {
        /// It.
        newest: u64,
    },
    /// It was asked to.
    Shutdown,
}

/// What ends the waiting of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// Something arrived.
    Bell,
    /// Something is due.
    Timer,
    /// The term is over.
    TermLost,
    /// It is asked to stop.
    Shutdown,
}

/// The leader of one shard for one term.
#[derive(Debug)]
pub struct Leader<W, B> {
    world: Arc<W>,
    bell: B,
    options: Options,
    desk: Desk<W>,
    workflows: Workflows,
    promoter: Promoter<W>,
    timers: Timekeeper<W>,
    flusher: Flusher<W>,
    scheduler: Scheduler<W>,
    alarms: Alarms,
    courier: Courier<W>,
    recovery: Recovery<W>,
    sweeper: Sweeper<W>,
    reconciler: Reconciler,
    agenda: Agenda,
    surveyed_at: Instant,
    /// When retention may run again.
    sweep_from: Instant,
    /// When posts that could not be delivered may be tried again.
    carry_from: Instant,
}

impl<W: World, B: Bell> Leader<W, B> {
    /// A leader that has done nothing yet. Make a new one for each term.
    #[must_use]
    pub fn new(world: Arc<W>, bell: B, options: Options) -> Leader<W, B> {
        let now = Instant::now();
        let mut agenda = Agenda::new();
        agenda.set(Service::Workflows, Some(now));
        agenda.set(Service::Survey, Some(now));
        agenda.set(Service::Reconciler, Some(now + options.reconcile_every));
        Leader {
            desk: Desk::new(world.clone(), options.workflows.cache_bytes)
                .with_limits(options.workflows.limits),
            workflows: Workflows::new(options.workflows.clone()),
            promoter: Promoter::new(world.clone(), options.promoter.clone()),
            timers: Timekeeper::new(world.clone(), options.timers.clone()),
            flusher: Flusher::new(world.clone(), options.groups.clone()),
            scheduler: Scheduler::new(world.clone(), options.scheduler.clone()),
            alarms: Alarms::new(options.alarms.clone()),
            courier: Courier::new(world.clone(), options.courier.clone()),
            recovery: Recovery::new(world.clone(), options.recovery.clone()),
            sweeper: Sweeper::new(world.clone(), options.retention.clone()),
            reconciler: Reconciler::new(options.reconciler.clone()),
            world,
            bell,
            options,
            agenda,
            surveyed_at: now,
            sweep_from: now,
            carry_from: now,
        }
    }

    /// Leads until the term is lost, a newer one has written, or `shutdown` is ready.
    ///
    /// A call that is on its way when the term or the process ends is not waited for; it is
    /// whole or nothing, and fenced.
    pub async fn run(mut self, term: Term, shutdown: impl Future<Output = ()> + Send) -> Stopped {
        let mut shutdown = pin!(shutdown);
        loop {
            let round = async {
                for service in Service::ALL {
                    self.serve(service, &term).await?;
                }
                Ok(())
            };
            // A call that hangs must not outlive the term: its holder would not notice the loss.
            let ran: Result<(), Fenced> = tokio::select! {
                biased;
                () = &mut shutdown => return Stopped::Shutdown,
                () = term.ended() => return Stopped::TermLost,
                ran = round => ran,
            };
            if let Err(Fenced { newest }) = ran {
                metrics::counter!("paceline_orchestrator_fenced_total").increment(1);
                return Stopped::Fenced { newest };
            }
            let idle = self
                .agenda
                .idle_for(Instant::now(), self.options.survey_every);
            let wake = if idle.is_zero() {
                // Work waits already, but what runs beside the loop must have its turn.
                tokio::task::yield_now().await;
                Wake::Timer
            } else {
                tokio::select! {
                    biased;
                    () = &mut shutdown => Wake::Shutdown,
                    () = term.ended() => Wake::TermLost,
                    rung = self.bell.wait(idle) => if rung { Wake::Bell } else { Wake::Timer },
                }
            };
            match wake {
                Wake::Bell => self.rung(),
                Wake::Timer => {}
                Wake::TermLost => return Stopped::TermLost,
                Wake::Shutdown => return Stopped::Shutdown,
            }
        }
    }

    /// The inbox is read at once; delayed work that may have rung is noticed by a survey.
    fn rung(&mut self) {
        self.agenda.hasten(Service::Workflows, Instant::now());
        let survey_at = self.surveyed_at + self.options.survey_gap;
        self.agenda.hasten(Service::Survey, survey_at);
    }
}

#[cfg(test)]
mod tests;
