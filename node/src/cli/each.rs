//! What the commands that act on several workflows or batches say of each.

use std::fmt::Display;

use serde::Serialize;

use super::failure::Failure;
use super::output::Output;

/// Tells of one after the other; the first that failed decides how the command ends.
pub(crate) struct Each {
    output: Output,
    first: Option<Failure>,
}

/// One of several, as JSON.
#[derive(Serialize)]
struct Told<'a, I> {
    id: &'a I,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Each {
    /// Nothing was told yet.
    pub(crate) fn new(output: Output) -> Each {
        Each {
            output,
            first: None,
        }
    }

    /// Says what one does now (`goes on`), and in JSON the word for it; or why it does not.
    pub(crate) fn tell<I: Serialize + Display>(
        &mut self,
        id: I,
        outcome: Result<(&str, &str), impl Into<Failure>>,
    ) -> Result<(), Failure> {
        match outcome {
            Ok((status, does)) => {
                let told = Told {
                    id: &id,
                    status: Some(status),
                    error: None,
                };
                self.output.either(&told, || format!("{id} {does}"))
            }
            Err(failure) => self.failed(&id, failure.into()),
        }
    }

    fn failed<I: Serialize>(&mut self, id: &I, failure: Failure) -> Result<(), Failure> {
        if self.output.is_json() {
            self.output.json(&Told {
                id,
                status: None,
                error: Some(&failure.sentence),
            })?;
        }
        match self.first {
            None => self.first = Some(failure),
            Some(_) => self.output.note(&format!("error: {}", failure.sentence)),
        }
        Ok(())
    }

    /// The end of the command.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.first.map_or(Ok(()), Err)
    }
}
