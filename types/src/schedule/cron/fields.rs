//! The five fields of an expression: read into sets of numbers, written for the search.

use chrono::DateTime;

/// What the fields name, a bit for each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A day that one of the two fields of days names counts, not only one that both do.
    either: bool,
}

/// What may stand in a field.
struct Field {
    name: &'static str,
    min: u32,
    /// Where `*` ends.
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        min: 0,
        max: 59,
        names: &[],
    },
    Field {
        name: "hour",
        min: 0,
        max: 23,
        names: &[],
    },
    Field {
        name: "day of month",
        min: 1,
        max: 31,
        names: &[],
    },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &MONTHS,
    },
    Field {
        name: "day of week",
        min: 0,
        max: 6,
        names: &WEEKDAYS,
    },
];

impl Field {
    fn is_weekday(&self) -> bool {
        self.max == 6
    }

    /// The largest number that may be written: Sunday is 7 as well.
    fn limit(&self) -> u32 {
        if self.is_weekday() { 7 } else { self.max }
    }

    /// The numbers that a field names, or what is wrong with it.
    fn read(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.item(item)?;
        }
        if self.is_weekday() && bits & 1 << 7 != 0 {
            bits = bits & !(1 << 7) | 1;
        }
        Ok(bits)
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let step = match step.map(str::parse::<u32>) {
            None => None,
            Some(Ok(step)) if step > 0 => Some(step),
            Some(_) => {
                return Err(format!(
                    "the step of `{item}` must be a whole number from 1 on"
                ));
            }
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.min, self.max),
            Some((first, last)) => {
                let from = self.number(first, item)?;
                let to = match self.number(last, item)? {
                    // FRI-SUN is meant to end the week.
                    0 if self.is_weekday() && !last.starts_with('0') => 7,
                    to => to,
                };
                if from > to {
                    return Err(format!(
                        "the range `{range}` must not go backwards; write two ranges, \
                         divided by a comma"
                    ));
                }
                (from, to)
            }
            None => {
                let number = self.number(range, item)?;
                let last = step.map_or(number, |_| self.max.max(number));
                (number, last)
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        Ok((first..=last)
            .step_by(step)
            .fold(0, |bits, n| bits | 1 << n))
    }

    fn number(&self, text: &str, item: &str) -> Result<u32, String> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        if let Some(index) = named.and_then(|index| u32::try_from(index).ok()) {
            return Ok(index + self.min);
        }
        let (min, limit) = (self.min, self.limit());
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            return Err(format!(
                "`{item}` is not understood; use numbers {min} to {limit}{names}, ranges (`a-b`), \
                 steps (`*/n`) and commas"
            ));
        }
        let number = text.parse().ok();
        number
            .filter(|number| (min..=limit).contains(number))
            .ok_or_else(|| format!("`{text}` must be {min} to {limit}"))
    }
}

impl Fields {
    pub(super) fn read(text: &str) -> Result<Fields, String> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[minutes, hours, days, months, weekdays] = parts.as_slice() else {
            let hint = match parts.len() {
                _ if text.contains('=') => {
                    "; a time zone does not stand in it but in the schedule's `timezone`"
                }
                6 => "; a field for seconds is not accepted",
                _ => "",
            };
            return Err(format!(
                "must have five fields (minute, hour, day of month, month, day of week), \
                 not {}{hint}",
                parts.len()
            ));
        };
        let read = |index: usize, text: &str| {
            let field = &FIELDS[index];
            let wrong = |problem| format!("field {} ({}): {problem}", index + 1, field.name);
            field.read(text).map_err(wrong)
        };
        let restricted = |text: &str| !text.starts_with(['*', '?']);
        Ok(Fields {
            minutes: read(0, minutes)?,
            hours: read(1, hours)?,
            days: read(2, days)?,
            months: read(3, months)?,
            weekdays: read(4, weekdays)?,
            either: restricted(days) && restricted(weekdays),
        })
    }

    /// In the words of the `cron` crate: what finds the moments, of which the earliest counts.
    /// What never fires is left out.
    pub(super) fn searches(self) -> Result<Vec<::cron::Schedule>, String> {
        let list = |bits: u64, add: u32| {
            let numbers: Vec<String> = (0..64_u32)
                .filter(|n| bits & 1 << n != 0)
                .map(|n| (n + add).to_string())
                .collect();
            numbers.join(",")
        };
        // The crate takes a shorter way for `*` than for a list of all days.
        let all = |index: usize, bits: u64, text: String| {
            let (min, max) = (FIELDS[index].min, FIELDS[index].max);
            let full = (min..=max).all(|n| bits & 1 << n != 0);
            if full { "*".to_owned() } else { text }
        };
        let (minutes, hours) = (list(self.minutes, 0), list(self.hours, 0));
        let months = all(3, self.months, list(self.months, 0));
        let days = all(2, self.days, list(self.days, 0));
        let weekdays = all(4, self.weekdays, list(self.weekdays, 1));
        let search = |days: &str, weekdays: &str| {
            format!("0 {minutes} {hours} {days} {months} {weekdays}")
                .parse::<::cron::Schedule>()
                .map_err(|error| format!("is not understood: {error}"))
        };
        let mut searches = match self.either {
            true => vec![search(&days, "*")?, search("*", &weekdays)?],
            false => vec![search(&days, &weekdays)?],
        };
        searches.retain(|search| search.after(&DateTime::UNIX_EPOCH).next().is_some());
        Ok(searches)
    }
}
