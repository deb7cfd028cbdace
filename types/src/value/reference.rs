//! What a definition refers to by name.

use std::borrow::Cow;

use serde_json::Value;

use super::Path;

/// Where a reference begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The input of the workflow.
    Input,
    /// The result of a task.
    Task(Box<str>),
    /// The element that one task of a map is for.
    Item,
    /// The place of that element, from 0.
    Index,
}

/// A value that a definition refers to: `input.order.id`, `tasks.NAME.output.total`,
/// `item.sku`, `index`. The name of a task reaches up to the first `.output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    text: Box<str>,
    root: Root,
    path: Path,
}

/// What may be written, for messages.
const FORMS: &str = "write input.…, tasks.NAME.output.…, item.… or index";

impl Reference {
    /// Reads a reference. Which of them may stand where is for validation to say.
    ///
    /// # Errors
    /// What is wrong, as a sentence that names the reference.
    pub fn parse(text: &str) -> Result<Reference, String> {
        if text.is_empty() {
            return Err(format!("a reference is empty; {FORMS}"));
        }
        let strange = |c: char| c.is_whitespace() || c.is_control() || "{}\"'".contains(c);
        if text.contains(strange) {
            return Err(format!("{text:?} is not a reference; {FORMS}"));
        }
        let (root, rest) = if let Some(rest) = text.strip_prefix("tasks.") {
            let Some((name, rest)) = task_of(rest) else {
                return Err(format!(
                    "{text:?} does not say what of the task is meant; write tasks.NAME.output, \
                     with a path behind it if a part is meant"
                ));
            };
            (Root::Task(name.into()), rest)
        } else {
            let end = text.find(['.', '[']).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            let root = match word {
                "input" => Root::Input,
                "item" => Root::Item,
                "index" if rest.is_empty() => Root::Index,
                "index" => {
                    return Err(format!("{text:?}: index is a number and has no parts"));
                }
                _ => return Err(format!("{text:?} is not a reference; {FORMS}")),
            };
            (root, rest)
        };
        let path = Path::behind_root(rest).map_err(|problem| format!("{text:?} {problem}"))?;
        Ok(Reference {
            text: text.into(),
            root,
            path,
        })
    }

    /// Where it begins.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The task whose result it refers to.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        match &self.root {
            Root::Task(name) => Some(name),
            Root::Input | Root::Item | Root::Index => None,
        }
    }

    /// Where, from its root on.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The reference as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it means if this is the value of its root.
    #[must_use]
    pub fn within<'a>(&self, root: &'a Value) -> Option<Cow<'a, Value>> {
        self.path.find(root).map(Cow::Borrowed)
    }

    /// [`Reference::within`] a value that nobody keeps.
    #[must_use]
    pub fn within_owned(&self, root: Value) -> Option<Cow<'static, Value>> {
        if self.path.is_whole() {
            return Some(Cow::Owned(root));
        }
        self.path.find(&root).cloned().map(Cow::Owned)
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name before the first `.output` that is a whole word, and what is behind that word.
fn task_of(text: &str) -> Option<(&str, &str)> {
    const WORD: &str = ".output";
    text.match_indices(WORD)
        .map(|(at, _)| (&text[..at], &text[at + WORD.len()..]))
        .find(|(name, rest)| !name.is_empty() && (rest.is_empty() || rest.starts_with(['.', '['])))
}
