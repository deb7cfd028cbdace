//! Random numbers, expressions and moments that can be repeated.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::super::*;

/// Zones whose clocks change by an hour, by half an hour, at midnight, in odd seasons, or never.
pub(super) const ZONES: [Tz; 10] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kathmandu,
    Tz::Africa__Casablanca,
    Tz::Pacific__Apia,
    Tz::Europe__Dublin,
    Tz::America__St_Johns,
    Tz::UTC,
];

/// SplitMix64: small, and enough for tests.
pub(super) struct Random {
    /// What the numbers follow from, for messages.
    pub(super) seed: u64,
    state: u64,
}

impl Random {
    /// From `PACELINE_SEED`, or from the clock.
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the failure"
    )]
    pub(super) fn new() -> Random {
        let seed = match std::env::var("PACELINE_SEED") {
            Ok(text) => text.parse().expect("PACELINE_SEED is a number"),
            Err(_) => {
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).expect("clock");
                u64::from(since.subsec_nanos()) << 20 ^ since.as_secs()
            }
        };
        eprintln!("seed: PACELINE_SEED={seed}");
        Random { seed, state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// From `min` to `max`, both included.
    pub(super) fn from(&mut self, min: u64, max: u64) -> u64 {
        min + self.next() % (max - min + 1)
    }

    pub(super) fn small(&mut self, min: u32, max: u32) -> u32 {
        u32::try_from(self.from(min.into(), max.into())).expect("small")
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.from(1, n) == 1
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.from(0, from.len() as u64 - 1);
        from[usize::try_from(index).expect("index")]
    }

    fn item(&mut self, min: u32, max: u32, names: &[&str]) -> String {
        let number = |random: &mut Random| random.small(min, max);
        let named = |n: u32, random: &mut Random| {
            let index = usize::try_from(n - min).expect("index");
            match names.get(index) {
                Some(name) if random.one_in(3) => (*name).to_owned(),
                _ => n.to_string(),
            }
        };
        let span = max - min;
        match self.from(0, 5) {
            0 => format!("*/{}", self.small(1, span / 2 + 1)),
            1 | 2 => {
                let (a, b) = (number(self), number(self));
                let (a, b) = (a.min(b), a.max(b));
                let (a, b) = (named(a, self), b.to_string());
                match self.one_in(2) {
                    true => format!("{a}-{b}"),
                    false => format!("{a}-{b}/{}", self.small(1, span / 2 + 1)),
                }
            }
            _ => {
                let n = number(self);
                named(n, self)
            }
        }
    }

    fn field(&mut self, star_in_ten: u64, min: u32, max: u32, names: &[&str]) -> String {
        if self.from(1, 10) <= star_in_ten {
            return "*".to_owned();
        }
        let items = self.from(1, 3);
        let items: Vec<_> = (0..items).map(|_| self.item(min, max, names)).collect();
        items.join(",")
    }

    /// A cron expression; a dense one fires at least every few hours, mostly.
    pub(super) fn expression(&mut self, dense: bool) -> String {
        let rare = if dense { 9 } else { 5 };
        let fields = [
            self.field(2, 0, 59, &[]),
            self.field(if dense { 6 } else { 3 }, 0, 23, &[]),
            self.field(rare, 1, 31, &[]),
            self.field(rare + 1, 1, 12, &MONTHS),
            self.field(rare, 0, 7, &WEEKDAYS),
        ];
        fields.join(" ")
    }

    pub(super) fn at_times(&mut self) -> Vec<AtTime> {
        (0..self.from(1, 3))
            .map(|_| AtTime::new(self.small(0, 23), self.small(0, 59)))
            .collect()
    }

    /// Days from `min` to `max`, at least one.
    pub(super) fn days(&mut self, min: u32, max: u32) -> Vec<u8> {
        (0..self.from(1, 4))
            .map(|_| u8::try_from(self.small(min, max)).expect("day"))
            .collect()
    }

    /// A moment from 1990 to 2090, sometimes a whole minute.
    pub(super) fn moment(&mut self) -> UnixMillis {
        let at = self.from(631_152_000_000, 3_786_912_000_000);
        match self.one_in(2) {
            true => at,
            false => at / 60_000 * 60_000,
        }
    }
}

const MONTHS: [&str; 12] = [
    "jan", "FEB", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "TUE", "WED", "THU", "FRI", "SAT"];

/// The same moment for chrono.
pub(super) fn utc(at: UnixMillis) -> DateTime<Utc> {
    let millis = i64::try_from(at).expect("moment");
    DateTime::from_timestamp_millis(millis).expect("moment")
}

/// The moment in a zone.
pub(super) fn zoned(zone: Tz, at: UnixMillis) -> DateTime<Tz> {
    zone.from_utc_datetime(&utc(at).naive_utc())
}

/// The local time of a moment.
pub(super) fn local(zone: Tz, at: UnixMillis) -> NaiveDateTime {
    zoned(zone, at).naive_local()
}

/// Milliseconds since the epoch.
pub(super) fn millis(text: &str) -> UnixMillis {
    let moment = DateTime::parse_from_rfc3339(text).expect(text);
    UnixMillis::try_from(moment.timestamp_millis()).expect(text)
}

/// The moments from 1990 to 2095 at which the zone's offset to UTC changes.
pub(super) fn transitions(zone: Tz) -> Vec<UnixMillis> {
    use chrono::Offset;
    const HOUR: u64 = 3_600_000;
    let offset = |at| zoned(zone, at).offset().fix().local_minus_utc();
    let mut found = Vec::new();
    let (mut at, end) = (
        millis("1990-01-01T00:00:00Z"),
        millis("2095-01-01T00:00:00Z"),
    );
    while at < end {
        let next = at + 240 * HOUR;
        if offset(at) != offset(next) {
            let (mut low, mut high) = (at, next);
            while high - low > 1_000 {
                let middle = (low + high) / 2_000 * 1_000;
                match offset(middle) == offset(at) {
                    true => low = middle,
                    false => high = middle,
                }
            }
            found.push(high);
        }
        at = next;
    }
    found
}
