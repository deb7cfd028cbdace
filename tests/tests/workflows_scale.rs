//! Large workflows: they complete, and a task costs what it costs in a small one.
#![cfg(test)]

use std::time::{Duration, Instant};

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_node::{HandlerOptions, Node};
use paceline_tests::{History, RedisServer, attempts, open, within};
use paceline_types::{Bytes, EventKind, WorkflowStatus};

/// For 10,000 tasks in a debug build, on a machine that is busy.
const LARGE: Duration = Duration::from_secs(120);

/// A task of a large workflow may cost so much of one of a small workflow.
const GROWTH: f64 = 1.2;

/// `width` tasks in each of `depth` layers; each depends on two of the layer before.
fn layered(width: usize, depth: usize) -> WorkflowBuilder {
    let name = |layer: usize, place: usize| format!("t{layer}-{}", place % width);
    let tasks = (0..depth).flat_map(|layer| (0..width).map(move |place| (layer, place)));
    WorkflowBuilder::new("layered").tasks(tasks.map(|(layer, place)| {
        let step = Step::new(name(layer, place), "nothing");
        match layer {
            0 => step,
            _ => step.after([name(layer - 1, place), name(layer - 1, place + 1)]),
        }
    }))
}

/// One task, then all but two at once, then one.
fn fan(tasks: usize) -> WorkflowBuilder {
    let arms: Vec<String> = (0..tasks - 2).map(|arm| format!("arm-{arm}")).collect();
    WorkflowBuilder::new("fan")
        .task(Step::new("out", "nothing"))
        .tasks(
            arms.iter()
                .map(|arm| Step::new(arm, "nothing").after(["out"])),
        )
        .task(Step::new("in", "nothing").after(&arms))
}

/// What Redis did since it started.
#[derive(Clone, Copy, Debug)]
struct Cost {
    commands: f64,
    bytes: f64,
}

async fn cost(server: &RedisServer) -> Cost {
    let stats = server.info("stats").await.unwrap();
    let number = |name: &str| stats[name].parse::<f64>().unwrap();
    Cost {
        commands: number("total_commands_processed"),
        bytes: number("total_net_input_bytes") + number("total_net_output_bytes"),
    }
}

/// Runs workflows one after the other; the cost of a task.
async fn run(
    server: &RedisServer,
    client: &Client,
    workflow: impl Fn() -> WorkflowBuilder,
    times: u32,
) -> Cost {
    let tasks = workflow().build().unwrap().tasks.len();
    let (before, began) = (cost(server).await, Instant::now());
    for _ in 0..times {
        let handle = client.submit_workflow(workflow(), None).await.unwrap();
        let workflow = within("its end", LARGE, handle.wait()).await.unwrap();
        assert_eq!(
            workflow.status,
            WorkflowStatus::Completed,
            "{:?}",
            workflow.error
        );
        assert_eq!(workflow.tasks.len(), tasks);
    }
    let after = cost(server).await;
    let count = f64::from(times) * f64::from(u32::try_from(tasks).unwrap());
    let of_task = Cost {
        commands: (after.commands - before.commands) / count,
        bytes: (after.bytes - before.bytes) / count,
    };
    let took = began.elapsed();
    println!("{times} x {tasks} tasks in {took:.1?}: for each {of_task:.1?}");
    of_task
}

/// Runs small ones and a large one of the same shape, and compares.
async fn compare(small: impl Fn() -> WorkflowBuilder, large: impl Fn() -> WorkflowBuilder) {
    let server = RedisServer::start().await;
    let store = open(&server.url(), "scale", 1).await;
    let client = Client::from_store(store.clone());
    let options = HandlerOptions {
        retry_policy: Some(attempts(1)),
        ..HandlerOptions::default()
    };
    let node = Node::builder()
        .redis(server.url())
        .namespace("scale")
        .handle_raw("nothing", options, async |_, _| {
            Ok(Bytes::from_static(b"null"))
        })
        .start()
        .await
        .unwrap();
    // Scripts are loaded, and lanes are known.
    run(&server, &client, &small, 1).await;
    let of_small = run(&server, &client, &small, 20).await;
    let of_large = run(&server, &client, &large, 1).await;
    let growth = [
        of_large.commands / of_small.commands,
        of_large.bytes / of_small.bytes,
    ];
    println!("commands and bytes grow by {growth:.2?}");
    assert!(
        growth.iter().all(|&growth| growth < GROWTH),
        "{of_small:?} {of_large:?}"
    );

    let ids: Vec<_> = client.workflows(None).await.unwrap().items;
    let ids: Vec<_> = ids.into_iter().map(|workflow| workflow.id).collect();
    assert_eq!(ids.len(), 22);
    let history = History::read(&store).await;
    history.assert_workflows_ended(&ids);
    assert_eq!(
        history.count(&EventKind::WorkflowTaskDispatched),
        21 * 100 + 10_000
    );
    assert_eq!(history.count(&EventKind::JobStarted), 21 * 100 + 10_000);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_layers_of_a_hundred_cost_what_ten_of_ten_do() {
    compare(|| layered(10, 10), || layered(100, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_arms_cost_what_a_hundred_do() {
    compare(|| fan(100), || fan(10_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_may_be_given_the_results_of_ten_thousand() {
    let server = RedisServer::start().await;
    let node = Node::builder()
        .redis(server.url())
        .handle_raw("nothing", HandlerOptions::default(), async |_, _| {
            Ok(Bytes::from_static(b"7"))
        })
        .handle_raw("sum", HandlerOptions::default(), async |_, payload| {
            let given: serde_json::Value = serde_json::from_slice(&payload)?;
            let results = given["upstream"].as_object().expect("results").values();
            let sum: u64 = results.map(|result| result.as_u64().unwrap()).sum();
            Ok(sum.to_string().into())
        })
        .start()
        .await
        .unwrap();
    let client = Client::connect(&server.url()).await.unwrap();
    let arms: Vec<String> = (0..9_999).map(|arm| format!("arm-{arm}")).collect();
    let join = WorkflowBuilder::new("join")
        .tasks(arms.iter().map(|arm| Step::new(arm, "nothing")))
        .task(Step::new("sum", "sum").after(&arms).results_from(&arms));
    let handle = client.submit_workflow(join, None).await.unwrap();
    let sum: u64 = within("its output", LARGE, handle.output()).await.unwrap();
    assert_eq!(sum, 7 * 9_999);
    node.stop().await;
}
