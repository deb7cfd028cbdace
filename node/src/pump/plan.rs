//! When a pump sends its next turn, and how large: a pure decision.
//!
//! One turn is sent as soon as there is anything to do, others beside it only when they are worth
//! their price: a turn costs Redis about as much as ten jobs do. While turns are under way
//! finished runs collect, so turns grow by themselves under load.

/// Most settles and most claims of one turn.
pub(crate) const MAX_BATCH: usize = 100;

/// Turns that may be under way at once. Measured with no-op jobs on two cores, ratios to two:
/// three 1.45, four 1.6, six 1.5, since Redis waits for the node in between.
pub(crate) const MAX_IN_FLIGHT: usize = 4;

/// What makes another turn worth sending while one is under way.
const WORTHWHILE: usize = MAX_BATCH / 2;

/// How things stand with a pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Finished runs that no turn has taken up.
    pub(crate) finished: usize,
    /// Turns under way.
    pub(crate) in_flight: usize,
    /// Run slots that are free.
    pub(crate) free: u32,
    /// Work may be waiting.
    pub(crate) hungry: bool,
    /// The node stops and takes no more work.
    pub(crate) stopping: bool,
}

/// A turn to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Runs to settle.
    pub(crate) settle: usize,
    /// Jobs to claim at most.
    pub(crate) claim: u32,
}

impl Load {
    /// The turn to send now, if any.
    pub(crate) fn next(self) -> Option<Batch> {
        let settle = self.finished.min(MAX_BATCH);
        let claim = self.claimable(settle);
        let wanted = if self.hungry { claim } else { 0 };
        let worth = settle.max(usize::try_from(wanted).unwrap_or(MAX_BATCH));
        let enough = match self.in_flight {
            0 => 1,
            1..MAX_IN_FLIGHT => WORTHWHILE,
            _ => return None,
        };
        (worth >= enough).then_some(Batch { settle, claim })
    }

    /// A claim costs little beside settles and is then made even when nothing is known to wait.
    fn claimable(self, settle: usize) -> u32 {
        // What finished while Redis was slow is told first: until then it can be lost.
        let behind = self.finished - settle > MAX_BATCH;
        if self.stopping || behind {
            return 0;
        }
        self.free.min(u32::try_from(MAX_BATCH).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Load = Load {
        finished: 0,
        in_flight: 0,
        free: 256,
        hungry: false,
        stopping: false,
    };

    #[test]
    fn turns_are_sent_when_they_are_worth_it() {
        let table = [
            ("idle", IDLE, None),
            (
                "first claim",
                Load {
                    hungry: true,
                    ..IDLE
                },
                Some((0, 100)),
            ),
            (
                "one finished",
                Load {
                    finished: 1,
                    ..IDLE
                },
                Some((1, 100)),
            ),
            (
                "few slots",
                Load {
                    hungry: true,
                    free: 7,
                    ..IDLE
                },
                Some((0, 7)),
            ),
            (
                "no slot",
                Load {
                    hungry: true,
                    free: 0,
                    ..IDLE
                },
                None,
            ),
            (
                "no slot, one finished",
                Load {
                    finished: 1,
                    free: 0,
                    ..IDLE
                },
                Some((1, 0)),
            ),
            (
                "a turn is out",
                Load {
                    finished: 49,
                    in_flight: 1,
                    ..IDLE
                },
                None,
            ),
            (
                "half a batch",
                Load {
                    finished: 50,
                    in_flight: 1,
                    ..IDLE
                },
                Some((50, 100)),
            ),
            (
                "room for half",
                Load {
                    hungry: true,
                    in_flight: 1,
                    ..IDLE
                },
                Some((0, 100)),
            ),
            (
                "little room",
                Load {
                    hungry: true,
                    in_flight: 1,
                    free: 9,
                    ..IDLE
                },
                None,
            ),
            (
                "all are out",
                Load {
                    finished: 500,
                    in_flight: MAX_IN_FLIGHT,
                    ..IDLE
                },
                None,
            ),
            (
                "many finished",
                Load {
                    finished: 150,
                    ..IDLE
                },
                Some((100, 100)),
            ),
            (
                "far behind",
                Load {
                    finished: 201,
                    ..IDLE
                },
                Some((100, 0)),
            ),
            (
                "stopping",
                Load {
                    hungry: true,
                    stopping: true,
                    ..IDLE
                },
                None,
            ),
            (
                "last ones",
                Load {
                    finished: 3,
                    stopping: true,
                    ..IDLE
                },
                Some((3, 0)),
            ),
        ];
        for (name, load, expected) in table {
            let expected = expected.map(|(settle, claim)| Batch { settle, claim });
            assert_eq!(load.next(), expected, "{name}");
        }
    }
}
