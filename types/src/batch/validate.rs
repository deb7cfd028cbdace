//! From a definition to a plan: every mistake at once, each with its place.
//!
//! Linear in the items, with one set of their ids.

use std::collections::HashMap;

use super::{BatchDefinition, BatchItem, BatchPlan, MAX_ATTEMPTS};
use crate::workflow::DefinitionError;
use crate::{NameError, RetryPolicy, TaskType};

/// Items under way at once unless said otherwise.
pub const DEFAULT_CHUNK: u32 = 100;

/// Most items under way at once: 10,000.
pub const MAX_CHUNK: u32 = 10_000;

/// Most items of one batch: 1,000,000. The leader keeps two bytes of each.
pub const MAX_ITEMS: usize = 1_000_000;

/// Longest id of an item, in bytes.
pub const MAX_ITEM_ID: usize = 256;

/// Longest name of a batch, in bytes.
const MAX_NAME: usize = 256;

/// Mistakes that are told one by one; the rest is counted in one more.
const MAX_MISTAKES: usize = 1_000;

impl BatchDefinition {
    /// Checks the definition. `max_payload` is the largest payload of an item or of the onetime
    /// task, in bytes.
    ///
    /// # Errors
    /// Every mistake, in the order of the definition; beyond 1,000 mistakes the rest is counted in
    /// one more.
    pub fn validate(&self, max_payload: usize) -> Result<BatchPlan, Vec<DefinitionError>> {
        let total = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if self.items.len() > MAX_ITEMS {
            let problem =
                format!("{total} items, at most {MAX_ITEMS} are allowed; split the batch");
            return Err(vec![mistake("items", problem)]);
        }
        let mut reader = Reader {
            max_payload,
            mistakes: Vec::new(),
            untold: 0,
        };
        reader.check_name(&self.name);
        reader.check_onetime(self);
        reader.parsed("item_task_type", TaskType::new(&self.item_task_type));
        reader.check_items(&self.items);
        reader.check_limits(self);
        if reader.untold > 0 {
            let problem = format!("{} more mistakes; mend these first", reader.untold);
            reader.mistakes.push(mistake("definition", problem));
        }
        if !reader.mistakes.is_empty() {
            return Err(reader.mistakes);
        }
        BatchPlan::restore(self, total).map_err(|error| vec![error])
    }
}

fn mistake(path: impl Into<String>, problem: impl Into<String>) -> DefinitionError {
    DefinitionError {
        path: path.into(),
        problem: problem.into(),
    }
}

struct Reader {
    max_payload: usize,
    mistakes: Vec<DefinitionError>,
    untold: usize,
}

impl Reader {
    fn wrong(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(mistake(path, problem));
        } else {
            self.untold += 1;
        }
    }

    fn parsed<T>(&mut self, path: &str, name: Result<T, NameError>) {
        if let Err(error) = name {
            self.wrong(path, error.to_string());
        }
    }

    fn check_name(&mut self, name: &str) {
        if name.trim().is_empty() {
            self.wrong("name", "the batch has no name; give it one");
        } else if name.len() > MAX_NAME {
            let problem = format!(
                "the batch's name has {} bytes, at most {MAX_NAME} are allowed; shorten it",
                name.len()
            );
            self.wrong("name", problem);
        } else if let Some(character) = name.chars().find(|character| character.is_control()) {
            let problem =
                format!("the batch's name contains {character:?}; use printable characters");
            self.wrong("name", problem);
        }
    }

    fn check_onetime(&mut self, definition: &BatchDefinition) {
        match &definition.onetime_task_type {
            Some(text) => self.parsed("onetime_task_type", TaskType::new(text)),
            None if definition.onetime_payload.is_some() => {
                let problem = "there is no onetime_task_type that it would be given to; name one, \
                               or take this out";
                self.wrong("onetime_payload", problem);
            }
            None => {}
        }
        let payload = definition.onetime_payload.as_ref();
        let size = payload.map_or(0, |payload| payload.get().len());
        self.check_size("onetime_payload", size);
    }

    fn check_size(&mut self, path: &str, size: usize) {
        let most = self.max_payload;
        if size > most {
            let problem = format!(
                "{size} bytes, at most {most} are allowed; pass a reference to the data, or raise \
                 the limit"
            );
            self.wrong(path, problem);
        }
    }

    fn check_items(&mut self, items: &[BatchItem]) {
        if items.is_empty() {
            self.wrong("items", "the batch has no items; give it at least one");
        }
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let id = item.id.as_str();
            let path = || format!("items[{place}].id");
            if id.is_empty() {
                self.wrong(path(), "the item has no id; give it one of its own");
            } else if id.len() > MAX_ITEM_ID {
                let problem = format!(
                    "the item's id has {} bytes, at most {MAX_ITEM_ID} are allowed; shorten it",
                    id.len()
                );
                self.wrong(path(), problem);
            } else if let Some(character) = id.chars().find(|character| character.is_control()) {
                let problem =
                    format!("the item's id contains {character:?}; use printable characters");
                self.wrong(path(), problem);
            } else if let Some(first) = places.get(id) {
                let problem = format!(
                    "{id:?} is also the id of items[{first}]; give each item an id of its own"
                );
                self.wrong(path(), problem);
            } else {
                places.insert(id, place);
            }
            let size = item
                .payload
                .as_ref()
                .map_or(0, |payload| payload.get().len());
            if size > self.max_payload {
                self.check_size(&format!("items[{place}].payload"), size);
            }
        }
    }

    fn check_limits(&mut self, definition: &BatchDefinition) {
        if definition.chunk_size > MAX_CHUNK {
            let problem = format!(
                "{}, at most {MAX_CHUNK} items may be under way at once; lower it",
                definition.chunk_size
            );
            self.wrong("chunk_size", problem);
        }
        for (field, policy) in [
            ("item_retry_policy", &definition.item_retry_policy),
            ("retry_policy", &definition.retry_policy),
        ] {
            for error in policy.iter().flat_map(RetryPolicy::check) {
                self.wrong(format!("{field}.{}", error.field), error.problem);
            }
        }
        let attempts = definition.retry_policy.as_ref();
        if attempts.is_some_and(|policy| policy.max_attempts > MAX_ATTEMPTS) {
            let problem = format!("must be at most {MAX_ATTEMPTS}");
            self.wrong("retry_policy.max_attempts", problem);
        }
        if definition
            .execution_timeout
            .is_some_and(|timeout| timeout.is_zero())
        {
            let problem = "must be longer than zero; leave it out for no timeout";
            self.wrong("execution_timeout", problem);
        }
    }
}

#[cfg(test)]
mod tests;
