//! `paceline bench schedules`: how late firings begin of many schedules that fire every second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::DateTime;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use paceline_client::JobRequest;
use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_types::scheduled::HEADER_SCHEDULED_AT;
use paceline_types::{Schedule, ScheduleId, UnixMillis};
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::{Globals, parse_duration};
use super::chance::{Chance, number_in};
use super::common::Common;
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::sleepers::until;
use super::stage::Stage;
use super::statistics::{Sorted, count, micros, ratio};
use super::workers::TASK_TYPE;

/// Every schedule fires this often, in milliseconds.
const PERIOD: u64 = 1_000;

/// From the choice of the first firing to it: the node starts and the schedules are made.
const LEAD: Duration = Duration::from_secs(4);

/// The same for each schedule, on top.
const LEAD_EACH: Duration = Duration::from_millis(1);

/// How often that is tried, each time with twice the lead: the machine may be busy.
const TRIES: u32 = 4;

/// How long a firing may take to begin until it is taken for missed.
const GRACE: Duration = Duration::from_secs(5);

/// Schedules that are made, or deleted, at once.
const AT_ONCE: usize = 50;

/// Looks at the server's clock, which tells whole milliseconds.
const LOOKS: u32 = 30;

/// Between two of them; no part of a millisecond, so that they meet it everywhere.
const LOOK_AGAIN: Duration = Duration::from_micros(3_370);

/// What `paceline bench schedules` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Schedules {
    /// Schedules, each of which fires every second
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Spread their firings evenly over the second, in place of all at one moment
    #[arg(long)]
    spread: bool,
    /// How long, in whole seconds
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    time: Duration,
    #[command(flatten)]
    common: Common,
}

/// Measures.
pub(super) async fn report(options: &Schedules, globals: &Globals) -> Result<Report, Failure> {
    if options.time.as_secs() == 0 {
        return Err(Failure::usage("--time must be at least 1s"));
    }
    let facts = json!({
        "schedules": options.count,
        "spread": options.spread,
        "time_s": options.time.as_secs(),
    });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Schedules, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let lead = LEAD + LEAD_EACH * options.count;
    with_lead(lead, async |lead| {
        measure_after(lead, options, run, sheet).await
    })
    .await
}

/// Tries with a lead, and with twice as much while that was too short.
async fn with_lead(
    mut lead: Duration,
    mut measured: impl AsyncFnMut(Duration) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for _ in 0..TRIES {
        if measured(lead).await? {
            return Ok(());
        }
        lead *= 2;
    }
    let sentence = "making the schedules took until they fired: measure fewer (--count)";
    Err(Failure::new(Kind::Outcome, sentence))
}

/// Measures firings of which the first is so far ahead; false when that came before all was made.
async fn measure_after(
    lead: Duration,
    options: &Schedules,
    run: &Run<'_>,
    sheet: &mut Sheet,
) -> Result<bool, Failure> {
    let stage = run.stage;
    let clock = ServerClock::read(stage).await?;
    let first = clock.now() / 1_000 + millis(lead);
    let offset = |schedule| match options.spread {
        true => u64::from(schedule) * PERIOD / u64::from(options.count),
        false => 0,
    };
    let starts: Vec<_> = (0..options.count).map(|n| first + offset(n)).collect();
    let last = starts.iter().max().copied().unwrap_or(first);
    // The first firing of each is the warm-up: the leader reads its definition.
    let rounds = options.time.as_secs() + 1;
    let firings = Arc::new(Firings::new(clock, starts, rounds));
    firings.progress.expect(count_of(firings.late.len()));

    let node = start_node(run, &firings).await?;
    create(run, &firings.starts).await?;
    if firings.clock.now() / 1_000 + PERIOD / 2 > first {
        delete(stage, options.count).await?;
        node.stop().await;
        return Ok(false);
    }
    firings.clock.wait_for(first + PERIOD / 2).await;
    let (before, begun_before) = (stage.usage().await?, firings.begun());
    let end = last + (rounds - 1) * PERIOD;
    let patience = firings.clock.until(end) + GRACE;
    if let Ok(reached) = tokio::time::timeout(patience, firings.progress.reached()).await {
        reached?;
    }
    let (after, begun) = (stage.usage().await?, firings.begun() - begun_before);
    delete(stage, options.count).await?;
    node.stop().await;
    let cpu = micros(after.cpu.saturating_sub(before.cpu));
    firings.tell(sheet);
    sheet.figure("redis_cpu_us_per_firing", ratio(cpu, count(begun)));
    Ok(true)
}

/// A node that notes each firing at the first line of its handler; returned when it leads.
async fn start_node(run: &Run<'_>, firings: &Arc<Firings>) -> Result<RunningNode, Failure> {
    let stage = run.stage;
    let noted = Arc::clone(firings);
    let result = Bytes::from_static(b"null");
    let node = Node::builder()
        .redis(&stage.globals.redis)
        .namespace(&stage.globals.namespace)
        .concurrency(run.common.concurrency)
        .handle_raw(
            TASK_TYPE,
            HandlerOptions::default(),
            move |context, payload| {
                let begun = Instant::now();
                let scheduled = context.headers().get(HEADER_SCHEDULED_AT);
                noted.note(&payload, scheduled.map(String::as_str), begun);
                std::future::ready(Ok(result.clone()))
            },
        );
    let node = node.start().await?;
    until("the node leads", async || {
        let nodes = stage.store.nodes().await?;
        Ok(nodes.iter().any(|node| !node.leads.is_empty()))
    })
    .await?;
    Ok(node)
}

fn name(schedule: usize) -> String {
    format!("bench-{schedule}")
}

/// Makes a schedule for each moment that one starts at.
async fn create(run: &Run<'_>, starts: &[UnixMillis]) -> Result<(), Failure> {
    // Two bytes are the quotes: a schedule keeps JSON.
    let mut chance = Chance::new(run.seed, run.common.payload.saturating_sub(2));
    let requests = starts.iter().enumerate().map(|(number, &start)| {
        let payload = chance.numbered(number);
        let job = JobRequest::raw(TASK_TYPE, json!(String::from_utf8_lossy(&payload)));
        let schedule = Schedule::every(Duration::from_millis(PERIOD)).with_starts_at(start);
        run.stage.client.schedule(name(number), schedule, job)
    });
    stream::iter(requests)
        .map(|request| async move { Ok(request.await.map(drop)?) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn delete(stage: &Stage, schedules: u32) -> Result<(), Failure> {
    let names = (0..schedules as usize).map(name);
    stream::iter(names)
        .map(|name| async move {
            let deleted = stage.client.delete_schedule(name).await;
            Ok(deleted?)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// The server's clock, told by that of this process.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    origin: Instant,
    /// What the server's clock showed then, in microseconds.
    at_origin: u64,
}

/// One look: the server told `millis` between two moments, in microseconds from the origin.
#[derive(Clone, Copy, Debug)]
struct Look {
    asked: u64,
    answered: u64,
    millis: UnixMillis,
}

/// What the server's clock showed at the origin, in microseconds: the middle of what all looks
/// allow.
fn at_origin(looks: &[Look]) -> u64 {
    let earliest = looks
        .iter()
        .map(|look| (look.millis * 1_000).saturating_sub(look.answered));
    let latest = looks
        .iter()
        .map(|look| ((look.millis + 1) * 1_000).saturating_sub(look.asked));
    let (earliest, latest) = (earliest.max().unwrap_or(0), latest.min().unwrap_or(0));
    u64::midpoint(earliest, latest)
}

impl ServerClock {
    async fn read(stage: &Stage) -> Result<ServerClock, Failure> {
        let origin = Instant::now();
        let anyone = ScheduleId::new(&name(0)).map_err(Failure::usage)?;
        let mut looks = Vec::new();
        for _ in 0..LOOKS {
            let asked = whole_micros(origin.elapsed());
            let (_, millis) = stage.store.schedule(&anyone).await?;
            let answered = whole_micros(origin.elapsed());
            looks.push(Look {
                asked,
                answered,
                millis,
            });
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(ServerClock {
            origin,
            at_origin: at_origin(&looks),
        })
    }

    /// What it shows at a moment, in microseconds.
    fn at(&self, moment: Instant) -> u64 {
        self.at_origin + whole_micros(moment.saturating_duration_since(self.origin))
    }

    /// What it shows now, in microseconds.
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn until(&self, moment: UnixMillis) -> Duration {
        Duration::from_micros((moment * 1_000).saturating_sub(self.now()))
    }

    async fn wait_for(&self, moment: UnixMillis) {
        tokio::time::sleep(self.until(moment)).await;
    }
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> UnixMillis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How late each firing began that was expected.
struct Firings {
    clock: ServerClock,
    /// The first firing of each schedule.
    starts: Vec<UnixMillis>,
    rounds: u64,
    /// Microseconds and one; 0 of those that were not seen. Round after round.
    late: Vec<AtomicU64>,
    /// All runs of firings, expected or not.
    begun: AtomicU64,
    progress: Progress,
}

impl Firings {
    fn new(clock: ServerClock, starts: Vec<UnixMillis>, rounds: u64) -> Firings {
        let all = count_of(starts.len()) * rounds;
        Firings {
            clock,
            starts,
            rounds,
            late: (0..all).map(|_| AtomicU64::new(0)).collect(),
            begun: AtomicU64::new(0),
            progress: Progress::default(),
        }
    }

    /// The handler of a firing began.
    fn note(&self, payload: &[u8], scheduled: Option<&str>, begun: Instant) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let number = payload.get(1..).and_then(number_in);
        let scheduled = scheduled.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let scheduled = scheduled.and_then(|time| u64::try_from(time.timestamp_millis()).ok());
        let (Some(number), Some(scheduled)) = (number, scheduled) else {
            return;
        };
        let Some(place) = self.place(number, scheduled) else {
            return;
        };
        let late = self.clock.at(begun).saturating_sub(scheduled * 1_000) + 1;
        // Of a firing that runs again only the first run counts.
        let noted = place.compare_exchange(0, late, Ordering::Relaxed, Ordering::Relaxed);
        if noted.is_ok() {
            self.progress.add();
        }
    }

    fn place(&self, schedule: usize, scheduled: UnixMillis) -> Option<&AtomicU64> {
        let since = scheduled.checked_sub(*self.starts.get(schedule)?)?;
        let round = usize::try_from(since / PERIOD).ok()?;
        self.late.get(round * self.starts.len() + schedule)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How late those of some rounds began; of those that did.
    fn late_in(&self, rounds: std::ops::Range<usize>) -> Sorted {
        let each = self.starts.len();
        let places = self.late.get(rounds.start * each..rounds.end * each);
        let late = places.unwrap_or_default().iter();
        let late = late.map(|late| late.load(Ordering::Relaxed));
        Sorted::new(
            late.filter_map(|late| late.checked_sub(1))
                .map(Duration::from_micros)
                .collect(),
        )
    }

    fn tell(&self, sheet: &mut Sheet) {
        let rounds = usize::try_from(self.rounds).unwrap_or(usize::MAX);
        let (first, rest) = (self.late_in(0..1), self.late_in(1..rounds));
        let seen = first.len() + rest.len();
        sheet.figure("firings", count(count_of(rest.len())));
        for (name, share) in [
            ("late_p50_ms", 0.5),
            ("late_p99_ms", 0.99),
            ("late_max_ms", 1.0),
        ] {
            sheet.figure(name, rest.percentile_us(share) / 1e3);
        }
        sheet.figure("first_late_max_ms", first.percentile_us(1.0) / 1e3);
        sheet.figure("missed", count(count_of(self.late.len() - seen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lead_that_was_too_short_is_doubled() {
        let mut leads = Vec::new();
        let measured = async |lead: Duration| {
            leads.push(lead.as_secs());
            Ok(lead.as_secs() == 20)
        };
        with_lead(Duration::from_secs(5), measured)
            .await
            .expect("it is measured");
        assert_eq!(leads, [5, 10, 20]);
        let never = with_lead(LEAD, async |_| Ok(false)).await;
        assert_eq!(never.expect_err("it gives up").kind, Kind::Outcome);
    }

    #[test]
    fn looks_narrow_the_clock_down() {
        // The server's clock shows 7,000,400 µs at the origin.
        let look = |asked, answered, millis| Look {
            asked,
            answered,
            millis,
        };
        let one = [look(0, 100, 7_000)];
        assert_eq!(at_origin(&one), 7_000_450);
        let more = [look(0, 100, 7_000), look(620, 680, 7_001)];
        let found = at_origin(&more);
        assert!((7_000_320..=7_001_000).contains(&found), "{found}");
        let narrow = [look(560, 590, 7_000), look(610, 640, 7_001)];
        let found = at_origin(&narrow);
        assert!((7_000_360..=7_000_440).contains(&found), "{found}");
    }

    #[test]
    fn a_firing_counts_once_and_those_that_never_came_were_missed() {
        let origin = Instant::now();
        let clock = ServerClock {
            origin,
            at_origin: 10_000_000,
        };
        let firings = Firings::new(clock, vec![10_000, 10_500], 3);
        let at = |millis| origin + Duration::from_millis(millis);
        let note = |number: usize, scheduled, millis| {
            let payload = format!("\"{number:010}abc\"");
            firings.note(payload.as_bytes(), scheduled, at(millis));
        };
        note(0, Some("1970-01-01T00:00:10Z"), 90);
        note(0, Some("1970-01-01T00:00:11Z"), 1_002);
        note(0, Some("1970-01-01T00:00:11Z"), 1_900);
        note(1, Some("1970-01-01T00:00:11.500Z"), 1_507);
        note(1, Some("1970-01-01T00:00:13.500Z"), 3_507);
        note(1, None, 5);
        note(9, Some("1970-01-01T00:00:10Z"), 5);
        assert_eq!((firings.progress.done(), firings.begun()), (3, 7));
        let mut sheet = Sheet::default();
        firings.tell(&mut sheet);
        for (name, value) in [
            ("firings", 2.0),
            ("late_p50_ms", 2.0),
            ("late_max_ms", 7.0),
            ("first_late_max_ms", 90.0),
            ("missed", 3.0),
        ] {
            let told = sheet.figures.get(name).expect(name);
            assert!((told - value).abs() < 1e-6, "{name} {told}");
        }
    }
}
