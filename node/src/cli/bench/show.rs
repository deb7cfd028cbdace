//! A report for people.

use serde_json::Value;

use super::super::failure::Failure;
use super::super::output::Output;
use super::super::table::Table;
use super::report::{Named, Report};
use super::statistics::rounded;

/// Prints a report in the form that was asked for.
pub(super) fn show(report: &Report, output: Output) -> Result<(), Failure> {
    output.either(report, || text(report))?;
    if let Some(doubt) = report.doubt() {
        output.note(&doubt);
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let facts = report.environment.iter();
    let facts: Vec<String> = facts
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        })
        .collect();
    let mut table = Table::new(["", "VALUE", "SPREAD"]);
    for (title, named) in [
        ("FIGURES", &report.figures),
        ("REFERENCES", &report.references),
        ("RATIOS", &report.ratios),
    ] {
        if named.iter().next().is_none() {
            continue;
        }
        table.row([title.to_owned(), String::new(), String::new()]);
        for (name, value) in named.iter() {
            table.row([format!("  {name}"), number(value), spread(report, name)]);
        }
    }
    format!("{}\n{}", facts.join(", "), table.render())
}

fn spread(report: &Report, name: &str) -> String {
    let spread = report
        .spreads
        .as_ref()
        .and_then(|named: &Named| named.get(name));
    spread.map_or_else(String::new, |spread| format!("{:.0} %", spread * 100.0))
}

/// Whole numbers where there are enough digits, and as many decimals as say something elsewhere.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        format!("{value:.0}")
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.3}")
    } else {
        format!("{}", rounded(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        for (value, shown) in [
            (123_456.7, "123457"),
            (1_000.2, "1000"),
            (56.78, "56.8"),
            (3.219_9, "3.220"),
            (0.045_67, "0.046"),
            (0.000_123_4, "0.0001234"),
            (0.0, "0.0"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_report_is_a_table_under_a_line_of_facts() {
        let mut sheet = super::super::report::Sheet::default();
        sheet.figure("jobs_per_s", 1_234.5);
        sheet.ratios.set("jobs_r2", 0.25);
        let mut environment = serde_json::Map::new();
        environment.insert("cpus".to_owned(), 2.into());
        environment.insert("redis_version".to_owned(), "7.0.15".into());
        let report = Report::of(environment, &[sheet]);
        let expected = "cpus 2, redis_version 7.0.15\n\
                        \u{20}             VALUE  SPREAD\n\
                        FIGURES\n\
                        \u{20} jobs_per_s  1234\n\
                        RATIOS\n\
                        \u{20} jobs_r2     0.250";
        assert_eq!(text(&report), expected);
    }
}
