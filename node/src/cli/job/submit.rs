//! `paceline job submit`.

use std::time::Duration;

use clap::Args;
use paceline_client::{JobHandle, JobRequest, Untyped};
use paceline_types::{JobId, JobStatus, Priority, RetryPolicy};
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::{Globals, parse_duration};
use crate::cli::output::Output;
use crate::cli::{show, source};

/// A job, and what only a single one has.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    job: JobOptions,
    /// Run it after this long, such as 30s
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    delay: Option<Duration>,
    /// Refused while an unfinished job holds the same key
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// A repeat with the same key within 24 h returns the first job
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until the job has ended, and show its result
    #[arg(long)]
    wait: bool,
}

/// What a job is made of; also that of a schedule.
#[derive(Debug, Args)]
pub(crate) struct JobOptions {
    /// Which handler runs it, such as echo
    task_type: String,
    /// JSON for the handler, or @FILE, or @- for standard input
    payload: Option<String>,
    /// 1 (low) to 10 (critical); 5 unless given
    #[arg(long)]
    priority: Option<i64>,
    /// Label to list jobs by; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// For the handler; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = name_and_value)]
    headers: Vec<(String, String)>,
    /// Longest execution of one attempt
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// Executions in all, failed ones included; 3 unless given
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Only nodes that serve this version of the handler run it
    #[arg(long, value_name = "VERSION")]
    handler_version: Option<String>,
    /// Dead after this many failures, even if more attempts are allowed
    #[arg(long, value_name = "N")]
    dlq_after: Option<u32>,
    /// Key of a limit that it shares with others; may be repeated
    #[arg(long = "limit", value_name = "KEY")]
    limits: Vec<String>,
    /// Dead when it has not started so long after it was dispatched
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    schedule_to_start_timeout: Option<Duration>,
    /// Dead when it has not ended so long after its first start, retries included
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    max_duration: Option<Duration>,
    /// A run fails when its handler gives no sign of life for so long
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    heartbeat_timeout: Option<Duration>,
    /// How long the job is kept after it completed; 0s for ever
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    retention: Option<Duration>,
    /// Keep its events with it, to be read with `job audit`
    #[arg(long)]
    audit: bool,
}

#[derive(Serialize)]
struct Submitted {
    id: JobId,
    created: bool,
}

/// Carries the command out.
pub(super) async fn run(submit: Submit, globals: &Globals, output: Output) -> Result<(), Failure> {
    let request = submit.request()?;
    let client = connect(globals).await?;
    let handle = client.submit_request::<Untyped>(request).await?;
    if submit.wait {
        return show_end(&handle, output).await;
    }
    let submitted = Submitted {
        id: handle.id(),
        created: handle.created(),
    };
    output.either(&submitted, || handle.id().to_string())
}

/// Waits for the end, shows the result, and fails as the job failed.
async fn show_end(handle: &JobHandle<Untyped>, output: Output) -> Result<(), Failure> {
    let job = handle.wait().await?;
    output.either(&job, || {
        job.result.as_ref().map(show::bytes).unwrap_or_default()
    })?;
    if job.status == JobStatus::Completed {
        return Ok(());
    }
    let error = job.last_error.as_deref().unwrap_or("no reason was given");
    let sentence = format!("{} is {}: {error}", job.id, job.status);
    Err(Failure::new(Kind::Outcome, sentence))
}

impl Submit {
    fn request(&self) -> Result<JobRequest, Failure> {
        let mut request = self.job.request()?;
        if let Some(delay) = self.delay {
            request = request.delay(delay);
        }
        if let Some(key) = &self.unique {
            request = request.unique(key);
        }
        if let Some(key) = &self.idempotency_key {
            request = request.idempotency_key(key);
        }
        // What is wrong by itself is told without asking Redis.
        request.clone().into_spec().map_err(Failure::usage)?;
        Ok(request)
    }
}

impl JobOptions {
    /// The job that they describe, not checked yet.
    pub(crate) fn request(&self) -> Result<JobRequest, Failure> {
        let payload = match &self.payload {
            Some(payload) => source::json("PAYLOAD", payload)?,
            None => "null".to_owned(),
        };
        let mut request = JobRequest::bytes(&self.task_type, payload).tags(&self.tags);
        if let Some(priority) = self.priority {
            request = request.priority(Priority::new(priority));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if let Some(max_attempts) = self.max_attempts {
            request = request.retry_policy(RetryPolicy {
                max_attempts,
                ..RetryPolicy::default()
            });
        }
        if let Some(version) = &self.handler_version {
            request = request.version(version);
        }
        for key in &self.limits {
            request = request.limit(key);
        }
        if let Some(failures) = self.dlq_after {
            request = request.dlq_after(failures);
        }
        if let Some(timeout) = self.schedule_to_start_timeout {
            request = request.schedule_to_start_timeout(timeout);
        }
        if let Some(limit) = self.max_duration {
            request = request.max_duration(limit);
        }
        if let Some(timeout) = self.heartbeat_timeout {
            request = request.heartbeat_timeout(timeout);
        }
        if let Some(retention) = self.retention {
            request = request.retention(retention);
        }
        if self.audit {
            request = request.audited();
        }
        Ok(request)
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
