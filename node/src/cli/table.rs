//! Aligned columns.

/// Rows of text under headings.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Table {
        Table {
            rows: vec![headings.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Whether there is nothing under the headings.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The lines, without a newline at the end.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| shown_width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths);
            let line: String = cells
                .map(|(cell, &width)| {
                    let padding = width - shown_width(cell) + 2;
                    format!("{cell}{}", " ".repeat(padding))
                })
                .collect();
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Characters that take room on a terminal, so without the codes of colours.
fn shown_width(cell: &str) -> usize {
    let mut parts = cell.split("\x1b[");
    let before = parts.next().unwrap_or_default().chars().count();
    let after = parts.map(|part| {
        part.split_once('m')
            .map_or(0, |(_, text)| text.chars().count())
    });
    before + after.sum::<usize>()
}

/// `text` on one line and at most `max` characters long, for a cell.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(max) {
        None => one_line,
        Some(_) => {
            let kept: String = one_line.chars().take(max.saturating_sub(1)).collect();
            format!("{kept}…")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "STATUS", "ERROR"]);
        assert!(table.is_empty());
        table.row(["job_1".into(), "dead".into(), "größer als".into()]);
        table.row(["j".into(), "completed".into(), String::new()]);
        table.row(["k".into(), "\x1b[31mred\x1b[0m".into(), "x".into()]);
        let lines = "ID     STATUS     ERROR\n\
                     job_1  dead       größer als\n\
                     j      completed\n\
                     k      \x1b[31mred\x1b[0m        x";
        assert_eq!(table.render(), lines);
    }

    #[test]
    fn cells_are_one_line_and_not_too_long() {
        let table = [
            ("short", "short"),
            ("two\n lines", "two lines"),
            ("exactly10!", "exactly10!"),
            ("more than that", "more than…"),
        ];
        for (text, cell) in table {
            assert_eq!(shortened(text, 10), cell);
        }
    }
}
