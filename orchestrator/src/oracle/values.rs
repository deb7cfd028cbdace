//! Values in payloads, preconditions and expressions, of the forms that the generator writes.

use serde_json::Value;

/// Looks up `input`, `tasks.NAME.output`, `item` and `index`.
pub trait Values {
    /// The root that a reference begins with, such as `tasks.a.output`.
    fn root(&self, root: &str) -> Option<Value>;
}

impl<F: Fn(&str) -> Option<Value>> Values for F {
    fn root(&self, root: &str) -> Option<Value> {
        self(root)
    }
}

/// What stands at a path such as `a.b[0]`; null stays null, however deep.
#[must_use]
pub fn at(value: &Value, path: &str) -> Option<Value> {
    let mut here = value;
    let path = path.replace('[', ".").replace(']', "");
    for step in path
        .split('.')
        .filter(|step| !step.is_empty() && *step != "$")
    {
        here = match here {
            Value::Null => return Some(Value::Null),
            Value::Array(elements) => elements.get(step.parse::<usize>().ok()?)?,
            Value::Object(fields) => fields.get(step)?,
            _ => return None,
        };
    }
    Some(here.clone())
}

/// The value of a reference.
pub fn look_up(reference: &str, values: &impl Values) -> Option<Value> {
    let root_end = if let Some(rest) = reference.strip_prefix("tasks.") {
        "tasks.".len() + rest.find(".output")? + ".output".len()
    } else {
        reference.find(['.', '[']).unwrap_or(reference.len())
    };
    let (root, path) = reference.split_at(root_end);
    at(&values.root(root)?, path)
}

/// A value as text, as preconditions and templates have it.
#[must_use]
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Puts values in, everywhere in a payload.
///
/// # Errors
/// The first reference that leads nowhere.
pub fn render(template: &Value, values: &impl Values) -> Result<Value, String> {
    Ok(match template {
        Value::String(text) => render_text(text, values)?,
        Value::Array(elements) => Value::Array(
            elements
                .iter()
                .map(|element| render(element, values))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), render(field, values)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

fn render_text(text: &str, values: &impl Values) -> Result<Value, String> {
    let mut written = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else {
            break;
        };
        let reference = rest[start + 2..start + length].trim();
        let value = look_up(reference, values).ok_or_else(|| reference.to_owned())?;
        if start == 0 && length + 2 == rest.len() && written.is_empty() {
            return Ok(value);
        }
        written.push_str(&rest[..start]);
        written.push_str(&text_of(&value));
        rest = &rest[start + length + 2..];
    }
    written.push_str(rest);
    Ok(Value::String(written))
}

/// Whether an expression holds.
pub fn holds(expression: &str, values: &impl Values) -> bool {
    let mut words = expression.splitn(2, ' ');
    let (not, rest) = match words.next() {
        Some("not") => (true, words.next().unwrap_or_default()),
        _ => (false, expression),
    };
    let mut words = rest.splitn(3, ' ');
    let reference = words.next().unwrap_or_default();
    let operator = words.next().unwrap_or_default();
    let literal = words.next().unwrap_or_default();
    let wanted = serde_json::from_str(literal).unwrap_or(Value::String(literal.to_owned()));
    let found = look_up(reference, values);
    let truth = match (operator, &found) {
        ("exists", found) => found.is_some(),
        ("ne", None) => true,
        (_, None) => false,
        ("eq", Some(found)) => same(found, &wanted),
        ("ne", Some(found)) => !same(found, &wanted),
        ("in", Some(found)) => wanted
            .as_array()
            .is_some_and(|wanted| wanted.iter().any(|wanted| same(found, wanted))),
        ("contains", Some(Value::String(text))) => {
            wanted.as_str().is_some_and(|wanted| text.contains(wanted))
        }
        ("contains", Some(Value::Array(found))) => found.iter().any(|found| same(found, &wanted)),
        (operator, Some(found)) => match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => match operator {
                "gt" => found > wanted,
                "gte" => found >= wanted,
                "lt" => found < wanted,
                "lte" => found <= wanted,
                _ => false,
            },
            _ => false,
        },
    };
    truth != not
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}
