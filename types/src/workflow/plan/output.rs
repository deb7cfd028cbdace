//! Objects that are put together from results.

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::job::as_json;

/// A JSON object of results by name; what is missing is `null`.
///
/// The results are taken over as [`Plan::output`](super::Plan::output) describes.
pub fn object<'a>(entries: impl Iterator<Item = (&'a str, Option<&'a Bytes>)>) -> Bytes {
    struct Entry<'a>(Option<&'a Bytes>);
    impl Serialize for Entry<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                Some(bytes) => as_json(bytes, serializer),
                None => serializer.serialize_none(),
            }
        }
    }
    let mut written = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut written);
    let write = |mut map: serde_json::ser::Compound<'_, _, _>| {
        for (name, result) in entries {
            map.serialize_entry(name, &Entry(result))?;
        }
        SerializeMap::end(map)
    };
    // Names and checked JSON always serialize, and a vector takes every byte.
    match serializer.serialize_map(None).and_then(write) {
        Ok(()) => written.into(),
        Err(_) => Bytes::from_static(b"{}"),
    }
}

/// The payload of a task with `result_from`: `{"upstream": …, "original": …}`.
#[must_use]
pub fn with_upstream(upstream: &Bytes, original: &Bytes) -> Bytes {
    object([("upstream", Some(upstream)), ("original", Some(original))].into_iter())
}
