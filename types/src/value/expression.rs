//! A question about one value: `[not] reference operator value`.

use serde_json::Value;

use super::operator::Operator;
use super::{Lookup, Reference};
use crate::nearest::nearest;

/// A question about one value, such as `input.total gte 100`, `not tasks.check.output.ok eq
/// true`, `input.tier in ["gold", "silver"]` or `input.coupon exists`.
///
/// `eq` and `ne` compare any values, numbers as numbers; `gt`, `gte`, `lt` and `lte` two numbers
/// or two strings; `in` looks for the value in an array; `contains` for the other value in an
/// array, or in a string; `exists` holds if something other than null is there. What stands
/// behind the operator is JSON, or words, which are a string.
#[derive(Clone, Debug)]
pub struct Expression {
    negated: bool,
    reference: Reference,
    operator: Operator,
    value: Value,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn parse(text: &str) -> Result<Expression, String> {
        let (first, rest) = word(text);
        let (negated, (reference, rest)) = match first {
            "not" => (true, word(rest)),
            _ => (false, (first, rest)),
        };
        if reference.is_empty() {
            return Err("says nothing; write [not] reference operator value".to_owned());
        }
        let reference = Reference::parse(reference)?;
        let (operator, rest) = word(rest);
        let operator = operator_of(operator)?;
        let value = value_of(operator, rest)?;
        Ok(Expression {
            negated,
            reference,
            operator,
            value,
        })
    }

    /// What it is about.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        std::slice::from_ref(&self.reference)
    }

    /// Whether it holds.
    ///
    /// If the value is not there, comparisons do not hold, except for `ne`. If the operator means
    /// nothing for the value (a number that is compared with a string), the expression does not
    /// hold, even with `not`.
    #[must_use]
    pub fn holds(&self, values: &impl Lookup) -> bool {
        let found = values.look_up(&self.reference);
        self.operator
            .holds(found.as_deref(), &self.value)
            .is_some_and(|holds| holds != self.negated)
    }
}

/// The first word of a text, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn operator_of(text: &str) -> Result<Operator, String> {
    let names = || Operator::ALL.into_iter().map(Operator::as_str);
    if let Some(operator) = Operator::ALL.into_iter().find(|op| op.as_str() == text) {
        return Ok(operator);
    }
    let known = names().collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        return Err(format!("has no operator; use one of {known}"));
    }
    Err(match nearest(text, names()) {
        Some(meant) => format!("{text:?} is not an operator; did you mean {meant:?}?"),
        None => format!("{text:?} is not an operator; use one of {known}"),
    })
}

fn value_of(operator: Operator, text: &str) -> Result<Value, String> {
    let name = operator.as_str();
    if operator == Operator::Exists {
        return match text.is_empty() {
            true => Ok(Value::Null),
            false => Err(format!("has {text:?} behind exists, which takes nothing")),
        };
    }
    if text.is_empty() {
        return Err(format!(
            "has no value behind {name}; write \"\" for an empty one"
        ));
    }
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) if text.starts_with(['"', '[', '{']) => {
            return Err(format!(
                "has {text:?} behind {name}, which is not JSON: {error}"
            ));
        }
        Err(_) => Value::from(text),
    };
    if operator == Operator::In && !value.is_array() {
        return Err(format!(
            "has {text:?} behind in; write an array, such as [\"a\", \"b\"]"
        ));
    }
    let ordered = matches!(
        operator,
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte
    );
    if ordered && !value.is_number() && !value.is_string() {
        return Err(format!(
            "has {text:?} behind {name}; write a number or a string"
        ));
    }
    Ok(value)
}
