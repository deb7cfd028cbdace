//! Which handler runs a task type: pure, decided once when the node is built.
//!
//! The exact type comes first, then the longest `prefix.*`, then `*`.

use std::collections::HashMap;

use paceline_types::{NameError, TaskType};

/// What a handler is registered under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// One task type.
    Exact(TaskType),
    /// Every type that begins with this, the dot included.
    Prefix(Box<str>),
    /// Every type.
    Any,
}

impl Pattern {
    /// Reads `image.resize`, `image.*` or `*`.
    pub(crate) fn parse(text: &str) -> Result<Pattern, NameError> {
        let name = TaskType::new(text)?;
        Ok(match text.strip_suffix('*') {
            Some("") => Pattern::Any,
            Some(prefix) if prefix.ends_with('.') => Pattern::Prefix(prefix.into()),
            Some(_) | None => Pattern::Exact(name),
        })
    }
}

/// Finds the handler of a task type, by the index of its registration.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    patterns: Vec<Pattern>,
    exact: HashMap<TaskType, usize>,
    /// Longest first.
    prefixes: Vec<(Box<str>, usize)>,
    any: Option<usize>,
}

/// The same type or pattern was registered before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RegisteredTwice;

impl Registry {
    /// Adds the next handler.
    pub(crate) fn add(&mut self, pattern: Pattern) -> Result<usize, RegisteredTwice> {
        if self.patterns.contains(&pattern) {
            return Err(RegisteredTwice);
        }
        let index = self.patterns.len();
        match &pattern {
            Pattern::Exact(task_type) => {
                self.exact.insert(task_type.clone(), index);
            }
            Pattern::Prefix(prefix) => {
                let place = self
                    .prefixes
                    .partition_point(|(other, _)| other.len() >= prefix.len());
                self.prefixes.insert(place, (prefix.clone(), index));
            }
            Pattern::Any => self.any = Some(index),
        }
        self.patterns.push(pattern);
        Ok(index)
    }

    /// The handler of a task type.
    pub(crate) fn find(&self, task_type: &TaskType) -> Option<usize> {
        if let Some(index) = self.exact.get(task_type) {
            return Some(*index);
        }
        self.prefixes
            .iter()
            .find(|(prefix, _)| task_type.as_str().starts_with(&**prefix))
            .map(|(_, index)| *index)
            .or(self.any)
    }

    /// Whether a handler's work would go to the pattern of another one if it were not there.
    pub(crate) fn is_covered(&self, handler: usize) -> bool {
        let Some(pattern) = self.patterns.get(handler) else {
            return false;
        };
        let name = match pattern {
            Pattern::Exact(name) => name.as_str(),
            Pattern::Prefix(prefix) => prefix,
            Pattern::Any => return false,
        };
        let others = self.prefixes.iter().filter(|(_, index)| *index != handler);
        self.any.is_some()
            || others
                .into_iter()
                .any(|(prefix, _)| name.starts_with(&**prefix))
    }

    /// Whether the type is registered by its own name.
    pub(crate) fn is_named(&self, task_type: &TaskType) -> bool {
        self.exact.contains_key(task_type)
    }

    /// In the order of registration.
    pub(crate) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether types that are not named may be served.
    pub(crate) fn has_patterns(&self) -> bool {
        self.any.is_some() || !self.prefixes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(patterns: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for pattern in patterns {
            let pattern = Pattern::parse(pattern).expect("pattern");
            registry.add(pattern).expect("new");
        }
        registry
    }

    #[test]
    fn the_most_particular_handler_is_found() {
        let all = ["*", "image.*", "image.resize", "image.raw.*", "a*"];
        let registry = registry(&all);
        let table = [
            ("image.resize", "image.resize"),
            ("image.crop", "image.*"),
            ("image.raw.develop", "image.raw.*"),
            ("image.resize.fast", "image.*"),
            ("image", "*"),
            ("imagery.x", "*"),
            ("a*", "a*"),
            ("ab", "*"),
        ];
        for (task_type, expected) in table {
            let found = registry.find(&TaskType::new(task_type).expect("name"));
            assert_eq!(found.map(|index| all[index]), Some(expected), "{task_type}");
        }
        assert!(registry.has_patterns());
    }

    #[test]
    fn what_another_pattern_would_get_is_known() {
        let all = ["image.resize", "image.*", "mail", "a.b.*"];
        let covered = |registry: &Registry| {
            (0..all.len())
                .map(|handler| registry.is_covered(handler))
                .collect::<Vec<_>>()
        };
        assert_eq!(covered(&registry(&all)), [true, false, false, false]);
        let mut with_any = all.to_vec();
        with_any.push("*");
        let registry = registry(&with_any);
        assert_eq!(covered(&registry), [true; 4]);
        assert!(!registry.is_covered(4));
    }

    #[test]
    fn without_a_pattern_only_named_types_are_served() {
        let registry = registry(&["a", "b.*"]);
        for (task_type, served) in [("a", true), ("b.c", true), ("b", false), ("c", false)] {
            let found = registry.find(&TaskType::new(task_type).expect("name"));
            assert_eq!(found.is_some(), served, "{task_type}");
        }
    }

    #[test]
    fn nothing_is_registered_twice() {
        for pattern in ["a", "a.*", "*"] {
            let mut registry = registry(&[pattern]);
            let again = Pattern::parse(pattern).expect("pattern");
            assert_eq!(registry.add(again), Err(RegisteredTwice));
        }
        assert!(Pattern::parse("a:b").is_err());
        assert!(Pattern::parse("").is_err());
    }
}
