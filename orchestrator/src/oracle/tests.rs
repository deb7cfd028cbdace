//! The interpreter against tables made by hand, and the orchestrator against the interpreter.

mod random;
mod tables;
