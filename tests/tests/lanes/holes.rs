//! Many places that cancelled jobs left: a claim passes a bounded number of them.

use paceline_types::TaskType;

use crate::{LANE, Lanes, ids};

/// What one turn may pass: `MOST_HOLES` of `lua/lib/claim.lua`.
const MOST_HOLES: usize = 1_000;

#[tokio::test]
async fn a_claim_passes_so_many_holes_and_says_that_there_is_more() {
    for (packs, size) in [(2_500, 1), (25, 100)] {
        let lanes = Lanes::new().await;
        let mut expected = lanes.pack(1).await;
        for _ in 0..packs {
            let gone = lanes.pack(size).await;
            lanes.cancel(&gone).await;
        }
        expected.extend(lanes.pack(1).await);
        lanes.assert_waiting(LANE, 2).await;
        let (mut ran, mut turns) = (Vec::new(), 0);
        while ran.len() < 2 {
            let before = lanes.holes(LANE).await;
            let reply = lanes.turn(lanes.node, &[], 5).await;
            assert!(reply.more || ran.len() + reply.claimed.len() == 2);
            let passed = before - lanes.holes(LANE).await;
            assert!(passed <= MOST_HOLES + 100, "{passed} in one turn");
            ran.extend(ids(&reply.claimed));
            lanes.complete(&reply.claimed).await;
            turns += 1;
        }
        assert_eq!(ran, expected);
        // Two ways of a turn lead to a lane: by its tier's share, and by what others left.
        assert!((2..=3).contains(&turns), "{turns}");
        lanes.assert_gone(LANE).await;
        lanes.ends().await;
    }
}

#[tokio::test]
async fn lanes_without_holes_are_served_beside_one_that_has_many() {
    let lanes = Lanes::new().await;
    let live = lanes.pack(1).await;
    for _ in 0..21 {
        let gone = lanes.pack(100).await;
        lanes.cancel(&gone).await;
    }
    let behind = lanes.pack(1).await;
    let other = lanes
        .other(|spec| spec.task_type = TaskType::new("other").unwrap())
        .await;
    let claimed = lanes.claim(10).await;
    assert_eq!(ids(&claimed), [live[0], other]);
    lanes.complete(&claimed).await;
    let mut ran = Vec::new();
    while ran.is_empty() {
        ran = lanes.claim(10).await;
    }
    assert_eq!(ids(&ran), behind);
    lanes.complete(&ran).await;
    lanes.ends().await;
}
