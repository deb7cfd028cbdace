//! The marks: what is measured, how it is repeated, and what it must come to.
//!
//! This is the one place that names them. A ratio is compared where there is one, else the figure.

use serde::Serialize;

use Sense::{AtLeast, AtMost};

/// Which side of a mark is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sense {
    /// The mark or more.
    AtLeast,
    /// The mark or less.
    AtMost,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Its name in the list of marks; that of the ratio where there is one.
    pub(super) name: &'static str,
    /// The figure of the report.
    pub(super) figure: &'static str,
    /// The ratio of the report that is compared, if it is not the figure itself.
    pub(super) ratio: Option<&'static str>,
    pub(super) sense: Sense,
    pub(super) mark: f64,
    pub(super) aim: Option<f64>,
    /// The mark only counts where this reference is at most so much.
    pub(super) only_where: Option<(&'static str, f64)>,
}

/// One measurement, and the marks that are read from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// What stands behind `paceline bench`.
    pub(super) workload: &'static str,
    /// What follows it in a whole measurement.
    pub(super) whole: &'static str,
    /// What follows it where it only matters that it works.
    pub(super) short: &'static str,
    pub(super) marks: &'static [Mark],
}

/// A mark on a ratio.
const fn ratio(
    figure: &'static str,
    ratio: &'static str,
    sense: Sense,
    mark: f64,
    aim: f64,
) -> Mark {
    Mark {
        name: ratio,
        figure,
        ratio: Some(ratio),
        sense,
        mark,
        aim: Some(aim),
        only_where: None,
    }
}

/// A mark on a figure.
const fn at_most(name: &'static str, figure: &'static str, mark: f64, aim: Option<f64>) -> Mark {
    Mark {
        name,
        figure,
        ratio: None,
        sense: AtMost,
        mark,
        aim,
        only_where: None,
    }
}

/// Everything that is measured, in this order.
pub(super) const STEPS: &[Step] = &[
    Step {
        workload: "jobs",
        whole: "--runs 7",
        short: "--count 500",
        marks: &[
            ratio("submit_jobs_per_s", "submit_r2", AtLeast, 1.0, 1.25),
            ratio("process_jobs_per_s", "process_r2", AtLeast, 0.42, 0.55),
            ratio("total_jobs_per_s", "total_r2", AtLeast, 0.30, 0.39),
            ratio("redis_cpu_us_per_job", "redis_cpu_r2", AtMost, 3.2, 2.5),
            ratio("node_cpu_us_per_job", "node_cpu", AtMost, 0.8, 0.4),
            at_most("commands_per_job", "commands_per_job", 0.05, None),
            at_most(
                "bytes_per_waiting_job",
                "bytes_per_waiting_job",
                450.0,
                Some(300.0),
            ),
            at_most(
                "bytes_per_finished_job",
                "bytes_per_finished_job",
                450.0,
                Some(300.0),
            ),
        ],
    },
    Step {
        workload: "jobs --append-only",
        whole: "--runs 7",
        short: "--count 500",
        marks: &[
            ratio("submit_jobs_per_s", "submit_r2_aof", AtLeast, 1.0, 1.3),
            ratio("process_jobs_per_s", "process_r2_aof", AtLeast, 0.42, 0.55),
            ratio("total_jobs_per_s", "total_r2_aof", AtLeast, 0.30, 0.39),
        ],
    },
    Step {
        workload: "await",
        whole: "--runs 7",
        short: "--count 500",
        marks: &[ratio("await_jobs_per_s", "await_r2", AtLeast, 0.45, 0.7)],
    },
    Step {
        workload: "latency",
        whole: "--time 5s --runs 5",
        short: "--time 200ms",
        marks: &[
            ratio("latency_p50_us", "latency_p50_set", AtMost, 5.0, 4.0),
            ratio("latency_p99_us", "latency_p99_set", AtMost, 12.0, 7.0),
            Mark {
                only_where: Some(("set_p50_us", 80.0)),
                ..at_most("latency_p99_us", "latency_p99_us", 1_000.0, None)
            },
        ],
    },
    Step {
        workload: "latency --rate 1000",
        whole: "--time 3s --runs 3",
        short: "--time 200ms",
        marks: &[at_most(
            "commands_per_job_at_1000_per_s",
            "commands_per_job",
            4.0,
            None,
        )],
    },
    Step {
        workload: "latency --load 0.5",
        whole: "--time 3s --runs 5",
        short: "--time 100ms",
        marks: &[at_most(
            "latency_at_half_load_p99_us",
            "latency_p99_us",
            10_000.0,
            Some(5_000.0),
        )],
    },
    Step {
        workload: "backlog",
        whole: "--time 3s --runs 3",
        short: "--count 200000 --time 50ms",
        marks: &[at_most(
            "backlog_p99_us",
            "latency_p99_us",
            20_000.0,
            Some(5_000.0),
        )],
    },
    Step {
        workload: "limits",
        whole: "--runs 5",
        short: "--count 500",
        marks: &[at_most(
            "limits_loss",
            "limits_loss_percent",
            15.0,
            Some(8.0),
        )],
    },
    Step {
        workload: "schedules",
        whole: "--time 10s --runs 3",
        short: "--count 20 --time 2s",
        marks: &[
            at_most("schedules_late_p99_ms", "late_p99_ms", 100.0, Some(50.0)),
            at_most("schedules_missed", "missed", 0.0, None),
        ],
    },
    Step {
        workload: "chain",
        whole: "--runs 7",
        short: "--count 20",
        marks: &[ratio("chain_tasks_per_s", "chain_r2", AtLeast, 0.20, 0.30)],
    },
    Step {
        workload: "fanout",
        whole: "--runs 7",
        short: "--count 2",
        marks: &[ratio(
            "fanout_tasks_per_s",
            "fanout_r2",
            AtLeast,
            0.20,
            0.30,
        )],
    },
    Step {
        workload: "batch",
        whole: "--runs 7",
        short: "--items 500",
        marks: &[ratio("batch_items_per_s", "batch_r2", AtLeast, 0.22, 0.30)],
    },
    Step {
        workload: "chain --one",
        whole: "--runs 3",
        short: "--count 3",
        marks: &[ratio(
            "chain_one_p50_us",
            "chain_one_set",
            AtMost,
            60.0,
            30.0,
        )],
    },
    Step {
        workload: "fanout --one",
        whole: "--runs 3",
        short: "--count 3",
        marks: &[ratio(
            "fanout_one_p50_us",
            "fanout_one_set",
            AtMost,
            120.0,
            60.0,
        )],
    },
    Step {
        workload: "jobs --primaries 3 --nodes 3",
        whole: "--runs 5",
        short: "--count 500",
        marks: &[ratio(
            "redis_cpu_us_per_job",
            "cluster_cpu",
            AtMost,
            1.25,
            1.1,
        )],
    },
    Step {
        workload: "idle",
        whole: "--time 10s",
        short: "--time 200ms",
        marks: &[
            at_most("idle_commands_per_s", "idle_commands_per_s", 5.0, None),
            at_most("idle_node_cpu_percent", "idle_node_cpu_percent", 1.0, None),
        ],
    },
    Step {
        workload: "memory",
        whole: "--runs 1",
        short: "--count 500 --in-flight 50",
        marks: &[
            at_most("node_memory_noop_mib", "node_memory_noop_mib", 20.0, None),
            at_most(
                "node_memory_in_flight_mib",
                "node_memory_in_flight_mib",
                100.0,
                None,
            ),
        ],
    },
    Step {
        workload: "stalls",
        whole: "--count 100",
        short: "--count 1",
        marks: &[at_most("stalls", "stalls", 0.0, None)],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mark_has_a_name_of_its_own() {
        let all = STEPS.iter().flat_map(|step| step.marks);
        let names: BTreeSet<_> = all.clone().map(|mark| mark.name).collect();
        assert_eq!(names.len(), all.count());
    }

    #[test]
    fn an_aim_is_beyond_its_mark() {
        for mark in STEPS.iter().flat_map(|step| step.marks) {
            let beyond = mark.aim.is_none_or(|aim| match mark.sense {
                AtLeast => aim > mark.mark,
                AtMost => aim < mark.mark,
            });
            assert!(beyond, "{}", mark.name);
        }
    }
}
