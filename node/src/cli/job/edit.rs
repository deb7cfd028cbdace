//! `paceline job edit`.

use paceline_types::JobId;

use super::tell::PerJob;
use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::source;

/// Replaces the payload of a job that waits.
pub(super) async fn run(
    id: JobId,
    payload: &str,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let payload = source::json("PAYLOAD", payload)?;
    let client = connect(globals).await?;
    client.edit_payload(id, payload).await?;
    let edited = PerJob {
        id,
        status: Some("edited".to_owned()),
        error: None,
    };
    output.either(&edited, || format!("{id} has a new payload"))
}
