//! As a flowchart of Mermaid.

use std::fmt::Write;

use super::model::{Graph, Link, Look, Node, Shape};

/// A line break, the edge of a formula, an icon: read once more when numbers are characters again.
const READ_AGAIN: [&str; 3] = ["\\n", "$$", ":fa-"];

/// The whole text.
pub(super) fn render(graph: &Graph) -> String {
    let mut text = String::from("flowchart TD\n");
    let framed = super::model::framed(graph);
    for node in (0..graph.nodes.len()).filter(|node| !framed.contains(node)) {
        line(&mut text, 1, &node_text(graph, node));
    }
    frames(&mut text, graph, None, 1);
    for edge in &graph.edges {
        let arrow = match edge.link {
            Link::Wait | Link::Route => "-->",
            Link::Back | Link::Part => "-.->",
        };
        let label = edge.label.as_deref().map_or_else(String::new, |label| {
            format!("|{}|", quoted(&[label.to_owned()]))
        });
        line(
            &mut text,
            1,
            &format!("n{} {arrow}{label} n{}", edge.from, edge.to),
        );
    }
    if graph.has_states {
        for look in Look::ALL {
            let (fill, stroke) = look.colors();
            let dashes = match look {
                Look::Skipped => ",stroke-dasharray:4",
                _ => "",
            };
            let class = format!(
                "classDef {} fill:{fill},stroke:{stroke},color:#18181b{dashes}",
                look.as_str()
            );
            line(&mut text, 1, &class);
        }
    }
    text
}

fn frames(text: &mut String, graph: &Graph, inside: Option<usize>, depth: usize) {
    for (index, frame) in graph.frames.iter().enumerate() {
        if frame.inside != inside {
            continue;
        }
        let title = quoted(std::slice::from_ref(&frame.title));
        line(text, depth, &format!("subgraph f{index} [{title}]"));
        for &node in &frame.nodes {
            line(text, depth + 1, &node_text(graph, node));
        }
        frames(text, graph, Some(index), depth + 1);
        line(text, depth, "end");
    }
}

fn node_text(graph: &Graph, index: usize) -> String {
    let Some(Node { lines, shape, look }) = graph.nodes.get(index) else {
        return String::new();
    };
    let label = quoted(lines);
    let (open, close) = match shape {
        Shape::Job => ("[", "]"),
        Shape::Condition => ("{", "}"),
        Shape::Subflow => ("{{", "}}"),
        Shape::Map => ("[/", "/]"),
        Shape::Child => ("[[", "]]"),
        Shape::Signal => (">", "]"),
        Shape::Hook => ("([", "])"),
    };
    let class = look.map_or_else(String::new, |look| format!(":::{}", look.as_str()));
    format!("n{index}{open}{label}{close}{class}")
}

/// A label in quotes, its lines under one another.
///
/// What is not sure to mean itself is written as its number. Mermaid reads lists, emphasis and tags
/// in labels, and looks for `style` and `:` before it parses anything. What it looks for in the label
/// that came of the numbers is parted by a space without width.
fn quoted(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("<br/>");
        }
        let mut said = String::new();
        for (at, character) in line.char_indices() {
            let plain = match character {
                // A digit and a dot at the beginning are a list, as is a dash.
                '.' | ')' => said.chars().any(|before| !before.is_ascii_digit()),
                '-' | '+' => !said.is_empty(),
                ' ' | '_' | '/' | ',' | '(' | '=' | '?' | '!' => true,
                character => character.is_alphanumeric(),
            };
            if character.is_control() {
                said.push(' ');
            } else if plain {
                said.push(character);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(said, "#{};", u32::from(character));
            }
            let behind = line.get(at..).unwrap_or_default();
            if READ_AGAIN.iter().any(|read| behind.starts_with(read)) {
                said.push_str("#8203;");
            }
        }
        text.push_str(&said);
    }
    text.push('"');
    text
}

fn line(text: &mut String, depth: usize, line: &str) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(line);
    text.push('\n');
}
