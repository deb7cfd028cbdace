//! The strings of a JSON text, each with its place in the text and its path.
//!
//! The text is JSON already, so only its structure is looked at. Not recursive: a text may be
//! nested as deeply as it likes.

use std::ops::Range;

/// Steps of a path that are shown.
const MAX_PATH_SHOWN: usize = 32;

/// Characters of a key that are shown.
const MAX_KEY_SHOWN: usize = 64;

/// A string that is a value, not a key.
pub(super) struct Found<'a> {
    /// With its quotes, in the text.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) text: std::borrow::Cow<'a, str>,
}

/// Walks through the strings of a text.
pub(super) struct Strings<'a> {
    json: &'a str,
    at: usize,
    open: Vec<Container<'a>>,
}

enum Container<'a> {
    Array {
        place: usize,
    },
    /// The last key, with its quotes; none while the next string is one.
    Object {
        key: Option<&'a str>,
    },
}

impl<'a> Strings<'a> {
    /// The strings of a text, which must be JSON.
    pub(super) fn of(json: &'a str) -> Strings<'a> {
        Strings {
            json,
            at: 0,
            open: Vec::new(),
        }
    }

    /// The place of the last string that was found, such as `.order.lines[0]`; nothing if it is
    /// the whole text. Long ones are cut, since a text may have a long path many times.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for container in self.open.iter().take(MAX_PATH_SHOWN) {
            match container {
                Container::Array { place } => path.push_str(&format!("[{place}]")),
                Container::Object { key } => {
                    let key = unescaped(key.unwrap_or_default());
                    let shown = key.char_indices().nth(MAX_KEY_SHOWN);
                    path.push('.');
                    path.push_str(shown.map_or(&key, |(end, _)| &key[..end]));
                    path.push_str(shown.map_or("", |_| "…"));
                }
            }
        }
        if self.open.len() > MAX_PATH_SHOWN {
            path.push('…');
        }
        path
    }

    /// Where the string ends that begins at `start`, behind its quote.
    fn end_of(&self, start: usize) -> usize {
        let bytes = self.json.as_bytes();
        let mut at = start + 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        bytes.len()
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            let start = self.at;
            self.at += 1;
            match byte {
                b'[' => self.open.push(Container::Array { place: 0 }),
                b'{' => self.open.push(Container::Object { key: None }),
                b']' | b'}' => {
                    self.open.pop();
                }
                b',' => match self.open.last_mut() {
                    Some(Container::Array { place }) => *place += 1,
                    Some(Container::Object { key }) => *key = None,
                    None => {}
                },
                b'"' => {
                    self.at = self.end_of(start);
                    let range = start..self.at;
                    let quoted = &self.json[range.clone()];
                    match self.open.last_mut() {
                        Some(Container::Object { key: key @ None }) => *key = Some(quoted),
                        _ => {
                            let text = unescaped(quoted);
                            return Some(Found { range, text });
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn unescaped(quoted: &str) -> std::borrow::Cow<'_, str> {
    let inner = quoted.strip_prefix('"').unwrap_or(quoted);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if !inner.contains('\\') {
        return inner.into();
    }
    // A surrogate without its other half is JSON by its grammar, but no text.
    match serde_json::from_str::<String>(quoted) {
        Ok(text) => text.into(),
        Err(_) => inner.into(),
    }
}
