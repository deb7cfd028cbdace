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

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::agenda::{Agenda, Service};
use crate::alarms::{self, Alarms};
use crate::courier::{self, Courier};
use crate::desk::Desk;
use crate::groups::{self, Flusher};
use crate::ports::{Bell, LedgerError, World};
use crate::promoter::{self, Promoter};
use crate::reconciler::{self, Reconciler};
use crate::recovery::{self, Recovery};
use crate::retention::{self, Sweeper};
use crate::scheduler::{self, Scheduler};
use crate::term::Term;
use crate::timers::{self, Timekeeper};
use crate::workflows::{self, Workflows};

/// How often everything is surveyed unless configured otherwise.
pub const DEFAULT_SURVEY_EVERY: Duration = Duration::from_secs(1);

/// How soon one survey may follow another when the bell rings, unless configured otherwise.
/// Delayed work that becomes the earliest waits no longer than this to be noticed.
pub const DEFAULT_SURVEY_GAP: Duration = Duration::from_millis(20);

/// How often retention runs while something is past its time, unless configured otherwise.
pub const DEFAULT_RETENTION_EVERY: Duration = Duration::from_secs(10);

/// How long after one walk of the reconciler the next begins, unless configured otherwise.
pub const DEFAULT_RECONCILE_EVERY: Duration = Duration::from_secs(30);

/// How long one step of a walk follows another, unless configured otherwise.
pub const DEFAULT_RECONCILE_STEP: Duration = Duration::from_millis(250);

/// How long a service that failed waits, unless configured otherwise.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_millis(250);

/// How a leader works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Reading of the inbox, and memory.
    pub workflows: workflows::Options,
    /// Delayed work.
    pub promoter: promoter::Options,
    /// Jobs that must start, end or give a sign of life in time.
    pub timers: timers::Options,
    /// Groups that are due.
    pub groups: groups::Options,
    /// Schedules.
    pub scheduler: scheduler::Options,
    /// Moments that workflows wait for.
    pub alarms: alarms::Options,
    /// What workflows tell one another.
    pub courier: courier::Options,
    /// Dead nodes.
    pub recovery: recovery::Options,
    /// What was kept long enough.
    pub retention: retention::Options,
    /// What stands still.
    pub reconciler: reconciler::Options,
    /// How often everything is surveyed when nothing rings.
    pub survey_every: Duration,
    /// How soon one survey may follow another when the bell rings.
    pub survey_gap: Duration,
    /// How often retention runs while something is past its time.
    pub retention_every: Duration,
    /// How long after one walk of the reconciler the next begins.
    pub reconcile_every: Duration,
    /// How long one step of a walk follows another.
    pub reconcile_step: Duration,
    /// How long a service that failed waits.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workflows: workflows::Options::default(),
            promoter: promoter::Options::default(),
            timers: timers::Options::default(),
            groups: groups::Options::default(),
            scheduler: scheduler::Options::default(),
            alarms: alarms::Options::default(),
            courier: courier::Options::default(),
            recovery: recovery::Options::default(),
            retention: retention::Options::default(),
            reconciler: reconciler::Options::default(),
            survey_every: DEFAULT_SURVEY_EVERY,
            survey_gap: DEFAULT_SURVEY_GAP,
            retention_every: DEFAULT_RETENTION_EVERY,
            reconcile_every: DEFAULT_RECONCILE_EVERY,
            reconcile_step: DEFAULT_RECONCILE_STEP,
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }
}

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

    /// Runs the service if it is due.
    async fn serve(&mut self, service: Service, term: &Term) -> Result<(), Fenced> {
        let now = Instant::now();
        if !self.agenda.is_due(service, now) {
            return Ok(());
        }
        self.agenda.set(service, None);
        let served = match service {
            Service::Workflows => self.run_workflows(term).await,
            Service::Survey => self.survey(term, now).await,
            Service::Promoter => self.promote(term).await,
            Service::Timers => self.expire_jobs(term).await,
            Service::Groups => self.flush_groups(term).await,
            Service::Scheduler => self.fire(term).await,
            Service::Alarms => self.ring(term).await,
            Service::Courier => self.carry(term).await,
            Service::Recovery => self.recover(term).await,
            Service::Retention => self.sweep(term).await,
            Service::Trails => self.copy_trails(term).await,
            Service::Reconciler => self.reconcile(term).await,
        };
        match served {
            Ok(()) => Ok(()),
            Err(LedgerError::Fenced { newest }) => Err(Fenced { newest }),
            Err(LedgerError::Unavailable(error)) => {
                let service_name = service.name();
                tracing::warn!(
                    service = service_name,
                    error,
                    "a service of the leader failed"
                );
                self.agenda
                    .hasten(service, Instant::now() + self.options.retry_after);
                Ok(())
            }
        }
    }

    async fn run_workflows(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.workflows.tick(&mut self.desk, term).await?;
        self.again(Service::Workflows, report.busy);
        self.look_after_desk();
        Ok(())
    }

    async fn survey(&mut self, term: &Term, now: Instant) -> Result<(), LedgerError> {
        let survey = self.world.survey(term).await?;
        self.surveyed_at = now;
        self.agenda
            .hasten(Service::Survey, now + self.options.survey_every);
        if survey.unfinished && !self.desk.has_backlog() {
            self.workflows.resume();
            self.agenda.hasten(Service::Workflows, now);
        }
        self.again(Service::Workflows, survey.inbox);
        self.again(Service::Alarms, survey.overdue);
        self.again(Service::Recovery, survey.dead_nodes);
        self.again(Service::Trails, survey.trails_due);
        if survey.posts {
            self.agenda.hasten(Service::Courier, self.carry_from);
        }
        if survey.purgeable {
            self.agenda.hasten(Service::Retention, self.sweep_from);
        }
        if let Some(due_in) = survey.next_due_in {
            self.agenda.hasten(Service::Promoter, now + due_in);
        }
        if let Some(passes_in) = survey.next_timer_in {
            self.agenda.hasten(Service::Timers, now + passes_in);
        }
        if let Some(due_in) = survey.next_group_in {
            self.agenda.hasten(Service::Groups, now + due_in);
        }
        if let Some(due_in) = survey.next_firing_in {
            self.agenda.hasten(Service::Scheduler, now + due_in);
        }
        Ok(())
    }

    async fn promote(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.promoter.tick(term).await?;
        let again_at = report.again_in.map(|wait| Instant::now() + wait);
        self.agenda.set(Service::Promoter, again_at);
        Ok(())
    }

    async fn expire_jobs(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.timers.tick(term).await?;
        let again_at = report.again_in.map(|wait| Instant::now() + wait);
        self.agenda.set(Service::Timers, again_at);
        Ok(())
    }

    async fn flush_groups(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.flusher.tick(term).await?;
        let again_at = report.again_in.map(|wait| Instant::now() + wait);
        self.agenda.set(Service::Groups, again_at);
        Ok(())
    }

    async fn fire(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.scheduler.tick(term).await?;
        let again_at = report.again_in.map(|wait| Instant::now() + wait);
        self.agenda.set(Service::Scheduler, again_at);
        Ok(())
    }

    async fn ring(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.alarms.tick(&mut self.desk, term).await?;
        self.again(Service::Alarms, report.busy);
        self.look_after_desk();
        Ok(())
    }

    async fn carry(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.courier.tick(term).await?;
        self.carry_from = Instant::now() + report.again_in.unwrap_or_default();
        if report.again_in.is_some() {
            self.agenda.hasten(Service::Courier, self.carry_from);
        }
        Ok(())
    }

    /// After a turn: what it left over, and what it posted, is seen to at once.
    fn look_after_desk(&mut self) {
        self.again(Service::Workflows, self.desk.has_backlog());
        if self.desk.take_posted() {
            self.again(Service::Courier, true);
        }
    }

    async fn recover(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.recovery.tick(term).await?;
        self.again(Service::Recovery, report.busy);
        Ok(())
    }

    async fn sweep(&mut self, term: &Term) -> Result<(), LedgerError> {
        let purged = self.sweeper.tick(term).await?;
        self.again(Service::Retention, purged.more);
        if !purged.more {
            self.sweep_from = Instant::now() + self.options.retention_every;
        }
        Ok(())
    }

    async fn copy_trails(&mut self, term: &Term) -> Result<(), LedgerError> {
        let more = self.world.copy_trails(term).await?;
        self.again(Service::Trails, more);
        Ok(())
    }

    async fn reconcile(&mut self, term: &Term) -> Result<(), LedgerError> {
        let report = self.reconciler.tick(&mut self.desk, term).await?;
        let wait = match report.done {
            true => self.options.reconcile_every,
            false => self.options.reconcile_step,
        };
        self.agenda
            .set(Service::Reconciler, Some(Instant::now() + wait));
        self.again(Service::Reconciler, report.more);
        self.look_after_desk();
        Ok(())
    }

    fn again(&mut self, service: Service, busy: bool) {
        if busy {
            self.agenda.hasten(service, Instant::now());
        }
    }
}

/// A newer term has written: nothing that this leader does counts any more.
struct Fenced {
    newest: u64,
}

#[cfg(test)]
mod tests;
