//! Routes that lead back.

use serde_json::json;

use super::*;

/// Row 70: what lies between starts afresh, under new jobs; the end is outside of the loop.
#[test]
fn a_route_back_starts_what_lies_between_afresh() {
    let mut run = Run::new("a b<a c>b,d<b d<c");
    run.script(&[
        "start              => run a ! started, task.dispatched a",
        "done a             => run b ! task.completed a, task.dispatched b",
        "done b             => run c ! task.completed b, task.dispatched c",
        "done c {\"route\":0} => run b@1 ! task.completed c, task.dispatched b",
        "done b@0           => late: the task was started again since, as iteration 1",
        "done c@1           => impossible: task c was never dispatched",
        "done b             => run c@1 ! task.completed b, task.dispatched c",
        "done c {\"route\":1} => run d ! task.completed c, task.dispatched d",
        "done d             => close completed, retire ! task.completed d, completed",
    ]);
    let over: Vec<_> = run.kept.history.keys().copied().collect();
    assert_eq!(over, [(1, 0), (2, 0)]);
    let route = Some(0);
    let (iteration, evaluations) = (0, 1);
    let routed = TaskRecord::Routed {
        iteration,
        route,
        evaluations,
    };
    assert_eq!(run.kept.history[&(2, 0)], routed);
}

/// Row 70: N evaluations are allowed, so the body runs N + 1 times.
#[test]
fn the_evaluation_after_the_last_is_not_made() {
    let mut run = Run::new("b c>b,d*3<b d<c");
    run.after(&["start"]);
    for _ in 0..3 {
        run.after(&["done b", "done c {\"route\":0}"]);
    }
    run.script(&[
        "done b => close failed, retire ! task.completed b, task.failed c (condition \"c\" exceeded \
         max iterations (3)), failed (task c failed: condition \"c\" exceeded max iterations (3))",
    ]);
    assert_eq!(run.record("b").map(TaskRecord::iteration), Some(3));

    let mut run = Run::new("b c?>b,d*1<b d<c");
    run.after(&["start", "done b", "done c {\"route\":0}"]);
    run.script(&[
        "done b => c@1 is {\"error\":\"condition \\\"c\\\" exceeded max iterations (1)\"}, \
         close completed, retire ! task.completed b, task.failed c (condition \"c\" exceeded max \
         iterations (1)), task.completed d (skipped: no route led here), completed",
    ]);
}

/// W16: what a loop depends on outside of itself stays satisfied.
#[test]
fn a_dependency_outside_of_the_loop_stays_satisfied() {
    let mut run = Run::new("o p a b<a,o c>a,z<b,p z<c");
    run.after(&["start", "done o", "done p", "done a", "done b"]);
    run.script(&[
        "done c {\"route\":0} => run a@1 ! task.completed c, task.dispatched a",
        "done a             => run b@1 ! task.completed a, task.dispatched b",
        "done b             => run c@1 ! task.completed b, task.dispatched c",
        "done c {\"route\":1} => run z ! task.completed c, task.dispatched z",
        "done z             => close completed, retire ! task.completed z, completed",
    ]);
}

/// W17: the forward route that is not taken is passed by, once the loop is over.
#[test]
fn a_loop_may_have_two_ways_out() {
    let mut run = Run::new("a c>a,x,y<a x<c y<c");
    run.after(&["start", "done a", "done c {\"route\":0}", "done a"]);
    run.script(&[
        "done c {\"route\":2} => run y ! task.completed c, \
         task.completed x (skipped: no route led here), task.dispatched y",
        "done y => close completed, retire ! task.completed y, completed",
    ]);
}

/// Row 70: what is outside of a loop and depends on a task inside it waits until the loop is over.
#[test]
fn what_is_outside_sees_the_last_iteration_only() {
    let mut run = Run::new("a v<a c>a,d<a d<c");
    run.script(&[
        "start              => run a ! started, task.dispatched a",
        "done a             => run c ! task.completed a, task.dispatched c",
        "done c {\"route\":0} => run a@1 ! task.completed c, task.dispatched a",
        "done a             => run c@1 ! task.completed a, task.dispatched c",
        "done c {\"route\":1} => run d, run v ! task.completed c, task.dispatched d, \
         task.dispatched v",
    ]);
}

/// Row 70: a condition may lead back to itself.
#[test]
fn a_condition_may_be_asked_again() {
    let mut run = Run::new("c>c,d*5 d<c");
    run.after(&["start", "done c {\"route\":0}", "done c {\"route\":0}"]);
    run.script(&["done c {\"route\":1} => run d ! task.completed c, task.dispatched d"]);
    assert_eq!(run.record("c").map(TaskRecord::iteration), Some(2));
}

/// Row 70: a loop inside a loop counts anew each time the outer one goes round.
#[test]
fn an_inner_loop_counts_anew_in_each_round_of_the_outer() {
    let mut run = Run::new("a b<a i>b,o*2<b o>a,d*2<i d<o");
    run.after(&["start"]);
    let inner = [
        "done a",
        "done b",
        "done i {\"route\":0}",
        "done b",
        "done i {\"route\":1}",
    ];
    for _ in 0..2 {
        run.after(&inner);
        run.after(&["done o {\"route\":0}"]);
    }
    run.after(&inner);
    assert!(matches!(
        run.record("o"),
        Some(TaskRecord::Dead { error, .. }) if error.contains("max iterations (2)")
    ));
}

/// The reset is carried out within the limit, and nothing of the loop begins meanwhile, however
/// often the leader changes.
#[test]
fn a_loop_is_reset_step_by_step() {
    let mut run = Run::new("a x<y y<a c>a,d<x d<c o").limited(1);
    run.after(&["start", "continue", "done a", "done y", "done x"]);
    run.script(&[
        "done c {\"route\":0} => more ! task.completed c",
        "continue           => more",
        "continue           => more",
        "continue           => more",
        "continue           => more",
        "continue           => run a@1 ! task.dispatched a",
        "continue           => late: nothing is left over",
    ]);
    assert_eq!(run.open(), ["a", "o"]);
}

/// Conditions that are expressions may lead back as well; their evaluations are bounded, too.
#[test]
fn an_expression_loop_ends() {
    let mut run = Run::new("c&input_exists>d,c*4 d<c").limited(2);
    run.after(&["start"]);
    while run.instance.has_leftover() {
        run.after(&["continue"]);
    }
    assert_eq!(
        run.instance
            .stage()
            .ending()
            .map(ToString::to_string)
            .as_deref(),
        Some("task c failed: condition \"c\" exceeded max iterations (4)")
    );
}

/// Row 73 in row 70: each round has a section of its own, with numbers of its own.
#[test]
fn a_subflow_in_a_loop_adds_tasks_in_each_round() {
    let mut run = Run::new("g() c>g,d<g d<c");
    let two = "done g {\"tasks\":[{\"name\":\"p\",\"task_type\":\"x\"},\
               {\"name\":\"q\",\"task_type\":\"x\",\"depends_on\":[\"p\"]}]}";
    run.after(&["start", two]);
    let first = run.event("done q");
    run.after(&["done p", "done q"]);
    let old = run.event("done p");
    run.after(&["done c {\"route\":0}"]);
    assert_eq!(run.instance.index_of("p"), None);
    run.after(&[two]);
    assert_eq!(run.instance.index_of("p"), Some(5));
    assert_eq!(run.open(), ["p"]);
    for event in [first, old] {
        assert_eq!(run.apply(&event), Err(Refusal::Late(Late::Dropped)));
    }
    run.after(&["done p", "done q", "done c {\"route\":1}", "done d"]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// Rows 70 and 88: records of a section's tasks go to the history with it, one at a time where the limit
/// is small, before anything of the next iteration begins; so an instance with a loop around sections
/// holds one of each.
#[test]
fn sections_in_a_loop_take_the_room_of_one() {
    for limit in [1, 2, ALL] {
        let mut run = Run::new("g() c>g,z<g z<c").limited(limit);
        run.after(&["start"]);
        let mut kept = Vec::new();
        let mut dropped = 0;
        for round in 0..5 {
            let inner = json!({"name": "more", "task_type": "t", "type": "subflow"});
            let map =
                json!({"name": "map", "task_type": "t", "type": "map", "items": [1, 2, 3, 4]});
            let answer = json!({"tasks": [inner, map]});
            run.settle(&format!("done g {answer}"));
            let leaf = json!({"tasks": [{"name": "leaf", "task_type": "t"}]});
            run.settle(&format!("done more {leaf}"));
            for task in ["leaf", "map#0", "map#1", "map#2", "map#3"] {
                run.settle(&format!("done {task}"));
            }
            kept.push(run.kept.tasks.len());
            let route = u32::from(round == 4);
            dropped += run.settle(&format!("done c {{\"route\":{route}}}"));
        }
        assert_eq!(kept, [kept[0]; 5], "at a limit of {limit}");
        assert_eq!(dropped, 4 * 7);
        run.settle("done z");
        assert_eq!(run.instance.stage(), &Stage::Completed);
        // Of the loop itself, and of its sections.
        assert_eq!(run.kept.history.len(), 2 * 4 + dropped);
    }
}
