//! What a round runs: each service when it is due, and when it is due again by what it found.

use tokio::time::Instant;

use super::Leader;
use crate::agenda::Service;
use crate::ports::{Bell, LedgerError, World};
use crate::term::Term;

/// A newer term has written: nothing that this leader does counts any more.
pub(super) struct Fenced {
    pub(super) newest: u64,
}

impl<W: World, B: Bell> Leader<W, B> {
    /// Runs the service if it is due.
    pub(super) async fn serve(&mut self, service: Service, term: &Term) -> Result<(), Fenced> {
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
