//! Several workflows at once under random faults: calls that fail before or after they took
//! effect, leaders that are replaced and come back, instances that change under the leader's
//! hands, workers that end what runs in any order, workflows that are suspended for a while, posts
//! that come late or twice, and everything delivered twice. What is told in the end is what is told
//! without any of it.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::whole::{everything, signal};
use super::*;
use crate::theatre::{Story, Troupe, check_over, definition, story, work};

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Round,
    /// The inbox alone: posts and alarms wait.
    Tick,
    /// The leader before the present one, which should be gone, ticks.
    OldTick,
    /// Workers take up to so many jobs.
    Claim(usize),
    /// Up to so many of those that run end, from a place on.
    End(usize, usize),
    Fail(bool),
    FailDelivery(bool),
    Replace,
    Forget,
    Touch(usize),
    Suspend(usize),
    Resume(usize),
    Pass(u64),
    Walk,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => Just(Deed::Round),
        3 => Just(Deed::Tick),
        1 => Just(Deed::OldTick),
        4 => (1_usize..20).prop_map(Deed::Claim),
        5 => (any::<usize>(), 1_usize..10).prop_map(|(from, max)| Deed::End(from, max)),
        2 => any::<bool>().prop_map(Deed::Fail),
        1 => any::<bool>().prop_map(Deed::FailDelivery),
        1 => Just(Deed::Replace),
        1 => Just(Deed::Forget),
        1 => (0_usize..5).prop_map(Deed::Touch),
        1 => (0_usize..5).prop_map(Deed::Suspend),
        2 => (0_usize..5).prop_map(Deed::Resume),
        1 => (0_u64..3).prop_map(Deed::Pass),
        1 => Just(Deed::Walk),
    ];
    proptest::collection::vec(deed, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Rows 65, 66, 74, 81, 82 and 85.
    #[test]
    fn no_fault_loses_or_doubles_anything(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("runtime");
        runtime.block_on(run(deeds));
    }
}

/// Five workflows, the first with everything that one can have.
fn submitted() -> (Arc<MemoryLedger>, Vec<WorkflowId>) {
    let ledger = ledger();
    let definitions = [
        definition(&everything()),
        fan(30),
        layered(4, 4),
        graph("@1m a b<a c?<a d<b,c"),
        graph("a b c"),
    ];
    let workflows: Vec<_> = definitions.iter().map(|d| ledger.submit(d)).collect();
    signal(&ledger, workflows[0]);
    (ledger, workflows)
}

/// What is told, whoever was suspended meanwhile, and whether the task that wants a signal had to
/// wait for it or found it there: its entry may be read before or after that task's turn.
fn told(ledger: &MemoryLedger) -> Story {
    let (statuses, mut told) = story(ledger);
    told.retain(|(_, line), times| match line.as_str() {
        "workflow.suspended" | "workflow.resumed" => false,
        "workflow.task.dispatched wait 0" => {
            assert_eq!(*times, 1, "{line}");
            false
        }
        _ => true,
    });
    (statuses, told)
}

async fn undisturbed() -> Story {
    static STORY: OnceLock<Story> = OnceLock::new();
    if let Some(story) = STORY.get() {
        return story.clone();
    }
    let (ledger, _) = submitted();
    Troupe::new(&ledger, 1).finish().await;
    STORY.get_or_init(|| told(&ledger)).clone()
}

async fn run(deeds: Vec<Deed>) {
    let expected = undisturbed().await;
    let (ledger, workflows) = submitted();
    ledger.repeat_deliveries();
    let (mut number, mut faults) = (1, 0);
    let mut troupe = Troupe::new(&ledger, number);
    let mut old: Option<Troupe> = None;
    let mut running = Vec::new();
    for deed in deeds {
        match deed {
            // A failed tick is what is tested here.
            Deed::Round => drop(troupe.round().await),
            Deed::Tick => drop(troupe.workflows.tick(&mut troupe.desk, &troupe.term).await),
            Deed::OldTick => {
                if let Some(old) = &mut old {
                    let (turns, deliveries) = (ledger.tally().turns, ledger.tally().deliveries);
                    let _ = old.round().await;
                    let tally = ledger.tally();
                    assert_eq!(
                        (tally.turns, tally.deliveries),
                        (turns, deliveries),
                        "fenced"
                    );
                }
            }
            Deed::Claim(max) => running.extend(ledger.claim(max)),
            Deed::End(from, max) => {
                let from = from % (running.len() + 1);
                let until = (from + max).min(running.len());
                work(&ledger, running.drain(from..until));
            }
            // One that fails as often as the service has patience is parked, as it should be.
            Deed::Fail(_) if faults + 1 == PATIENCE => {}
            Deed::Fail(after) => {
                faults += 1;
                ledger.fail_commit(if after { Fault::After } else { Fault::Before });
            }
            Deed::FailDelivery(after) => {
                ledger.fail_delivery(if after { Fault::After } else { Fault::Before });
            }
            Deed::Replace => {
                number += 1;
                old = Some(std::mem::replace(&mut troupe, Troupe::new(&ledger, number)));
                // The new leader's first call is what fences the old one.
                while troupe.round().await.is_err() {}
            }
            Deed::Forget => troupe = Troupe::new(&ledger, number),
            Deed::Touch(place) => ledger.touch(workflows[place]),
            Deed::Suspend(place) => drop(ledger.suspend(workflows[place])),
            Deed::Resume(place) => drop(ledger.resume(workflows[place])),
            Deed::Pass(seconds) => ledger.pass(Duration::from_secs(seconds)),
            Deed::Walk => drop(troupe.walk_if_it_can().await),
        }
    }
    ledger.clear_faults();
    for workflow in &workflows {
        ledger.resume(*workflow);
    }
    work(&ledger, running);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(told(&ledger), expected);
}
