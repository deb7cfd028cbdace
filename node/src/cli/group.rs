//! `paceline group`: messages that are collected, and become one job together.

use std::time::Duration;

use clap::{Args, Subcommand};
use paceline_client::{FlushGroupError, PushError};
use paceline_types::{Group as Record, JobId};
use serde::Serialize;

use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::{Globals, PageOptions, parse_duration};
use super::output::Output;
use super::source;
use super::table::Table;
use super::time::moment;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Append a message to a group
    Push(Push),
    /// List the groups in which messages stand, page by page
    List {
        #[command(flatten)]
        page: PageOptions,
    },
    /// Make a job of what stands in a group now, before it is due
    Flush {
        /// Its name
        name: String,
    },
}

/// What is pushed.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The group
    name: String,
    /// Which handler runs the job that the group becomes
    task_type: String,
    /// JSON, or @FILE, or @- for standard input
    payload: String,
    /// The group becomes a job so long after its last message; 5s unless given
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    grace: Option<Duration>,
    /// The group becomes a job so long after its first message; 30s unless given
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    max_delay: Option<Duration>,
    /// The group becomes a job when so many messages stand; 100 unless given
    #[arg(long, value_name = "N")]
    max_size: Option<u32>,
}

#[derive(Serialize)]
struct Pushed<'a> {
    standing: usize,
    jobs: &'a [JobId],
}

#[derive(Serialize)]
struct Flushed {
    job: JobId,
}

#[derive(Serialize)]
struct Groups<'a> {
    groups: &'a [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Carries the command out.
pub(crate) async fn run(command: Group, globals: &Globals, output: Output) -> Result<(), Failure> {
    match command {
        Group::Push(push) => {
            let payload = source::json("PAYLOAD", &push.payload)?;
            let client = connect(globals).await?;
            let mut request = client.push_bytes(&push.name, &push.task_type, [payload]);
            if let Some(grace) = push.grace {
                request = request.grace(grace);
            }
            if let Some(delay) = push.max_delay {
                request = request.max_delay(delay);
            }
            if let Some(size) = push.max_size {
                request = request.max_size(size);
            }
            let pushed = request.await?;
            let (standing, jobs) = (pushed.standing, pushed.jobs.as_slice());
            output.either(&Pushed { standing, jobs }, || told(standing, jobs))
        }
        Group::List { page } => {
            let mut list = connect(globals).await?.groups().limit(page.limit);
            if let Some(cursor) = page.cursor {
                list = list.after(cursor);
            }
            let page = list.await?;
            let (groups, next) = (page.items.as_slice(), page.next.as_deref());
            output.page(&Groups { groups, next }, &table(groups), next)
        }
        Group::Flush { name } => {
            let job = connect(globals).await?.flush_group(&name).await?;
            output.either(&Flushed { job }, || job.to_string())
        }
    }
}

/// Jobs that were made, a line each, and what stands.
fn told(standing: usize, jobs: &[JobId]) -> String {
    let made = jobs.iter().map(ToString::to_string);
    let stand = match standing {
        0 => None,
        1 => Some("1 message stands".to_owned()),
        more => Some(format!("{more} messages stand")),
    };
    made.chain(stand).collect::<Vec<_>>().join("\n")
}

fn table(groups: &[Record]) -> Table {
    let mut table = Table::new(["NAME", "TASK TYPE", "MESSAGES", "BYTES", "FIRST", "DUE"]);
    for group in groups {
        table.row([
            group.name.to_string(),
            group.task_type.to_string(),
            group.messages.to_string(),
            group.bytes.to_string(),
            moment(group.first_at),
            moment(group.due_at),
        ]);
    }
    table
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Failure {
        let kind = match error {
            PushError::Differs { .. } => Kind::Conflict,
            PushError::Store(_) | PushError::Partly { .. } => Kind::Redis,
            _ => Kind::Usage,
        };
        Failure::new(kind, error)
    }
}

impl From<FlushGroupError> for Failure {
    fn from(error: FlushGroupError) -> Failure {
        let kind = match error {
            FlushGroupError::Name(_) => Kind::Usage,
            FlushGroupError::Empty { .. } => Kind::NotFound,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}
