//! What the commands that act on several jobs say of each.

use paceline_types::JobId;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// One job of several, as JSON.
#[derive(Serialize)]
pub(super) struct PerJob<'a> {
    pub(super) id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
}

/// Keeps the first failure for the end, and says the others on the way.
pub(super) fn tell(
    first: &mut Option<Failure>,
    id: JobId,
    failure: Failure,
    output: Output,
) -> Result<(), Failure> {
    if output.is_json() {
        output.json(&PerJob {
            id,
            status: None,
            error: Some(&failure.sentence),
        })?;
    }
    match first {
        None => *first = Some(failure),
        Some(_) => output.note(&format!("error: {}", failure.sentence)),
    }
    Ok(())
}
