//! The one place that writes to standard output and standard error.
//!
//! What a command is asked for goes to standard output; everything else (notes, progress, errors)
//! goes to standard error.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::{Failure, Kind};
use super::table::Table;

/// Form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines and tables for people.
    #[default]
    Text,
    /// One JSON document; of streams one a line.
    Json,
}

/// Prints in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    color: bool,
}

/// Colours of the terminal, by their ANSI number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Dim = 2,
}

impl Output {
    /// Prints in `format`; in colour where a terminal reads it and `NO_COLOR` is not set.
    pub(crate) fn new(format: Format) -> Output {
        Output {
            format,
            color: std::io::stdout().is_terminal() && no_color_is_unset(),
        }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// One line on standard output.
    pub(crate) fn line(self, line: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// One JSON document on a line of standard output.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
        self.line(&text)
    }

    /// `value` as JSON, or `text` for people.
    pub(crate) fn either(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => self.line(&text()),
        }
    }

    /// One page of a list: `value` as JSON, or a table and how to get the next page.
    pub(crate) fn page(
        self,
        value: &impl Serialize,
        table: &Table,
        next: Option<&str>,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(value);
        }
        if table.is_empty() {
            self.note("nothing to list");
        } else {
            self.line(&table.render())?;
        }
        if let Some(cursor) = next {
            self.note(&format!("more: add --cursor {}", shell_word(cursor)));
        }
        Ok(())
    }

    /// A remark for people, on standard error; not with JSON.
    pub(crate) fn note(self, line: &str) {
        if !self.is_json() {
            self.to_stderr(line);
        }
    }

    /// Says why the command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        #[derive(Serialize)]
        struct Told<'a> {
            error: &'a str,
            code: &'a str,
        }
        match (failure.kind, self.format) {
            (Kind::ReaderGone, _) => {}
            (kind, Format::Json) => {
                let told = Told {
                    error: &failure.sentence,
                    code: kind.as_str(),
                };
                if let Ok(text) = serde_json::to_string(&told) {
                    self.to_stderr(&text);
                }
            }
            (_, Format::Text) => self.to_stderr(&format!("error: {}", failure.sentence)),
        }
    }

    /// `text` in a colour, where colours are wanted.
    pub(crate) fn paint(self, color: Color, text: &str) -> String {
        if self.color {
            format!("\x1b[{}m{text}\x1b[0m", color as u8)
        } else {
            text.to_owned()
        }
    }

    fn to_stderr(self, line: &str) {
        // Without standard error there is no place left to tell it.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// See <https://no-color.org>: set to anything but the empty string means no colours.
pub(crate) fn no_color_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A word as a shell takes it for one.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/:@+=,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell_are_quoted_where_they_must_be() {
        for (word, quoted) in [
            ("approve", "approve"),
            ("a.b-c/d", "a.b-c/d"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("0.1.2|0|3b|1", "'0.1.2|0|3b|1'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
