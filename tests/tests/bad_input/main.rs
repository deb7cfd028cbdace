//! Bad input through the client and the node's builder: one clear sentence that names the place
//! and the remedy, and nothing is stored.
#![cfg(test)]

mod jobs;
#[path = "../cli/old_redis.rs"]
mod old_redis;
mod servers;
mod workflows;

use paceline_tests::Env;

/// One sentence: on one line, without the marks of a debug form, and not an essay.
fn assert_sentence(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    let plain = !text.contains('\n') && !text.contains("Some(") && text.len() < 600;
    assert!(plain, "not a sentence: {text}");
}

/// Keys of the namespace beside the number of its shards, which stands from the first connection.
async fn stored(env: &Env) -> Vec<String> {
    let keys = env.keys().await.into_iter();
    keys.filter(|key| !key.ends_with(":meta")).collect()
}
