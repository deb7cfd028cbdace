//! How far the log of one shard was read, and whether what comes next joins on to it. Pure.
//!
//! Every entry of a log says how many events came before it. So whoever knows how many it has
//! passed sees what is missing, to the event, in what it reads anyway. Only a place that was
//! made from a bare cursor does not know, until its first read: then the oldest entry that is
//! kept decides. If that is not younger than the cursor's, nothing after it is missing. It is
//! looked up *after* the read, since trimming between a look and a read would go unseen; the
//! price is that a log which is trimmed right then is told as a gap although nothing is missing.

use std::fmt;
use std::str::FromStr;

use paceline_types::event::EventCursor;

/// A place in the log of one shard. Written as its cursor, with `@` and the count if it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The last event that was passed; the zero cursor stands before everything.
    pub(super) cursor: EventCursor,
    /// How many events of the log were passed, this one included.
    pub(super) passed: Option<u64>,
}

/// Whether a read joins on to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Nothing is missing.
    Whole,
    /// As many events are missing; `None` if it cannot be known how many.
    Gap(Option<u64>),
    /// The oldest entry that is kept decides: see [`Place::joins_by`].
    Unsure,
}

impl Place {
    /// Whether a read joins on whose first event has `ordinal` events of the log before it.
    pub(super) fn joins(self, ordinal: Option<u64>) -> Join {
        match (self.passed, ordinal) {
            (Some(passed), Some(ordinal)) if ordinal == passed => Join::Whole,
            (Some(passed), Some(ordinal)) if ordinal > passed => Join::Gap(Some(ordinal - passed)),
            // The log counts from an earlier point: it was flushed, or a failover took its end.
            (Some(_), Some(_)) => Join::Gap(None),
            // From the beginning, whatever that is now.
            (None, _) if self.cursor == EventCursor::default() => Join::Whole,
            (None, _) | (_, None) => Join::Unsure,
        }
    }

    /// [`Place::joins`] for a place without a count: `first` is the first event of the read,
    /// `oldest` the oldest that is kept, seen after the read.
    pub(super) fn joins_by(self, oldest: Option<EventCursor>, first: EventCursor) -> Join {
        let entry = |cursor: EventCursor| (cursor.millis, cursor.sequence);
        let kept = oldest.is_some_and(|oldest| entry(oldest) <= entry(self.cursor));
        // Another event of the same entry joins on whatever became of that entry since.
        if kept || entry(first) == entry(self.cursor) {
            Join::Whole
        } else {
            Join::Gap(None)
        }
    }
}

impl From<EventCursor> for Place {
    fn from(cursor: EventCursor) -> Place {
        Place {
            cursor,
            passed: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cursor.fmt(f)?;
        match self.passed {
            Some(passed) => write!(f, "@{passed}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let (cursor, passed) = match text.split_once('@') {
            Some((cursor, passed)) => (cursor, Some(passed.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        let cursor = cursor.parse().map_err(|_| ())?;
        Ok(Place { cursor, passed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventCursor {
        text.parse().expect(text)
    }

    #[test]
    fn a_gap_is_counted() {
        let table = [
            ("5-1.2@10", Some(10), Join::Whole),
            ("5-1.2@10", Some(17), Join::Gap(Some(7))),
            ("5-1.2@10", Some(3), Join::Gap(None)),
            ("0-0.0@0", Some(0), Join::Whole),
            ("0-0.0@0", Some(4), Join::Gap(Some(4))),
            ("0-0.0", Some(4), Join::Whole),
            ("5-1.2", Some(4), Join::Unsure),
            ("5-1.2@10", None, Join::Unsure),
        ];
        for (place, ordinal, expected) in table {
            let place: Place = place.parse().expect("place");
            assert_eq!(place.joins(ordinal), expected, "{place} {ordinal:?}");
        }
    }

    #[test]
    fn without_a_count_the_oldest_entry_decides() {
        // last passed, oldest kept, first of the read
        let table = [
            ("5-1.2", Some("5-1.0"), "5-2.0", Join::Whole),
            ("5-1.2", Some("3-0.0"), "7-0.0", Join::Whole),
            ("5-1.2", Some("5-2.0"), "5-2.0", Join::Gap(None)),
            ("5-1.2", Some("9-0.0"), "9-0.0", Join::Gap(None)),
            ("5-1.2", None, "6-0.0", Join::Gap(None)),
            ("5-1.2", Some("9-0.0"), "5-1.3", Join::Whole),
        ];
        for (cursor, oldest, first, expected) in table {
            let place = Place::from(at(cursor));
            let join = place.joins_by(oldest.map(at), at(first));
            assert_eq!(join, expected, "{cursor} {oldest:?} {first}");
        }
    }
}
