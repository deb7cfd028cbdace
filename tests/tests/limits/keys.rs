//! Where jobs with keys go: all keys of a job must lead to one shard.

use paceline_client::{JobRequest, Limit, SubmitError};
use paceline_tests::{Backend, Env, Look, feature_test};
use paceline_types::ShardIndex;
use serde_json::json;

feature_test! {
    /// Keys of one job that lead to different shards are refused before anything is stored, with both
    /// of them and the remedy; the remedy works.
    async fn keys_that_lead_apart_are_refused(env: Env) {
        let client = env.client().await;
        let shards = env.shards();
        let unique = "order 17";
        let apart = (0..)
            .map(|number| format!("tenant {number}"))
            .find(|key| ShardIndex::of_key(key, 4) != ShardIndex::of_key(unique, 4))
            .unwrap();
        let submit = client.submit_raw("work", json!(1)).unique(unique).limit(&apart);
        match env.backend() {
            Backend::Standalone => assert!(submit.await.is_ok()),
            Backend::Cluster => {
                let refused = submit.await.err().unwrap();
                assert!(matches!(refused, SubmitError::KeysApart(_)), "{refused}");
                assert!(!refused.maybe_stored());
                let sentence = refused.to_string();
                for part in [unique, &apart, "{tenant 7}/print"] {
                    assert!(sentence.contains(part), "{sentence}");
                }
                let many = [
                    JobRequest::raw("work", json!(1)).limit(&apart).unique(unique),
                    JobRequest::raw("work", json!(1)).limit(&apart),
                ];
                let results = client.submit_many(many).await.unwrap();
                assert!(matches!(results[0], Err(SubmitError::KeysApart(_))));
                assert!(results[1].is_ok());
            }
        }
        for number in 0..10 {
            let submit = client
                .submit_raw("work", json!(1))
                .unique(format!("{{acme}}/order {number}"))
                .idempotency_key(format!("any {number}"))
                .limit("{acme}/mail")
                .limit("{acme}/print");
            let id = submit.await.unwrap().id();
            assert_eq!(id.shard(), ShardIndex::of_key("acme", shards));
            let job = client.look(id).await;
            assert_eq!(job.limits.len(), 2);
        }
    }

    /// A limit is found wherever its key leads.
    async fn limits_are_declared_on_every_shard(env: Env) {
        let client = env.client().await;
        let names: Vec<String> = (0..20).map(|number| format!("k{number:02}")).collect();
        for name in &names {
            client.set_limit(name, Limit::concurrency(2)).await.unwrap();
        }
        let listed = client.limits().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|it| it.key.as_str().to_owned()).collect();
        assert_eq!(listed, names);
        assert!(client.remove_limit("k07").await.unwrap());
        assert!(!client.remove_limit("k07").await.unwrap());
        assert_eq!(client.limits().await.unwrap().len(), 19);
        assert_eq!(client.limit("k08").await.unwrap().0.limit, Some(Limit::concurrency(2)));
        let empty = client.set_limit("k", Limit::default()).await.unwrap_err();
        assert!(empty.to_string().contains("limits nothing"), "{empty}");
        let none = client.set_limit("k", Limit::concurrency(0)).await.unwrap_err();
        assert!(none.to_string().contains("pause the task type"), "{none}");
    }
}
