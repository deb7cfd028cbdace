//! `paceline bench marks`: everything that is measured, held against what it must come to.

mod table;
mod verdict;

use std::time::Instant;

use clap::{Args, Parser};
use serde::Serialize;
use serde_json::{Map, Value};

use self::table::{STEPS, Step};
use self::verdict::Row;
use super::super::failure::{Failure, Kind};
use super::super::options::Globals;
use super::super::output::Output;
use super::super::table::Table;
use super::report::{Named, Report};
use super::{Bench, measure};

/// What `paceline bench marks` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Marks {
    /// Only the measurements whose command begins so, such as `jobs` or `latency --load`
    #[arg(long, value_name = "COMMAND")]
    only: Option<String>,
    /// Few jobs and short times, to see that everything works; the verdicts then say nothing
    #[arg(long)]
    short: bool,
    /// Print the table in Markdown
    #[arg(long)]
    markdown: bool,
}

/// The command of one measurement, as it would be typed.
#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    bench: Bench,
}

/// What is printed: as of every measurement, with the verdicts.
#[derive(Debug, Default, Serialize)]
struct Told {
    environment: Map<String, Value>,
    figures: Named,
    references: Named,
    ratios: Named,
    marks: Vec<Row>,
    all_hold: bool,
}

/// Measures everything and prints the verdicts; a failure unless every mark holds.
pub(super) async fn run(marks: &Marks, globals: &Globals, output: Output) -> Result<(), Failure> {
    let only = marks.only.as_deref().unwrap_or_default();
    let chosen = STEPS.iter().filter(|step| step.workload.starts_with(only));
    let chosen: Vec<&Step> = chosen.collect();
    if chosen.is_empty() {
        let workloads: Vec<_> = STEPS.iter().map(|step| step.workload).collect();
        return Err(Failure::usage(format!(
            "no measurement begins with `{only}`: use one of {}",
            workloads.join(", ")
        )));
    }
    let begun = Instant::now();
    let mut told = Told::default();
    for step in chosen {
        let command = command(step, marks.short);
        output.note(&format!(
            "{:>4.0} s  {command}",
            begun.elapsed().as_secs_f64()
        ));
        let report = match Box::pin(measured(&command, globals)).await {
            Ok(report) => {
                if let Some(doubt) = report.doubt().filter(|_| !marks.short) {
                    output.note(&format!("        {doubt}"));
                }
                Some(report)
            }
            Err(failure) => {
                output.note(&format!("not measured: {}", failure.sentence));
                None
            }
        };
        told.take(step, report.as_ref(), &command);
    }
    let short: Vec<&str> = told
        .marks
        .iter()
        .filter(|row| !row.holds())
        .map(|row| row.name)
        .collect();
    told.all_hold = short.is_empty();
    output.either(&told, || text(&told, marks.markdown))?;
    if told.all_hold {
        return Ok(());
    }
    let sentence = format!(
        "{} of {} marks fall short: {}",
        short.len(),
        told.marks.len(),
        short.join(", ")
    );
    Err(Failure::new(Kind::Outcome, sentence))
}

fn command(step: &Step, short: bool) -> String {
    let further = if short { step.short } else { step.whole };
    let references = if short { " --reference 10ms" } else { "" };
    format!("paceline bench {} {further}{references}", step.workload)
}

async fn measured(command: &str, globals: &Globals) -> Result<Report, Failure> {
    let words = command.split_whitespace().skip(1);
    let typed = Typed::try_parse_from(words).map_err(Failure::usage)?;
    measure(&typed.bench, globals).await
}

impl Told {
    /// Takes up what a step came to. Its figures go by the names of its marks, as those of
    /// several workloads are called alike.
    fn take(&mut self, step: &Step, report: Option<&Report>, command: &str) {
        let rows = step.marks.iter().map(|mark| Row::of(mark, report, command));
        self.marks.extend(rows);
        let Some(report) = report else {
            return;
        };
        if self.environment.is_empty() {
            self.environment.clone_from(&report.environment);
        }
        for mark in step.marks {
            if let Some(value) = report.figures.get(mark.figure) {
                let name = mark.ratio.map_or(mark.name, |_| mark.figure);
                self.figures.set(prefixed(step, name), value);
            }
            if let Some((name, value)) = mark
                .ratio
                .and_then(|name| Some((name, report.ratios.get(name)?)))
            {
                self.ratios.set(name, value);
            }
        }
        for (name, value) in report.references.iter() {
            self.references.set(prefixed(step, name), value);
        }
    }
}

/// A name that says which workload it is of: `jobs_append_only.submit_jobs_per_s`.
fn prefixed(step: &Step, name: &str) -> String {
    let words = step
        .workload
        .split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    format!("{}.{name}", words.join("_"))
}

const HEADINGS: [&str; 8] = [
    "FIGURE", "VALUE", "RATIO", "IS", "SPREAD", "MARK", "AIM", "VERDICT",
];

fn text(told: &Told, markdown: bool) -> String {
    if markdown {
        return in_markdown(told);
    }
    let mut table = Table::new(HEADINGS);
    for row in &told.marks {
        table.row(row.cells());
    }
    table.render()
}

/// The table of `docs/bench.md`, where each line says how it is repeated.
fn in_markdown(told: &Told) -> String {
    let headings = HEADINGS.map(str::to_lowercase).join(" | ");
    let mut lines = vec![
        format!("| {headings} | repeat with |"),
        format!("|{}", "---|".repeat(HEADINGS.len() + 1)),
    ];
    for row in &told.marks {
        let cells = row.cells().join(" | ");
        lines.push(format!("| {cells} | `{}` |", row.command));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_can_be_typed() {
        for step in STEPS {
            for short in [false, true] {
                let command = command(step, short);
                let words = command.split_whitespace().skip(1);
                if let Err(error) = Typed::try_parse_from(words) {
                    panic!("{command}\n{error}");
                }
            }
        }
    }

    #[test]
    fn a_step_that_was_not_measured_falls_short() {
        let mut told = Told::default();
        let step = &STEPS[0];
        told.take(step, None, "paceline bench jobs");
        assert_eq!(told.marks.len(), step.marks.len());
        assert!(told.marks.iter().all(|row| !row.holds()));
        let rendered = in_markdown(&told);
        let line = "| submit_jobs_per_s |  | submit_r2 |  |  | ≥ 1 | ≥ 1.25 | not measured |";
        assert!(rendered.contains(line), "{rendered}");
        assert!(rendered.contains("| `paceline bench jobs` |"), "{rendered}");
    }

    #[test]
    fn names_say_which_workload_they_are_of() {
        let names = STEPS.iter().map(|step| prefixed(step, "x"));
        let names: Vec<_> = names.collect();
        assert!(
            names.contains(&"latency_load_0_5.x".to_owned()),
            "{names:?}"
        );
    }
}
