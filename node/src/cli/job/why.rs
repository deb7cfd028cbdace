//! `paceline job why`: what stands in the way of a job.

use paceline_client::{WhyError, WhyTarget};
use paceline_types::JobId;
use paceline_types::JobStatus;
use paceline_types::why::Reason;
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::show;

impl From<WhyError> for Failure {
    fn from(error: WhyError) -> Failure {
        let kind = match error {
            WhyError::Unknown(_) | WhyError::NoSuchTask { .. } => Kind::NotFound,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    status: JobStatus,
    at: u64,
    reasons: Vec<Sentence<'a>>,
}

#[derive(Serialize)]
struct Sentence<'a> {
    #[serde(flatten)]
    reason: &'a Reason,
    text: String,
}

/// Says why one job, or one task of a workflow, is not running.
pub(super) async fn run(
    target: WhyTarget,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let why = connect(globals).await?.why(target.clone()).await?;
    let sentence = |reason| Sentence {
        reason,
        text: Reason::sentence(reason, why.at),
    };
    let told = Told {
        job: why.job,
        status: why.status,
        at: why.at,
        reasons: why.reasons.iter().map(sentence).collect(),
    };
    output.either(&told, || {
        let mut text = format!("{target} is {}", show::job_status(output, why.status));
        for sentence in &told.reasons {
            text = format!("{text}\n- {}", sentence.text);
        }
        text
    })
}
