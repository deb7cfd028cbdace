//! What Redis holds while something is under way, and does not once all is over.

use crate::env::Env;

/// Keys that are there as long as something waits, runs or is to be done.
const LIVE: [&str; 19] = [
    "runs",
    "waiting",
    "swept",
    "delayed",
    "paused",
    "blocked",
    "timers",
    "progress",
    "doomed",
    "inbox",
    "outbox",
    "workflows:active",
    "workflows:unfinished",
    "workflows:alarms",
    "batches:active",
    "batches:unfinished",
    "batches:alarms",
    "groups:due",
    "schedules:due",
];

/// The same, of which there is one for each lane, tier or limit.
const LIVE_OF_EACH: [&str; 5] = ["lane:", "holes:", "ready:", "held:", "blocked:"];

/// Keys of a test's namespace that tell of something under way. Streams that are empty tell of
/// nothing.
///
/// # Panics
/// Redis does not answer.
pub async fn live_keys(env: &Env) -> Vec<String> {
    let mut redis = env.raw().await;
    let mut live = Vec::new();
    for key in env.keys().await {
        let (_, name) = key.split_once("}:").expect("a key of a shard");
        if !LIVE.contains(&name) && !LIVE_OF_EACH.iter().any(|each| name.starts_with(each)) {
            continue;
        }
        let is_stream = ["inbox", "outbox"].contains(&name);
        let length: usize = match is_stream {
            true => redis::cmd("XLEN")
                .arg(&key)
                .query_async(&mut redis)
                .await
                .unwrap(),
            false => 1,
        };
        if length > 0 {
            live.push(key);
        }
    }
    live
}
