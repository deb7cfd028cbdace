//! What Redis keeps of workflows: each call of the store is driven by hand, as the leader and callers
//! make them, and what is kept is looked at after each.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::time::Duration;

use paceline_tests::{Fault, Proxy, RedisServer};
use paceline_types::TaskName;
use paceline_types::workflow::{Ending, Header, Stage, TaskRecord};
use serde_json::{Value, json};

use hand::{Hand, Left, Next};

mod alarms;
mod children;
mod hand;
mod jobs;
mod records;
mod removal;
mod signals;
mod steer;
mod twice;
mod views;

/// No test takes so long.
const LONG: Duration = Duration::from_secs(600);

/// What runs, at its first try.
fn running() -> Header {
    Header {
        stage: Stage::Running,
        attempt: 1,
        shards: 1,
        ..Header::NEW
    }
}

fn at(stage: Stage) -> Header {
    Header { stage, ..running() }
}

fn failed() -> Stage {
    Stage::Ended(Ending::TaskFailed {
        task: name("a"),
        error: "boom".to_owned(),
    })
}

fn name(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

fn dispatched(iteration: u32) -> TaskRecord {
    TaskRecord::Dispatched {
        iteration,
        evaluations: 0,
    }
}

fn completed(iteration: u32) -> TaskRecord {
    TaskRecord::Completed {
        iteration,
        continues: false,
    }
}

/// A definition of plain tasks.
fn plain(tasks: &[&str]) -> Value {
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| json!({ "name": task, "task_type": "work" }))
        .collect();
    json!({ "name": "flow", "tasks": tasks })
}

/// A server of its own behind a proxy that has it carry out each script twice.
async fn everything_twice() -> (RedisServer, Proxy, Hand) {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let hand = Hand::behind(&proxy).await;
    proxy.always(Fault::Twice, |request| request.is("EVALSHA"));
    (redis, proxy, hand)
}
