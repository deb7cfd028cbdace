//! Conditions, expressions and preconditions: which way leads on, and what is passed by.

use super::*;

/// Row 69, W18: what is not chosen is passed by, with everything below it; a join with a live edge
/// runs.
#[test]
fn the_branch_that_is_not_chosen_is_passed_by_to_its_end() {
    check(
        "c>x,y x<c y<c z<y j<x,z",
        &[
            "start              => run c ! started, task.dispatched c",
            "done c {\"route\":0} => run x ! task.completed c, task.dispatched x, \
             task.completed y (skipped: no route led here), \
             task.completed z (skipped: no route led here)",
            "done x             => run j ! task.completed x, task.dispatched j",
            "done j             => close completed, retire ! task.completed j, completed",
        ],
    );
}

/// Row 69: a join of nothing but what was passed by is passed by; the last task may be.
#[test]
fn a_join_without_a_live_edge_is_passed_by() {
    check(
        "c>x,y x<c y<c z<y j<y,z",
        &[
            "start              => run c ! started, task.dispatched c",
            "done c {\"route\":0} => run x ! task.completed c, task.dispatched x, \
             task.completed y (skipped: no route led here), \
             task.completed z (skipped: no route led here), \
             task.completed j (skipped: no route led here)",
            "done x => close completed, retire ! task.completed x, completed",
        ],
    );
}

/// W15: a target that does not name its condition waits for it all the same, and so does what is
/// behind it.
#[test]
fn a_target_waits_for_its_condition_even_if_it_does_not_name_it() {
    check(
        "a c>x,y x y<a j<x,y,c",
        &[
            "start              => run a, run c ! started, task.dispatched a, task.dispatched c",
            "done a             => ! task.completed a",
            "done c {\"route\":1} => run y ! task.completed c, \
             task.completed x (skipped: no route led here), task.dispatched y",
            "done y             => run j ! task.completed y, task.dispatched j",
        ],
    );
}

/// Row 69: of a target it is the condition that decides, whatever else it depends on; of two
/// conditions one is enough.
#[test]
fn conditions_decide_over_other_dependencies() {
    check(
        "a c>x,y d>x,y x<c,d,a y<c,d,a",
        &[
            "start              => run a, run c, run d ! started, task.dispatched a, \
             task.dispatched c, task.dispatched d",
            "done a             => ! task.completed a",
            "done c {\"route\":0} => ! task.completed c",
            "done d {\"route\":0} => run x ! task.completed d, task.dispatched x, \
             task.completed y (skipped: no route led here)",
        ],
    );
}

/// Row 69, W19: an answer that leads nowhere fails the condition, it does not hang.
#[test]
fn an_unknown_route_and_no_answer_fail_the_condition() {
    check(
        "c>x,y x<c y<c",
        &[
            "start => run c ! started, task.dispatched c",
            "done c {\"route\":7} => close failed, retire ! task.failed c (condition \"c\" answered \
             route 7, which it does not have; its routes are 0, 1), failed (task c failed: condition \
             \"c\" answered route 7, which it does not have; its routes are 0, 1)",
        ],
    );
    for answer in [
        "{}",
        "null",
        "[1]",
        "{\"route\":-1}",
        "{\"route\":\"0\"}",
        "no json",
    ] {
        let mut run = Run::new("c?>x,y x<c y<c");
        run.after(&["start"]);
        let written = run.say(&format!("done c {answer}"));
        assert_eq!(
            written,
            "c is {\"error\":\"condition \\\"c\\\" answered no route; its handler must answer \
             {\\\"route\\\": n}, with one of 0, 1\"}, close completed, retire ! task.failed c \
             (condition \"c\" answered no route; its handler must answer {\"route\": n}, with one of 0, 1), task.completed x (skipped: no \
             route led here), task.completed y (skipped: no route led here), completed",
            "{answer}"
        );
    }
}

/// W19: a result that is not there any more fails the condition.
#[test]
fn a_route_that_was_removed_fails_the_condition() {
    let mut run = Run::new("c>x x<c");
    run.after(&["start"]);
    run.eager = false;
    run.script(&["done c {\"route\":0} => want c, more"]);
    let mut facts = Facts::new();
    facts.learn(run.instance.job_of(0, 0), None);
    let answer = run.apply_knowing(&Event::Continue, &facts);
    assert_eq!(
        run.written(&answer),
        "close failed, retire ! task.failed c (the result of task c is not there any more), failed \
         (task c failed: the result of task c is not there any more)"
    );
}

/// Row 69: a condition that was skipped, or failed where it may, took no route.
#[test]
fn a_condition_that_was_not_evaluated_takes_no_route() {
    for end in ["skip c", "dead c boom", "stopped c"] {
        let mut run = Run::new("c?>x,y x<c y<c");
        run.after(&["start", end]);
        assert_eq!(run.instance.stage(), &Stage::Completed, "{end}");
        for task in ["x", "y"] {
            let record = run.record(task);
            assert!(matches!(record, Some(TaskRecord::Bypassed { .. })), "{end}");
        }
    }
}

/// Decisions wait until their result is known; other work goes on, and the wish is told again.
#[test]
fn a_decision_waits_for_what_it_rests_on() {
    let mut run = Run::new("c>x,y x<c y<c a b<a");
    run.eager = false;
    run.after(&["start"]);
    run.script(&[
        "done c {\"route\":1} => want c, more",
        "done a             => run b, want c, more ! task.completed a, task.dispatched b",
        "continue           => want c, more",
    ]);
    run.eager = true;
    run.script(&[
        "continue => run y ! task.completed c, task.completed x (skipped: no route led here), \
         task.dispatched y",
        "continue => late: nothing is left over",
    ]);
}

/// Row 71: an expression has no job. True is route 0, false is route 1; without that route all
/// targets are passed by.
#[test]
fn expressions_are_decided_without_a_job() {
    let line = "a c&tasks.a.output.n_gt_3>x,y<a x<c y<c";
    for (answer, number, chosen) in [
        ("{\"n\":4}", 0, "x"),
        ("{\"n\":3}", 1, "y"),
        ("{}", 1, "y"),
        ("null", 1, "y"),
        ("{\"n\":\"many\"}", 1, "y"),
    ] {
        let mut run = Run::new(line);
        run.after(&["start"]);
        let written = run.say(&format!("done a {answer}"));
        let result = format!("c is {{\"route\":{number}}}");
        assert!(written.starts_with(&result), "{answer}: {written}");
        assert_eq!(run.open(), [chosen], "{answer}");
    }
    check(
        "a c&tasks.a.output.n_gt_3>x<a x<c",
        &[
            "start          => run a ! started, task.dispatched a",
            "done a {\"n\":1} => c is {\"route\":1}, close completed, retire ! task.completed a, \
             task.completed c, task.completed x (skipped: no route led here), completed",
        ],
    );
}

/// Row 76, W21: what a precondition rules out is skipped, once, and its dependents run; the last
/// task may be skipped.
#[test]
fn a_precondition_that_does_not_hold_skips_the_task() {
    check(
        "a b|a.ok:yes<a s<a d<b",
        &[
            "start               => run a ! started, task.dispatched a",
            "done a {\"ok\":\"no\"} => run d, run s ! task.completed a, task.completed b (skipped: \
             precondition 0: tasks.a.output.ok is \"no\", not \"yes\"), task.dispatched d, \
             task.dispatched s",
        ]
        .map(|line| line),
    );
    check(
        "a b|a.ok:true<a",
        &[
            "start              => run a ! started, task.dispatched a",
            "done a {\"ok\":1.0} => close completed, retire ! task.completed a, task.completed b \
             (skipped: precondition 0: tasks.a.output.ok is \"1\", not \"true\"), completed",
        ],
    );
    check(
        "a b|a.ok:true<a",
        &[
            "start              => run a ! started, task.dispatched a",
            "done a {\"ok\":true} => run b ! task.completed a, task.dispatched b",
        ],
    );
}

/// Row 76: a condition that a precondition rules out takes no route. One that is passed by is not
/// asked for its preconditions.
#[test]
fn preconditions_of_conditions_and_of_what_is_passed_by() {
    check(
        "a c|a.ok:yes>x<a x<c",
        &[
            "start  => run a ! started, task.dispatched a",
            "done a => close completed, retire ! task.completed a, task.completed c (skipped: \
             precondition 0: tasks.a.output.ok is \"\", not \"yes\"), \
             task.completed x (skipped: no route led here), completed",
        ],
    );
    let mut run = Run::new("c>x,y x<c y<c z|y.ok:yes<y");
    run.after(&["start", "done c {\"route\":0}"]);
    assert!(matches!(run.record("z"), Some(TaskRecord::Bypassed { .. })));
}
