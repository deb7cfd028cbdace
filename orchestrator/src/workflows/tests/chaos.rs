//! Several workflows at once under random faults: calls that fail before or after they took
//! effect, leaders that are replaced and come back, instances that change under the leader's
//! hands, everything delivered twice.

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Tick,
    /// The leader before the present one, which should be gone, ticks.
    OldTick,
    Work(usize),
    Fail(bool),
    Replace,
    Forget,
    Touch(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => Just(Deed::Tick),
        1 => Just(Deed::OldTick),
        4 => (1_usize..20).prop_map(Deed::Work),
        2 => any::<bool>().prop_map(Deed::Fail),
        1 => Just(Deed::Replace),
        1 => Just(Deed::Forget),
        1 => (0_usize..4).prop_map(Deed::Touch),
    ];
    proptest::collection::vec(deed, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_fault_loses_or_doubles_anything(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(run(deeds));
    }
}

async fn run(deeds: Vec<Deed>) {
    let ledger = ledger();
    ledger.repeat_deliveries();
    let definitions = [
        fan(30),
        layered(4, 4),
        graph("@1m a b<a c?<a d<b,c"),
        graph("a b c"),
    ];
    let workflows: Vec<_> = definitions.iter().map(|d| ledger.submit(d)).collect();
    let (mut number, mut faults) = (1, 0);
    let mut hand = Hand::new(&ledger, number);
    let mut old: Option<Hand> = None;
    for deed in deeds {
        match deed {
            // A failed tick is what is tested here.
            Deed::Tick => drop(hand.tick().await),
            Deed::OldTick => {
                if let Some(old) = &mut old {
                    let turns = ledger.tally().turns;
                    let _ = old.tick().await;
                    assert_eq!(ledger.tally().turns, turns, "fenced");
                }
            }
            Deed::Work(jobs) => well(&ledger, ledger.claim(jobs)),
            // One that fails as often as the service has patience is parked, as it should be.
            Deed::Fail(_) if faults + 1 == PATIENCE => {}
            Deed::Fail(after) => {
                faults += 1;
                ledger.fail_commit(if after { Fault::After } else { Fault::Before });
            }
            Deed::Replace => {
                number += 1;
                old = Some(std::mem::replace(&mut hand, Hand::new(&ledger, number)));
                // The new leader's first call is what fences the old one.
                while hand.tick().await.is_err() {}
            }
            Deed::Forget => hand = Hand::new(&ledger, number),
            Deed::Touch(place) => ledger.touch(workflows[place]),
        }
    }
    ledger.clear_faults();
    hand.finish().await;
    let tasks: usize = definitions
        .iter()
        .map(|definition| definition.tasks.len())
        .sum();
    for workflow in workflows {
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
        each_event_once(&ledger, workflow);
    }
    assert_eq!(ledger.tally().dispatches, tasks as u64);
    assert_eq!(ledger.parked(), []);
}
