use super::*;

fn rendered(json: &str) -> String {
    let template = Template::parse(&raw(json)).expect(json).expect(json);
    let bytes = template.render(&known(), 1 << 20).expect(json);
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_string_that_is_one_reference_becomes_the_value() {
    let table = [
        (r#""{{input.total}}""#, "100"),
        (r#""{{ input.total }}""#, "100"),
        (r#""{{input.rate}}""#, "1.5"),
        (r#""{{input.ok}}""#, "true"),
        (r#""{{input.none}}""#, "null"),
        (r#""{{input.tier}}""#, r#""gold""#),
        (r#""{{input.text}}""#, r#""a \"b\"\n""#),
        (r#""{{input.lines[1]}}""#, r#"{"n":2,"sku":"y"}"#),
        (r#""{{input.big}}""#, "18446744073709551615"),
        (r#""{{index}}""#, "3"),
        (r#""{{item}}""#, r#"{"sku":"z"}"#),
        (r#""{{tasks.skipped.output.a[0].b}}""#, "null"),
        (r#""\u007b\u007binput.total}}""#, "100"),
        (
            r#"[ "{{input.total}}" , {"x": "{{index}}"} ]"#,
            r#"[ 100 , {"x": 3} ]"#,
        ),
    ];
    for (json, expected) in table {
        assert_eq!(rendered(json), expected, "{json}");
    }
}

#[test]
fn in_other_strings_values_are_put_in_as_text() {
    let table = [
        (r#""n={{input.total}}""#, r#""n=100""#),
        (r#"" {{input.total}}""#, r#"" 100""#),
        (r#""{{input.tier}}/{{input.rate}}""#, r#""gold/1.5""#),
        (r#""{{input.none}}{{tasks.skipped.output}}""#, r#""""#),
        (r#""<{{input.text}}>""#, r#""<a \"b\"\n>""#),
        (r#""{{input.lines[0]}}!""#, r#""{\"sku\":\"x\"}!""#),
        (r#""ä\n\"{{index}}\"""#, r#""ä\n\"3\"""#),
        (r#""{{{{input.total}}""#, r#""{{input.total}}""#),
        (r#""{{{{{{input.total}}}}""#, r#""{{100}}""#),
        (r#""a {{{{ b""#, r#""a {{ b""#),
        (r#""}} {{index}} }}""#, r#""}} 3 }}""#),
    ];
    for (json, expected) in table {
        assert_eq!(rendered(json), expected, "{json}");
    }
}

/// I18: what is not rendered is handed on as it is.
#[test]
fn what_is_outside_of_such_strings_stays_byte_for_byte() {
    let json = concat!(
        "{ \"b\" : 1.500, \"a\":123456789012345678901, \"{{key}}\": \"\\u00e4\", \"a\":\n",
        "[\"{{index}}\",\"}}\", \"\\\\\" ,\"{ {\"]}"
    );
    assert_eq!(rendered(json), json.replace("\"{{index}}\"", "3"));
    for plain in [
        r#"{"a": 1}"#,
        "null",
        "\"{\"",
        r#""}}""#,
        r#"{"{{index}}": 1}"#,
        r#""\u0041""#,
        r#"{"a": {"b": {}}}"#,
        "[]",
    ] {
        assert!(
            Template::parse(&raw(plain)).expect(plain).is_none(),
            "{plain}"
        );
    }
}

#[test]
fn mistakes_of_a_template_are_told_each_with_its_string() {
    let json = r#"{"a": {"b": ["x", "{{nobody}}", {"c": "{{input.x"}]}, "d": "{{}}",
                   "ok": "{{input.a}}", "e\"f": "{{index.x}} and {{more"}"#;
    let problems = Template::parse(&raw(json)).expect_err("mistakes");
    let paths: Vec<_> = problems.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, [".a.b[1]", ".a.b[2].c", ".d", ".e\"f"]);
    assert_eq!(
        problems[0].problem,
        "\"nobody\" is not a reference; write input.…, tasks.NAME.output.…, item.… or index"
    );
    assert_eq!(
        problems[1].problem,
        "has {{ without }} behind it; write {{{{ for two braces as they are"
    );
    let whole = Template::parse(&raw(r#""{{x}}""#)).expect_err("mistake");
    assert_eq!(whole[0].path, "");
}

#[test]
fn a_value_that_is_not_there_is_named() {
    let template = Template::parse(&raw(r#"["{{input.total}}", "{{tasks.check.output.x}}"]"#));
    let template = template.expect("template").expect("references");
    let error = template.render(&known(), 100).expect_err("missing");
    assert_eq!(error.to_string(), "tasks.check.output.x is not there");
}

#[test]
fn what_comes_of_it_is_bounded() {
    let json = format!("[{}]", vec![r#""{{input.tier}}""#; 1000].join(","));
    let template = Template::parse(&raw(&json))
        .expect("template")
        .expect("references");
    let error = template.render(&known(), 7000).expect_err("too large");
    assert!(
        error
            .to_string()
            .starts_with("more than 7000 bytes come of it"),
        "{error}"
    );
    assert_eq!(template.render(&known(), 7001).expect("fits").len(), 7001);
}

/// Linear: each value is looked up once, however often it is put in.
#[test]
fn a_reference_is_looked_up_once() {
    let json = format!(
        "[{}]",
        vec![r#""{{input.tier}}", "x{{input.tier}}""#; 500].join(",")
    );
    let template = Template::parse(&raw(&json))
        .expect("template")
        .expect("references");
    assert_eq!(template.references().len(), 1);
    let values = Counting(known(), Cell::new(0));
    template.render(&values, 1 << 20).expect("rendered");
    assert_eq!(values.1.get(), 1);
}

#[test]
fn a_deep_payload_does_not_overflow_the_stack() {
    let depth = 200_000;
    let json = format!(
        "{}\"{{{{index}}}}\"{}",
        "[".repeat(depth),
        "]".repeat(depth)
    );
    let text = rendered(&json);
    assert_eq!(text, format!("{}3{}", "[".repeat(depth), "]".repeat(depth)));
}

#[test]
fn a_reference_is_found_again_in_its_text() {
    let json = raw(r#"{"a": ["{{index}} {{item}}", "{{index}} {{input.y}}"], "b": "{{input.z}}"}"#);
    let template = Template::parse(&json)
        .expect("template")
        .expect("references");
    assert_eq!(
        template.paths(&json, &[0, 1, 2, 3]),
        [".a[0]", ".a[0]", ".a[1]", ".b"]
    );
    assert_eq!(template.paths(&json, &[2]), [".a[1]"]);
}

#[test]
fn a_long_path_is_cut() {
    let json = format!("{}\"{{{{x}}}}\"{}", "[".repeat(40), "]".repeat(40));
    let problems = Template::parse(&raw(&json)).expect_err("mistake");
    assert_eq!(problems[0].path, format!("{}…", "[0]".repeat(32)));
    let json = format!(r#"{{"{}": "{{{{x}}}}"}}"#, "ä".repeat(70));
    let problems = Template::parse(&raw(&json)).expect_err("mistake");
    assert_eq!(problems[0].path, format!(".{}…", "ä".repeat(64)));
}

proptest::proptest! {
    /// Any text without braces comes out of a template as it went in, beside what is put in.
    #[test]
    fn any_text_survives_beside_a_reference(before in "[^{}]{0,12}", after in "[^{}]{0,12}") {
        let json = Value::from(format!("{before}{{{{index}}}}{after}")).to_string();
        let text: Value = serde_json::from_str(&rendered(&json)).expect("json");
        let expected = match before.is_empty() && after.is_empty() {
            true => json!(3),
            false => json!(format!("{before}3{after}")),
        };
        proptest::prop_assert_eq!(text, expected);
    }

    /// Neither any text nor any JSON makes the reader panic.
    #[test]
    fn any_string_is_read(text in "[{}\\\\\" a-c.\\[\\]0]{0,24}") {
        let _ = Template::parse(&raw(&Value::from(text.as_str()).to_string()));
        let _ = Expression::parse(&text);
        let _ = Reference::parse(&text);
        let _ = Path::parse(&text);
    }
}
