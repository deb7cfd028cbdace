//! `shell`: runs a program or a script of the node's machine.
//!
//! Only served where the node was started with `--allow-shell`, since whoever may submit jobs may
//! then run programs there.
//!
//! * Standard input is the payload's `input` (a JSON string as its text, anything else as JSON);
//!   without one, the input of the workflow. With upstream results (`result_from`) it is the JSON
//!   object `{"input": …, "upstream": …}`, as a hook `{"input": …, "workflow": …}`.
//! * Standard output that is JSON becomes the result as JSON; anything else becomes a JSON string,
//!   without the newlines at its end. So a script that prints `{"route":1}` is a condition, and one
//!   that prints `{"tasks":[…]}` a subflow.
//! * Exit status 0 completes the job, any other fails it: for now, or for good where
//!   `permanent_exit_codes` names it.
//! * The program and whatever it started form one process group, which ends with the run.

mod group;
mod output;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobError, MAX_PAYLOAD_CEILING, Outcome, duration};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

use self::group::Group;
use super::payload::{self, Given, handed_on};
use super::run::Run;

/// Standard output that is kept unless the payload's `output_limit` says otherwise: 256 KiB, the
/// default limit of a result.
const OUTPUT_LIMIT: usize = paceline_types::DEFAULT_MAX_PAYLOAD;

/// Payload of `shell`: either `argv` or `script`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Shell {
    /// The program and its arguments.
    argv: Option<Vec<String>>,
    /// A script, handed to `shell` with `-c`.
    script: Option<String>,
    /// Which shell runs the script; `sh` unless given.
    shell: Option<String>,
    /// Set in addition to the environment of the node.
    env: BTreeMap<String, String>,
    /// Where it runs; the folder of the node unless given.
    cwd: Option<PathBuf>,
    /// Longest execution; the job's own timeout holds as well.
    #[serde(with = "duration::option")]
    timeout: Option<Duration>,
    /// Given on standard input.
    input: Option<Box<RawValue>>,
    /// Most bytes of standard output, up to 8 MiB; more is an error.
    output_limit: Option<usize>,
    /// Exit codes that fail the job for good.
    permanent_exit_codes: Vec<i32>,
}

impl Shell {
    fn command(&self) -> Result<Command, JobError> {
        let wrong = |problem| payload::wrong("shell", problem);
        match (self.argv.as_deref(), &self.script) {
            (Some([program, arguments @ ..]), None) => {
                if self.shell.is_some() {
                    return Err(wrong("`shell` with `argv`; it goes with `script`"));
                }
                let mut command = Command::new(program);
                command.args(arguments);
                Ok(command)
            }
            (Some([]), None) => Err(wrong("an empty `argv`; its first entry is the program")),
            (None, Some(script)) => {
                let mut command = Command::new(self.shell.as_deref().unwrap_or("sh"));
                command.args(["-c", script]);
                Ok(command)
            }
            (Some(_), Some(_)) => Err(wrong("both `argv` and `script`; give one of them")),
            (None, None) => Err(wrong(
                r#"a payload without `argv` and `script`; give one, such as {"script":"date"}"#,
            )),
        }
    }

    fn output_limit(&self) -> Result<usize, JobError> {
        match self.output_limit.unwrap_or(OUTPUT_LIMIT) {
            limit @ 1..=MAX_PAYLOAD_CEILING => Ok(limit),
            limit => Err(payload::wrong(
                "shell",
                &format!("an `output_limit` of {limit}; use 1 to {MAX_PAYLOAD_CEILING} bytes"),
            )),
        }
    }
}

/// Runs the program of the payload to its end.
pub(super) async fn run(
    run: &Run,
    payload: &[u8],
    workflow_input: impl AsyncFnOnce() -> Result<Option<Bytes>, JobError>,
    cancelled: impl Future<Output = ()>,
) -> Outcome {
    let Given { spec, beside } = payload::read::<Shell>("shell", payload)?;
    let mut command = spec.command()?;
    let limit = spec.output_limit()?;
    let default_input = match spec.input {
        Some(_) => None,
        None => workflow_input().await?.and_then(as_raw),
    };
    let input = spec.input.as_deref().or(default_input.as_deref());
    let stdin = handed_on(input, beside.as_ref()).unwrap_or_default();

    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .envs(run.environment())
        .envs(&spec.env)
        .process_group(0);
    if let Some(folder) = &spec.cwd {
        command.current_dir(folder);
    }
    let mut child = command.spawn().map_err(|error| {
        let program = command.as_std().get_program().to_string_lossy();
        let folder = match &spec.cwd {
            Some(folder) => format!(" in {}", folder.display()),
            None => String::new(),
        };
        JobError::retryable(format!("cannot start `{program}`{folder}: {error}"))
    })?;
    let mut group = Group::of(&child);
    let feeding = feed(child.stdin.take(), stdin);
    let stdout = output::head(child.stdout.take(), limit);
    let stderr = output::tail(child.stderr.take());
    let work = async {
        // All four at once: a program may fill one pipe while it waits for another. What exceeds
        // the limit ends the run at once, as nobody would read the rest.
        let ending = async {
            let status = child.wait().await;
            // What it left in the background would hold the pipes open and outlive the run.
            group.kill();
            status
        };
        let (status, stdout, stderr, ()) = tokio::try_join!(
            async { ending.await.map_err(Broken::from) },
            stdout,
            async { Ok(stderr.await) },
            async {
                feeding.await;
                Ok(())
            },
        )?;
        Ok::<_, Broken>((status, stdout, stderr))
    };
    let time_limit = async {
        match spec.timeout {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        ended = work => return conclude(ended, limit, &spec.permanent_exit_codes),
        limit = time_limit => JobError::TimedOut(limit),
        () = cancelled => JobError::retryable("cancelled, and the program was stopped"),
    };
    group.stop(&mut child).await;
    Err(stopped)
}

/// What cut a run short from inside.
enum Broken {
    TooMuch,
    Io(std::io::Error),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Broken::Io(error)
    }
}

/// A program need not read what it is given, so a broken pipe is no error.
async fn feed(stdin: Option<ChildStdin>, input: Bytes) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&input).await;
    }
}

/// Inputs of workflows are JSON; what is not goes as text.
fn as_raw(input: Bytes) -> Option<Box<RawValue>> {
    serde_json::from_slice::<Box<RawValue>>(&input)
        .or_else(|_| serde_json::value::to_raw_value(&String::from_utf8_lossy(&input)))
        .ok()
}

fn conclude(
    ended: Result<(ExitStatus, Vec<u8>, String), Broken>,
    limit: usize,
    permanent: &[i32],
) -> Outcome {
    let (status, stdout, stderr) = match ended {
        Ok(ended) => ended,
        Err(Broken::TooMuch) => {
            return Err(JobError::permanent(format!(
                "standard output is longer than {limit} bytes; write large results to a file and \
                 print its name, or raise `output_limit`"
            )));
        }
        Err(Broken::Io(error)) => return Err(error.into()),
    };
    if status.success() {
        return Ok(output::as_result(&stdout));
    }
    // `exit status: 3` and `signal: 9 (SIGKILL)`, as the standard library says it.
    let mut error = status.to_string();
    if !stderr.is_empty() {
        error = format!("{error}: {stderr}");
    }
    match status.code() {
        Some(code) if permanent.contains(&code) => Err(JobError::permanent(error)),
        _ => Err(JobError::retryable(error)),
    }
}
