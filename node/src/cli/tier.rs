//! `paceline tier` and `paceline type`: what is claimed, and how fast.

use clap::{ArgGroup, Subcommand, ValueEnum};
use paceline_types::Tier;
use serde::Serialize;

use super::connect::connect;
use super::failure::Failure;
use super::limit::or_dash;
use super::options::Globals;
use super::output::Output;
use super::table::Table;

/// A tier by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TierName {
    /// Priorities 8 to 10
    High,
    /// Priorities 3 to 7
    Normal,
    /// Priorities 1 and 2
    Low,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Tier {
        match name {
            TierName::High => Tier::High,
            TierName::Normal => Tier::Normal,
            TierName::Low => Tier::Low,
        }
    }
}

/// The commands about tiers.
#[derive(Debug, Subcommand)]
pub(crate) enum TierCommand {
    /// List the tiers with what waits in them
    List,
    /// Let no node begin a job of a tier; jobs are accepted as before
    Pause {
        /// Which
        tier: TierName,
    },
    /// Let nodes begin jobs of a tier again
    Resume {
        /// Which
        tier: TierName,
    },
    /// Limit how many jobs of a tier begin in a second, over the cluster
    #[command(group(ArgGroup::new("what").required(true).args(["rate", "no_rate"])))]
    Set {
        /// Which
        tier: TierName,
        /// Jobs a second, such as 100 or 0.5; each shard has an equal share
        #[arg(long, value_name = "PER_SECOND")]
        rate: Option<f64>,
        /// Lift the limit
        #[arg(long)]
        no_rate: bool,
    },
}

/// The commands about task types.
#[derive(Debug, Subcommand)]
pub(crate) enum TypeCommand {
    /// List the task types that are paused, and those of which jobs wait
    List,
    /// Let no node begin a job of a task type; jobs are accepted as before
    Pause {
        /// Which
        task_type: String,
    },
    /// Let nodes begin jobs of a task type again
    Resume {
        /// Which
        task_type: String,
    },
}

#[derive(Serialize)]
struct ShownTier {
    tier: Tier,
    paused: bool,
    rate: Option<f64>,
    waiting: u64,
}

#[derive(Serialize)]
struct Tiers {
    tiers: Vec<ShownTier>,
}

#[derive(Serialize)]
struct ShownType {
    task_type: String,
    paused: bool,
    waiting: u64,
}

#[derive(Serialize)]
struct Types {
    types: Vec<ShownType>,
}

#[derive(Serialize)]
struct Changed {
    changed: bool,
}

fn state(paused: bool) -> String {
    if paused { "paused" } else { "open" }.to_owned()
}

fn told(output: Output, what: &str, done: &str, changed: bool) -> Result<(), Failure> {
    output.either(&Changed { changed }, || match changed {
        true => format!("{what} {done}"),
        false => format!("{what} was {done} already"),
    })
}

/// Carries a command about tiers out.
pub(crate) async fn run(
    command: TierCommand,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    match command {
        TierCommand::List => {
            let mut table = Table::new(["TIER", "STATE", "RATE", "WAIT"]);
            let mut tiers = Vec::new();
            for it in client.tiers().await? {
                table.row([
                    it.tier.to_string(),
                    state(it.paused),
                    or_dash(it.rate),
                    it.waiting.to_string(),
                ]);
                tiers.push(ShownTier {
                    tier: it.tier,
                    paused: it.paused,
                    rate: it.rate,
                    waiting: it.waiting,
                });
            }
            output.page(&Tiers { tiers }, &table, None)
        }
        TierCommand::Pause { tier } => {
            let tier = Tier::from(tier);
            let changed = client.pause_tier(tier).await?;
            told(output, &tier.to_string(), "paused", changed)
        }
        TierCommand::Resume { tier } => {
            let tier = Tier::from(tier);
            let changed = client.resume_tier(tier).await?;
            told(output, &tier.to_string(), "open", changed)
        }
        TierCommand::Set { tier, rate, .. } => {
            let tier = Tier::from(tier);
            client.set_tier(tier, rate).await?;
            output.either(&Changed { changed: true }, || match rate {
                Some(rate) => format!("{tier} limited to {rate} a second"),
                None => format!("{tier} limited no more"),
            })
        }
    }
}

/// Carries a command about task types out.
pub(crate) async fn run_type(
    command: TypeCommand,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    match command {
        TypeCommand::List => {
            let mut table = Table::new(["TASK TYPE", "STATE", "WAIT"]);
            let mut types = Vec::new();
            for it in client.types().await? {
                let task_type = it.task_type.to_string();
                table.row([task_type.clone(), state(it.paused), it.waiting.to_string()]);
                types.push(ShownType {
                    task_type,
                    paused: it.paused,
                    waiting: it.waiting,
                });
            }
            output.page(&Types { types }, &table, None)
        }
        TypeCommand::Pause { task_type } => {
            let changed = client.pause_type(&task_type).await?;
            told(output, &task_type, "paused", changed)
        }
        TypeCommand::Resume { task_type } => {
            let changed = client.resume_type(&task_type).await?;
            told(output, &task_type, "open", changed)
        }
    }
}
