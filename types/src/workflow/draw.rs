//! A workflow as a picture: Mermaid, which many readers of Markdown show, and DOT of Graphviz.
//!
//! Drawn is what the definition says, and over it, of an instance, how each task stands. What is
//! wrong with a definition does not matter here: an edge to a task that is not there is left out,
//! so that a definition can be looked at before it is valid.
//!
//! Nothing that a caller wrote stands in the text unescaped: nodes are numbered, and names are
//! labels.

mod dot;
mod graph;
mod mermaid;
mod model;
mod routes;
mod states;

use std::fmt;
use std::str::FromStr;

pub use self::model::Graph;

/// A language for graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GraphFormat {
    /// A `flowchart` of Mermaid.
    #[default]
    Mermaid,
    /// A `digraph` of Graphviz.
    Dot,
}

impl GraphFormat {
    /// Every format.
    pub const ALL: [GraphFormat; 2] = [GraphFormat::Mermaid, GraphFormat::Dot];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GraphFormat::Mermaid => "mermaid",
            GraphFormat::Dot => "dot",
        }
    }
}

impl fmt::Display for GraphFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for GraphFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = GraphFormat::ALL
            .into_iter()
            .find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not a form of graphs; use mermaid or dot"))
    }
}

impl Graph {
    /// The graph as text, ending with a newline.
    #[must_use]
    pub fn render(&self, format: GraphFormat) -> String {
        match format {
            GraphFormat::Mermaid => mermaid::render(self),
            GraphFormat::Dot => dot::render(self),
        }
    }
}

#[cfg(test)]
mod tests;
