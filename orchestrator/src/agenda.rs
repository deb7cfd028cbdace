//! When each service of the leader is due: plain data, changed by plain functions.

use std::time::Duration;

use tokio::time::Instant;

/// The services of the leader, in the order in which one round runs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Workflows,
    Survey,
    Promoter,
    Scheduler,
    Timers,
    Groups,
    Alarms,
    Courier,
    Recovery,
    Retention,
    Trails,
    Reconciler,
}

impl Service {
    pub(crate) const ALL: [Service; 12] = [
        Service::Workflows,
        Service::Survey,
        Service::Promoter,
        Service::Scheduler,
        Service::Timers,
        Service::Groups,
        Service::Alarms,
        Service::Courier,
        Service::Recovery,
        Service::Retention,
        Service::Trails,
        Service::Reconciler,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Workflows => "workflows",
            Service::Survey => "survey",
            Service::Promoter => "promoter",
            Service::Timers => "timers",
            Service::Groups => "groups",
            Service::Scheduler => "scheduler",
            Service::Alarms => "alarms",
            Service::Courier => "courier",
            Service::Recovery => "recovery",
            Service::Retention => "retention",
            Service::Trails => "trails",
            Service::Reconciler => "reconciler",
        }
    }
}

/// The due times of all services; one without has nothing to do until something says otherwise.
#[derive(Debug)]
pub(crate) struct Agenda {
    due: [Option<Instant>; Service::ALL.len()],
}

impl Agenda {
    pub(crate) fn new() -> Agenda {
        Agenda {
            due: [None; Service::ALL.len()],
        }
    }

    /// Makes the service due at this time, or at the earlier one that it is due at already.
    pub(crate) fn hasten(&mut self, service: Service, at: Instant) {
        let due = &mut self.due[service as usize];
        *due = Some(due.map_or(at, |due| due.min(at)));
    }

    /// Makes the service due at this time and no other.
    pub(crate) fn set(&mut self, service: Service, at: Option<Instant>) {
        self.due[service as usize] = at;
    }

    /// Whether the service is due.
    pub(crate) fn is_due(&self, service: Service, now: Instant) -> bool {
        self.due[service as usize].is_some_and(|due| due <= now)
    }

    /// How long nothing is due; zero if something is.
    pub(crate) fn idle_for(&self, now: Instant, at_most: Duration) -> Duration {
        let next = self.due.iter().flatten().min();
        next.map_or(at_most, |next| {
            next.saturating_duration_since(now).min(at_most)
        })
    }
}
