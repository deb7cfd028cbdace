//! What the commands that act on several workflows or batches say of each.

use std::fmt::Display;

use paceline_client::Client;
use serde::Serialize;

use super::connect::connect;
use super::failure::Failure;
use super::options::Globals;
use super::output::Output;

/// Does the same with one after the other, and tells what each does now (`goes on`) with the word for it
/// in JSON, or why it does not; the first that failed decides how the command ends.
pub(crate) async fn each<I: Serialize + Display, E: Into<Failure>>(
    ids: &[I],
    globals: &Globals,
    output: Output,
    act: impl AsyncFn(&Client, &I) -> Result<(&'static str, &'static str), E>,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let mut each = Each {
        output,
        first: None,
    };
    for id in ids {
        each.tell(id, act(&client, id).await)?;
    }
    each.first.map_or(Ok(()), Err)
}

struct Each {
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
    fn tell<I: Serialize + Display>(
        &mut self,
        id: &I,
        outcome: Result<(&str, &str), impl Into<Failure>>,
    ) -> Result<(), Failure> {
        match outcome {
            Ok((status, does)) => {
                let told = Told {
                    id,
                    status: Some(status),
                    error: None,
                };
                self.output.either(&told, || format!("{id} {does}"))
            }
            Err(failure) => self.failed(id, failure.into()),
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
}
