//! Batches end to end: a store, nodes and a leader on real Redis.
#![cfg(test)]

mod hall;
mod life;
mod refused;
mod retention;
mod retry;
mod scripts;
mod stop;
mod submit;
mod survive;
mod twice;
