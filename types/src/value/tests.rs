use std::cell::Cell;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

mod expressions;
mod templates;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect(json)
}

/// Input and results that the tables refer to.
fn known() -> Known {
    let mut known = Known::new();
    known.set_input(json!({
        "tier": "gold", "total": 100, "rate": 1.50, "ok": true, "none": null, "text": "a \"b\"\n",
        "lines": [{"sku": "x"}, {"sku": "y", "n": 2}], "deep": {"a": {"b": [[1, 2], [3]]}},
        "big": 18_446_744_073_709_551_615_u64, "code": "5", "a-b": 1,
    }));
    known.set_output(
        "check",
        json!({"ok": false, "score": 0.75, "tags": ["a", 1, null]}),
    );
    known.set_output("skipped", Value::Null);
    known.set_output("a.b", json!("dotted"));
    known.set_element(3, json!({"sku": "z"}));
    known
}

#[test]
fn a_path_leads_into_a_value() {
    let value = json!({
        "a": {"b": [{"c": 1}, [2, 3]]}, "n": null, "$": {"x": 7}, "two words": 4, "0": "zero",
    });
    let table = [
        ("", Some(value.clone())),
        ("$", Some(value.clone())),
        ("a.b[0].c", Some(json!(1))),
        ("$.a.b[0].c", Some(json!(1))),
        ("a.b[1][1]", Some(json!(3))),
        ("two words", Some(json!(4))),
        ("0", Some(json!("zero"))),
        ("n", Some(Value::Null)),
        ("n.any[3].thing", Some(Value::Null)),
        ("$.$.x", Some(json!(7))),
        ("a.b[2]", None),
        ("a.b.c", None),
        ("a[0]", None),
        ("x", None),
        ("a.b[0].c.d", None),
    ];
    for (text, expected) in table {
        let path = Path::parse(text).expect(text);
        assert_eq!(path.find(&value), expected.as_ref(), "{text}");
    }
    let array = json!([[1, 2], 3]);
    for (text, expected) in [("[0][1]", 2), ("$[1]", 3)] {
        let path = Path::parse(text).expect(text);
        assert_eq!(path.find(&array), Some(&json!(expected)), "{text}");
    }
}

#[test]
fn what_is_not_a_path_is_told() {
    let field = "names no field between two dots; write it as a.b[0].c";
    let table = [
        ("a..b", field),
        (".a", field),
        ("a.", field),
        ("$.", field),
        ("a.[0]", field),
        ("a[x]", "has [x] where a place such as [0] should be"),
        ("a[-1]", "has [-1] where a place such as [0] should be"),
        ("a[+1]", "has [+1] where a place such as [0] should be"),
        ("a[]", "has [] where a place such as [0] should be"),
        (
            "a[0",
            r#"has "[0" where a place such as [0] or a dot should be"#,
        ),
        (
            "a[0]b",
            r#"has "b" where a place such as [0] or a dot should be"#,
        ),
        ("a]", "has a `]` without a `[` before it"),
    ];
    for (text, expected) in table {
        assert_eq!(Path::parse(text).expect_err(text), expected, "{text}");
    }
}

#[test]
fn a_reference_means_a_value() {
    let table = [
        ("input.tier", Some(json!("gold"))),
        ("input.lines[1].n", Some(json!(2))),
        ("input.a-b", Some(json!(1))),
        ("tasks.check.output.score", Some(json!(0.75))),
        ("tasks.check.output.tags[1]", Some(json!(1))),
        ("tasks.skipped.output", Some(Value::Null)),
        ("tasks.skipped.output.any[7].thing", Some(Value::Null)),
        ("tasks.a.b.output", Some(json!("dotted"))),
        ("item.sku", Some(json!("z"))),
        ("index", Some(json!(3))),
        ("tasks.nobody.output", None),
        ("input.nothing", None),
        ("item.nothing", None),
    ];
    for (text, expected) in table {
        let reference = Reference::parse(text).expect(text);
        let found = known().look_up(&reference).map(Cow::into_owned);
        assert_eq!(found, expected, "{text}");
        assert_eq!(reference.to_string(), text);
    }
    let whole = Reference::parse("input").expect("input");
    assert!(whole.path().is_whole());
    assert_eq!(Known::new().look_up(&whole), None);
    let reference = |text| Reference::parse(text).expect(text);
    assert_eq!(reference("tasks.a.output.output.x").task(), Some("a"));
    assert_eq!(
        reference("tasks.a.outputs.output").task(),
        Some("a.outputs")
    );
    assert_eq!(reference("tasks.a.output[0]").task(), Some("a"));
    assert_eq!(reference("item").task(), None);
}

#[test]
fn what_is_not_a_reference_is_told() {
    for text in [
        "",
        "inputs.x",
        "task.a.output",
        "tasks.a",
        "tasks.a.result.x",
        "tasks..output",
        "tasks",
        "index.a",
        "index[0]",
        "input..a",
        "input.a b",
        "input.{a",
        "items",
        "$.a",
        "input.a | up",
        "input]",
        "tasks.output",
        "input.'a'",
    ] {
        let problem = Reference::parse(text).expect_err(text);
        assert!(
            problem.contains(text) && problem.len() > text.len() + 10,
            "{text}: {problem}"
        );
    }
}

/// Row 76: the comparison of preconditions.
#[test]
fn values_read_as_text() {
    let table = [
        ("1", "1"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("-0.0", "0"),
        ("-3", "-3"),
        ("18446744073709551615", "18446744073709551615"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        (r#""two words""#, "two words"),
        (r#"[ 1, "a", null ]"#, r#"[1,"a",null]"#),
        (r#"{ "b": 1.50 }"#, r#"{"b":1.5}"#),
    ];
    for (json, expected) in table {
        let value: Value = serde_json::from_str(json).expect(json);
        assert_eq!(text_of(&value), expected, "{json}");
    }
}

#[test]
fn any_bytes_are_a_value() {
    let of = |bytes: &'static [u8]| of_bytes(&bytes::Bytes::from_static(bytes));
    assert_eq!(of(b"[1]"), json!([1]));
    assert_eq!(of(b"plain text"), json!("plain text"));
    assert_eq!(of(&[0xff, 0]), json!([255, 0]));
    assert_eq!(of(b""), json!(""));
    // Deeper than JSON is read anywhere in this program: it is text.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(of_bytes(&deep.into()).is_string());
}

/// Counts how often it is asked.
struct Counting(Known, Cell<usize>);

impl Lookup for Counting {
    fn look_up(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        self.1.set(self.1.get() + 1);
        self.0.look_up(reference)
    }
}
