//! Shares of the tiers, claim by claim (row 4, W37).

use paceline_store::calls::turn::{Claim, Serves, Turn};
use paceline_types::{Priority, Tier, TierWeights};

use crate::{Bay, Bench};

const PRIORITIES: [Priority; 3] = [Priority::HIGH, Priority::NORMAL, Priority::LOW];

/// The tiers of the next jobs, claimed so many at once by a node of these weights. They go on running.
async fn claims(bay: &Bay, weights: TierWeights, count: usize, at_once: u32) -> Vec<Tier> {
    let serves = [Serves {
        pattern: "*".into(),
        version: None,
        free: 1_000,
    }];
    let mut tiers: Vec<Tier> = Vec::new();
    while tiers.len() < count {
        bay.turns.set(bay.turns.get() + 1);
        let claim = Claim {
            max: at_once,
            weights,
            ticket: tiers.len() as u64,
            serves: &serves,
        };
        let turn = Turn {
            node: bay.node,
            slot: 0,
            number: bay.turns.get(),
            settle: &[],
            claim: Some(claim),
        };
        let claimed = bay
            .bench
            .store
            .turn(Bench::SHARD, &turn)
            .await
            .unwrap()
            .claimed;
        assert!(!claimed.is_empty(), "work waits");
        tiers.extend(claimed.iter().map(|run| run.record.spec.priority.tier()));
    }
    tiers
}

async fn backlog(bay: &Bay, counts: [usize; 3]) {
    for (priority, count) in PRIORITIES.into_iter().zip(counts) {
        bay.jobs_of(count, &[], "work", priority).await;
    }
}

fn count(claims: &[Tier], tier: Tier) -> usize {
    claims.iter().filter(|&&one| one == tier).count()
}

/// Contract row 4: of any W jobs that are claimed in a row, each tier has as many as its weight says,
/// and between two of a tier stand at most W less its weight.
#[tokio::test]
async fn each_tier_has_its_share_of_any_claims_in_a_row() {
    for (weights, total) in [
        (TierWeights::default(), 160),
        (TierWeights::new(3, 2, 1), 6),
        (TierWeights::new(1, 1, 1), 3),
    ] {
        let bay = Bay::new().await;
        backlog(&bay, [400, 400, 400]).await;
        let claims = claims(&bay, weights, 2 * total, 1).await;
        for window in claims.windows(total) {
            for tier in Tier::ALL {
                assert_eq!(
                    count(window, tier),
                    weights.of(tier) as usize,
                    "{tier} {window:?}"
                );
            }
        }
        for tier in Tier::ALL {
            let places = claims.iter().enumerate().filter(|(_, one)| **one == tier);
            let places: Vec<usize> = places.map(|(place, _)| place).collect();
            let bound = total - weights.of(tier) as usize;
            for two in places.windows(2) {
                assert!(
                    two[1] - two[0] - 1 <= bound,
                    "{tier} waited past {bound}: {two:?}"
                );
            }
        }
    }
}

/// Trap W37: the weights are shares also of claims of many jobs at once, and a low tier goes on while
/// the high one is saturated, no faster than its share.
#[tokio::test]
async fn a_low_tier_goes_on_while_the_high_one_is_saturated() {
    let bay = Bay::new().await;
    backlog(&bay, [700, 0, 100]).await;
    // Without normal work 100 to 10: 110 in all.
    let claims = claims(&bay, TierWeights::default(), 440, 40).await;
    assert_eq!(count(&claims[..440], Tier::Low), 40);
    // Jobs of one claim begin together, so it may come later or earlier by one of them.
    let places = claims
        .iter()
        .enumerate()
        .filter(|(_, tier)| **tier == Tier::Low);
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    for two in places.windows(2) {
        assert!(two[1] - two[0] <= 100 + 40, "{two:?}");
    }
}

/// Row 4: strict means the most urgent first, always, and nothing is left unused.
#[tokio::test]
async fn strict_tiers_are_claimed_one_after_the_other() {
    let bay = Bay::new().await;
    backlog(&bay, [30, 20, 10]).await;
    let claims = claims(&bay, TierWeights::strict(), 60, 7).await;
    let expected = [(Tier::High, 30), (Tier::Normal, 20), (Tier::Low, 10)];
    let expected: Vec<Tier> = expected
        .into_iter()
        .flat_map(|(tier, count)| vec![tier; count])
        .collect();
    assert_eq!(claims, expected);
}
