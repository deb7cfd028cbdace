//! A way into a JSON value.

use serde_json::Value;

/// A way into a JSON value, such as `order.lines[0].sku`; an empty one means the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(Box<str>),
    Place(usize),
}

impl Path {
    /// Reads a path: fields with dots between them, `[n]` behind any of them for the element at a
    /// place, from 0. It may begin with `$` or `$.`, which mean nothing more.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence that begins with the path.
    pub fn parse(text: &str) -> Result<Path, String> {
        let rest = match text.strip_prefix('$') {
            Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => {
                rest.strip_prefix('.').unwrap_or(rest)
            }
            _ => text,
        };
        if rest.is_empty() && !text.ends_with('.') {
            return Ok(Path::default());
        }
        Path::steps(rest)
    }

    /// Reads what follows the root of a reference: nothing, or `.field…`, or `[n]…`.
    pub(super) fn behind_root(text: &str) -> Result<Path, String> {
        match text.strip_prefix('.') {
            Some(rest) => Path::steps(rest),
            None if text.is_empty() => Ok(Path::default()),
            None => Path::steps(text),
        }
    }

    fn steps(text: &str) -> Result<Path, String> {
        let mut steps = Vec::new();
        for (place, part) in text.split('.').enumerate() {
            let (field, mut places) = part.split_at(part.find('[').unwrap_or(part.len()));
            if field.contains(']') {
                return Err("has a `]` without a `[` before it".to_owned());
            }
            // `[0].sku` begins with a place; behind a dot there is always a field.
            if !field.is_empty() {
                steps.push(Step::Field(field.into()));
            } else if place > 0 || places.is_empty() {
                return Err("names no field between two dots; write it as a.b[0].c".to_owned());
            }
            while !places.is_empty() {
                let inner = places
                    .strip_prefix('[')
                    .and_then(|rest| rest.split_once(']'));
                let Some((number, rest)) = inner else {
                    return Err(format!(
                        "has {places:?} where a place such as [0] or a dot should be"
                    ));
                };
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                match number.parse().ok().filter(|_| digits) {
                    Some(place) => steps.push(Step::Place(place)),
                    None => {
                        return Err(format!(
                            "has [{number}] where a place such as [0] should be"
                        ));
                    }
                }
                places = rest;
            }
        }
        Ok(Path {
            steps: steps.into(),
        })
    }

    /// What is there. Below null, whatever the path says, is null: the result of a task that was
    /// skipped is null, and so is every part of it.
    #[must_use]
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(value, |value, step| match step {
            _ if value.is_null() => Some(value),
            Step::Field(field) => value.as_object()?.get(&**field),
            Step::Place(place) => value.as_array()?.get(*place),
        })
    }

    /// Whether it means the whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }
}
