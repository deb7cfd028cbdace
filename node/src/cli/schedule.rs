//! `paceline schedule`: what starts by itself.

mod form;
mod tell;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use paceline_client::{Applied, Client, OverlapPolicy, PutScheduleError, ScheduleError};
use paceline_types::schedule::Firing;
use paceline_types::scheduled::{FiringCounts, JobTemplate};
use paceline_types::{Schedule, ScheduleDefinition, ScheduleId, UnixMillis};
use serde::Serialize;

use self::form::ScheduleOptions;
use super::connect::connect;
use super::each::each;
use super::failure::{Failure, Kind};
use super::job::JobOptions;
use super::options::{FileArgument, Globals, PageOptions};
use super::output::Output;
use super::{source, time};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Create a schedule, or change the one of this id
    Create(Box<Create>),
    /// Create or change the schedule of a file
    Apply {
        #[command(flatten)]
        file: FileArgument,
    },
    /// List schedules, page by page
    List {
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show a schedule
    Get {
        /// Its id
        id: ScheduleId,
    },
    /// Let schedules fire nothing until they are resumed
    Pause {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<ScheduleId>,
    },
    /// Let schedules go on, from now
    Resume {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<ScheduleId>,
    },
    /// Delete schedules; runs of them go on
    Delete {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<ScheduleId>,
    },
    /// Fire a schedule once now, beside its own times
    Run {
        /// Its id
        id: ScheduleId,
        /// In place of its own: ALLOW_ALL, SKIP, BUFFER_ONE, BUFFER_ALL or REPLACE
        #[arg(long, value_parser = overlap_policy, value_name = "POLICY")]
        overlap: Option<OverlapPolicy>,
    },
    /// Fire what a schedule names in a range of time; at most 100 firings
    Backfill {
        /// Its id
        id: ScheduleId,
        /// Beginning of the range, such as 2030-01-31T09:00:00Z
        #[arg(value_parser = time::parse_moment)]
        start: UnixMillis,
        /// End of the range, included
        #[arg(value_parser = time::parse_moment)]
        end: UnixMillis,
        /// In place of its own: ALLOW_ALL, SKIP, BUFFER_ONE, BUFFER_ALL or REPLACE
        #[arg(long, value_parser = overlap_policy, value_name = "POLICY")]
        overlap: Option<OverlapPolicy>,
    },
    /// Say when a schedule fires next; of one that is described here without asking Redis
    Next(Box<Next>),
}

/// A schedule and its job.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its id
    id: ScheduleId,
    #[command(flatten)]
    schedule: ScheduleOptions,
    #[command(flatten)]
    job: JobOptions,
}

/// Which firings to tell.
#[derive(Debug, Args)]
pub(crate) struct Next {
    /// The id of a schedule; none for one that is described by options or a file
    #[arg(conflicts_with_all = ["which", "file"])]
    id: Option<ScheduleId>,
    /// How many firings
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// The schedule of a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "which")]
    file: Option<PathBuf>,
    #[command(flatten)]
    schedule: ScheduleOptions,
}

#[derive(Serialize)]
struct Told<'a> {
    id: &'a ScheduleId,
    status: &'a str,
}

#[derive(Serialize)]
struct ById<'a> {
    id: &'a ScheduleId,
    #[serde(flatten)]
    counts: FiringCounts,
    firings: u64,
}

/// Carries the command out.
pub(crate) async fn run(
    command: ScheduleCommand,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    match command {
        ScheduleCommand::Create(create) => {
            let definition = create.definition()?;
            apply(&connect(globals).await?, definition, output).await
        }
        ScheduleCommand::Apply { file } => {
            let definition = source::schedule(&file.file)?;
            let name = source::name_of(&file.file);
            let applied = apply(&connect(globals).await?, definition, output).await;
            applied.map_err(|failure| match failure.kind {
                Kind::Usage => Failure::usage(format!("{name}: {}", failure.sentence)),
                _ => failure,
            })
        }
        ScheduleCommand::List { page } => {
            let client = connect(globals).await?;
            let mut list = client.schedules().limit(page.limit);
            if let Some(cursor) = page.cursor {
                list = list.after(cursor);
            }
            tell::list(output, &list.await?)
        }
        ScheduleCommand::Get { id } => {
            let info = connect(globals).await?.schedule_info(&id).await?;
            output.either(&info, || tell::schedule(output, &info))
        }
        ScheduleCommand::Pause { ids } => {
            each(&ids, globals, output, async |client, id| {
                let done = client.pause_schedule(id).await;
                done.map(|()| ("paused", "is paused"))
            })
            .await
        }
        ScheduleCommand::Resume { ids } => {
            each(&ids, globals, output, async |client, id| {
                let done = client.resume_schedule(id).await;
                done.map(|()| ("active", "is active"))
            })
            .await
        }
        ScheduleCommand::Delete { ids } => {
            each(&ids, globals, output, async |client, id| {
                let done = client.delete_schedule(id).await;
                done.map(|()| ("deleted", "is deleted"))
            })
            .await
        }
        ScheduleCommand::Run { id, overlap } => {
            let client = connect(globals).await?;
            let fire = client.run_schedule(&id);
            let counts = match overlap {
                Some(policy) => fire.overlap(policy).await?,
                None => fire.await?,
            };
            told_counts(output, &id, counts)
        }
        ScheduleCommand::Backfill {
            id,
            start,
            end,
            overlap,
        } => {
            let client = connect(globals).await?;
            let fire = client.backfill_schedule(&id, start, end);
            let counts = match overlap {
                Some(policy) => fire.overlap(policy).await?,
                None => fire.await?,
            };
            told_counts(output, &id, counts)
        }
        ScheduleCommand::Next(next) => next.run(globals, output).await,
    }
}

async fn apply(
    client: &Client,
    definition: ScheduleDefinition,
    output: Output,
) -> Result<(), Failure> {
    let id = definition.id.clone();
    let status = match client.apply_schedule(definition).await? {
        Applied::Created => "created",
        Applied::Updated => "updated",
        Applied::Unchanged => "unchanged",
    };
    let told = Told { id: &id, status };
    output.either(&told, || format!("{id} is {status}"))
}

fn told_counts(output: Output, id: &ScheduleId, counts: FiringCounts) -> Result<(), Failure> {
    let told = ById {
        id,
        counts,
        // What was dropped had waited before.
        firings: counts.fired + counts.skipped + counts.buffered,
    };
    output.either(&told, || tell::counts(counts))
}

fn overlap_policy(text: &str) -> Result<OverlapPolicy, String> {
    let policies = [
        OverlapPolicy::AllowAll,
        OverlapPolicy::Skip,
        OverlapPolicy::BufferOne,
        OverlapPolicy::BufferAll,
        OverlapPolicy::Replace,
    ];
    let wanted = text.to_ascii_uppercase().replace('-', "_");
    let found = policies
        .into_iter()
        .find(|policy| policy.as_str() == wanted);
    found.ok_or_else(|| {
        format!("`{text}` is not an overlap policy; use ALLOW_ALL, SKIP, BUFFER_ONE, BUFFER_ALL or REPLACE")
    })
}

impl Create {
    fn definition(self) -> Result<ScheduleDefinition, Failure> {
        let Some(schedule) = self.schedule.schedule()? else {
            return Err(Failure::usage(
                "nothing says when it fires; give one of --every, --cron, --daily, --weekly, \
                 --monthly, --run-at or --now",
            ));
        };
        let spec = self.job.request()?.into_spec().map_err(Failure::usage)?;
        let job = JobTemplate::from_spec(&spec).map_err(Failure::usage)?;
        Ok(ScheduleDefinition {
            id: self.id,
            schedule,
            job,
            provider: None,
        })
    }
}

impl Next {
    async fn run(self, globals: &Globals, output: Output) -> Result<(), Failure> {
        let count = usize::from(self.count);
        let described = match (&self.file, self.schedule.schedule()?) {
            (Some(path), _) => Some(source::schedule(path)?.schedule),
            (None, schedule) => schedule,
        };
        let (zone, firings) = match (&self.id, described) {
            (Some(id), _) => {
                let client = connect(globals).await?;
                let zone = client.schedule_info(id).await?.definition.schedule.timezone;
                (zone, client.next_firings(id, count).await?)
            }
            (None, Some(schedule)) => {
                // Nothing is decided here: these firings are shown.
                let firings = upcoming(&schedule, time::now(), count)?;
                (schedule.timezone, firings)
            }
            (None, None) => {
                return Err(Failure::usage(
                    "say which schedule: its id, --file FILE, or options such as --cron '0 9 * * *'",
                ));
            }
        };
        tell::firings(output, zone, &firings)
    }
}

fn upcoming(schedule: &Schedule, now: UnixMillis, count: usize) -> Result<Vec<Firing>, Failure> {
    let mistakes = schedule.check(now);
    if !mistakes.is_empty() {
        let sentences: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        return Err(Failure::usage(sentences.join("; ")));
    }
    let Some(first) = schedule.first(now) else {
        return Ok(Vec::new());
    };
    let rest = schedule.firings(first.at, UnixMillis::MAX, now);
    Ok(std::iter::once(first).chain(rest).take(count).collect())
}

impl From<PutScheduleError> for Failure {
    fn from(error: PutScheduleError) -> Failure {
        let kind = match error {
            PutScheduleError::Store(_) => Kind::Redis,
            PutScheduleError::Owned { .. } | PutScheduleError::Contended { .. } => Kind::Conflict,
            _ => Kind::Usage,
        };
        Failure::new(kind, error)
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Failure {
        let kind = match error {
            ScheduleError::Unknown { .. } => Kind::NotFound,
            ScheduleError::Store(_) => Kind::Redis,
            ScheduleError::Contended { .. } => Kind::Conflict,
            _ => Kind::Usage,
        };
        Failure::new(kind, error)
    }
}
