//! The array of a map.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Reader;
use crate::workflow::plan::MapItems;
use crate::workflow::{ResultFrom, TaskDefinition, TaskKind};

/// Most elements of a map: 10,000.
pub const MAX_ELEMENTS: usize = 10_000;

/// Elements that are under way at once where nothing is said.
pub(super) const WINDOW: u32 = 100;

/// Longest name of a map, in bytes: its elements are called `<map>#<place>`, and a place has up
/// to ten digits.
const MAX_MAP_NAME: usize = 116;

impl Reader<'_> {
    /// None if there is a mistake; none in it if the array is another task's result.
    pub(super) fn read_items(
        &mut self,
        place: u32,
        task: &TaskDefinition,
    ) -> Option<Option<MapItems>> {
        if self.rules.is_some() {
            self.check_map(place, task);
        }
        let Some(items) = task.items.as_deref() else {
            return Some(None);
        };
        if !self.fits(format!("tasks[{place}].items"), items) {
            return None;
        }
        let template = self.read_template(place, "items", items);
        let is_array = items.get().trim_start().starts_with('[');
        let items = match template {
            Some(template) if is_array || template.is_one_reference() => {
                MapItems::Rendered(Box::new(template))
            }
            None if is_array => {
                self.check_given(place, items);
                MapItems::Given(Bytes::copy_from_slice(items.get().as_bytes()))
            }
            _ => {
                let problem = "is neither an array nor one reference to an array, such as \
                               \"{{input.files}}\"";
                self.wrong_in(place, "items", problem);
                return None;
            }
        };
        Some(Some(items))
    }

    fn check_map(&mut self, place: u32, task: &TaskDefinition) {
        debug_assert_eq!(task.kind, TaskKind::Map);
        if task.name.len() > MAX_MAP_NAME {
            let problem = format!(
                "the name of a map has {} bytes, at most {MAX_MAP_NAME} are allowed; shorten it",
                task.name.len()
            );
            self.wrong_in(place, "name", problem);
        }
        match (&task.items, &task.result_from) {
            (None, None) => {
                let problem = "a map needs an array: give it items, or result_from";
                self.wrong_in(place, "items", problem);
            }
            (Some(_), Some(_)) => {
                let problem = "a map has items or result_from, not both; take one out, and refer \
                               to other results in the payload";
                self.wrong_in(place, "result_from", problem);
            }
            (None, Some(ResultFrom::Many(_))) => {
                let problem = "the array of a map is the result of one task; name one, without a \
                               list";
                self.wrong_in(place, "result_from", problem);
            }
            (Some(_), None) | (None, Some(ResultFrom::One(_))) => {}
        }
    }

    fn check_given(&mut self, place: u32, items: &RawValue) {
        if self.rules.is_none() {
            return;
        }
        let elements = serde_json::from_str::<Vec<&RawValue>>(items.get());
        let count = elements.map_or(0, |elements| elements.len());
        if count > MAX_ELEMENTS {
            let problem = format!(
                "{count} elements, at most {MAX_ELEMENTS} are allowed; use a batch, or split them"
            );
            self.wrong_in(place, "items", problem);
        }
    }
}
