//! Every reachable state of small workflows, and every event in each of them.

use std::collections::{HashMap, HashSet, VecDeque};

use super::run::{ended, reloaded};
use super::*;
use crate::instance::TaskPhase;

/// Everything that can happen to an instance, whether it can happen now or not.
fn every_event(instance: &Instance) -> Vec<Event> {
    let mut events = vec![
        Event::Start { shards: 1 },
        Event::CancelRequested {
            reason: String::new(),
        },
        Event::Rang(Alarm::Deadline),
        Event::Continue,
    ];
    for task in instance.plan().tasks() {
        let error = || "boom".to_owned();
        for outcome in [
            TaskOutcome::Completed,
            TaskOutcome::Skipped {
                reason: "nothing to do".to_owned(),
            },
            TaskOutcome::Dead { error: error() },
            TaskOutcome::Cancelled,
        ] {
            events.push(ended(instance, task.name.as_str(), 0, outcome));
        }
        events.push(Event::JobGone {
            task: task.name.clone(),
            iteration: 0,
        });
    }
    events
}

fn closing(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::WorkflowCompleted
            | EventKind::WorkflowFailed
            | EventKind::WorkflowCancelled
            | EventKind::WorkflowTimedOut
    )
}

fn check_move(
    from: &Instance,
    event: &Event,
    to: &Instance,
    transition: &Transition,
    limit: usize,
) {
    let context = || format!("{from:?}\n{event:?}\n{transition:?}");
    let (was_closed, is_closed) = (from.stage().is_closed(), to.stage().is_closed());
    assert!(!was_closed, "a closed workflow moved: {}", context());
    let closes = |effect: &&Effect| matches!(effect, Effect::Close { .. });
    let announced = transition
        .events
        .iter()
        .filter(|happening| closing(&happening.kind))
        .count();
    let closed = transition.effects.iter().filter(closes).count();
    assert_eq!(
        (announced, closed),
        (usize::from(is_closed), usize::from(is_closed)),
        "{}",
        context()
    );
    assert!(
        !is_closed || !to.has_open_tasks(),
        "closed with open jobs: {}",
        context()
    );
    assert_eq!(transition.more, to.has_leftover(), "{}", context());
    assert_eq!(&reloaded(to), to, "loaded differently: {}", context());

    let mut jobs = 0;
    for effect in &transition.effects {
        match effect {
            Effect::Dispatch(job) => {
                let task = &job.index;
                jobs += 1;
                assert_eq!(to.stage(), &Stage::Running, "{}", context());
                assert!(
                    !matches!(from.phase(*task), Some(TaskPhase::Recorded(_))),
                    "{}",
                    context()
                );
                for &on in to.plan().dependencies(*task) {
                    let done = to.record_of(on).is_some_and(TaskRecord::is_done);
                    assert!(done, "dispatched too early: {}", context());
                }
            }
            Effect::CancelJob(job) => {
                let (task, iteration) = place_of(to.id(), *job).expect("a job of a task");
                jobs += 1;
                assert!(to.stage().ending().is_some(), "{}", context());
                let evaluations = 0;
                let open = TaskRecord::Dispatched {
                    iteration,
                    evaluations,
                };
                assert_eq!(from.record_of(task), Some(&open), "{}", context());
            }
            _ => {}
        }
    }
    assert!(jobs <= limit, "{}", context());
    // One event for each task that was dispatched or ended, one for start and end.
    let told = transition
        .events
        .iter()
        .filter(|happening| happening.task.is_some())
        .count();
    let asked = transition
        .effects
        .iter()
        .filter(|e| matches!(e, Effect::CancelJob(_)))
        .count();
    assert_eq!(told, transition.tasks.len() - asked, "{}", context());
}

/// Walks from the beginning; the number of states and of accepted moves.
fn walk(line: &str, limit: usize) -> (usize, usize) {
    let start = new_instance(line);
    let mut states = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    let mut before: HashMap<Instance, Vec<Instance>> = HashMap::new();
    let mut moves = 0;
    while let Some(from) = queue.pop_front() {
        for event in every_event(&from) {
            let mut to = from.clone();
            let Ok(transition) = advance(&mut to, &event, &Facts::new(), limit) else {
                assert_eq!(to, from, "a refusal changed something: {event:?}");
                continue;
            };
            moves += 1;
            check_move(&from, &event, &to, &transition, limit);
            if event != Event::Continue {
                let mut again = to.clone();
                let repeated = advance(&mut again, &event, &Facts::new(), limit);
                assert!(
                    matches!(repeated, Err(Refusal::Late(_))),
                    "{event:?} applied twice"
                );
                assert_eq!(again, to);
            }
            before.entry(to.clone()).or_default().push(from.clone());
            if states.insert(to.clone()) {
                queue.push_back(to);
            }
        }
    }
    let mut reach: HashSet<Instance> = states
        .iter()
        .filter(|state| state.stage().is_closed())
        .cloned()
        .collect();
    let mut queue: VecDeque<Instance> = reach.iter().cloned().collect();
    while let Some(state) = queue.pop_front() {
        for from in before.get(&state).into_iter().flatten() {
            if reach.insert(from.clone()) {
                queue.push_back(from.clone());
            }
        }
    }
    assert_eq!(
        reach.len(),
        states.len(),
        "{line}: a state cannot reach an end"
    );
    (states.len(), moves)
}

#[test]
fn every_state_of_small_workflows_is_sound() {
    for line in [
        "a",
        "@1s a b<a",
        "a b",
        "@1s a? b<a",
        "a? b<a c<a",
        "a b c<a,b",
        "@1s a b? c<a,b d<c",
        "a b<a c<a d<b,c",
        "a b? c d",
    ] {
        for limit in [1, 2, ALL] {
            let (states, moves) = walk(line, limit);
            assert!(
                states > 4 && moves > states - 2,
                "{line}: {states} states, {moves} moves"
            );
        }
    }
}

#[test]
fn a_lone_task_has_the_states_that_one_can_count() {
    // Pending, running, stopping, cancelled before it began; then how the task ended (well, with
    // nothing to do, dead, gone, cancelled), while running and while stopping.
    // From pending 2 moves, from running 6, from stopping 5.
    assert_eq!(walk("a", ALL), (4 + 5 + 5, 2 + 6 + 5));
}
