//! What cannot be pushed is told in one sentence, and changes nothing.

use std::time::Duration;

use paceline_client::PushError;
use paceline_tests::{Env, feature_test};
use paceline_types::{DEFAULT_MAX_PAYLOAD, Priority};
use serde_json::json;

use crate::{NEVER, TYPE, push};

feature_test! {
    /// Contract row 11.
    async fn a_push_for_another_job_is_refused_and_names_what_stands(env: Env) {
        let client = env.client().await;
        push(&client, "g", 1).await;
        let error = client.push_raw("g", "other", json!(2)).await.unwrap_err();
        let PushError::Differs { standing, .. } = &error else { panic!("{error}") };
        assert_eq!(standing.task_type.as_str(), TYPE);
        assert!(!error.maybe_stored());
        assert_eq!(
            error.to_string(),
            "group `g` collects for digest: use another group, or push again when it was flushed"
        );
        let error = client.push_raw("g", TYPE, json!(2)).priority(Priority::HIGH).await;
        let error = error.unwrap_err();
        let PushError::Differs { standing, wanted, .. } = &error else { panic!("{error}") };
        assert_eq!((standing.priority, wanted.priority), (Priority::NORMAL, Priority::HIGH));
        assert!(error.to_string().contains("with other options"), "{error}");
        let group = client.groups().await.unwrap().items.remove(0);
        assert_eq!((group.messages, group.task_type.as_str()), (1, TYPE));

        // Once it was flushed, it may become something else.
        client.flush_group("g").await.unwrap();
        client.push_raw("g", "other", json!(2)).await.unwrap();
        let group = client.groups().await.unwrap().items.remove(0);
        assert_eq!(group.task_type.as_str(), "other");
    }

    /// Bad input: a sentence, and nothing is stored.
    async fn a_push_with_a_mistake_stores_nothing(env: Env) {
        let client = env.client().await;
        let before = env.keys().await;
        let push = || client.push_raw("g", TYPE, json!(1));
        let large = format!("\"{}\"", "x".repeat(DEFAULT_MAX_PAYLOAD));
        let table = [
            (client.push_raw("", TYPE, json!(1)), "the group is empty"),
            (client.push_raw("a\nb", TYPE, json!(1)), "contains '\\n'"),
            (client.push_raw("g", "a:b", json!(1)), "the task type `a:b` contains ':'"),
            (client.push_bytes("g", TYPE, ["1", "{a"]), "message 1 is not JSON: "),
            (client.push_bytes("g", TYPE, [""]), "message 0 is not JSON: "),
            (client.push_bytes("g", TYPE, [large]), "message 0 has 262146 bytes, at most 262142"),
            (push().grace(Duration::ZERO), "grace must be longer than zero"),
            (push().max_delay(Duration::ZERO), "max_delay must be longer than zero"),
            (push().max_size(0), "max_size is 0, but must be between 1 and 10000"),
            (push().delay(NEVER), "a due time belongs to one job, not to those of a group"),
            (push().unique("u"), "a unique key belongs to one job"),
            (push().idempotency_key("i"), "an idempotency key belongs to one job"),
        ];
        for (push, words) in table {
            let error = push.await.unwrap_err();
            assert!(!error.maybe_stored());
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(env.keys().await, before);
    }
}
