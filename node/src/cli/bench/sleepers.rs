//! Jobs that sleep on node processes, for measurements of what a node holds and what it leaves.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_store::calls::list::{JobFilter, PageRequest};
use paceline_types::{JobId, JobSpec, JobStatus, NodeId, TaskType};

use super::super::failure::{Failure, Kind};
use super::stage::Stage;

/// Longer than any measurement.
const PAYLOAD: &[u8] = br#"{"duration":"1h"}"#;

/// How long nodes may take to begin what waits.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at the cluster.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Submits jobs that sleep until their node ends.
pub(super) async fn submit(stage: &Stage, count: u32) -> Result<(), Failure> {
    let task_type = TaskType::new("sleep").map_err(Failure::usage)?;
    let job = |_| JobSpec::new(task_type.clone(), Bytes::from_static(PAYLOAD));
    let results = stage.client.submit_many((0..count).map(job)).await;
    let results = results.map_err(Failure::redis)?;
    match results.into_iter().find_map(Result::err) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// What runs, and where.
pub(super) async fn running(stage: &Stage) -> Result<HashMap<JobId, NodeId>, Failure> {
    let filter = JobFilter {
        status: Some(JobStatus::Running),
        ..JobFilter::default()
    };
    let mut page = PageRequest::first(paceline_store::calls::list::MAX_PAGE);
    let mut running = HashMap::new();
    loop {
        let found = stage.store.list_jobs(&filter, &page).await?;
        let jobs = found.items.into_iter();
        running.extend(jobs.filter_map(|job| Some((job.id, job.node_id?))));
        page.cursor = found.next;
        if page.cursor.is_none() {
            return Ok(running);
        }
    }
}

/// Looks at the cluster until it is as it should be; how long that took.
pub(super) async fn until(
    what: &str,
    mut is_so: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    while !is_so().await? {
        if begun.elapsed() > LIMIT {
            let sentence = format!(
                "after {LIMIT:?} it is still not so that {what}; look at the log of the nodes \
                 (RUST_LOG=info)"
            );
            return Err(Failure::new(Kind::Outcome, sentence));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(begun.elapsed())
}
