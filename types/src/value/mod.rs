//! Values that a workflow refers to: paths into JSON, references, templates, expressions.
//!
//! What a task is given may be put together from the workflow's input and the results of tasks
//! before it. What is written in a definition is read once, when the definition is validated;
//! rendering takes the values from a [`Lookup`] and costs what the text and the values that are
//! put in have in bytes.
//!
//! Numbers are JSON's: integers of 64 bits are exact, whatever goes beyond is floating point.

mod expression;
mod known;
mod operator;
mod path;
mod reference;
mod scan;
mod template;
mod text;

use std::borrow::Cow;

use serde_json::Value;

pub use expression::Expression;
pub use known::Known;
pub use path::Path;
pub use reference::{Reference, Root};
pub use template::{Problem, Template, Unrendered};
pub use text::{of_bytes, text_of};

/// Where the values are that references mean.
pub trait Lookup {
    /// The value that a reference means: that of its root, followed along its path. None when
    /// nothing is there.
    ///
    /// An implementation finds the value of [`Reference::root`] and hands it to
    /// [`Reference::within`], or [`Reference::within_owned`] if it must make it.
    fn look_up(&self, reference: &Reference) -> Option<Cow<'_, Value>>;
}

#[cfg(test)]
mod tests;
