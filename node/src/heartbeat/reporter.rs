//! Tells Redis what the runs of one shard tell: that they live, and how far they are.
//!
//! A handler says so as often as it likes and waits for nothing; what is new is told together, in
//! one call for all runs, four times a second at most.

use std::sync::Arc;
use std::time::Duration;

use paceline_store::Store;
use paceline_store::calls::MAX_BATCH;
use paceline_store::calls::report::Report;
use paceline_types::ShardIndex;

use crate::identity::Incarnation;
use crate::latch::CancelReason;
use crate::run::Run;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(250);

/// How often signs of life are passed on: well within what the leader waits beyond the node.
const SIGNS_EVERY: Duration = Duration::from_secs(3);

/// How long the last words of a node that stops may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Reports until it is dropped.
pub(super) async fn run(store: Store, shard: ShardIndex, incarnation: Arc<Incarnation>) {
    loop {
        tokio::select! {
            () = incarnation.reports.news() => {}
            () = tokio::time::sleep(SIGNS_EVERY) => {}
        }
        tell(&store, shard, &incarnation).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reports what has not been told, once and not for long.
pub(super) async fn say_last(store: &Store, shard: ShardIndex, incarnation: &Incarnation) {
    // The node stops: what could not be told is lost.
    let _ = tokio::time::timeout(LAST_WORDS, tell(store, shard, incarnation)).await;
}

async fn tell(store: &Store, shard: ShardIndex, incarnation: &Incarnation) {
    let mut runs = incarnation.reports.take();
    runs.extend(incarnation.watched());
    runs.sort_by_key(|run| (run.claimed.job, run.claimed.run));
    runs.dedup_by_key(|run| (run.claimed.job, run.claimed.run));
    let told: Vec<(Arc<Run>, Report)> = runs
        .into_iter()
        .filter_map(|run| Some((Arc::clone(&run), run.report()?)))
        .collect();
    for told in told.chunks(MAX_BATCH) {
        let reports: Vec<Report> = told.iter().map(|(_, report)| report.clone()).collect();
        match store.report(shard, &reports).await {
            Ok(ours) => {
                for ((run, _), ours) in told.iter().zip(ours) {
                    if !ours {
                        run.signal.fire(CancelReason::Fenced);
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%shard, %error, "what runs tell did not reach Redis");
                for (run, report) in told {
                    run.take_back(report);
                    incarnation.reports.add(run);
                }
            }
        }
    }
}
