//! The frame of every measurement: a fresh stage, references before and after, again and again.
//!
//! A run whose references show that something else used the machine is done once more. Only the
//! references decide that, never what was measured.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::options::Globals;
use super::common::Common;
use super::report::{Report, Sheet, least_disturbed};
use super::stage::{Stage, is_private};

/// A reference by which a run is judged.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// What a workload is given for one run.
pub(super) struct Run<'a> {
    pub(super) stage: &'a Stage,
    pub(super) common: &'a Common,
    /// Differs from run to run, and follows from the one that was asked for.
    pub(super) seed: u64,
}

/// Measures a workload as often as was asked for.
///
/// `facts` are what the workload was told, for the environment.
pub(super) async fn measured(
    common: &Common,
    globals: &Globals,
    facts: Value,
    workload: impl AsyncFn(&Run<'_>, &mut Sheet) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let first_seed = common
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut environment = Map::new();
    let mut sheets = Vec::new();
    let mut undisturbed = 0;
    for index in 0..most_runs(common, globals) {
        let stage = Stage::open(common, globals).await?;
        let run = Run {
            stage: &stage,
            common,
            seed: first_seed.wrapping_add(u64::from(index)),
        };
        if index == 0 {
            environment = environment_of(&run, globals, &facts);
        }
        let sheet = one(&run, &workload).await;
        let closed = stage.close().await;
        let sheet = sheet?;
        closed?;
        undisturbed += u32::from(sheet.is_undisturbed());
        sheets.push(sheet);
        if undisturbed == common.runs {
            break;
        }
    }
    environment.insert("undisturbed_runs".to_owned(), undisturbed.into());
    let runs = usize::try_from(common.runs).unwrap_or(usize::MAX);
    Ok(Report::of(environment, &least_disturbed(sheets, runs)))
}

/// Runs at the most. References that are too short to judge by, or of a server that a client may
/// be too far from to saturate, do not make it repeat any.
fn most_runs(common: &Common, globals: &Globals) -> u32 {
    if common.reference >= LONG_ENOUGH && is_private(globals) {
        common.runs.saturating_mul(2)
    } else {
        common.runs
    }
}

async fn one(
    run: &Run<'_>,
    workload: &impl AsyncFn(&Run<'_>, &mut Sheet) -> Result<(), Failure>,
) -> Result<Sheet, Failure> {
    let mut sheet = Sheet::default();
    let before = run.stage.references(run.common).await?;
    workload(run, &mut sheet).await?;
    let after = run.stage.references(run.common).await?;
    // Against a reference that wrote to disk as well.
    let suffix = if run.stage.facts.append_only {
        "_aof"
    } else {
        ""
    };
    Ok(sheet.finish(&before, &after, suffix))
}

fn environment_of(run: &Run<'_>, globals: &Globals, facts: &Value) -> Map<String, Value> {
    let common = run.common;
    let told = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "redis_version": run.stage.facts.version,
        "append_only": run.stage.facts.append_only,
        "private_server": is_private(globals),
        "cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "shards": run.stage.store.shards(),
        "primaries": common.primaries,
        "payload_bytes": common.payload,
        "concurrency": common.concurrency,
        "runs": common.runs,
        "seed": run.seed,
    });
    [&told, facts]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(Map::clone)
        .filter(|(_, value)| !value.is_null())
        .collect()
}
