//! `paceline job delete`.

use paceline_client::Deleted;
use paceline_types::JobId;

use super::tell::{PerJob, tell};
use super::which::{Chosen, Which, tell_all};
use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;

/// Removes jobs that have ended.
pub(super) async fn run(which: Which, globals: &Globals, output: Output) -> Result<(), Failure> {
    let chosen = which.chosen()?;
    let client = connect(globals).await?;
    let mut first = None;
    match chosen {
        Chosen::Ids(ids) => {
            let outcomes = client.delete_many(&ids).await?;
            for (&id, outcome) in ids.iter().zip(outcomes) {
                say(&mut first, id, outcome, output)?;
            }
        }
        Chosen::Matching(filter) => {
            tell_all(client.bulk_delete(filter), |id, outcome| {
                say(&mut first, id, outcome, output)
            })
            .await?;
        }
    }
    first.map_or(Ok(()), Err)
}

fn say(
    first: &mut Option<Failure>,
    id: JobId,
    outcome: Deleted,
    output: Output,
) -> Result<(), Failure> {
    let failure = match outcome {
        Deleted::Done => {
            let deleted = PerJob {
                id,
                status: Some("deleted".to_owned()),
                error: None,
            };
            return output.either(&deleted, || format!("{id} is deleted"));
        }
        Deleted::Unknown => Failure::not_found(id),
        Deleted::Unfinished(status) => Failure::new(
            Kind::Conflict,
            format!("{id} cannot be deleted: it is {status}; cancel it first"),
        ),
        Deleted::InWorkflow => Failure::new(
            Kind::Conflict,
            format!("{id} cannot be deleted: it is a task of a workflow, and goes with that"),
        ),
    };
    tell(first, id, failure, output)
}
