use super::{Graph, GraphFormat};
use crate::workflow::WorkflowDefinition;

fn drawn(definition: &str, format: GraphFormat) -> String {
    let definition = WorkflowDefinition::from_json(definition).expect("definition");
    Graph::of(&definition).render(format)
}

/// The lines without the frame that every drawing has.
fn said(definition: &str) -> Vec<String> {
    let text = drawn(definition, GraphFormat::Mermaid);
    let lines = text.lines().skip(1).map(|line| line.trim().to_owned());
    lines.collect()
}

#[test]
fn what_a_definition_says_is_drawn() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "tasks and what they wait for; a task that is not there is left out",
            r#"[{"name":"a","task_type":"t"},{"name":"b","task_type":"t","allow_failure":true,
                "depends_on":["a","nobody"]}]"#,
            &[
                r#"n0["a<br/>t"]"#,
                r#"n1["b<br/>t<br/>may fail"]"#,
                "n0 --> n1",
            ],
        ),
        (
            "a condition is a diamond, its routes have labels, the way back is dashed",
            r#"[{"name":"try","task_type":"t"},
                {"name":"ok","type":"condition","task_type":"judge","depends_on":["try"],
                 "condition_routes":{"0":"ship","1":"try"},"max_iterations":3},
                {"name":"ship","task_type":"t","depends_on":["ok"]}]"#,
            &[
                r#"n0["try<br/>t"]"#,
                r#"n1{"ok<br/>judge"}"#,
                r#"n2["ship<br/>t"]"#,
                "n0 --> n1",
                r#"n1 -->|"0"| n2"#,
                r#"n1 -.->|"1 (at most 3 times)"| n0"#,
            ],
        ),
        (
            "a forward route needs no dependency; two routes to one task are one edge",
            r#"[{"name":"c","type":"condition","condition":"input.x exists",
                 "condition_routes":{"0":"y","1":"y"}},{"name":"y","task_type":"t"}]"#,
            &[
                r#"n0{"c<br/>input.x exists"}"#,
                r#"n1["y<br/>t"]"#,
                r#"n0 -->|"true, false"| n1"#,
            ],
        ),
        (
            "a task that leads to itself",
            r#"[{"name":"c","type":"condition","task_type":"t","condition_routes":{"0":"c"}}]"#,
            &[r#"n0{"c<br/>t"}"#, r#"n0 -.->|"0 (at most 100 times)"| n0"#],
        ),
        (
            "loops within one another",
            r#"[{"name":"first","type":"condition","task_type":"t",
                 "condition_routes":{"0":"left","1":"right"}},
                {"name":"left","task_type":"t","depends_on":["first"]},
                {"name":"right","task_type":"t","depends_on":["first"]},
                {"name":"again","type":"condition","task_type":"t","depends_on":["left"],
                 "condition_routes":{"0":"first","1":"left"}}]"#,
            &[
                r#"n0{"first<br/>t"}"#,
                r#"n1["left<br/>t"]"#,
                r#"n2["right<br/>t"]"#,
                r#"n3{"again<br/>t"}"#,
                r#"n0 -->|"0"| n1"#,
                r#"n0 -->|"1"| n2"#,
                "n1 --> n3",
                r#"n3 -.->|"0 (at most 100 times)"| n0"#,
                r#"n3 -.->|"1 (at most 100 times)"| n1"#,
            ],
        ),
        (
            "maps, signals, generators and preconditions",
            r#"[{"name":"m","type":"map","task_type":"t","items":[1]},
                {"name":"s","type":"signal","signal":"go","timeout":"1h"},
                {"name":"g","type":"subflow","task_type":"plan"},
                {"name":"p","task_type":"t","depends_on":["m"],"preconditions":[
                  {"type":"upstream_output","task":"m","path":"[0]","expected":"1"}]}]"#,
            &[
                r#"n0[/"m<br/>for each#58; t"/]"#,
                r#"n1>"s<br/>signal go"]"#,
                r#"n2{{"g<br/>adds tasks#58; plan"}}"#,
                r#"n3["p<br/>t<br/>if m.#91;0#93; is 1"]"#,
                "n0 --> n3",
            ],
        ),
        (
            "a child is a frame with its own tasks and hooks",
            r#"[{"name":"a","child_workflow_def":{"name":"inner","tasks":[
                  {"name":"x","task_type":"t"},{"name":"y","task_type":"t","depends_on":["x"]}],
                  "hooks":{"on_exit":{"task_type":"tidy"}}}}]"#,
            &[
                r#"n0[["a<br/>workflow inner"]]"#,
                r#"subgraph f0 ["inner"]"#,
                r#"n1["x<br/>t"]"#,
                r#"n2["y<br/>t"]"#,
                r#"n3(["on_exit<br/>tidy"])"#,
                "end",
                "n1 --> n2",
                "n0 -.-> n1",
                "n2 -.-> n3",
            ],
        ),
    ];
    for (what, tasks, lines) in table {
        let definition = format!(r#"{{"name":"w","tasks":{tasks}}}"#);
        assert_eq!(said(&definition), *lines, "{what}");
    }
}

#[test]
fn hooks_stand_before_the_roots_and_behind_the_leaves() {
    let hooked = |hooks: &str| {
        let definition = format!(
            r#"{{"name":"w","tasks":[{{"name":"a","task_type":"t"}}],"hooks":{{{hooks}}}}}"#
        );
        said(&definition)
    };
    let all = hooked(
        r#""on_init":{"task_type":"i"},"on_success":{"task_type":"s"},
           "on_failure":{"task_type":"f"},"on_exit":{"task_type":"e"}"#,
    );
    assert_eq!(
        all[5..],
        [
            "n1 -.-> n0",
            "n0 -.-> n2",
            "n0 -.-> n3",
            "n2 -.-> n4",
            "n3 -.-> n4"
        ]
    );
    assert_eq!(
        hooked(r#""on_exit":{"task_type":"e"}"#)[2..],
        ["n0 -.-> n1"]
    );
}

#[test]
fn names_are_labels_whatever_they_are() {
    let table = [
        (r#"say "hi""#, "say #34;hi#34;", r#"say \"hi\""#),
        (r"a\nb", "a#92;#8203;nb", r"a\\nb"),
        (r"a\b", "a#92;b", r"a\\b"),
        (
            "<b>&amp;</b>",
            "#60;b#62;#38;amp#59;#60;/b#62;",
            "<b>&amp;amp;</b>",
        ),
        ("1. one", "1#46; one", "1. one"),
        ("1.5", "1#46;5", "1.5"),
        ("- a", "#45; a", "- a"),
        ("charge.card-2_x", "charge.card-2_x", "charge.card-2_x"),
        ("`x` **y**", "#96;x#96; #42;#42;y#42;#42;", "`x` **y**"),
        ("style:#fff;", "style#58;#35;fff#59;", "style:#fff;"),
        ("end", "end", "end"),
        ("größe 日本", "größe 日本", "größe 日本"),
        ("two\nlines", "two lines", "two lines"),
        // Mermaid would make of these a line break, a formula and an icon.
        (r"\n", "#92;#8203;n", r"\\n"),
        (
            "$$x$$$",
            "#36;#8203;#36;x#36;#8203;#36;#8203;#36;",
            "$$x$$$",
        ),
        ("fa:fa-x", "fa#58;#8203;fa-x", "fa:fa-x"),
    ];
    for (name, mermaid, dot) in table {
        let name = serde_json::to_string(name).expect("JSON");
        let definition =
            format!(r#"{{"name":{name},"tasks":[{{"name":{name},"task_type":"t"}}]}}"#);
        let drawing = drawn(&definition, GraphFormat::Mermaid);
        let wanted = format!("flowchart TD\n  n0[\"{mermaid}<br/>t\"]\n");
        assert_eq!(drawing, wanted, "{name}");
        let drawing = drawn(&definition, GraphFormat::Dot);
        assert!(
            drawing.starts_with(&format!("digraph \"{dot}\" {{\n")),
            "{drawing}"
        );
        let node = format!("  n0 [label=\"{dot}\\nt\"];");
        assert!(drawing.contains(&node), "{drawing}");
    }
}

#[test]
fn dot_says_the_same() {
    let definition = r#"{"name":"w","tasks":[
        {"name":"a","task_type":"t"},
        {"name":"c","type":"condition","task_type":"j","depends_on":["a"],
         "condition_routes":{"0":"a"}},
        {"name":"k","child_workflow_def":{"name":"in","tasks":[{"name":"x","task_type":"t"}]}}]}"#;
    let text = drawn(definition, GraphFormat::Dot);
    for line in [
        r#"  n0 [label="a\nt"];"#,
        r#"  n1 [label="c\nj", shape=diamond, style=filled];"#,
        r#"  subgraph cluster_0 {"#,
        r#"    label="in";"#,
        r#"    n3 [label="x\nt"];"#,
        "  n0 -> n1;",
        r#"  n1 -> n0 [label="0 (at most 100 times)", style=dashed, constraint=false];"#,
        "  n2 -> n3 [style=dotted];",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

#[test]
fn a_deep_nest_of_children_is_drawn_as_deep_as_workflows_may_nest() {
    let mut inner = r#"{"name":"w","tasks":[{"name":"a","task_type":"t"}]}"#.to_owned();
    for _ in 0..40 {
        inner = format!(r#"{{"name":"w","tasks":[{{"name":"a","child_workflow_def":{inner}}}]}}"#);
    }
    let text = drawn(&inner, GraphFormat::Mermaid);
    assert_eq!(text.matches("subgraph").count(), 16);
}

/// A child that the definition has, with one of its own and tasks that came to it, and one that came
/// with a subflow.
#[test]
fn children_are_drawn_in_their_colours() {
    use super::super::{TaskKind, TaskState};
    use crate::{JobStatus, ShardIndex, SignalName, TaskName, WorkflowId};

    let inner = r#"{"name":"inner","tasks":[{"name":"a","task_type":"t"}]}"#;
    let child = format!(
        r#"{{"name":"child","tasks":[{{"name":"a","task_type":"t"}},
            {{"name":"k","child_workflow_def":{inner}}},
            {{"name":"g","type":"subflow","task_type":"t"}}]}}"#
    );
    let outer = format!(
        r#"{{"name":"w","tasks":[{{"name":"k","child_workflow_def":{child}}},
            {{"name":"g","type":"subflow","task_type":"t"}}]}}"#
    );
    let read = |text: &str| WorkflowDefinition::from_json(text).expect("definition");
    let id = |n| WorkflowId::from_parts(1, ShardIndex(0), n);
    let named = |name: &str| Some(TaskName::new(name).expect("name"));
    let done = |name| state(name, JobStatus::Completed);
    let is = |name, n| TaskState {
        child_workflow_id: Some(id(n)),
        task_type: None,
        ..done(name)
    };
    let added = |state: TaskState| TaskState {
        generated_by: named("g"),
        ..state
    };
    let none = std::collections::BTreeMap::new();
    let waits = TaskState {
        task_type: None,
        kind: TaskKind::Signal,
        signal: Some(SignalName::new("go").expect("name")),
        ..state("s", JobStatus::Running)
    };
    let own = [is("k", 1), done("g"), added(is("late", 3))];
    let first = [
        is("k", 2),
        state("a", JobStatus::Dead),
        done("g"),
        added(waits),
    ];
    let cancelled = [state("a", JobStatus::Cancelled)];
    let text = Graph::of(&read(&outer))
        .with(&own, &none)
        .with_child_of(id(1), &read(&child), &first, &none)
        .with_child_of(id(2), &read(inner), &[done("a")], &none)
        .with_child_of(id(3), &read(inner), &cancelled, &none)
        .with_child_of(id(9), &read(inner), &[done("a")], &none)
        .render(GraphFormat::Mermaid);
    let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    let late = format!(r#"n6[["late<br/>{}"]]:::completed"#, id(3));
    let expected = [
        r#"n0[["k<br/>workflow child"]]:::completed"#,
        r#"n1{{"g<br/>adds tasks#58; t"}}:::completed"#,
        r#"subgraph f0 ["child"]"#,
        r#"n2["a<br/>t"]:::failed"#,
        r#"n3[["k<br/>workflow inner"]]:::completed"#,
        r#"n4{{"g<br/>adds tasks#58; t"}}:::completed"#,
        r#"subgraph f1 ["inner"]"#,
        r#"n5["a<br/>t"]:::completed"#,
        "end",
        r#"subgraph f3 ["added by g"]"#,
        r#"n7>"s<br/>signal go"]:::running"#,
        "end",
        "end",
        r#"subgraph f2 ["added by g"]"#,
        &late,
        r#"subgraph f4 ["inner"]"#,
        r#"n8["a<br/>t"]:::cancelled"#,
        "end",
        "end",
    ];
    assert_eq!(lines[..expected.len()], expected, "{text}");
    for edge in ["n4 -.-> n7", "n1 -.-> n6", "n6 -.-> n8"] {
        assert!(lines.contains(&edge), "{edge}\n{text}");
    }
}

#[test]
fn formats_read_back() {
    for format in GraphFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("svg".parse::<GraphFormat>().is_err());
}

fn state(name: &str, status: crate::JobStatus) -> super::super::TaskState {
    use super::super::{TaskKind, TaskState};

    let name = crate::TaskName::new(name).expect("name");
    TaskState {
        task_type: Some(crate::TaskType::new("t").expect("name")),
        ..TaskState::new(name, TaskKind::Static, status)
    }
}

/// Also what no definition says: how often a task ran, and the tasks that came to the instance.
#[test]
fn an_instance_is_drawn_over_its_definition() {
    use super::super::{MapProgress, TaskKind, TaskState};
    use crate::{JobId, JobStatus, ShardIndex, TaskName};

    let definition = r#"{"name":"w","tasks":[
        {"name":"c","type":"condition","task_type":"t","condition_routes":{"0":"g"}},
        {"name":"g","type":"subflow","task_type":"t","depends_on":["c"]},
        {"name":"m","type":"map","task_type":"t","items":[1,2,3]}],
        "hooks":{"on_exit":{"task_type":"t"}}}"#;
    let definition = WorkflowDefinition::from_json(definition).expect("definition");
    let named = |name: &str| TaskName::new(name).expect("name");
    let tasks = [
        TaskState {
            condition_route: Some(0),
            iteration: 2,
            ..state("c", JobStatus::Completed)
        },
        state("g", JobStatus::Running),
        TaskState {
            elements: Some(MapProgress {
                total: 3,
                running: 1,
                done: 2,
                failed: 1,
            }),
            kind: TaskKind::Map,
            ..state("m", JobStatus::Running)
        },
        TaskState {
            generated_by: Some(named("g")),
            depends_on: vec![named("g")],
            kind: TaskKind::Subflow,
            attempt: 2,
            ..state("p", JobStatus::Dead)
        },
        TaskState {
            generated_by: Some(named("g")),
            depends_on: vec![named("p")],
            skipped: true,
            ..state("q", JobStatus::Completed)
        },
        TaskState {
            generated_by: Some(named("p")),
            task_type: None,
            ..state("inner", JobStatus::Pending)
        },
        TaskState {
            generated_by: Some(named("m")),
            ..state("m#0", JobStatus::Completed)
        },
    ];
    let exit = TaskState {
        job_id: Some(JobId::from_parts(1, ShardIndex(0), 1)),
        ..state("x", JobStatus::Pending)
    };
    let hooks = [("on_exit".to_owned(), exit)].into();
    let text = Graph::of(&definition)
        .with(&tasks, &hooks)
        .render(GraphFormat::Mermaid);
    let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        lines[..17],
        [
            r#"n0{"c<br/>t<br/>x3, route 0"}:::completed"#,
            r#"n1{{"g<br/>adds tasks#58; t"}}:::running"#,
            r#"n2[/"m<br/>for each#58; t<br/>2/3, 1 failed"/]:::running"#,
            r#"n3(["on_exit<br/>t"]):::queued"#,
            r#"subgraph f0 ["added by g"]"#,
            r#"n4{{"p<br/>t<br/>attempt 2"}}:::failed"#,
            r#"n5["q<br/>t"]:::skipped"#,
            r#"subgraph f1 ["added by p"]"#,
            r#"n6[["inner"]]:::waiting"#,
            "end",
            "end",
            r#"n0 -->|"0"| n1"#,
            "n1 -.-> n3",
            "n2 -.-> n3",
            "n1 -.-> n4",
            "n4 --> n5",
            "n4 -.-> n6",
        ]
    );
    assert!(lines[17].starts_with("classDef waiting fill:#"), "{text}");
    // Definitions alone have no colours.
    let plain = Graph::of(&definition).render(GraphFormat::Dot);
    assert!(!plain.contains(", color="), "{plain}");
    let dot = Graph::of(&definition)
        .with(&tasks, &hooks)
        .render(GraphFormat::Dot);
    assert!(dot.contains("subgraph cluster_1 {"), "{dot}");
    assert!(
        dot.contains(r##"fillcolor="#fee2e2", color="#dc2626""##),
        "{dot}"
    );
}
