//! Ends, rests and retries at bad moments.

use std::time::Duration;

use paceline_client::{RetryPolicy, Step, WorkflowBuilder};
use paceline_tests::{Env, SOON, attempts, eventually, feature_test, inboxes_empty};
use paceline_types::{JobStatus, Limit, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Bench, count, ended, hold, tell};

/// Over when the test says so.
const LONG: Duration = Duration::from_secs(600);

/// A policy that rests so long before the second attempt.
fn resting(delay: Duration) -> RetryPolicy {
    RetryPolicy {
        initial_delay: delay,
        max_delay: delay,
        ..attempts(2)
    }
}

feature_test! {
    /// Rows 81, 82 and 86, W24, W27: what rests is cancelled at once; its hooks tell the cancellation,
    /// once, and no alarm wakes it again.
    async fn what_rests_is_cancelled_at_once(env: Env) {
        let bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("rests")
            .task(Step::new("late", "late"))
            .retry_policy(resting(LONG))
            .on_failure("tell")
            .on_exit("tell");
        let handle = bench.submit(workflow, Value::Null).await;
        bench.told(handle.id(), "workflow.task.failed late", 1).await;
        handle.cancel("enough").await.unwrap();
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Cancelled);
        bench.told(handle.id(), "workflow.hook.completed __hook.on_exit", 1).await;
        let tale = bench.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.hook.dispatched __hook.on_failure"), 1, "{tale:#?}");
        assert_eq!(count(&tale, "workflow.cancelled"), 1);
        assert_eq!(count(&tale, "workflow.failed"), 0);
        assert_eq!(alarms(&env).await, Vec::<String>::new());
        bench.stop().await;
    }

    /// Rows 10, 27 and 86, W28: a cancellation reaches work wherever it waits: for a node, for its next
    /// attempt, to be resumed, for a limit.
    async fn a_cancellation_reaches_work_wherever_it_waits(env: Env) {
        let mut bench = Bench::open(&env).await;
        let one = Limit { concurrency: Some(1), rate: None };
        bench.client.set_limit("tenant", one).await.unwrap();
        let fails = |name| Step::new(name, "fail").payload(json!({ "error": "boom" }));
        let pausing = RetryPolicy { pause_after_err_count: Some(1), ..attempts(2) };
        let workflow = WorkflowBuilder::new("waits")
            .task(Step::new("unserved", "nobody"))
            .task(fails("later").retry_policy(resting(Duration::from_secs(3_600))))
            .task(fails("paused").retry_policy(pausing))
            .task(hold("runs").limit("tenant"))
            .task(hold("parked").limit("tenant"));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.begun.next().await;
        bench.told(handle.id(), "job.failed later", 1).await;
        bench.told(handle.id(), "job.paused paused", 1).await;
        let mut redis = env.raw().await;
        let name = |name| format!("{{{}:{}}}:{name}", env.namespace(), handle.id().shard());
        eventually("one is parked", SOON, async || {
            let mut parked = redis::cmd("ZCARD");
            parked.arg(name("blocked"));
            parked.query_async::<u32>(&mut redis).await.unwrap() == 1
        })
        .await;
        handle.cancel("enough").await.unwrap();
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Cancelled);
        for task in &found.tasks {
            assert_eq!(task.status, JobStatus::Cancelled, "{task:?}");
            let job = bench.client.job(task.job_id.unwrap()).await.unwrap().unwrap();
            assert_eq!(job.status, JobStatus::Cancelled, "{job:?}");
        }
        let tale = bench.tale(handle.id()).await;
        assert_eq!((count(&tale, "job.cancelled parked"), bench.begun.rest()), (1, Vec::new()));
        for left in ["delayed", "paused", "blocked", "blocked:tenant", "held:tenant", "waiting"] {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(name(left));
            assert_eq!(exists.query_async::<u32>(&mut redis).await.unwrap(), 0, "{left}");
        }
        bench.stop().await;
    }

    /// Rows 82 and 86, W27: a workflow that ends to be tried again is cancelled for good: whoever
    /// cancels it was told that it ends.
    async fn what_ends_to_be_tried_again_is_cancelled(env: Env) {
        let mut bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("ends")
            .task(Step::new("stays", "stay"))
            .task(tell("first", json!(1)))
            .task(Step::new("late", "late").after(["first"]))
            .retry_policy(attempts(3));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.begun.take(3).await;
        bench.told(handle.id(), "workflow.task.failed late", 1).await;
        handle.cancel("enough").await.unwrap();
        inboxes_empty(&env).await;
        bench.gate.open();
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Cancelled, "{found:?}");
        assert_eq!(found.error.as_deref(), Some("cancelled: enough"));
        assert_eq!(count(&bench.tale(handle.id()).await, "workflow.retrying"), 0);
        bench.stop().await;
    }

    /// Rows 86 and 87: what goes on as another one before the leader has heard of the cancellation is
    /// cancelled as that.
    async fn a_cancellation_follows_the_chain(env: Env) {
        let bench = Bench::open(&env).await;
        let chain = WorkflowBuilder::new("chain")
            .task(Step::new("on", "continue").payload(json!({ "input": 1 })));
        let mut handles = Vec::new();
        for _ in 0..8 {
            handles.push(bench.submit(chain.clone(), Value::Null).await);
        }
        for handle in &handles {
            bench.told(handle.id(), "workflow.started", 1).await;
            // Once is enough, whatever the instance that it reaches is about to do.
            let mut id = handle.id();
            while bench.client.cancel_workflow(id, "enough").await.is_err() {
                id = id.of_successor();
            }
        }
        eventually("all chains have ended", SOON, async || {
            let open = bench.all(Some(WorkflowStatus::Running)).await;
            if open.is_empty() { Ok(()) } else { Err(open.len()) }
        })
        .await;
        assert_eq!(bench.all(Some(WorkflowStatus::Cancelled)).await.len(), 8);
        bench.stop().await;
    }

    /// Rows 82 and 83, W27: the time of an attempt does not run while the workflow rests.
    async fn the_time_does_not_run_out_while_it_rests(env: Env) {
        let bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("rests")
            .task(Step::new("late", "late").payload(json!("ok")))
            .execution_timeout(LONG)
            .retry_policy(resting(LONG));
        let handle = bench.submit(workflow, Value::Null).await;
        // A ring of its deadline may be on its way when it comes to rest.
        let retry = format!("{} retry", handle.id().bare(&mut [0; 26]));
        eventually("it rests, and its deadline does not wait", SOON, async || {
            let armed = alarms(&env).await;
            if armed == [retry.as_str()] { Ok(()) } else { Err(armed) }
        })
        .await;
        env.ring_late(handle.id()).await;
        env.rested(handle.id()).await;
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Completed, "{found:?}");
        let tale = bench.tale(handle.id()).await;
        assert_eq!(count(&tale, "workflow.retrying"), 1);
        assert_eq!(count(&tale, "workflow.timed_out"), 0);
        assert_eq!(alarms(&env).await, Vec::<String>::new());
        bench.stop().await;
    }

    /// Rows 82, 86 and 89, W26, W27, W28: half of a map was done when it was cancelled; the other half
    /// runs in the retry, and the results are in their order.
    async fn half_of_a_map_is_kept_by_a_retry(env: Env) {
        let mut bench = Bench::open(&env).await;
        let workflow = WorkflowBuilder::new("half")
            .task(Step::map("each", "hold").items(json!([0, 1, 2, 3, 4, 5])).window(1))
            .task(tell("end", json!("{{tasks.each.output}}")).after(["each"]));
        let handle = bench.submit(workflow, Value::Null).await;
        for place in 0..3 {
            assert_eq!(bench.begun.next().await, (format!("each#{place}"), 0));
            bench.gate.admit(1);
        }
        assert_eq!(bench.begun.next().await, ("each#3".to_owned(), 0));
        handle.cancel("enough").await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Cancelled);
        handle.retry().await.unwrap();
        assert_eq!(bench.begun.next().await, ("each#3".to_owned(), 1));
        bench.gate.open();
        let found = ended(&handle).await;
        assert_eq!(found.output.as_deref(), Some(&b"[0,1,2,3,4,5]"[..]), "{found:?}");
        // Three, the one that was cancelled, and three; then the end.
        assert_eq!(bench.ran_once(), 8);
        bench.stop().await;
    }

    /// Rows 82, 74 and 86, W22, W27: a retry after a cancellation makes children anew, and the late
    /// ends of the old ones change nothing.
    async fn children_of_a_cancelled_attempt_do_not_end_the_next(env: Env) {
        let mut bench = Bench::open(&env).await;
        let child = WorkflowBuilder::new("inner").task(hold("slow"));
        let workflow = WorkflowBuilder::new("outer")
            .tasks((0..4).map(|n| Step::child(format!("c{n}"), child.clone())))
            .task(Step::new("late", "late").after(["c0"]));
        let handle = bench.submit(workflow, Value::Null).await;
        bench.begun.take(4).await;
        handle.cancel("enough").await.unwrap();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Cancelled);
        handle.retry().await.unwrap();
        // Children of the second attempt count their own starts.
        bench.begun.take(4).await;
        bench.gate.open();
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Failed);
        handle.retry().await.unwrap();
        let found = ended(&handle).await;
        assert_eq!(found.status, WorkflowStatus::Completed, "{found:?}");
        let children = bench.all(None).await;
        let inner = children.iter().filter(|it| it.workflow_name == "inner");
        let cancelled = inner.clone().filter(|it| it.status == WorkflowStatus::Cancelled);
        assert_eq!((inner.clone().count(), cancelled.count()), (8, 4));
        bench.stop().await;
    }

    /// Rows 74 and 86, W28: children that are being made in other shards when their parent is
    /// cancelled are cancelled too, and the parent waits for all of them.
    async fn children_in_the_making_are_cancelled(env: Env) {
        let bench = Bench::open(&env).await;
        let child = WorkflowBuilder::new("inner").task(hold("slow"));
        for _ in 0..5 {
            let workflow = WorkflowBuilder::new("outer")
                .tasks((0..30).map(|n| Step::child(format!("c{n}"), child.clone())));
            let handle = bench.submit(workflow, Value::Null).await;
            bench.told(handle.id(), "workflow.task.dispatched c0", 1).await;
            handle.cancel("enough").await.unwrap();
            assert_eq!(ended(&handle).await.status, WorkflowStatus::Cancelled);
        }
        eventually("nothing is under way", SOON, async || {
            let running = bench.all(Some(WorkflowStatus::Running)).await;
            if running.is_empty() { Ok(()) } else { Err(format!("{running:?}")) }
        })
        .await;
        bench.stop().await;
    }

    /// Rows 74, 86 and 87, W22: a child that goes on as another one while its parent is cancelled is
    /// cancelled in whatever instance it is.
    async fn a_chain_is_cancelled_with_its_parent(env: Env) {
        let bench = Bench::open(&env).await;
        let child = WorkflowBuilder::new("chain")
            .task(Step::new("on", "continue").payload(json!({ "input": 1 })));
        let workflow = WorkflowBuilder::new("outer").task(Step::child("c", child));
        let mut handles = Vec::new();
        for _ in 0..5 {
            handles.push(bench.submit(workflow.clone(), Value::Null).await);
        }
        for (place, handle) in handles.iter().enumerate() {
            // Each at another moment of its chain.
            eventually("the chain goes on", SOON, async || {
                let events = bench.events().await;
                let ends = events.iter().filter(|it| it.kind.to_string() == "workflow.completed");
                ends.count() > 7 * place
            })
            .await;
            handle.cancel("enough").await.unwrap();
            let found = ended(handle).await;
            assert_eq!(found.status, WorkflowStatus::Cancelled, "{found:?}");
        }
        assert_eq!(bench.all(Some(WorkflowStatus::Running)).await, []);
        bench.stop().await;
    }
}

/// Moments that anything waits for.
async fn alarms(env: &Env) -> Vec<String> {
    let mut redis = env.raw().await;
    let mut found = Vec::new();
    for shard in 0..env.shards() {
        let mut range = redis::cmd("ZRANGE");
        range.arg(format!("{{{}:{shard}}}:workflows:alarms", env.namespace()));
        let members: Vec<String> = range.arg(0).arg(-1).query_async(&mut redis).await.unwrap();
        found.extend(members);
    }
    found
}
