//! The circuit breaker of a handler: what failed so often in a row is left alone for a while.
//!
//! A pure state machine. Closed, it counts failures in a row; at the limit it opens, and the node
//! claims nothing for the handler. After a while it is half open: one run, the probe, shows
//! whether to close it or to wait again. It knows no clock: callers say what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// When a handler is left alone, per process. Work that waits keeps its attempts meanwhile, and
/// other nodes may take it.
///
/// Errors that are tried again, panics and timeouts count. [`permanent`] errors, skips, rate limits
/// and wishes to be repeated or paused are about the job and not about what the handler depends on:
/// they neither count nor begin the count anew.
///
/// [`permanent`]: paceline_types::JobError::permanent
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it, at least 1.
    pub failures: u32,
    /// How long it stays open before one run tries again, longer than zero.
    pub open_for: Duration,
}

impl Breaker {
    /// The first field that cannot be used, and why.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.failures == 0 {
            return Some("breaker.failures must be at least 1");
        }
        self.open_for
            .is_zero()
            .then_some("breaker.open_for must be longer than zero")
    }
}

/// What a run says about what its handler depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Worked,
    /// It does not.
    Failed,
    /// Nothing: the job itself was at fault, or the run was broken off.
    Neither,
}

/// What may be claimed for a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admits {
    All,
    /// One run, which begins with [`Circuit::begin_probe`].
    Probe,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { since: Instant, probing: bool },
}

/// The breaker of one handler at work.
#[derive(Debug)]
pub(crate) struct Circuit {
    rule: Breaker,
    state: State,
}

impl Circuit {
    pub(crate) fn new(rule: Breaker) -> Circuit {
        Circuit {
            rule,
            state: State::Closed { failures: 0 },
        }
    }

    /// What may be claimed at `now`.
    pub(crate) fn admits(&self, now: Instant) -> Admits {
        match self.state {
            State::Closed { .. } => Admits::All,
            State::Open { until } if now < until => Admits::Nothing,
            State::HalfOpen { probing: true, .. } => Admits::Nothing,
            State::Open { .. } | State::HalfOpen { .. } => Admits::Probe,
        }
    }

    /// Notes that one run is being claimed to try. Only where [`Circuit::admits`] said so.
    pub(crate) fn begin_probe(&mut self) {
        if let State::Open { until: since } | State::HalfOpen { since, .. } = self.state {
            let probing = true;
            self.state = State::HalfOpen { since, probing };
        }
    }

    /// Notes that the probe came to nothing: there was no work, or it said nothing.
    pub(crate) fn end_probe(&mut self) {
        if let State::HalfOpen { since, .. } = self.state {
            let probing = false;
            self.state = State::HalfOpen { since, probing };
        }
    }

    /// Takes up the end of a run. Returns until when it is open from now on, if this opened it.
    ///
    /// Runs that began before it opened say nothing any more.
    pub(crate) fn ended(&mut self, verdict: Verdict, probe: bool, now: Instant) -> Option<Instant> {
        match (self.state, verdict) {
            (State::Closed { .. }, Verdict::Worked) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, Verdict::Failed) => {
                let failures = failures + 1;
                if failures >= self.rule.failures {
                    return Some(self.open(now));
                }
                self.state = State::Closed { failures };
            }
            (State::HalfOpen { .. }, Verdict::Worked) if probe => {
                self.state = State::Closed { failures: 0 };
            }
            (State::HalfOpen { .. }, Verdict::Failed) if probe => return Some(self.open(now)),
            (State::HalfOpen { .. }, Verdict::Neither) if probe => self.end_probe(),
            (_, Verdict::Neither) | (State::Open { .. } | State::HalfOpen { .. }, _) => {}
        }
        None
    }

    fn open(&mut self, now: Instant) -> Instant {
        let until = now + self.rule.open_for;
        self.state = State::Open { until };
        until
    }

    /// From when on one run may try; none while it is closed.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until: at } | State::HalfOpen { since: at, .. } => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Breaker = Breaker {
        failures: 3,
        open_for: Duration::from_secs(10),
    };

    enum Step {
        Ends(Verdict),
        ProbeEnds(Verdict),
        ProbeBegins,
        ProbeEmpty,
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_probe_decides() {
        use Admits::{All, Nothing, Probe};
        use Step::{Ends, ProbeBegins, ProbeEmpty, ProbeEnds};
        use Verdict::{Failed, Neither, Worked};
        let start = Instant::now();
        // second, what happens then, what is admitted after it
        let steps = [
            (0, Ends(Failed), All),
            (0, Ends(Failed), All),
            (0, Ends(Worked), All),
            (0, Ends(Failed), All),
            (0, Ends(Neither), All),
            (0, Ends(Failed), All),
            (1, Ends(Failed), Nothing),
            // Runs from before do not prolong it, and do not close it.
            (5, Ends(Failed), Nothing),
            (6, Ends(Worked), Nothing),
            (10, Ends(Neither), Nothing),
            (11, Ends(Worked), Probe),
            (11, ProbeBegins, Nothing),
            (11, Ends(Failed), Nothing),
            (11, ProbeEmpty, Probe),
            (12, ProbeBegins, Nothing),
            (13, ProbeEnds(Neither), Probe),
            (13, ProbeBegins, Nothing),
            (14, ProbeEnds(Failed), Nothing),
            (23, Ends(Worked), Nothing),
            (24, ProbeBegins, Nothing),
            (40, ProbeEnds(Worked), All),
            (40, Ends(Failed), All),
            (40, Ends(Failed), All),
            (40, Ends(Failed), Nothing),
        ];
        let mut circuit = Circuit::new(RULE);
        for (number, (second, step, admits)) in steps.into_iter().enumerate() {
            let now = start + Duration::from_secs(second);
            let opened = match step {
                Ends(verdict) => circuit.ended(verdict, false, now),
                ProbeEnds(verdict) => circuit.ended(verdict, true, now),
                ProbeBegins => {
                    assert_eq!(circuit.admits(now), Probe, "step {number}");
                    circuit.begin_probe();
                    None
                }
                ProbeEmpty => {
                    circuit.end_probe();
                    None
                }
            };
            assert_eq!(circuit.admits(now), admits, "step {number}");
            if let Some(until) = opened {
                assert_eq!(until, now + RULE.open_for, "step {number}");
            }
            assert_eq!(
                circuit.open_until().is_none(),
                admits == All,
                "step {number}"
            );
        }
    }

    #[test]
    fn rules_that_cannot_hold_are_told() {
        let table = [
            (RULE, None),
            (
                Breaker {
                    failures: 0,
                    ..RULE
                },
                Some("breaker.failures must be at least 1"),
            ),
            (
                Breaker {
                    open_for: Duration::ZERO,
                    ..RULE
                },
                Some("breaker.open_for must be longer than zero"),
            ),
        ];
        for (rule, problem) in table {
            assert_eq!(rule.problem(), problem);
        }
    }
}
