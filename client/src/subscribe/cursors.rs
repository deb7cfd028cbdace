//! Where a subscription stands: one place for each shard, as text that can be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use paceline_types::ShardIndex;
use paceline_types::event::EventCursor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::place::Place;

/// A place in the log of every shard that a subscription reads.
///
/// Written `<shard>:<cursor>,…`, such as `0:1700000000000-3.7@512,1:0-0.0`. The number after `@`
/// counts the events up to that place; without it a gap is told all the same, but not how many
/// events are missing. The cursor `0-0.0` stands before everything. A shard that is not named is
/// read from its oldest event on, so that nothing is missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors(BTreeMap<ShardIndex, Place>);

impl Cursors {
    /// The place in one shard.
    #[must_use]
    pub fn get(&self, shard: ShardIndex) -> Option<EventCursor> {
        self.0.get(&shard).map(|place| place.cursor)
    }

    /// Sets the place in one shard: after the event that has this cursor.
    pub fn set(&mut self, shard: ShardIndex, cursor: EventCursor) {
        self.0.insert(shard, cursor.into());
    }

    /// The places, by shard.
    pub fn iter(&self) -> impl Iterator<Item = (ShardIndex, EventCursor)> + '_ {
        self.places().map(|(shard, place)| (shard, place.cursor))
    }

    pub(super) fn places(&self) -> impl Iterator<Item = (ShardIndex, Place)> + '_ {
        self.0.iter().map(|(&shard, &place)| (shard, place))
    }

    pub(super) fn place(&self, shard: ShardIndex) -> Option<Place> {
        self.0.get(&shard).copied()
    }

    pub(super) fn set_place(&mut self, shard: ShardIndex, place: Place) {
        self.0.insert(shard, place);
    }
}

impl FromIterator<(ShardIndex, EventCursor)> for Cursors {
    fn from_iter<I: IntoIterator<Item = (ShardIndex, EventCursor)>>(cursors: I) -> Cursors {
        let mut all = Cursors::default();
        for (shard, cursor) in cursors {
            all.set(shard, cursor);
        }
        all
    }
}

impl fmt::Display for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (shard, place)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{shard}:{place}")?;
        }
        Ok(())
    }
}

/// Why a text does not say where a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{place}` is not a place in the events; expected <shard>:<milliseconds>-<sequence>.<index>"
)]
pub struct CursorsError {
    place: String,
}

impl FromStr for Cursors {
    type Err = CursorsError;

    fn from_str(text: &str) -> Result<Cursors, CursorsError> {
        let places: Result<_, _> = text.split(',').map(str::trim).map(read_place).collect();
        places.map(Cursors)
    }
}

fn read_place(text: &str) -> Result<(ShardIndex, Place), CursorsError> {
    let read = || {
        let (shard, cursor) = text.split_once(':')?;
        Some((ShardIndex(shard.parse().ok()?), cursor.parse().ok()?))
    };
    read().ok_or_else(|| CursorsError {
        place: text.to_owned(),
    })
}

impl Serialize for Cursors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        let text = "0:1700000000000-3.7@512,12:0-0.0";
        let cursors: Cursors = text.parse().expect("cursors");
        assert_eq!(cursors.to_string(), text);
        assert_eq!(cursors.get(ShardIndex(12)), Some(EventCursor::default()));
        assert_eq!(cursors.get(ShardIndex(1)), None);
        let json = serde_json::to_string(&cursors).expect("json");
        assert_eq!(
            serde_json::from_str::<Cursors>(&json).expect("json"),
            cursors
        );
        assert_eq!(
            " 1:5-1 , 0:4-0.2 "
                .parse::<Cursors>()
                .expect("spaces")
                .to_string(),
            "0:4-0.2,1:5-1.0"
        );
    }

    #[test]
    fn what_is_no_place_is_told() {
        for text in [
            "",
            "1700-3.7",
            "x:1-1.1",
            "0:1",
            "0:1-1.1,",
            "0:1-1.1@x",
            "70000:1-1.1",
        ] {
            let error = text.parse::<Cursors>().expect_err(text).to_string();
            assert!(error.contains("is not a place in the events"), "{error}");
        }
    }
}
