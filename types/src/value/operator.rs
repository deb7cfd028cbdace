//! What expressions compare by.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::text_of;

/// What a value must be to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Exists,
    Contains,
}

impl Operator {
    pub(super) const ALL: [Operator; 9] = [
        Operator::Eq,
        Operator::Ne,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::In,
        Operator::Exists,
        Operator::Contains,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Operator::Eq => "eq",
            Operator::Ne => "ne",
            Operator::Gt => "gt",
            Operator::Gte => "gte",
            Operator::Lt => "lt",
            Operator::Lte => "lte",
            Operator::In => "in",
            Operator::Exists => "exists",
            Operator::Contains => "contains",
        }
    }

    /// Whether it holds between a value, which may not be there, and another; none if it means
    /// nothing between the two.
    pub(super) fn holds(self, value: Option<&Value>, other: &Value) -> Option<bool> {
        let Some(value) = value else {
            return Some(self == Operator::Ne);
        };
        match self {
            // Null is how the result of a skipped task reads: like something that is missing.
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte | Operator::Contains
                if value.is_null() =>
            {
                Some(false)
            }
            Operator::Eq => Some(same(value, other)),
            Operator::Ne => Some(!same(value, other)),
            Operator::Gt => ordering(value, other).map(Ordering::is_gt),
            Operator::Gte => ordering(value, other).map(Ordering::is_ge),
            Operator::Lt => ordering(value, other).map(Ordering::is_lt),
            Operator::Lte => ordering(value, other).map(Ordering::is_le),
            Operator::In => {
                let others = other.as_array()?;
                Some(others.iter().any(|other| same(value, other)))
            }
            Operator::Exists => Some(!value.is_null()),
            Operator::Contains => match value {
                Value::Array(values) => Some(values.iter().any(|value| same(value, other))),
                Value::String(text) => Some(text.contains(&*text_of(other))),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
            },
        }
    }
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numeric(a, b).is_some_and(Ordering::is_eq),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let found = |(key, a)| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(found)
        }
        _ => a == b,
    }
}

/// The order of two numbers or two strings.
fn ordering(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numeric(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn numeric(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| {
        let negative = number.as_i64().map(i128::from);
        negative.or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
