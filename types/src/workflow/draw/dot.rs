//! As a digraph of Graphviz.

use super::model::{Graph, Link, Look, Node, Shape, framed};

/// The whole text.
pub(super) fn render(graph: &Graph) -> String {
    let mut text = format!("digraph {} {{\n", quoted(std::slice::from_ref(&graph.name)));
    line(&mut text, 1, "rankdir=TB;");
    line(
        &mut text,
        1,
        "node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"sans-serif\"];",
    );
    line(&mut text, 1, "edge [fontname=\"sans-serif\"];");
    let inside = framed(graph);
    for node in (0..graph.nodes.len()).filter(|node| !inside.contains(node)) {
        line(&mut text, 1, &node_text(graph, node));
    }
    frames(&mut text, graph, None, 1);
    for edge in &graph.edges {
        let mut attributes = Vec::new();
        if let Some(label) = &edge.label {
            attributes.push(format!("label={}", quoted(std::slice::from_ref(label))));
        }
        match edge.link {
            Link::Wait | Link::Route => {}
            // What is above stays above.
            Link::Back => attributes.push("style=dashed, constraint=false".to_owned()),
            Link::Part => attributes.push("style=dotted".to_owned()),
        }
        let attributes = match attributes.is_empty() {
            true => String::new(),
            false => format!(" [{}]", attributes.join(", ")),
        };
        line(
            &mut text,
            1,
            &format!("n{} -> n{}{attributes};", edge.from, edge.to),
        );
    }
    text.push_str("}\n");
    text
}

fn frames(text: &mut String, graph: &Graph, inside: Option<usize>, depth: usize) {
    for (index, frame) in graph.frames.iter().enumerate() {
        if frame.inside != inside {
            continue;
        }
        line(text, depth, &format!("subgraph cluster_{index} {{"));
        let title = quoted(std::slice::from_ref(&frame.title));
        line(text, depth + 1, &format!("label={title};"));
        for &node in &frame.nodes {
            line(text, depth + 1, &node_text(graph, node));
        }
        frames(text, graph, Some(index), depth + 1);
        line(text, depth, "}");
    }
}

fn node_text(graph: &Graph, index: usize) -> String {
    let Some(Node { lines, shape, look }) = graph.nodes.get(index) else {
        return String::new();
    };
    let mut attributes = vec![format!("label={}", quoted(lines))];
    let form = match shape {
        Shape::Job => None,
        Shape::Condition => Some("shape=diamond, style=filled"),
        Shape::Subflow => Some("shape=box3d, style=filled"),
        Shape::Map => Some("shape=parallelogram, style=filled"),
        Shape::Child => Some("shape=folder, style=filled"),
        Shape::Signal => Some("shape=cds, style=filled"),
        Shape::Hook => Some("shape=ellipse, style=filled"),
    };
    attributes.extend(form.map(str::to_owned));
    if let Some(look) = look {
        let (fill, border) = look.colors();
        attributes.push(format!("fillcolor=\"{fill}\", color=\"{border}\""));
        if *look == Look::Skipped {
            attributes.push("style=\"filled,dashed\"".to_owned());
        }
    }
    format!("n{index} [{}];", attributes.join(", "))
}

/// A text in quotes. A backslash would begin an escape of the label, and `&` an entity.
fn quoted(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("\\n");
        }
        for character in line.chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '&' => text.push_str("&amp;"),
                character if character.is_control() => text.push(' '),
                character => text.push(character),
            }
        }
    }
    text.push('"');
    text
}

fn line(text: &mut String, depth: usize, line: &str) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(line);
    text.push('\n');
}
