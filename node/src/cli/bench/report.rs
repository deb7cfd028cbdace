//! What a measurement came to: named figures, the references beside them, and the ratios.

use std::time::Duration;

use paceline_store::calls::measure::Reference;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::statistics::{count, median, micros, ratio, rounded, spread};

/// Values by name, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Named(Vec<(String, f64)>);

impl Named {
    /// Adds a value, or replaces the one of this name.
    pub(super) fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Of each name what `merge` makes of its values in all of them.
    fn merged(all: &[&Named], merge: fn(&[f64]) -> f64) -> Named {
        let mut merged = Named::default();
        for (name, _) in all.iter().flat_map(|named| named.iter()) {
            let values: Vec<f64> = all.iter().filter_map(|named| named.get(name)).collect();
            merged.set(name, merge(&values));
        }
        merged
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &rounded(value))?;
        }
        map.end()
    }
}

/// The two references, measured at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct References {
    /// Plain pipelined XADD.
    pub(super) r1: Reference,
    /// The bare stream cycle.
    pub(super) r2: Reference,
}

/// Operations of a reference in a second.
pub(super) fn speed(reference: &Reference) -> f64 {
    ratio(count(reference.operations), reference.elapsed.as_secs_f64())
}

/// CPU time of Redis for one operation of a reference, in microseconds.
pub(super) fn cpu_us(reference: &Reference) -> f64 {
    ratio(micros(reference.redis_cpu), count(reference.operations))
}

/// Share of one core that Redis had during a reference, in percent.
fn busy_percent(reference: &Reference) -> f64 {
    let elapsed = reference.elapsed.as_secs_f64();
    ratio(reference.redis_cpu.as_secs_f64() * 100.0, elapsed)
}

/// Below it Redis was not saturated in R2: something else used the machine.
const SATURATED_PERCENT: f64 = 80.0;

/// What a ratio stands against that is only known after the run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    Speed,
    Cpu,
}

/// What one run measures; the workload fills it in.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) figures: Named,
    pub(super) references: Named,
    pub(super) ratios: Named,
    against: Vec<(String, f64, Against)>,
}

impl Sheet {
    /// Notes a figure.
    pub(super) fn figure(&mut self, name: &str, value: f64) {
        self.figures.set(name, value);
    }

    /// Notes `number` of something in `elapsed` as a figure, and as a ratio to the speed of R2.
    pub(super) fn speed(&mut self, figure: &str, ratio: &str, number: f64, elapsed: Duration) {
        let speed = number / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        self.figures.set(figure, speed);
        self.against.push((ratio.to_owned(), speed, Against::Speed));
    }

    /// Notes CPU time of Redis as a figure, and as a ratio to what R2 takes for one message.
    pub(super) fn redis_cpu(&mut self, figure: &str, ratio: &str, micros: f64) {
        self.figures.set(figure, micros);
        self.against.push((ratio.to_owned(), micros, Against::Cpu));
    }

    /// The run's end: the references join it, and ratios to them are taken to their mean.
    pub(super) fn finish(mut self, before: &References, after: &References, suffix: &str) -> Sheet {
        let mut pair = |name: &str, value: fn(&References) -> f64| {
            let (before, after) = (value(before), value(after));
            self.references.set(format!("{name}_before"), before);
            self.references.set(format!("{name}_after"), after);
            f64::midpoint(before, after)
        };
        pair("r1_xadd_per_s", |references| speed(&references.r1));
        let r2 = pair("r2_messages_per_s", |references| speed(&references.r2));
        let cpu = pair("r2_redis_cpu_us_per_message", |references| {
            cpu_us(&references.r2)
        });
        pair("r2_redis_busy_percent", |references| {
            busy_percent(&references.r2)
        });
        for (name, value, against) in std::mem::take(&mut self.against) {
            let whole = match against {
                Against::Speed => r2,
                Against::Cpu => cpu,
            };
            self.ratios
                .set(format!("{name}{suffix}"), ratio(value, whole));
        }
        self
    }

    /// Whether Redis was saturated in its references, so that nothing else used the machine.
    pub(super) fn is_undisturbed(&self) -> bool {
        least_busy(&self.references) >= SATURATED_PERCENT
    }
}

/// Of the runs the `count` that were disturbed the least, by their references alone.
pub(super) fn least_disturbed(mut runs: Vec<Sheet>, count: usize) -> Vec<Sheet> {
    let busy = |run: &Sheet| least_busy(&run.references);
    runs.sort_by(|one, other| busy(other).total_cmp(&busy(one)));
    runs.truncate(count);
    runs
}

/// The lesser share of a core that Redis had in R2, before or after, in percent.
fn least_busy(references: &Named) -> f64 {
    let told = [
        "r2_redis_busy_percent_before",
        "r2_redis_busy_percent_after",
    ];
    let busy = told.into_iter().filter_map(|name| references.get(name));
    busy.fold(f64::INFINITY, f64::min)
}

/// What is printed: medians of all runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) environment: serde_json::Map<String, serde_json::Value>,
    pub(super) figures: Named,
    pub(super) references: Named,
    pub(super) ratios: Named,
    /// How far the runs lie apart: largest less smallest, as a share of the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spreads: Option<Named>,
}

impl Report {
    /// Medians of what the runs measured.
    pub(super) fn of(
        environment: serde_json::Map<String, serde_json::Value>,
        runs: &[Sheet],
    ) -> Report {
        let medians = |part: fn(&Sheet) -> &Named| {
            let parts: Vec<&Named> = runs.iter().map(part).collect();
            Named::merged(&parts, median)
        };
        let spreads = || {
            let all = runs.iter().flat_map(|run| [&run.figures, &run.ratios]);
            let mut all: Vec<&Named> = all.collect();
            all.extend(runs.iter().map(|run| &run.references));
            Named::merged(&all, spread)
        };
        Report {
            environment,
            figures: medians(|run| &run.figures),
            references: medians(|run| &run.references),
            ratios: medians(|run| &run.ratios),
            spreads: (runs.len() > 1).then(spreads),
        }
    }

    /// Why its ratios say little, if they do.
    pub(super) fn doubt(&self) -> Option<String> {
        let least = least_busy(&self.references);
        (least < SATURATED_PERCENT).then(|| {
            format!(
                "Redis had only {least:.0} % of a core in the reference R2, so something else used \
                 this machine and ratios say little: measure again when it is quiet"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(operations: u64, cpu_ms: u64) -> Reference {
        Reference {
            operations,
            elapsed: Duration::from_secs(1),
            redis_cpu: Duration::from_millis(cpu_ms),
        }
    }

    fn references(r2: u64) -> References {
        References {
            r1: reference(1_000_000, 900),
            r2: reference(r2, 600),
        }
    }

    fn run(jobs: f64) -> Sheet {
        let mut sheet = Sheet::default();
        sheet.speed("jobs_per_s", "jobs_r2", jobs, Duration::from_secs(1));
        sheet.redis_cpu("redis_cpu_us_per_job", "redis_cpu_r2", 9.0);
        sheet.finish(&references(200_000), &references(400_000), "_aof")
    }

    #[test]
    fn ratios_stand_against_the_mean_of_before_and_after() {
        let sheet = run(150_000.0);
        assert_eq!(sheet.ratios.get("jobs_r2_aof"), Some(0.5));
        // 3 µs before, 1.5 µs after.
        assert_eq!(sheet.ratios.get("redis_cpu_r2_aof"), Some(4.0));
        let told = sheet.references.get("r2_messages_per_s_after");
        assert_eq!(told, Some(400_000.0));
    }

    #[test]
    fn of_several_runs_the_median_counts() {
        let runs = [run(150_000.0), run(90_000.0), run(300_000.0)];
        let report = Report::of(serde_json::Map::new(), &runs);
        assert_eq!(report.figures.get("jobs_per_s"), Some(150_000.0));
        let spreads = report.spreads.expect("several runs");
        assert_eq!(spreads.get("jobs_per_s"), Some(1.4));
        assert!(
            Report::of(serde_json::Map::new(), &runs[..1])
                .spreads
                .is_none()
        );
    }

    #[test]
    fn the_runs_that_were_disturbed_the_least_count() {
        let disturbed = |busy: f64, jobs: f64| {
            let mut sheet = run(jobs);
            sheet.references.set("r2_redis_busy_percent_after", busy);
            sheet.references.set("r2_redis_busy_percent_before", 99.0);
            sheet
        };
        let runs = vec![
            disturbed(50.0, 1.0),
            disturbed(95.0, 2.0),
            disturbed(80.0, 3.0),
        ];
        assert!(!runs[0].is_undisturbed() && runs[2].is_undisturbed());
        let kept = least_disturbed(runs, 2);
        let kept: Vec<_> = kept
            .iter()
            .map(|run| run.figures.get("jobs_per_s"))
            .collect();
        assert_eq!(kept, [Some(2.0), Some(3.0)]);
    }

    #[test]
    fn a_reference_that_was_not_saturated_is_told() {
        // 60 % of a core.
        let report = Report::of(serde_json::Map::new(), &[run(1.0)]);
        let doubt = report.doubt().expect("a doubt");
        assert!(doubt.contains("only 60 % of a core"), "{doubt}");
        let mut quiet = report;
        for moment in ["before", "after"] {
            let name = format!("r2_redis_busy_percent_{moment}");
            quiet.references.set(name, 95.0);
        }
        assert_eq!(quiet.doubt(), None);
    }

    #[test]
    fn json_keeps_the_order_and_five_digits() {
        let mut named = Named::default();
        named.set("z_per_s", 123_456.78);
        named.set("a_us", 0.5);
        let json = serde_json::to_string(&named).expect("JSON");
        assert_eq!(json, r#"{"z_per_s":123460.0,"a_us":0.5}"#);
    }
}
