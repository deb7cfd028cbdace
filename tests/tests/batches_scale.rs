//! Large batches: they complete, and an item costs what it costs in a small one.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_orchestrator::batch::BatchInstance;
use paceline_store::Store;
use paceline_tests::{RedisServer, attempts, eventually, open};
use paceline_types::batch::BatchItem;
use paceline_types::{Batch, BatchDefinition, BatchId, BatchStatus, Bytes, ShardIndex};

/// For 100,000 items in a debug build, on a machine that is busy.
const LARGE: Duration = Duration::from_secs(400);

/// An item of a large batch may cost so much of one of a small batch.
const GROWTH: f64 = 1.2;

/// Items under way at once.
const WINDOW: u32 = 200;

fn definition(items: usize) -> BatchDefinition {
    BatchDefinition {
        name: "large".into(),
        item_task_type: "nothing".into(),
        items: (0..items)
            .map(|n| BatchItem::new(format!("item-{n:07}"), None))
            .collect(),
        chunk_size: WINDOW,
        ..BatchDefinition::default()
    }
}

/// What Redis did since it started.
#[derive(Clone, Copy, Debug)]
struct Cost {
    commands: f64,
    bytes: f64,
    cpu: f64,
}

async fn cost(server: &RedisServer) -> Cost {
    let stats = server.info("stats").await.unwrap();
    let number = |name: &str| stats[name].parse::<f64>().unwrap();
    let cpu = server.info("cpu").await.unwrap();
    let seconds = |name: &str| cpu[name].parse::<f64>().unwrap();
    Cost {
        commands: number("total_commands_processed"),
        bytes: number("total_net_input_bytes") + number("total_net_output_bytes"),
        cpu: 1e6 * (seconds("used_cpu_user") + seconds("used_cpu_sys")),
    }
}

struct Yard {
    server: RedisServer,
    store: Store,
    node: RunningNode,
    /// Runs at this moment, at most so far, and in all.
    running: Arc<[AtomicUsize; 3]>,
}

impl Yard {
    async fn open() -> Yard {
        let server = RedisServer::start().await;
        let store = open(&server.url(), "scale", 1).await;
        let running: Arc<[AtomicUsize; 3]> = Arc::default();
        let counted = running.clone();
        let options = HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        let node = Node::builder()
            .redis(server.url())
            .namespace("scale")
            .handle_raw("nothing", options, move |_, _| {
                let counted = counted.clone();
                async move {
                    let now = counted[0].fetch_add(1, Ordering::SeqCst) + 1;
                    counted[1].fetch_max(now, Ordering::SeqCst);
                    counted[2].fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    counted[0].fetch_sub(1, Ordering::SeqCst);
                    Ok(Bytes::from_static(b"null"))
                }
            })
            .start()
            .await
            .unwrap();
        Yard {
            server,
            store,
            node,
            running,
        }
    }

    /// Runs batches one after the other; the cost of an item.
    async fn run(&self, items: usize, times: u32) -> Cost {
        let definition = definition(items);
        let plan = definition.validate(1 << 20).unwrap();
        let (before, began) = (cost(&self.server).await, Instant::now());
        for _ in 0..times {
            let id = BatchId::from_parts(1, ShardIndex(0), rand::random());
            assert!(
                self.store
                    .submit_batch(id, &definition, &plan)
                    .await
                    .unwrap()
            );
            let batch = self.ended(id).await;
            assert_eq!(batch.status, BatchStatus::Completed, "{:?}", batch.error);
            assert_eq!(batch.completed_items as usize, items);
        }
        let after = cost(&self.server).await;
        let count = f64::from(times) * f64::from(u32::try_from(items).unwrap());
        let of_item = Cost {
            commands: (after.commands - before.commands) / count,
            bytes: (after.bytes - before.bytes) / count,
            cpu: (after.cpu - before.cpu) / count,
        };
        let took = began.elapsed();
        let rate = count / took.as_secs_f64();
        println!(
            "{times} x {items} items in {took:.1?}, {rate:.0} items/s: for each {of_item:.2?}"
        );
        of_item
    }

    /// Looks at the window on the way.
    async fn ended(&self, id: BatchId) -> Batch {
        eventually("its end", LARGE, async || {
            // Its progress is one small read; the whole would be two bytes an item each time.
            let progress = self.store.batch_progress(id).await.unwrap().unwrap();
            if progress.step.as_str() != "done" {
                return Err(format!("{progress:?}"));
            }
            let batch = self.store.batch(id).await.unwrap().unwrap();
            assert!(batch.running_items <= WINDOW);
            Ok(batch)
        })
        .await
    }
}

/// Rows 93, W36: linear in commands and bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_items_cost_what_a_thousand_do() {
    let yard = Yard::open().await;
    // Scripts are loaded, and lanes are known.
    yard.run(1_000, 1).await;
    let of_small = yard.run(1_000, 5).await;
    let of_large = yard.run(10_000, 1).await;
    let growth = [
        of_large.commands / of_small.commands,
        of_large.bytes / of_small.bytes,
    ];
    println!("commands and bytes grow by {growth:.2?}");
    assert!(
        growth.iter().all(|&growth| growth < GROWTH),
        "{of_small:?} {of_large:?}"
    );
    assert_eq!(yard.running[2].load(Ordering::SeqCst), 16_000);
    yard.node.stop().await;
}

/// Row 93: a hundred thousand items end, each ran once, and the window held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_items_end() {
    let yard = Yard::open().await;
    yard.run(100_000, 1).await;
    let [_, most, all] = &*yard.running;
    assert!(most.load(Ordering::SeqCst) <= WINDOW as usize);
    assert_eq!(all.load(Ordering::SeqCst), 100_000);
    let plan = Arc::new(definition(100_000).validate(1 << 20).unwrap());
    let instance = BatchInstance::new(BatchId::from_parts(1, ShardIndex(0), 1), plan);
    let footprint = instance.footprint();
    println!("the leader keeps {footprint} bytes of a batch of 100,000 items");
    assert!(footprint < 250_000);
    let memory = yard.server.info("memory").await.unwrap();
    println!("Redis uses {} of memory", memory["used_memory_human"]);
    yard.node.stop().await;
}
