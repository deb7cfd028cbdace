//! `paceline limit`: how many jobs that carry a key run at once, and how many begin in a second.

use clap::{ArgGroup, Subcommand};
use paceline_client::{Holder, Limit, LimitUse, Rate};
use paceline_types::{JobId, UnixMillis};
use serde::Serialize;

use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::Globals;
use super::output::Output;
use super::table::Table;
use super::time::moment;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// Declare the limit of a key, in place of an earlier one
    #[command(group(ArgGroup::new("what").required(true).multiple(true).args(["max", "rate"])))]
    Set {
        /// The key that jobs carry
        key: String,
        /// Most jobs that run at once, over the cluster
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max: Option<u32>,
        /// Most jobs that begin in a second, over the cluster; such as 10 or 0.5
        #[arg(long, value_name = "PER_SECOND")]
        rate: Option<f64>,
        /// Most jobs that begin at once after a pause; by default the rate, rounded up
        #[arg(long, value_name = "N", requires = "rate")]
        burst: Option<u32>,
    },
    /// Show a limit, and the jobs that hold it
    Get {
        /// The key
        key: String,
    },
    /// List the limits that are declared
    List,
    /// Take a limit back: jobs that waited for it run
    Unset {
        /// The key
        key: String,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    key: &'a str,
    max: Option<u32>,
    rate: Option<f64>,
    burst: Option<u32>,
    holders: u64,
    waiting: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<Vec<Held>>,
}

#[derive(Serialize)]
struct Held {
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_until: Option<UnixMillis>,
}

#[derive(Serialize)]
struct Listed<'a> {
    limits: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Changed<'a> {
    key: &'a str,
    changed: bool,
}

/// Carries the command out.
pub(crate) async fn run(
    command: LimitCommand,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    match command {
        LimitCommand::Set {
            key,
            max,
            rate,
            burst,
        } => {
            let limit = Limit {
                concurrency: max,
                rate: rate_of(rate, burst)?,
            };
            client.set_limit(&key, limit).await?;
            let changed = Changed {
                key: &key,
                changed: true,
            };
            output.either(&changed, || format!("{key} limited"))
        }
        LimitCommand::Get { key } => {
            let (found, holders) = client.limit(&key).await?;
            output.either(&shown(&found, Some(&holders)), || sheet(&found, &holders))
        }
        LimitCommand::List => {
            let limits = client.limits().await?;
            let listed = Listed {
                limits: limits.iter().map(|found| shown(found, None)).collect(),
            };
            output.page(&listed, &table(&limits), None)
        }
        LimitCommand::Unset { key } => {
            if !client.remove_limit(&key).await? {
                let sentence = format!("no limit is declared for `{key}`");
                return Err(Failure::new(Kind::NotFound, sentence));
            }
            let changed = Changed {
                key: &key,
                changed: true,
            };
            output.either(&changed, || format!("{key} limited no more"))
        }
    }
}

fn rate_of(rate: Option<f64>, burst: Option<u32>) -> Result<Option<Rate>, Failure> {
    let Some(rate) = rate else { return Ok(None) };
    let rate = Rate::per_second(rate).and_then(|rate| match burst {
        Some(burst) => rate.with_burst(burst),
        None => Ok(rate),
    });
    rate.map(Some).map_err(Failure::usage)
}

fn shown<'a>(found: &'a LimitUse, holders: Option<&[Holder]>) -> Shown<'a> {
    let rate = found.limit.and_then(|limit| limit.rate);
    let held = |holder: &Holder| Held {
        job_id: holder.job,
        granted_until: holder.granted_until,
    };
    Shown {
        key: found.key.as_str(),
        max: found.limit.and_then(|limit| limit.concurrency),
        rate: rate.map(Rate::rate),
        burst: rate.map(Rate::burst),
        holders: found.holders,
        waiting: found.waiting,
        held_by: holders.map(|holders| holders.iter().map(held).collect()),
    }
}

/// A number, or a dash for what is not limited.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn table(limits: &[LimitUse]) -> Table {
    let mut table = Table::new(["KEY", "MAX", "RATE", "BURST", "HOLD IT", "WAIT"]);
    for found in limits {
        let it = shown(found, None);
        table.row([
            it.key.to_owned(),
            or_dash(it.max),
            or_dash(it.rate),
            or_dash(it.burst),
            it.holders.to_string(),
            it.waiting.to_string(),
        ]);
    }
    table
}

fn sheet(found: &LimitUse, holders: &[Holder]) -> String {
    let limits = table(std::slice::from_ref(found)).render();
    if holders.is_empty() {
        return limits;
    }
    let mut jobs = Table::new(["JOB", "STANDS"]);
    for holder in holders {
        let stands = match holder.granted_until {
            None => "runs".to_owned(),
            Some(until) => format!("is next, slot kept until {}", moment(until)),
        };
        jobs.row([holder.job.to_string(), stands]);
    }
    format!("{limits}\n\n{}", jobs.render())
}
