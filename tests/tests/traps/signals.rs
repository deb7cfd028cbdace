//! Signals at bad moments (row 84).

use paceline_client::{Step, WorkflowBuilder};
use paceline_tests::{Env, feature_test};
use serde_json::{Value, json};

use crate::{Bench, count, ended, hold};

feature_test! {
    /// Row 84: what a caller has acknowledged is taken by no task, also when the leader has not heard
    /// of it yet.
    async fn a_signal_that_was_acknowledged_at_once_is_taken_by_no_task(env: Env) {
        let mut bench = Bench::idle(env.store().await);
        let workflow = WorkflowBuilder::new("acknowledged").task(Step::signal("go"));
        let handle = bench.submit(workflow, Value::Null).await;
        let first = handle.signal("go", "first").await.unwrap();
        assert!(handle.ack_signal(first).await.unwrap());
        assert_eq!(handle.signal("go", "second").await.unwrap(), 2);
        bench.work(env.node()).await;
        let found = ended(&handle).await;
        assert_eq!(found.output.as_deref(), Some(&br#""second""#[..]));
        bench.stop().await;
    }

    /// Rows 84 and 85: a signal that comes while the workflow is suspended is taken; what it leads to
    /// waits for the resumption.
    async fn a_signal_that_comes_while_suspended_counts(env: Env) {
        let mut bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("suspended")
            .task(Step::signal("go"))
            .task(hold("after").after(["go"]).payload("{{tasks.go.output}}"));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.told(handle.id(), "workflow.task.dispatched go", 1).await;
        handle.suspend().await.unwrap();
        handle.signal("go", 7).await.unwrap();
        bench.told(handle.id(), "workflow.task.completed go", 1).await;
        assert_eq!(bench.begun.rest(), []);
        handle.resume().await.unwrap();
        assert_eq!(bench.begun.next().await, ("after".to_owned(), 0));
        bench.gate.open();
        let found = ended(&handle).await;
        assert_eq!(found.output.as_deref(), Some(&b"7"[..]));
        let tale = bench.tale(handle.id()).await;
        let place = |event: &str| tale.iter().position(|told| told == event);
        assert!(place("workflow.resumed") < place("workflow.task.dispatched after"), "{tale:?}");
        assert_eq!(count(&tale, "workflow.signal.received"), 1);
        bench.stop().await;
    }

    /// Rows 82 and 84: a signal that came before a retry is there for the task that waits again, and
    /// one that was taken is not.
    async fn signals_outlive_a_retry(env: Env) {
        let bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("retried")
            .task(Step::signal("one").named("go"))
            .task(Step::new("late", "late").payload(json!(1)).after(["one"]))
            .task(Step::signal("two").named("go").after(["late"]))
            .task(Step::new("end", "tell").after(["one", "two"]).results_from(["one", "two"]));
        let handle = bench.submit(workflow, Value::Null).await;
        handle.signal("go", 1).await.unwrap();
        handle.signal("go", 2).await.unwrap();
        ended(&handle).await;
        handle.retry().await.unwrap();
        let found = ended(&handle).await;
        let output: Value = serde_json::from_slice(found.output.as_ref().unwrap()).unwrap();
        assert_eq!(output["upstream"], json!({ "one": 1, "two": 2 }));
        bench.stop().await;
    }
}
