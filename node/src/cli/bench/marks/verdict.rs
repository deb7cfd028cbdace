//! What became of a mark: the comparison, and the row that shows it. Pure.

use serde::Serialize;

use super::super::report::Report;
use super::super::show::number;
use super::super::statistics::rounded;
use super::table::{Mark, Sense};

/// A mark and what was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Name of the mark.
    pub(super) name: &'static str,
    figure: &'static str,
    /// The figure; nothing where it could not be measured.
    value: Option<f64>,
    /// The ratio that is compared, where it is not the figure.
    ratio: Option<f64>,
    spread: Option<f64>,
    sense: Sense,
    mark: f64,
    aim: Option<f64>,
    #[serde(skip)]
    is_ratio: bool,
    verdict: Verdict,
    /// What measures it once more.
    pub(super) command: String,
}

/// How a mark compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As good as the aim.
    Aim,
    /// As good as the mark.
    Holds,
    /// Not as good.
    FallsShort,
    /// Its condition is not given on this machine, so it says nothing.
    DoesNotApply,
    /// There is no figure.
    NotMeasured,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Aim => "holds, aim reached",
            Verdict::Holds => "holds",
            Verdict::FallsShort => "falls short",
            Verdict::DoesNotApply => "does not apply",
            Verdict::NotMeasured => "not measured",
        }
    }
}

impl Sense {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Sense::AtLeast => value >= limit,
            Sense::AtMost => value <= limit,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Sense::AtLeast => "≥",
            Sense::AtMost => "≤",
        }
    }
}

impl Row {
    /// Compares a mark with what a report says; without one, nothing was measured.
    pub(super) fn of(mark: &Mark, report: Option<&Report>, command: &str) -> Row {
        let value = report.and_then(|report| report.figures.get(mark.figure));
        let ratio = report.and_then(|report| report.ratios.get(mark.ratio?));
        let spread = report.and_then(|report| {
            let compared = mark.ratio.unwrap_or(mark.figure);
            report.spreads.as_ref()?.get(compared)
        });
        let applies = mark.only_where.is_none_or(|(reference, most)| {
            let found = report.and_then(|report| report.references.get(reference));
            found.is_none_or(|found| found <= most)
        });
        let compared = if mark.ratio.is_some() { ratio } else { value };
        let verdict = match compared {
            None => Verdict::NotMeasured,
            Some(_) if !applies => Verdict::DoesNotApply,
            Some(compared) => judged(mark, compared),
        };
        Row {
            name: mark.name,
            figure: mark.figure,
            value: value.map(rounded),
            ratio: ratio.map(rounded),
            spread: spread.map(rounded),
            sense: mark.sense,
            mark: mark.mark,
            aim: mark.aim,
            is_ratio: mark.ratio.is_some(),
            verdict,
            command: command.to_owned(),
        }
    }

    /// Whether it does not stand against success.
    pub(super) fn holds(&self) -> bool {
        match self.verdict {
            Verdict::Aim | Verdict::Holds | Verdict::DoesNotApply => true,
            Verdict::FallsShort | Verdict::NotMeasured => false,
        }
    }

    /// Figure, value, ratio, its value, spread, mark, aim and verdict, for a table.
    pub(super) fn cells(&self) -> [String; 8] {
        let shown = |value: Option<f64>| value.map_or_else(String::new, number);
        let limit = |limit: f64| format!("{} {limit}", self.sense.sign());
        let spread = |spread: f64| format!("{:.0} %", spread * 100.0);
        let (figure, ratio) = if self.is_ratio {
            (self.figure, self.name)
        } else {
            (self.name, "")
        };
        [
            figure.to_owned(),
            shown(self.value),
            ratio.to_owned(),
            shown(self.ratio),
            self.spread.map_or_else(String::new, spread),
            limit(self.mark),
            self.aim.map_or_else(String::new, limit),
            self.verdict.words().to_owned(),
        ]
    }
}

fn judged(mark: &Mark, compared: f64) -> Verdict {
    let aimed = mark.aim.is_some_and(|aim| mark.sense.holds(compared, aim));
    match (aimed, mark.sense.holds(compared, mark.mark)) {
        (true, _) => Verdict::Aim,
        (false, true) => Verdict::Holds,
        (false, false) => Verdict::FallsShort,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Sheet;
    use super::*;

    fn report(figure: f64, ratio: f64, reference: f64) -> Report {
        let mut sheet = Sheet::default();
        sheet.figure("jobs_per_s", figure);
        sheet.ratios.set("jobs_r2", ratio);
        sheet.references.set("set_p50_us", reference);
        Report::of(serde_json::Map::new(), &[sheet])
    }

    const MARK: Mark = Mark {
        name: "jobs_r2",
        figure: "jobs_per_s",
        ratio: Some("jobs_r2"),
        sense: Sense::AtLeast,
        mark: 0.4,
        aim: Some(0.6),
        only_where: None,
    };

    #[test]
    fn a_ratio_is_held_against_mark_and_aim() {
        for (ratio, expected) in [
            (0.39, Verdict::FallsShort),
            (0.4, Verdict::Holds),
            (0.6, Verdict::Aim),
        ] {
            let row = Row::of(&MARK, Some(&report(1.0, ratio, 1.0)), "jobs");
            assert_eq!(row.verdict, expected, "{ratio}");
            assert_eq!(row.holds(), expected != Verdict::FallsShort);
        }
        let row = Row::of(&MARK, None, "jobs");
        assert_eq!((row.verdict, row.holds()), (Verdict::NotMeasured, false));
    }

    #[test]
    fn a_figure_is_held_where_its_condition_is_given() {
        let mark = Mark {
            ratio: None,
            sense: Sense::AtMost,
            mark: 10.0,
            aim: None,
            only_where: Some(("set_p50_us", 80.0)),
            ..MARK
        };
        for (figure, reference, expected) in [
            (10.0, 80.0, Verdict::Holds),
            (10.1, 80.0, Verdict::FallsShort),
            (10.1, 81.0, Verdict::DoesNotApply),
        ] {
            let row = Row::of(&mark, Some(&report(figure, 0.0, reference)), "jobs");
            assert_eq!(row.verdict, expected, "{figure} {reference}");
        }
    }

    #[test]
    fn a_row_shows_what_was_compared() {
        let row = Row::of(&MARK, Some(&report(123_456.0, 0.5, 1.0)), "jobs");
        let cells = [
            "jobs_per_s",
            "123460",
            "jobs_r2",
            "0.500",
            "",
            "≥ 0.4",
            "≥ 0.6",
            "holds",
        ];
        assert_eq!(row.cells(), cells.map(str::to_owned));
    }
}
