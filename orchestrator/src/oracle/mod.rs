//! A second opinion of workflows, for tests.
//!
//! [`generate`] makes random definitions from a seed, [`script`] says what each of their jobs comes
//! to, and [`interpret`] says how such a workflow must end. It is written from the semantics alone,
//! shares no code with the orchestrator and takes the most naive way to everything: it runs one
//! task after another to its end and looks at the whole graph again after each. [`cluster`] runs
//! the same definitions by [`advance`](crate::advance::advance), in an order and with mishaps that
//! chance chooses, and [`judge`] compares.
//!
//! What a handler must know stands in the headers of its task, so that the same definitions run in
//! memory and on nodes.

pub mod chance;
pub mod cluster;
pub mod generate;
pub mod interpret;
pub mod judge;
pub mod picture;
pub mod script;
pub mod shape;
pub mod values;
pub mod worker;

#[cfg(test)]
mod tests;
