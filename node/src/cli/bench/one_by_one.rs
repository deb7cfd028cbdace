//! One workflow after another on an idle cluster: `--one`.

use std::time::{Duration, Instant};

use super::super::failure::{Failure, Kind};
use super::chance::Chance;
use super::latency::PROBE_EVERY;
use super::report::Sheet;
use super::runs::Run;
use super::shape::{Shape, result};
use super::stage::Stage;
use super::statistics::{Sorted, ratio};
use super::workers::node_here;

/// Workflows between two looks at what a SET takes. It is looked at by turns, as a SET beside a
/// workflow waits for the workflow.
const TURN: u32 = 10;

/// How long one look takes.
const PROBED: Duration = Duration::from_millis(60);

/// Measures from the submit of each workflow until its end is told to a client that waits.
pub(super) async fn measure(
    shape: Shape,
    workflows: u32,
    run: &Run<'_>,
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let node = node_here(stage, common, result(&mut chance), |_| ()).await?;
    pass(shape, common.warm_up_of(workflows), stage, &mut chance).await?;
    let (mut taken, mut set) = (Vec::new(), Vec::new());
    let mut left = workflows;
    while left > 0 {
        let turn = left.min(TURN);
        taken.extend(pass(shape, turn, stage, &mut chance).await?);
        let probe = stage.store.probe(PROBE_EVERY, common.payload)?;
        tokio::time::sleep(PROBED).await;
        set.extend(probe.end().await?);
        left -= turn;
    }
    node.stop().await;

    let (name, taken, set) = (shape.name(), Sorted::new(taken), Sorted::new(set));
    let set_p50 = set.percentile_us(0.5);
    let p50 = taken.percentile_us(0.5);
    sheet.figure(&format!("{name}_one_p50_us"), p50);
    sheet.figure(&format!("{name}_one_p99_us"), taken.percentile_us(0.99));
    sheet.references.set("set_p50_us", set_p50);
    sheet
        .ratios
        .set(format!("{name}_one_set"), ratio(p50, set_p50));
    Ok(())
}

async fn pass(
    shape: Shape,
    workflows: u32,
    stage: &Stage,
    chance: &mut Chance,
) -> Result<Vec<Duration>, Failure> {
    let definitions: Vec<_> = (0..workflows)
        .map(|_| shape.definition(chance))
        .collect::<Result<_, _>>()?;
    let client = stage.client.clone();
    // In a task of its own, which the runtime wakes as it wakes any other.
    let passing = tokio::spawn(async move {
        let mut taken = Vec::new();
        for definition in definitions {
            let begun = Instant::now();
            let workflow = client.submit_workflow(definition, None).await?;
            workflow.wait().await?;
            taken.push(begun.elapsed());
        }
        Ok::<_, Failure>(taken)
    });
    let passed = passing.await;
    passed.map_err(|stopped| Failure::new(Kind::Outcome, stopped))?
}
