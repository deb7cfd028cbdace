//! `paceline job audit`: what happened to a job.

use paceline_client::AuditError;
use paceline_types::JobId;
use paceline_types::audit::{Audit, AuditSource};

use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::table::{Table, shortened};
use crate::cli::time::moment;

/// Characters of an error in the table.
const ERROR_WIDTH: usize = 60;

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        let kind = match error {
            AuditError::Unknown { .. } => Kind::NotFound,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}

/// Shows the trail of one job.
pub(super) async fn run(id: JobId, globals: &Globals, output: Output) -> Result<(), Failure> {
    let audit = connect(globals).await?.audit(id).await?;
    output.page(&audit, &table(&audit), None)?;
    match audit.source {
        AuditSource::Log => output.note(if audit.complete {
            "not an audited job: this is what the event log holds, and all of it is there"
        } else {
            "not an audited job: this is what the event log still holds; submit with --audit to \
             keep everything"
        }),
        AuditSource::Trail if !audit.complete => {
            output.note("the trail is not complete: events were cut before they were copied to it");
        }
        AuditSource::Trail => {}
    }
    Ok(())
}

fn table(audit: &Audit) -> Table {
    let mut table = Table::new(["TIME", "EVENT", "FROM", "TO", "ATTEMPT", "NODE", "ERROR"]);
    for entry in &audit.entries {
        let status = |status: Option<paceline_types::JobStatus>| {
            status.map_or_else(String::new, |status| status.to_string())
        };
        table.row([
            moment(entry.time),
            entry.event.to_string(),
            status(entry.from),
            status(entry.to),
            entry
                .attempt
                .map_or_else(String::new, |attempt| attempt.to_string()),
            entry.node.map_or_else(String::new, |node| node.to_string()),
            shortened(entry.error.as_deref().unwrap_or_default(), ERROR_WIDTH),
        ]);
    }
    table
}
