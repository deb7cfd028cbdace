//! Suspensions that meet loops and maps.

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, feature_test};
use paceline_types::WorkflowStatus;
use serde_json::{Value, json};

use crate::{Bench, ended, tell};

feature_test! {
    /// Rows 70, 85 and 89, W16, W20: it is suspended and resumed all the time, while a long body is
    /// reset and a map goes on. Nothing is dispatched in between, and it comes to what it would.
    async fn suspensions_meet_loops_and_maps(env: Env) {
        let bench = Bench::open(&env).await;
        let names: Vec<String> = (0..150).map(|n| format!("b{n}")).collect();
        let body = names.iter().map(|name| tell(name, json!(1)).after(["from"]));
        let again = json!({ "route": 0, "times": 3, "default": 1 });
        let workflow = WorkflowBuilder::new("meets")
            .task(tell("from", json!(1)))
            .tasks(body)
            .task(
                Step::condition("more", "route")
                    .payload(again)
                    .after(names.iter().map(String::as_str))
                    .routes(["from", "end"]),
            )
            .task(Step::map("each", "tell").items((0..300).collect::<Vec<u32>>()).window(20))
            // It cannot end before it was suspended often enough.
            .task(Step::signal("enough"))
            .task(tell("end", json!("{{tasks.each.output[299]}}")).after(["more", "each", "enough"]));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.told(handle.id(), "workflow.started", 1).await;
        let mut suspended = 0;
        loop {
            let now = handle.suspend().await;
            if now.is_err() {
                break;
            }
            suspended += 1;
            if suspended == 4 {
                bench.client.signal(handle.id(), "enough", json!(null)).await.unwrap();
            }
            // The leader has its say between any two calls.
            let found = bench.client.workflow(handle.id()).await.unwrap().unwrap();
            if handle.resume().await.is_err() {
                break;
            }
            if found.status == WorkflowStatus::Completed {
                break;
            }
            bench.tale(handle.id()).await;
        }
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Completed, "{found:?}");
        assert_eq!(found.output.as_deref(), Some(&b"299"[..]));
        assert_eq!(bench.ran_once(), 4 * 151 + 300 + 1);
        let tale = bench.tale(handle.id()).await;
        let mut open = true;
        for told in &tale {
            match told.as_str() {
                "workflow.suspended" => open = false,
                "workflow.resumed" => open = true,
                told if told.starts_with("workflow.task.dispatched") => {
                    assert!(open, "{told} while it was suspended");
                }
                _ => {}
            }
        }
        assert!(suspended > 3, "{suspended}");
        bench.stop().await;
    }
}
