//! `paceline bench references`: what the Redis does without Paceline.

use clap::Args;
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::Globals;
use super::common::Common;
use super::latency::PROBE_EVERY;
use super::report::Report;
use super::runs::measured;
use super::statistics::Sorted;

/// What `paceline bench references` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReferencesAlone {
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(
    options: &ReferencesAlone,
    globals: &Globals,
) -> Result<Report, Failure> {
    let common = &options.common;
    measured(common, globals, json!({}), async |run, sheet| {
        let probe = run.stage.store.probe(PROBE_EVERY, common.payload)?;
        tokio::time::sleep(common.reference).await;
        let set = Sorted::new(probe.end().await?);
        sheet.references.set("set_p50_us", set.percentile_us(0.5));
        sheet.references.set("set_p99_us", set.percentile_us(0.99));
        Ok(())
    })
    .await
}
