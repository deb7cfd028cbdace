//! Schedules and firings as text.

use paceline_client::ListPage;
use paceline_types::schedule::{Firing, Schedule, Timing, Zone};
use paceline_types::scheduled::{FiringCounts, ScheduleStatus};
use paceline_types::{ScheduleInfo, UnixMillis, duration};
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{Color, Output};
use crate::cli::show::{Sheet, bytes};
use crate::cli::table::{Table, shortened};
use crate::cli::time::{local, moment};

/// Characters of a rule in a table.
const RULE_WIDTH: usize = 40;

#[derive(Serialize)]
struct Schedules<'a> {
    schedules: &'a [ScheduleInfo],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct Firings<'a> {
    firings: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    at: UnixMillis,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a paceline_types::schedule::ClockChange>,
}

/// A page of schedules.
pub(super) fn list(output: Output, page: &ListPage<ScheduleInfo>) -> Result<(), Failure> {
    let headings = [
        "ID",
        "RULE",
        "STATUS",
        "NEXT",
        "LAST",
        "FIRED",
        "WAITING",
        "TASK TYPE",
    ];
    let mut table = Table::new(headings);
    for info in &page.items {
        let definition = &info.definition;
        table.row([
            info.id.to_string(),
            shortened(&rule(&definition.schedule), RULE_WIDTH),
            status(output, info.status),
            info.next_run_at.map(moment).unwrap_or_default(),
            info.last_run_at.map(moment).unwrap_or_default(),
            info.fired.to_string(),
            info.buffered.to_string(),
            definition.job.task_type.to_string(),
        ]);
    }
    let (schedules, next) = (&page.items[..], page.next.as_deref());
    output.page(&Schedules { schedules, next }, &table, next)
}

/// Everything about a schedule.
pub(super) fn schedule(output: Output, info: &ScheduleInfo) -> String {
    let definition = &info.definition;
    let schedule = &definition.schedule;
    let mut sheet = Sheet(vec![
        ("id", info.id.to_string()),
        ("status", status(output, info.status)),
        ("rule", rule(schedule)),
        ("overlap policy", schedule.overlap_policy.to_string()),
        ("task type", definition.job.task_type.to_string()),
    ]);
    let payload = definition.job.spec().payload;
    sheet.maybe("payload", Some(bytes(&payload)));
    sheet.maybe("provider", definition.provider.as_ref());
    sheet.maybe(
        "catch-up window",
        schedule.catchup_window.map(duration::format),
    );
    sheet.maybe("jitter", schedule.jitter.map(duration::format));
    sheet.time("starts", schedule.starts_at);
    sheet.time("ends", schedule.ends_at);
    sheet.time("created", Some(info.created_at));
    sheet.time("next", info.next_run_at);
    sheet.time("last", info.last_run_at);
    sheet.maybe("last job", info.last_job_id);
    sheet.maybe("active job", info.active_job_id);
    sheet.maybe("waiting", Some(info.buffered));
    sheet.maybe("fired", Some(info.fired));
    sheet.maybe("skipped", Some(info.skipped));
    sheet.maybe("dropped", Some(info.dropped));
    sheet.render()
}

/// What became of firings that were asked for.
pub(super) fn counts(counts: FiringCounts) -> String {
    let parts = [
        (counts.fired, "fired"),
        (counts.skipped, "skipped, as a run is active"),
        (counts.buffered, "waiting for the end of the active run"),
        (counts.replaced, "active runs cancelled"),
        (counts.dropped, "dropped that had waited or found no room"),
    ];
    let told: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match told.is_empty() {
        true => "no firings".to_owned(),
        false => told.join(", "),
    }
}

/// Firings, in the time of their zone, with what changes of clocks do to them.
pub(super) fn firings(output: Output, zone: Zone, firings: &[Firing]) -> Result<(), Failure> {
    if output.is_json() {
        let shown = firings.iter().map(|firing| Shown {
            at: firing.at,
            time: local(zone, firing.at),
            note: firing.note.as_ref(),
        });
        return output.json(&Firings {
            firings: shown.collect(),
        });
    }
    if firings.is_empty() {
        output.note("it will not fire again");
        return Ok(());
    }
    let lines = firings.iter().map(|firing| match &firing.note {
        Some(note) => format!("{}  {note}", local(zone, firing.at)),
        None => local(zone, firing.at),
    });
    output.line(&lines.collect::<Vec<_>>().join("\n"))
}

fn status(output: Output, status: ScheduleStatus) -> String {
    let color = match status {
        ScheduleStatus::Active => Color::Green,
        ScheduleStatus::Paused => Color::Yellow,
        ScheduleStatus::Finishing => Color::Dim,
    };
    output.paint(color, status.as_str())
}

/// The rule in a few words.
fn rule(schedule: &Schedule) -> String {
    let list = |items: Vec<String>| items.join(",");
    let at = |times: &[paceline_types::schedule::AtTime]| {
        list(times.iter().map(ToString::to_string).collect())
    };
    let days = |days: &std::collections::BTreeSet<u8>| {
        list(days.iter().map(ToString::to_string).collect())
    };
    let nth = |every: u32, unit: &str| match every {
        1 => format!("every {unit}"),
        every => format!("every {every} {unit}s"),
    };
    let rule = match &schedule.timing {
        Timing::Immediate => return "once, when it was created".to_owned(),
        Timing::OneTime { run_at } => return format!("once, at {}", moment(*run_at)),
        Timing::Every { interval } => return format!("every {}", duration::format(*interval)),
        Timing::Cron { expr } => format!("cron {expr}"),
        Timing::Daily { every, at: times } => format!("{} at {}", nth(*every, "day"), at(times)),
        Timing::Weekly {
            every,
            days: on,
            at: times,
        } => format!("{} on {} at {}", nth(*every, "week"), days(on), at(times)),
        Timing::Monthly {
            every,
            days: on,
            at: times,
        } => format!("{} on {} at {}", nth(*every, "month"), days(on), at(times)),
    };
    match schedule.timezone {
        zone if zone == Zone::UTC => rule,
        zone => format!("{rule} ({})", zone.name()),
    }
}
