//! Values that are at hand.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::{Lookup, Reference, Root};

/// A [`Lookup`] over values that are at hand: whoever renders gathers them first.
#[derive(Clone, Debug, Default)]
pub struct Known {
    input: Option<Value>,
    outputs: HashMap<Box<str>, Value>,
    element: Option<(u32, Value)>,
}

impl Known {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Known {
        Known::default()
    }

    /// Takes in the input of the workflow; one that was started without any has the input null.
    pub fn set_input(&mut self, input: Value) {
        self.input = Some(input);
    }

    /// Takes in the result of a task; null if it was skipped or passed by.
    pub fn set_output(&mut self, task: &str, output: Value) {
        self.outputs.insert(task.into(), output);
    }

    /// Takes in the element of a map, and its place, in place of the one before.
    pub fn set_element(&mut self, place: u32, item: Value) {
        self.element = Some((place, item));
    }
}

impl Lookup for Known {
    fn look_up(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        let root = match reference.root() {
            Root::Input => self.input.as_ref()?,
            Root::Task(name) => self.outputs.get(name)?,
            Root::Item => &self.element.as_ref()?.1,
            Root::Index => {
                return reference.within_owned(Value::from(self.element.as_ref()?.0));
            }
        };
        reference.within(root)
    }
}
