//! Routes: which lead back, what waits for what, and which tasks may depend on a condition.

use super::*;

/// [`graph`] with conditions: `c<a>b,d` depends on `a`, and has the routes 0 to `b` and 1 to `d`.
pub(super) fn flow(line: &str) -> WorkflowDefinition {
    let (plain, routes): (Vec<&str>, Vec<Option<&str>>) = line
        .split_whitespace()
        .map(|word| match word.split_once('>') {
            Some((task, routes)) => (task, Some(routes)),
            None => (word, None),
        })
        .unzip();
    let mut definition = graph(&plain.join(" "));
    for (task, routes) in definition.tasks.iter_mut().zip(routes) {
        if let Some(routes) = routes {
            task.kind = crate::workflow::TaskKind::Condition;
            let routes = routes.split(',').map(str::to_owned);
            task.condition_routes = (0..).zip(routes).collect();
        }
    }
    definition
}

/// What each task waits for, as `task<…`.
fn waits(plan: &Plan) -> String {
    let all: Vec<String> = (0..plan.task_count())
        .map(|task| {
            let on = names(plan, plan.waits(task)).join(",");
            format!("{}<{on}", plan.task(task).name)
        })
        .collect();
    all.join(" ")
}

fn back(plan: &Plan, condition: &str) -> Vec<bool> {
    let condition = plan.index_of(condition).expect(condition);
    let routes = plan.task(condition).work.routes().expect("routes");
    routes.by_number.values().map(|route| route.back).collect()
}

/// Row 69, W18: a target waits for its condition, whether it names it or not.
#[test]
fn a_target_waits_for_its_condition() {
    let plan = accepted(&flow("a c<a>x,y x<c y z<a j<x,y,z"));
    assert_eq!(waits(&plan), "a< c<a x<c y<c z<a j<x,y,z");
    assert_eq!(names(&plan, plan.dependencies(3)), [] as [&str; 0]);
    assert_eq!(names(&plan, plan.waiters(1)), ["x", "y"]);
    assert_eq!(names(&plan, plan.deciders(3)), ["c"]);
    assert_eq!(plan.deciders(5), [] as [u32; 0]);
    assert_eq!(names(&plan, plan.leaves()), ["j"]);
    assert_eq!(back(&plan, "c"), [false, false]);
    assert!(plan.body(1, 2).is_empty());
}

#[test]
fn two_conditions_may_lead_to_one_task() {
    let plan = accepted(&flow("c>x,y d>x x<c y"));
    assert_eq!(waits(&plan), "c< d< x<c,d y<c");
    assert_eq!(names(&plan, plan.deciders(2)), ["c", "d"]);
    // Two routes to one task are one edge.
    let plan = accepted(&flow("c>x,x x"));
    assert_eq!(waits(&plan), "c< x<c");
    assert_eq!(plan.waiters(0), [1]);
}

/// Row 70.
#[test]
fn a_route_to_a_task_that_the_condition_waits_for_leads_back() {
    for (line, expected, body) in [
        ("t c<t>t,x x<c", "t< c<t x<c", vec!["t", "c"]),
        ("x<c c<b>t,x b<t t", "x<c c<b,t b<t t<", vec!["t", "b", "c"]),
        (
            "s t<s a<t b<t,s c<a,b>t,x x",
            "s< t<s a<t b<t,s c<a,b,t x<c",
            vec!["t", "a", "b", "c"],
        ),
        ("t c>c,t t", "t< c< t<c", vec!["c"]),
    ] {
        let definition = flow(line);
        let Ok(plan) = definition.validate(16) else {
            // The last one: its target is no task that it waits for.
            assert_eq!(line, "t c>c,t t");
            continue;
        };
        let (condition, target) = (plan.index_of("c"), plan.index_of("t"));
        let (condition, target) = (condition.expect("c"), target.expect("t"));
        assert_eq!(waits(&plan), expected);
        assert_eq!(back(&plan, "c"), [true, false], "{line}");
        assert_eq!(names(&plan, plan.body(condition, target)), body, "{line}");
        assert_eq!(names(&plan, plan.leaves()), ["x"], "{line}");
    }
    let plan = accepted(&flow("c>c,x x"));
    assert_eq!(
        (back(&plan, "c"), plan.body(0, 0)),
        (vec![true, false], &[0][..])
    );
}

/// Between target and condition there may be other conditions: a route is judged by
/// `depends_on` alone, and so the one at the end leads back.
#[test]
fn a_loop_may_hold_branches() {
    let plan = accepted(&flow("t b<t>x,y x<b y<b c<x,y>t,z z"));
    assert_eq!(
        (back(&plan, "b"), back(&plan, "c")),
        (vec![false, false], vec![true, false])
    );
    assert_eq!(names(&plan, plan.body(4, 0)), ["t", "b", "x", "y", "c"]);
    // Also if the branches do not name their condition: then the body holds them all the same.
    let plan = accepted(&flow("t b<t>x,y x y j<t,x,y c<j>t,z z"));
    assert_eq!(
        names(&plan, plan.body(5, 0)),
        ["t", "b", "x", "y", "j", "c"]
    );
}

#[test]
fn what_a_condition_leads_back_to_does_not_wait_for_it() {
    assert_eq!(
        mistakes(&flow("t<c b<t c<b>t,x x")),
        [
            "tasks[0].depends_on[0]: \"c\" leads back to this task, which cannot wait for it; take \
             it out"
        ]
    );
    // Other circles are told beside it.
    let told = mistakes(&flow("t<s,c b<t c<b>t,x x d<e e<d s"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("tasks[0].depends_on[1]: \"c\" leads back"),
        "{told:?}"
    );
    assert!(told[1].contains("d → e → d"), "{told:?}");
}

#[test]
fn routes_that_lead_in_a_circle_are_told() {
    // Nothing says which of the two comes first.
    let told = mistakes(&flow("x c<x>y y d<y>x"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("x → d → y → c → x; \"x\" waits for \"d\", which has a route"));
}

/// Row 64, W15.
#[test]
fn what_depends_on_a_condition_is_behind_one_of_its_routes() {
    for line in [
        "c>x,y x<c y<c j<c,x",
        "c>x,y x y<c a<x b<a j<b,c",
        "c>x x d<x,c>y y e<y j<e,d,c",
        "t c<t>t,x x<c j<c,x",
        "t c<t>t",
    ] {
        accepted(&flow(line));
    }
    let lost = "is a condition, and none of its routes leads here; make this task the target of a \
                route, or let it depend on what a route leads to";
    for (line, expected) in [
        ("c>x,y x<c y<c j<c", "tasks[3].depends_on[0]"),
        ("c>x x a j<a,c", "tasks[3].depends_on[1]"),
        ("t c<t>t j<c", "tasks[2].depends_on[0]"),
        ("c>x,y x y z<c j<z,c,x", "tasks[3].depends_on[0]"),
    ] {
        assert_eq!(
            mistakes(&flow(line)),
            [format!("{expected}: \"c\" {lost}")],
            "{line}"
        );
    }
    // What follows from a route that leads nowhere is not told as well.
    let mut typo = flow("c>ship,pack ship<c pack<c j<c");
    typo.tasks[0].condition_routes.insert(1, "pakc".to_owned());
    assert_eq!(
        mistakes(&typo),
        ["tasks[0].condition_routes.1: no task is named \"pakc\"; did you mean \"pack\"?"]
    );
}

#[test]
fn all_kinds_of_mistakes_are_told_together() {
    let told = mistakes(&flow("a<nobody b<b c<a>x,nowhere x<c j<c d<e e<d"));
    let paths: Vec<_> = told.iter().map(|told| told.split(':').next()).collect();
    assert_eq!(
        paths,
        [
            Some("tasks[0].depends_on[0]"),
            Some("tasks[1].depends_on[0]"),
            Some("tasks[2].condition_routes.1"),
            Some("tasks[5].depends_on"),
        ],
        "{told:?}"
    );
}

/// The restored plan is the validated one.
#[test]
fn routes_are_restored() {
    for line in [
        "a c<a>x,y x<c y z<a j<x,y,z",
        "s t<s a<t b<t,s c<a,b>t,x o<a x",
        "t b<t>x,y x y j<t,x,y c<j>t,z z",
    ] {
        let definition = flow(line);
        let (plan, restored) = (
            accepted(&definition),
            Plan::restore(&definition).expect(line),
        );
        assert_eq!(waits(&plan), waits(&restored));
        for task in 0..plan.task_count() {
            assert_eq!(plan.waiters(task), restored.waiters(task));
            assert_eq!(plan.deciders(task), restored.deciders(task));
            for other in 0..plan.task_count() {
                assert_eq!(plan.body(task, other), restored.body(task, other));
            }
            assert_eq!(
                plan.task(task).work.routes(),
                restored.task(task).work.routes()
            );
        }
    }
}
