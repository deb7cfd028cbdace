//! Work for fault tests, which have servers of their own: an echoing node, jobs for it, and
//! whether they are done.

use std::time::Duration;

use bytes::Bytes;
use paceline_client::Client;
use paceline_node::{HandlerOptions, Node, NodeBuilder};
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_types::{JobId, JobSpec, JobStatus, TaskType};

use crate::wait::eventually;

/// For what a fault delays, on a machine that also builds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The task type of the work.
pub const WORK: &str = "work";

/// A store on the default namespace of a server of the test's own.
///
/// # Panics
/// The server is not fit.
pub async fn store_at(url: &str, options: StoreOptions) -> Store {
    Store::open(&url.parse::<RedisUrl>().unwrap(), options)
        .await
        .unwrap()
}

/// A node with short leases that gives every payload back.
pub fn worker(url: &str) -> NodeBuilder {
    Node::builder()
        .redis(url)
        .lease(Duration::from_secs(1))
        .leader_lease(Duration::from_secs(1))
        .handle_raw(
            WORK,
            HandlerOptions::default(),
            |_, payload: Bytes| async move { Ok(payload) },
        )
}

/// Jobs for a [`worker`].
///
/// # Panics
/// Never: the task type is a name.
pub fn work(count: usize) -> Vec<JobSpec> {
    let task_type = TaskType::new(WORK).unwrap();
    let spec = |n: usize| JobSpec::new(task_type.clone(), Bytes::from(n.to_string()));
    (0..count).map(spec).collect()
}

/// Submits jobs that must all be accepted.
///
/// # Panics
/// One is not.
pub async fn submit_all(client: &Client, jobs: Vec<JobSpec>) -> Vec<JobId> {
    let results = client.submit_many(jobs).await.unwrap();
    results
        .into_iter()
        .map(|result| result.unwrap().id)
        .collect()
}

/// Waits until all jobs have completed.
///
/// # Panics
/// They do not.
pub async fn all_completed(store: &Store, jobs: &[JobId]) {
    eventually("the jobs complete", PATIENCE, async || {
        let found = store.jobs(jobs).await.map_err(|error| error.to_string())?;
        let done = |job: &Option<paceline_types::Job>| {
            job.as_ref()
                .is_some_and(|job| job.status == JobStatus::Completed)
        };
        match found.iter().filter(|job| !done(job)).count() {
            0 => Ok(()),
            open => Err(format!("{open} have not")),
        }
    })
    .await;
}
