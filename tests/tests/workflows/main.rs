//! Workflows end to end: a client, nodes and a leader on real Redis.
#![cfg(test)]

mod cancel;
mod fail;
mod listing;
mod order;
mod results;
mod retention;
mod stage;
mod survive;
mod theatre;
mod twice;
