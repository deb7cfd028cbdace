//! Jobs, and how large what is submitted may be.

use paceline_client::{
    Client, JobFilter, JobRequest, MAX_TAGS, Step, SubmitError, Tag, Untyped, WorkflowBuilder,
};
use paceline_tests::{Env, SOON, feature_test, within};
use paceline_types::{JobError, MAX_PAYLOAD_CEILING};
use serde_json::{Value, json};

use crate::{assert_sentence, stored};

feature_test! {
    async fn each_mistake_of_a_job_is_named_with_its_remedy(env: Env) {
        let client = env.client().await;
        let job = |task_type: &str| JobRequest::raw(task_type, json!(1));
        let table = [
            (job(""), vec!["the task type is empty", "give it 1 to 128 characters"]),
            (job("a:b"), vec!["the task type `a:b` contains ':'", "use letters"]),
            (job("a{b"), vec!["the task type `a{b` contains '{'", "use letters"]),
            (job("a,b"), vec!["the task type `a,b` contains ','", "use letters"]),
            (job(&"x".repeat(129)), vec!["the task type has 129 bytes, at most 128", "shorten it"]),
            (job("t").tags(["a:b"]), vec!["the tag `a:b` contains ':'", "use letters"]),
            (job("t").unique(""), vec!["the unique key is empty", "give it 1 to 256"]),
            (job("t").idempotency_key("a\n"), vec!["the idempotency key", "use printable characters"]),
            (job("t").version("a b"), vec!["the version `a b` contains ' '", "use letters"]),
            (
                JobRequest::raw("t", json!("x".repeat(262_143))),
                vec!["the payload of t has 262145 bytes, at most 262144 are allowed", "submit a reference, or raise max_payload"],
            ),
        ];
        for (request, parts) in table {
            let many = client.submit_many([job("good"), request.clone()]).await;
            let alone = client.submit_request::<Untyped>(request).await.unwrap_err();
            assert!(!alone.maybe_stored());
            assert_sentence(&alone.to_string(), &parts);
            // Among others the good one is accepted, and the bad one told in its place.
            let mut many = many.unwrap();
            let told = many.pop().unwrap().unwrap_err();
            assert_eq!(told.to_string(), alone.to_string());
            let accepted = many.pop().unwrap().unwrap().id;
            client.cancel(accepted).await.unwrap();
        }
        let jobs = client.jobs(Default::default()).await.unwrap();
        assert!(jobs.items.iter().all(|job| job.task_type.as_str() == "good"));
    }

    async fn a_larger_payload_is_accepted_by_those_who_allow_it(env: Env) {
        let small = env.client().await;
        let large = Client::builder()
            .url(env.url())
            .namespace(env.namespace())
            .max_payload(MAX_PAYLOAD_CEILING)
            .connect()
            .await
            .unwrap();
        let _node = env
            .node()
            .max_payload(MAX_PAYLOAD_CEILING)
            .handle_raw("same", Default::default(), |_, payload| async { Ok(payload) })
            .handle_raw("input", Default::default(), |context, _| async move {
                Ok(context.workflow_input().await?.unwrap_or_default())
            })
            .start()
            .await
            .unwrap();
        // Quotes of the JSON string take the two bytes.
        let text = |size: usize| json!("x".repeat(size - 2));
        let limit = 256 * 1024;
        let most = within("a job at the limit", SOON, async {
            small.submit_raw("same", text(limit)).await.unwrap().output().await.unwrap()
        });
        assert_eq!(most.await, text(limit));
        for size in [limit + 1, MAX_PAYLOAD_CEILING] {
            let error = small.submit_raw("same", text(size)).await.unwrap_err();
            assert!(matches!(error, SubmitError::TooLarge { .. }), "{error}");
            let handle = large.submit_raw("same", text(size)).await.unwrap();
            let output = within("a large job", SOON, handle.output()).await.unwrap();
            assert!(output == text(size), "{size} bytes came back otherwise");
        }
        let error = large.submit_raw("same", text(MAX_PAYLOAD_CEILING + 1)).await.unwrap_err();
        assert!(matches!(error, SubmitError::TooLarge { .. }), "{error}");

        let workflow = || WorkflowBuilder::new("input").task(Step::new("a", "input"));
        let error = small.submit_workflow(workflow(), Some(text(limit + 1))).await.unwrap_err();
        assert_sentence(
            &error.to_string(),
            &["the input of the workflow has 262145 bytes, at most 262144", "raise max_payload"],
        );
        let handle = large.submit_workflow(workflow(), Some(text(limit + 1))).await.unwrap();
        let output: Value = within("its output", SOON, handle.output()).await.unwrap();
        assert!(output == text(limit + 1));
    }

    async fn a_job_with_a_great_many_tags_is_found_by_each_and_forgotten_whole(env: Env) {
        let client = env.client().await;
        let _node = env
            .node()
            .handle_raw("bad", Default::default(), |_, _| async {
                Err(JobError::permanent("boom"))
            })
            .start()
            .await
            .unwrap();
        // As many as are allowed, longer together than what a script reads at once.
        let name = |n: usize| format!("{n}-{}", "x".repeat(120));
        let tags: Vec<String> = (0..MAX_TAGS).map(name).collect();
        let more = client.submit_raw("bad", json!(1)).tags(&tags).tag("one-more");
        let error = more.await.unwrap_err().to_string();
        assert_sentence(&error, &["the job has 65 tags, at most 64 are allowed", "leave some out"]);
        let handle = client.submit_raw("bad", json!(1)).tags(&tags).await.unwrap();
        within("its end", SOON, handle.wait()).await.unwrap();
        for tag in &tags {
            let filter = JobFilter {
                tag: Some(Tag::new(tag).unwrap()),
                ..Default::default()
            };
            let found = client.jobs(filter).await.unwrap().items;
            assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [handle.id()]);
        }
        assert_eq!(client.dead_letters().purge_all().await.unwrap(), 1);
        let mut keys = stored(&env).await;
        keys.retain(|key| key.contains("}:tag:") || key.contains("}:j:") || key.contains("}:s:"));
        assert_eq!(keys, Vec::<String>::new());
    }
}
