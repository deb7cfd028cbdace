//! Sections and maps that are too large, named badly or full of mistakes.

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, feature_test};
use paceline_types::WorkflowStatus;
use serde_json::{Value, json};

use crate::{Bench, ended, hold, plan, tell};

feature_test! {
    /// Row 89: what a map puts together may not be larger than any other result, and says so.
    async fn a_map_of_too_many_bytes_fails_with_its_size(env: Env) {
        let bench = Bench::open(&env).await;
        let large = "x".repeat(75_000);
        let workflow = WorkflowBuilder::new("large")
            .task(tell("text", json!(large)))
            .task(
                Step::map("each", "tell")
                    .items(json!([1, 2, 3, 4]))
                    .payload("{{tasks.text.output}}")
                    .after(["text"]),
            );
        let handle = bench.submit(workflow, Value::Null).await;
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Failed);
        let error = found.error.unwrap();
        assert!(error.starts_with("task each failed: "), "{error}");
        assert!(error.contains("262144") && error.len() < 400, "{error}");
        bench.stop().await;
    }

    /// Row 73, W14: names of a section that are those of a map's elements, before or after they are
    /// there, are nobody else's.
    async fn names_of_elements_are_told_apart(env: Env) {
        let mut bench = Bench::open(&env).await;
        // The elements are there when the section comes.
        let workflow = WorkflowBuilder::new("names")
            .task(Step::map("each", "hold").items(json!([7, 8])))
            .task(hold("first"))
            .task(plan("section", [tell("each#1", json!("mine"))]).after(["first"]));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.begun.take(3).await;
        bench.gate.open();
        let found = ended(&handle).await;
        let error = found.error.clone().unwrap_or_default();
        assert_eq!(found.status, WorkflowStatus::Failed, "{found:?}");
        assert!(error.contains("each#1"), "{error}");

        // The section is there when the elements come.
        let workflow = WorkflowBuilder::new("names")
            .task(plan("section", [hold("each#1")]))
            .task(
                Step::map("each", "tell")
                    .items(json!([7, 8]))
                    .after(["section"]),
            );
        let handle = bench.submit(workflow, Value::Null).await;
        let found = ended(&handle).await;
        match found.status {
            WorkflowStatus::Failed => {
                let error = found.error.unwrap();
                assert!(error.contains("each#1"), "{error}");
            }
            _ => assert_eq!(found.output.as_deref(), Some(&b"[7,8]"[..])),
        }
        bench.stop().await;
    }

    /// Row 73: a thousand mistakes are told so that somebody can read them.
    async fn a_thousand_mistakes_are_a_readable_sentence(env: Env) {
        let bench = Bench::open(&env).await;
        let steps = (0..1_000).map(|n| tell(&format!("t{n}"), json!(1)).after([format!("nobody{n}")]));
        let workflow = WorkflowBuilder::new("mistakes").task(plan("section", steps));
        let handle = bench.submit(workflow, Value::Null).await;
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Failed);
        let error = found.error.unwrap();
        assert!(error.contains("nobody0"), "{error}");
        assert!(error.len() < 4_000, "{} bytes", error.len());
        bench.stop().await;
    }
}
