//! The interpreter against tables made by hand, and the orchestrator against the interpreter.

mod ledger;
mod random;
mod tables;
