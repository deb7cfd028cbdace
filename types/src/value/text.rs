//! How values read as text.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Number, Value};

/// The value as text: a string as it stands, a number without trailing zeros (`1`, `1.5`),
/// `true`, `false`, nothing for null, arrays and objects as compact JSON.
#[must_use]
pub fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Number(number) => Cow::Owned(number_text(number)),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(_) | Value::Object(_) => Cow::Owned(value.to_string()),
    }
}

/// A result or an input as a value: JSON as what it is, other text as a string, other bytes as
/// an array of numbers, as everywhere in the model.
#[must_use]
pub fn of_bytes(bytes: &Bytes) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => bytes.iter().map(|&byte| Value::from(byte)).collect(),
    }
}

fn number_text(number: &Number) -> String {
    let written = number.to_string();
    match written.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => written,
    }
}
