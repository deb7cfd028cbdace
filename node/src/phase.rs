//! How far the node has come in stopping.

/// Later phases are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It works.
    #[default]
    Running,
    /// It claims no more and waits for its handlers.
    Draining,
    /// Time is over: handlers are told to end, and what they leave is handed back.
    Cancelling,
    /// Everything is settled, or given up: leadership and leases are handed back.
    Leaving,
}
