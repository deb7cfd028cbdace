//! The metrics of a node: every name, its description, and handles made once.
//!
//! Looking a metric up by name costs more than a no-op job does, so handles are made when the
//! node starts, and counters move once per turn where they can. Without an installed recorder
//! all of them do nothing.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use paceline_store::calls::stats::ShardStats;
use paceline_types::{Settlement, ShardIndex, Tier};

const CLAIMED: &str = "paceline_jobs_claimed_total";
const COMPLETED: &str = "paceline_jobs_completed_total";
const FAILED: &str = "paceline_jobs_failed_total";
const DEAD: &str = "paceline_jobs_dead_total";
const RETRIED: &str = "paceline_jobs_retried_total";
const CANCELLED: &str = "paceline_jobs_cancelled_total";
const RELEASED: &str = "paceline_jobs_released_total";
const FENCED: &str = "paceline_settles_fenced_total";
const TURN_SETTLED: &str = "paceline_turn_settled_jobs";
const TURN_CLAIMED: &str = "paceline_turn_claimed_jobs";
const DURATION: &str = "paceline_handler_duration_seconds";
const RUNNING: &str = "paceline_running_jobs";
const FREE: &str = "paceline_free_slots";
const BEATS_FAILED: &str = "paceline_heartbeats_failed_total";
const FENCES: &str = "paceline_node_fenced_total";
const LEADER: &str = "paceline_leader";
const WAITING: &str = "paceline_waiting_jobs";
const BLOCKED: &str = "paceline_blocked_jobs";
const DELAYED: &str = "paceline_delayed_jobs";
const DEAD_LETTERS: &str = "paceline_dead_letters";
const OLDEST: &str = "paceline_oldest_waiting_seconds";
const UNSERVED: &str = "paceline_unserved_lanes";
const POLL_ERRORS: &str = "paceline_poll_errors_total";
const BREAKER_OPEN: &str = "paceline_breaker_open";
const BREAKER_OPENED: &str = "paceline_breaker_opened_total";
const CALLBACKS: &str = "paceline_callbacks_total";
const CALLBACKS_FAILED: &str = "paceline_callbacks_failed_total";
const DRAINED: &str = "paceline_drained";
const RECONNECTS: &str = "paceline_redis_reconnects_total";
const RETRIES: &str = "paceline_redis_retries_total";
const TIMEOUTS: &str = "paceline_redis_timeouts_total";

/// Upper bounds of the histogram of handler durations, in seconds.
pub const DURATION_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0,
];

const BATCH_BUCKETS: [f64; 8] = [0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];

/// A builder of the Prometheus exporter with the buckets of this node's histograms.
///
/// The process installs its recorder, and hands the handle to the node's HTTP listener.
///
/// # Errors
/// Those of the exporter; with the buckets given here, none.
pub fn prometheus() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(TURN_SETTLED.to_owned()), &BATCH_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(TURN_CLAIMED.to_owned()), &BATCH_BUCKETS)
}

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    let counters = [
        (CLAIMED, "Jobs that this node was given"),
        (COMPLETED, "Jobs that completed, skipped ones included"),
        (FAILED, "Runs that failed, whatever followed"),
        (DEAD, "Jobs that went to the dead letters"),
        (
            RETRIED,
            "Runs after which the job waits for its next attempt",
        ),
        (
            CANCELLED,
            "Jobs that ended cancelled while this node ran them",
        ),
        (RELEASED, "Jobs that were handed back unfinished"),
        (
            FENCED,
            "Settlements that were refused since another run is the current one",
        ),
        (BEATS_FAILED, "Heartbeats without a reply"),
        (
            FENCES,
            "Times that this node gave up its runs since its lease was not safe",
        ),
        (
            BREAKER_OPENED,
            "Times that a handler was left alone since it failed so often in a row",
        ),
        (CALLBACKS, "Callbacks that were called"),
        (CALLBACKS_FAILED, "Callbacks that panicked or took too long"),
        (POLL_ERRORS, "Turns and bells that got no usable reply"),
        (
            RECONNECTS,
            "Connections to Redis opened in place of a failed one",
        ),
        (RETRIES, "Calls of Redis that were sent again"),
        (TIMEOUTS, "Calls of Redis without a reply in time"),
    ];
    for (name, description) in counters {
        describe_counter!(name, description);
    }
    describe_gauge!(RUNNING, "Runs at work now");
    describe_gauge!(FREE, "Run slots that are free");
    describe_gauge!(
        BREAKER_OPEN,
        "1 while the breaker of the handler is not closed, else 0"
    );
    describe_gauge!(
        DRAINED,
        "1 while this node was told to claim no more, else 0"
    );
    describe_gauge!(LEADER, "1 while this node leads the shard, else 0");
    let census = [
        (
            WAITING,
            "Jobs that wait in lanes, told by the shard's leader",
        ),
        (
            BLOCKED,
            "Jobs that wait behind a limit, told by the shard's leader",
        ),
        (
            DELAYED,
            "Jobs that wait for their time, told by the shard's leader",
        ),
        (DEAD_LETTERS, "Dead letters, told by the shard's leader"),
        (
            OLDEST,
            "How long the oldest entry of the lanes has waited, told by the shard's leader",
        ),
        (
            UNSERVED,
            "Lanes with work of a type or version that no live node serves, told by the shard's leader",
        ),
    ];
    for (name, description) in census {
        describe_gauge!(name, description);
    }
    describe_histogram!(TURN_SETTLED, "Jobs settled by one turn");
    describe_histogram!(TURN_CLAIMED, "Jobs claimed by one turn");
    describe_histogram!(DURATION, Unit::Seconds, "Time that handlers took");
}

/// Metrics of one handler.
#[derive(Clone)]
pub(crate) struct HandlerMetrics {
    pub(crate) claimed: Counter,
    pub(crate) duration: Histogram,
    breaker_open: Gauge,
    breaker_opened: Counter,
    completed: Counter,
    failed: Counter,
    dead: Counter,
    retried: Counter,
    released: Counter,
}

impl HandlerMetrics {
    /// `pattern` is what the handler is registered under: task types may be without number,
    /// handlers are not.
    pub(crate) fn new(pattern: &str) -> HandlerMetrics {
        let counter = |name: &'static str| counter!(name, "handler" => pattern.to_owned());
        HandlerMetrics {
            claimed: counter(CLAIMED),
            duration: histogram!(DURATION, "handler" => pattern.to_owned()),
            breaker_open: gauge!(BREAKER_OPEN, "handler" => pattern.to_owned()),
            breaker_opened: counter(BREAKER_OPENED),
            completed: counter(COMPLETED),
            failed: counter(FAILED),
            dead: counter(DEAD),
            retried: counter(RETRIED),
            released: counter(RELEASED),
        }
    }

    /// Tells that the breaker opened or closed.
    pub(crate) fn breaker(&self, open: bool) {
        self.breaker_open.set(if open { 1.0 } else { 0.0 });
        if open {
            self.breaker_opened.increment(1);
        }
    }

    /// Counts a settlement that was accepted.
    pub(crate) fn settled(&self, settlement: &Settlement) {
        match settlement {
            Settlement::Completed { .. }
            | Settlement::Continued { .. }
            | Settlement::Skipped { .. } => {
                self.completed.increment(1);
            }
            Settlement::Retry { .. } => {
                self.failed.increment(1);
                self.retried.increment(1);
            }
            Settlement::Dead { .. } => {
                self.failed.increment(1);
                self.dead.increment(1);
            }
            Settlement::Paused { .. } => self.failed.increment(1),
            Settlement::Released => self.released.increment(1),
            Settlement::Repeat { .. } => {}
        }
    }
}

/// Metrics of one shard.
#[derive(Clone)]
pub(crate) struct ShardMetrics {
    pub(crate) fenced: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) poll_errors: Counter,
    pub(crate) turn_settled: Histogram,
    pub(crate) turn_claimed: Histogram,
    pub(crate) beats_failed: Counter,
    pub(crate) fences: Counter,
    pub(crate) leader: Gauge,
}

impl ShardMetrics {
    pub(crate) fn new(shard: ShardIndex) -> ShardMetrics {
        let shard = shard.to_string();
        let counter = |name: &'static str| counter!(name, "shard" => shard.clone());
        ShardMetrics {
            fenced: counter(FENCED),
            cancelled: counter(CANCELLED),
            poll_errors: counter(POLL_ERRORS),
            turn_settled: histogram!(TURN_SETTLED),
            turn_claimed: histogram!(TURN_CLAIMED),
            beats_failed: counter(BEATS_FAILED),
            fences: counter(FENCES),
            leader: gauge!(LEADER, "shard" => shard.clone()),
        }
    }
}

/// What the leader of a shard counts in it.
#[derive(Clone)]
pub(crate) struct CensusMetrics {
    waiting: [Gauge; 3],
    blocked: Gauge,
    delayed: Gauge,
    dead_letters: Gauge,
    oldest: Gauge,
    unserved: Gauge,
}

impl CensusMetrics {
    pub(crate) fn new(shard: ShardIndex) -> CensusMetrics {
        let shard = shard.to_string();
        let gauge = |name: &'static str| gauge!(name, "shard" => shard.clone());
        let waiting =
            |tier: Tier| gauge!(WAITING, "shard" => shard.clone(), "tier" => tier.to_string());
        CensusMetrics {
            waiting: Tier::ALL.map(waiting),
            blocked: gauge(BLOCKED),
            delayed: gauge(DELAYED),
            dead_letters: gauge(DEAD_LETTERS),
            oldest: gauge(OLDEST),
            unserved: gauge(UNSERVED),
        }
    }

    /// Shows what was counted.
    pub(crate) fn show(&self, stats: &ShardStats, unserved: usize) {
        // Beyond 2^52 the last digits do not matter.
        let float = |count: u64| count as f64;
        for (gauge, tier) in self.waiting.iter().zip(Tier::ALL) {
            gauge.set(float(stats.waiting(tier)));
        }
        self.blocked.set(float(stats.blocked));
        self.delayed.set(float(stats.delayed));
        self.dead_letters.set(float(stats.dead));
        self.oldest
            .set(float(stats.oldest_age().unwrap_or(0)) / 1_000.0);
        self.unserved.set(unserved as f64);
    }

    /// Shows nothing any more.
    pub(crate) fn clear(&self) {
        self.show(&ShardStats::default(), 0);
    }
}

/// Metrics of callbacks.
pub(crate) struct CallbackMetrics {
    pub(crate) called: Counter,
    pub(crate) failed: Counter,
}

impl CallbackMetrics {
    pub(crate) fn new() -> CallbackMetrics {
        CallbackMetrics {
            called: counter!(CALLBACKS),
            failed: counter!(CALLBACKS_FAILED),
        }
    }
}

/// Metrics that are read off the node about once a second.
pub(crate) struct NodeMetrics {
    pub(crate) running: Gauge,
    pub(crate) free: Gauge,
    pub(crate) drained: Gauge,
    pub(crate) reconnects: Counter,
    pub(crate) retries: Counter,
    pub(crate) timeouts: Counter,
}

impl NodeMetrics {
    pub(crate) fn new() -> NodeMetrics {
        NodeMetrics {
            running: gauge!(RUNNING),
            free: gauge!(FREE),
            drained: gauge!(DRAINED),
            reconnects: counter!(RECONNECTS),
            retries: counter!(RETRIES),
            timeouts: counter!(TIMEOUTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_counts_is_exported_with_its_buckets() {
        let recorder = prometheus().expect("buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            let metrics = HandlerMetrics::new("image.*");
            metrics.duration.record(0.02);
            metrics.settled(&Settlement::Dead { error: "x".into() });
            metrics.breaker(true);
            ShardMetrics::new(ShardIndex(3)).leader.set(1.0);
        });
        let text = handle.render();
        for line in [
            r#"paceline_jobs_dead_total{handler="image.*"} 1"#,
            r#"paceline_jobs_failed_total{handler="image.*"} 1"#,
            r#"paceline_handler_duration_seconds_bucket{handler="image.*",le="0.05"} 1"#,
            r#"paceline_leader{shard="3"} 1"#,
            r#"paceline_breaker_open{handler="image.*"} 1"#,
            r#"paceline_breaker_opened_total{handler="image.*"} 1"#,
            "# HELP paceline_leader 1 while this node leads the shard, else 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
