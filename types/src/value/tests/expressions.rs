use super::*;

fn holds(text: &str) -> bool {
    Expression::parse(text).expect(text).holds(&known())
}

/// Row 71.
#[test]
fn expressions_hold_or_not() {
    let table = [
        ("input.tier eq gold", true),
        (r#"input.tier eq "gold""#, true),
        ("input.tier eq Gold", false),
        ("input.tier ne gold", false),
        ("input.tier ne silver", true),
        ("input.total eq 100", true),
        ("input.total eq 100.0", true),
        ("input.total eq \"100\"", false),
        ("input.code eq \"5\"", true),
        ("input.code eq 5", false),
        ("input.ok eq true", true),
        ("input.ok eq \"true\"", false),
        ("input.none eq null", true),
        ("input.big eq 18446744073709551615", true),
        ("input.big eq 18446744073709551614", false),
        ("input.deep.a.b eq [[1.0, 2], [3]]", true),
        (r#"input.lines[1] eq {"n": 2.0, "sku": "y"}"#, true),
        (r#"input.lines[1] eq {"n": 2}"#, false),
        ("input.deep.a.b[0][1] eq 2", true),
        ("input.total gt 99", true),
        ("input.total gt 100", false),
        ("input.total gte 100", true),
        ("input.total lt 100.5", true),
        ("input.total lt 100", false),
        ("input.total lte 100", true),
        ("input.tier gt apple", true),
        ("input.tier lt \"h\"", true),
        ("input.big gt -1", true),
        ("input.tier in [\"gold\", \"silver\"]", true),
        ("input.tier in [\"silver\"]", false),
        ("input.total in [1, 100.0]", true),
        ("input.none in [null]", true),
        ("input.tier in []", false),
        ("input.text contains \"b\"", true),
        ("input.text contains a \"b", true),
        ("input.code contains 5", true),
        ("input.tier contains x", false),
        ("tasks.check.output.tags contains a", true),
        ("tasks.check.output.tags contains 1", true),
        ("tasks.check.output.tags contains null", true),
        ("tasks.check.output.tags contains b", false),
        ("input.tier exists", true),
        ("input.lines[1].n exists", true),
        ("input.ok exists", true),
        ("not input.ok eq true", false),
        ("not tasks.check.output.ok eq true", true),
        ("  not   input.tier   eq   silver  ", true),
        ("not input.tier in [\"silver\"]", true),
        ("not input.coupon exists", true),
    ];
    for (text, expected) in table {
        assert_eq!(holds(text), expected, "{text}");
    }
}

/// Row 71, row 72: nothing of what is missing or was skipped holds, but that it is something else.
#[test]
fn what_is_missing_holds_nothing() {
    for (what, is_missing) in [
        ("input.coupon", true),
        ("input.lines[7].sku", true),
        ("input.tier.x", true),
        ("tasks.nobody.output", true),
        ("tasks.skipped.output", false),
        ("tasks.skipped.output.total", false),
        ("input.none", false),
    ] {
        for rest in [
            "eq 1",
            "gt 1",
            "gte 1",
            "lt 1",
            "lte 1",
            "in [1]",
            "contains 1",
            "exists",
        ] {
            assert!(!holds(&format!("{what} {rest}")), "{what} {rest}");
            assert!(holds(&format!("not {what} {rest}")), "not {what} {rest}");
        }
        assert!(holds(&format!("{what} ne 1")));
        assert_eq!(holds(&format!("{what} ne null")), is_missing, "{what}");
    }
}

/// An operator that means nothing for the value does not hold, even with `not`.
#[test]
fn what_cannot_be_evaluated_is_false() {
    for text in [
        "input.total gt abc",
        "input.tier gt 1",
        "input.ok lt 1",
        "input.lines gte 1",
        "input.deep lte a",
        "input.total contains 1",
        "input.ok contains true",
        "input.deep contains a",
    ] {
        assert!(!holds(text), "{text}");
        assert!(!holds(&format!("not {text}")), "not {text}");
    }
}

#[test]
fn words_behind_an_operator_are_json_or_text() {
    let mut known = Known::new();
    for (value, words) in [
        (json!("two words"), "two words"),
        (json!("two  words"), "two  words"),
        (json!("2024-01-01"), "2024-01-01"),
        (json!("007"), "007"),
        (json!("true"), "\"true\""),
        (json!("x y"), " \"x y\" "),
        (json!(-1.5), "-1.5"),
        (json!(true), "true"),
        (json!("eq"), "eq"),
        (json!("not"), "not"),
    ] {
        known.set_input(value);
        let expression = Expression::parse(&format!("input eq {words}")).expect(words);
        assert!(expression.holds(&known), "{words}");
    }
    let expression = Expression::parse("not tasks.a.output.x exists").expect("expression");
    let names: Vec<_> = expression
        .references()
        .iter()
        .map(Reference::task)
        .collect();
    assert_eq!(names, [Some("a")]);
}

#[test]
fn what_is_not_an_expression_is_told() {
    let operators = "eq, ne, gt, gte, lt, lte, in, exists, contains";
    let table = [
        (
            "",
            "says nothing; write [not] reference operator value".to_owned(),
        ),
        (
            "not",
            "says nothing; write [not] reference operator value".to_owned(),
        ),
        (
            "input.a",
            format!("has no operator; use one of {operators}"),
        ),
        (
            "input.a equals 1",
            format!("\"equals\" is not an operator; use one of {operators}"),
        ),
        (
            "input.a gtt 1",
            "\"gtt\" is not an operator; did you mean \"gt\"?".to_owned(),
        ),
        (
            "input.a == 1",
            format!("\"==\" is not an operator; use one of {operators}"),
        ),
        (
            "input.a eq",
            "has no value behind eq; write \"\" for an empty one".to_owned(),
        ),
        (
            "input.a exists yes",
            "has \"yes\" behind exists, which takes nothing".to_owned(),
        ),
        (
            "input.a in 1",
            "has \"1\" behind in; write an array, such as [\"a\", \"b\"]".to_owned(),
        ),
        (
            "input.a gt true",
            "has \"true\" behind gt; write a number or a string".to_owned(),
        ),
        (
            "a.b eq 1",
            "\"a.b\" is not a reference; write input.…, tasks.NAME.output.…, item.… or index"
                .to_owned(),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(Expression::parse(text).expect_err(text), expected, "{text}");
    }
    for text in ["input.a eq \"x", "input.a in [1", "input.a eq {1}"] {
        let problem = Expression::parse(text).expect_err(text);
        assert!(problem.contains("which is not JSON"), "{problem}");
    }
}
