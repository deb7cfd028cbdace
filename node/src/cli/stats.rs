//! `paceline stats`: how much waits, runs and has ended.

use clap::Args;
use paceline_types::Tier;
use paceline_types::stats::{DayStats, Stats as Totals};
use serde::Serialize;

use super::connect::connect;
use super::failure::Failure;
use super::options::Globals;
use super::output::Output;
use super::table::Table;
use super::time::{moment, span};

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Days whose ends are counted, 1 to 90
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = days)]
    days: usize,
}

fn days(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(days @ 1..=90) => Ok(days),
        _ => Err("write a number from 1 to 90".to_owned()),
    }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    totals: &'a Totals,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Day {
    date: String,
    processed: u64,
    failed: u64,
    cancelled: u64,
}

/// Carries the command out.
pub(crate) async fn run(command: Stats, globals: &Globals, output: Output) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let totals = client.stats().await?;
    let days = client.daily_stats(command.days).await?;
    let told = Told {
        totals: &totals,
        days: days.iter().map(day).collect(),
    };
    output.either(&told, || render(&told))
}

fn day(day: &DayStats) -> Day {
    Day {
        date: moment(day.day).chars().take(10).collect(),
        processed: day.processed,
        failed: day.failed,
        cancelled: day.cancelled,
    }
}

fn render(told: &Told<'_>) -> String {
    let totals = told.totals;
    let mut counts = Table::new(["WHAT", "JOBS"]);
    let waiting = |tier| totals.tiers.get(&tier).copied().unwrap_or(0);
    for (what, count) in [
        ("running", totals.running),
        ("pending", totals.pending),
        ("  in tier high", waiting(Tier::High)),
        ("  in tier normal", waiting(Tier::Normal)),
        ("  in tier low", waiting(Tier::Low)),
        ("  behind a limit", totals.blocked),
        ("delayed", totals.delayed),
        ("paused", totals.paused),
        ("dead letters", totals.dead),
    ] {
        counts.row([what.to_owned(), count.to_string()]);
    }
    let mut text = counts.render();
    if !totals.types.is_empty() {
        let mut types = Table::new(["TASK TYPE", "WAITING"]);
        for (task_type, waiting) in &totals.types {
            types.row([task_type.to_string(), waiting.to_string()]);
        }
        text = format!("{text}\n\n{}", types.render());
    }
    let mut days = Table::new(["DAY", "PROCESSED", "FAILED", "CANCELLED"]);
    for day in &told.days {
        days.row([
            day.date.clone(),
            day.processed.to_string(),
            day.failed.to_string(),
            day.cancelled.to_string(),
        ]);
    }
    text = format!("{text}\n\n{}\n\nnodes: {}", days.render(), totals.nodes);
    if let Some(age) = totals.oldest_waiting_ms {
        text = format!("{text}\noldest waiting: {}", span(0, age));
    }
    for lane in &totals.unserved {
        let version = lane.version.as_ref();
        let version = version.map_or_else(String::new, |version| format!(" version {version}"));
        text = format!("{text}\nno live node serves {}{version}", lane.task_type);
    }
    text
}
