//! JSON with references in its strings.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::scan::Strings;
use super::{Lookup, Reference, text_of};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A JSON text whose strings refer to values, as `{{tasks.NAME.output.total}}`.
///
/// A string that is one reference and nothing else becomes the value itself, with its type. In
/// longer ones values are put in as text, as [`text_of`] has them. `{{{{` stands for a literal
/// `{{`. Keys are left alone. What is outside of such strings is handed on byte for byte.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Box<[Piece]>,
    references: Box<[Reference]>,
    /// Where the string begins that each reference stands in first.
    strings: Box<[usize]>,
}

#[derive(Clone, Debug)]
enum Piece {
    /// JSON as it stands.
    Json(Box<str>),
    /// The value of a reference, as JSON.
    Value(usize),
    /// The text of its value, inside a string.
    Text(usize),
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The string, such as `.order.lines[0]`; empty if it is the whole text.
    pub path: String,
    /// What is wrong, as a sentence.
    pub problem: String,
}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrendered {
    /// A value that it refers to is not there.
    #[error("{reference} is not there")]
    Missing {
        /// The reference, as it is written.
        reference: String,
    },
    /// What comes of it is too large.
    #[error("more than {limit} bytes come of it; pass a reference to the data, or raise the limit")]
    TooLarge {
        /// Most bytes allowed.
        limit: usize,
    },
}

impl Template {
    /// Reads a template; none if there is nothing in it to render.
    ///
    /// # Errors
    /// Every mistake, with the string that it is in.
    pub fn parse(json: &RawValue) -> Result<Option<Template>, Vec<Problem>> {
        let json = json.get();
        // Braces may be written as escapes, which only a look at the strings tells.
        if !json.contains(OPEN) && !json.contains("\\u007") {
            return Ok(None);
        }
        let mut reader = Reader::default();
        let mut problems = Vec::new();
        let mut strings = Strings::of(json);
        let mut done = 0;
        while let Some(found) = strings.next() {
            if !found.text.contains(OPEN) {
                continue;
            }
            reader.json.push_str(&json[done..found.range.start]);
            done = found.range.end;
            reader.string = found.range.start;
            if let Err(problem) = reader.take(&found.text) {
                let path = strings.path();
                problems.push(Problem { path, problem });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if done == 0 {
            return Ok(None);
        }
        reader.json.push_str(&json[done..]);
        reader.flush();
        Ok(Some(Template {
            pieces: reader.pieces.into(),
            references: reader.references.into(),
            strings: reader.strings.into(),
        }))
    }

    /// The template that is one reference, and becomes its value.
    #[must_use]
    pub fn of(reference: Reference) -> Template {
        Template {
            pieces: Box::new([Piece::Value(0)]),
            references: Box::new([reference]),
            strings: Box::new([0]),
        }
    }

    /// Where references stand first in the text that the template was read from, as
    /// [`Problem::path`] has it. `places` are places in [`Template::references`], in ascending
    /// order.
    #[must_use]
    pub fn paths(&self, json: &RawValue, places: &[usize]) -> Vec<String> {
        let mut wanted = places.iter().map(|&place| self.strings[place]).peekable();
        let mut paths = Vec::with_capacity(places.len());
        let mut strings = Strings::of(json.get());
        while let (Some(found), Some(_)) = (strings.next(), wanted.peek()) {
            while wanted.next_if_eq(&found.range.start).is_some() {
                paths.push(strings.path());
            }
        }
        paths
    }

    /// Whether it is one reference and nothing else, and so becomes any value.
    #[must_use]
    pub fn is_one_reference(&self) -> bool {
        let blank = |piece: &&Piece| !matches!(piece, Piece::Json(json) if json.trim().is_empty());
        let mut pieces = self.pieces.iter().filter(blank);
        matches!(pieces.next(), Some(Piece::Value(_))) && pieces.next().is_none()
    }

    /// What it refers to, each once, in the order of the text.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Puts the values in. At most `limit` bytes may come of it.
    ///
    /// # Errors
    /// When a value is not there, or too much comes of it. Null is there: below the result of a
    /// task that was skipped, everything is null.
    pub fn render(&self, values: &impl Lookup, limit: usize) -> Result<Bytes, Unrendered> {
        let found = self
            .references
            .iter()
            .map(|reference| {
                values
                    .look_up(reference)
                    .ok_or_else(|| Unrendered::Missing {
                        reference: reference.to_string(),
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut rendered = Vec::new();
        // What is put in often is written once.
        let mut written: HashMap<(usize, bool), Vec<u8>> = HashMap::new();
        for piece in &self.pieces {
            match piece {
                Piece::Json(json) => rendered.extend_from_slice(json.as_bytes()),
                Piece::Value(place) => rendered.extend_from_slice(
                    written
                        .entry((*place, true))
                        .or_insert_with(|| json_of(&found[*place])),
                ),
                Piece::Text(place) => rendered.extend_from_slice(
                    written
                        .entry((*place, false))
                        .or_insert_with(|| escaped(&text_of(&found[*place])).into_bytes()),
                ),
            }
            if rendered.len() > limit {
                return Err(Unrendered::TooLarge { limit });
            }
        }
        Ok(rendered.into())
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Json(json) => json.len(),
            Piece::Value(_) | Piece::Text(_) => 0,
        });
        let references = self.references.iter();
        let references = references.map(|reference| 2 * reference.as_str().len() + 64);
        pieces.sum::<usize>() + self.pieces.len() * size_of::<Piece>() + references.sum::<usize>()
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    references: Vec<Reference>,
    strings: Vec<usize>,
    places: HashMap<String, usize>,
    /// Where the string begins that is read.
    string: usize,
    /// JSON that is not among the pieces yet.
    json: String,
}

impl Reader {
    /// Takes in a string with `{{` in it.
    fn take(&mut self, text: &str) -> Result<(), String> {
        if let Some(reference) = whole(text) {
            let place = self.refer(reference)?;
            self.flush();
            self.pieces.push(Piece::Value(place));
            return Ok(());
        }
        self.json.push('"');
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, behind) = (&rest[..at], &rest[at + OPEN.len()..]);
            self.json.push_str(&escaped(before));
            rest = if let Some(behind) = behind.strip_prefix(OPEN) {
                self.json.push_str(OPEN);
                behind
            } else {
                let Some((reference, behind)) = behind.split_once(CLOSE) else {
                    return Err(
                        "has {{ without }} behind it; write {{{{ for two braces as they are"
                            .to_owned(),
                    );
                };
                let place = self.refer(reference)?;
                self.flush();
                self.pieces.push(Piece::Text(place));
                behind
            };
        }
        self.json.push_str(&escaped(rest));
        self.json.push('"');
        Ok(())
    }

    fn refer(&mut self, text: &str) -> Result<usize, String> {
        let text = text.trim();
        if let Some(&place) = self.places.get(text) {
            return Ok(place);
        }
        let reference = Reference::parse(text)?;
        let place = self.references.len();
        self.references.push(reference);
        self.strings.push(self.string);
        self.places.insert(text.to_owned(), place);
        Ok(place)
    }

    fn flush(&mut self) {
        if !self.json.is_empty() {
            let json = std::mem::take(&mut self.json);
            self.pieces.push(Piece::Json(json.into()));
        }
    }
}

/// What stands between the braces of a string that is one reference and nothing else.
fn whole(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!inner.contains(OPEN) && !inner.contains(CLOSE)).then_some(inner)
}

fn json_of(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The text as it stands inside a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = Value::from(text).to_string();
    quoted.pop();
    quoted.remove(0);
    quoted
}
