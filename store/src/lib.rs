//! The store of Paceline: keys, Lua scripts, connections, and typed calls with typed refusals.
//!
//! **Invariant:** no other crate names a Redis command or a key. What each script does, which
//! keys it touches and what it answers is written at the head of its file in `lua/`.

#[macro_use]
pub mod script;

pub mod calls;
pub mod check;

mod keys;
pub mod link;
pub mod redis_url;
mod store;
mod wire;

pub use calls::{CallError, Fenced, MAX_BATCH};
pub use link::{LinkOptions, StoreError};
pub use redis_url::RedisUrl;
pub use store::{Store, StoreOptions};
