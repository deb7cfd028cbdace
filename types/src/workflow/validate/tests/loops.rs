//! Loops: what waits until one is over, and limits.

use std::collections::HashSet;

use proptest::prelude::*;

use super::routes::flow;
use super::*;

fn waits_of(plan: &Plan, task: &str) -> Vec<String> {
    let task = plan.index_of(task).expect(task);
    let on = names(plan, plan.waits(task));
    on.into_iter().map(str::to_owned).collect()
}

/// Row 70, W16, W17: what is outside sees the last round only.
#[test]
fn what_is_outside_waits_until_the_loop_is_over() {
    let plan = accepted(&flow("t a<t c<a>t,x x<c o<a p<o"));
    assert_eq!(waits_of(&plan, "o"), ["a", "c"]);
    assert_eq!(waits_of(&plan, "p"), ["o"]);
    assert_eq!(names(&plan, plan.dependencies(4)), ["a"]);
    assert_eq!(names(&plan, plan.waiters(2)), ["x", "o"]);
    assert_eq!(names(&plan, plan.leaves()), ["x", "p"]);
    // A condition waits for all of its loop, also where a task between would do.
    assert_eq!(waits_of(&plan, "c"), ["a", "t"]);
    // What the loop needs from outside is no part of it.
    let plan = accepted(&flow("s t<s a<t,s c<a,s>t,x x"));
    assert_eq!(names(&plan, plan.body(3, 1)), ["t", "a", "c"]);
    assert_eq!(waits_of(&plan, "a"), ["t", "s"]);
}

#[test]
fn loops_may_lie_inside_each_other_share_tasks_or_follow_each_other() {
    let plan = accepted(&flow("t a<t c<a>a,b b<c d<b>t,x x o<a"));
    assert_eq!(names(&plan, plan.body(2, 1)), ["a", "c"]);
    assert_eq!(names(&plan, plan.body(4, 0)), ["t", "a", "c", "b", "d"]);
    assert_eq!(waits_of(&plan, "o"), ["a", "c", "d"]);
    assert_eq!(waits_of(&plan, "b"), ["c"]);
    let plan = accepted(&flow("a b<a c<b>a,d d<c e<d>b,x x"));
    assert_eq!(names(&plan, plan.body(2, 0)), ["a", "b", "c"]);
    assert_eq!(names(&plan, plan.body(4, 1)), ["b", "c", "d", "e"]);
    let plan = accepted(&flow("a c<a>a,b b d<b>b,x x"));
    assert_eq!(names(&plan, plan.body(3, 2)), ["b", "d"]);
}

/// `c` may begin `d` anew, and `d` the whole from `s` on: `o` waits for both, though it needs `s`
/// alone, which is no part of what `c` begins anew.
#[test]
fn what_waits_for_a_loop_waits_for_loops_that_begin_it_anew() {
    let plan = accepted(&flow("s t<s d<t>s,e e<d c<e>t,x x o<s"));
    assert_eq!(names(&plan, plan.body(2, 0)), ["s", "t", "d"]);
    assert_eq!(names(&plan, plan.body(4, 1)), ["t", "d", "e", "c"]);
    assert_eq!(waits_of(&plan, "o"), ["s", "d", "c"]);
    assert_eq!(waits_of(&plan, "x"), ["c"]);
}

#[test]
fn loops_that_wait_for_each_other_are_told() {
    let told = mistakes(&flow("t c<t>t,x d<t>t,y x<c y<d"));
    assert_eq!(
        told,
        [
            "tasks[1].depends_on: tasks wait for each other in a circle: c → d → c; \"c\" waits for \
             \"d\", since it depends on a task of the loop that \"d\" closes; let loops lie inside \
             each other, or apart"
        ]
    );
}

#[test]
fn a_loop_has_ten_thousand_tasks_at_most() {
    let chain = |length: usize| {
        let mut line = vec!["t0".to_owned()];
        line.extend((1..length - 1).map(|n| format!("t{n}<t{}", n - 1)));
        line.push(format!("c<t{}>t0,x x", length - 2));
        flow(&line.join(" "))
    };
    let plan = accepted(&chain(MAX_LOOP));
    assert_eq!(plan.body(9_999, 0).len(), MAX_LOOP);
    assert_eq!(
        mistakes(&chain(MAX_LOOP + 1)),
        [
            "tasks: loops of 10001 tasks that hang together, at most 10000 are allowed; make what \
             begins anew a child workflow"
        ]
    );
}

#[test]
fn too_many_tasks_in_too_many_loops_are_refused() {
    // Each condition of a ladder leads back to the first task: bodies of 2, 3, … tasks.
    let ladder = |rungs: usize| {
        let mut line = vec!["c0>c0".to_owned()];
        line.extend((1..rungs).map(|n| format!("c{n}<c{}>c0,c{}", n - 1, n + 1)));
        line.push(format!("c{rungs}>c{rungs}"));
        let mut definition = flow(&line.join(" "));
        definition.tasks[0]
            .condition_routes
            .insert(1, "c1".to_owned());
        definition
    };
    accepted(&ladder(500));
    let told = mistakes(&ladder(5_000));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("tasks: the routes and loops of this workflow are too many"));
}

/// A search from each of many conditions inside of one loop ends early, too.
#[test]
fn searches_are_bounded() {
    let chain = |length: usize| {
        let mut line = vec!["t c0<t>c1".to_owned()];
        line.extend((1..length).map(|n| format!("c{n}<c{}>c{}", n - 1, n + 1)));
        line.push(format!("c{length}<c{}>t,x x", length - 1));
        flow(&line.join(" "))
    };
    assert_eq!(accepted(&chain(1_000)).body(1_001, 0).len(), 1_002);
    let told = mistakes(&chain(9_900));
    assert!(told[0].starts_with("tasks: the routes and loops of this workflow are too many"));
}

/// Many conditions without a loop cost one pass: if each were searched from, this would be
/// refused.
#[test]
fn branches_without_loops_are_linear() {
    let mut line = vec!["j0".to_owned()];
    for n in 0..20_000 {
        line.push(format!(
            "c{n}<j{n}>a{n},b{n} a{n} b{n}<c{n} j{}<a{n},b{n},c{n}",
            n + 1
        ));
    }
    let plan = accepted(&flow(&line.join(" ")));
    assert_eq!(plan.task_count(), 80_001);
    assert_eq!(names(&plan, plan.leaves()), ["j20000"]);
}

/// A plain definition has one edge in each direction for each dependency, and nothing else.
#[test]
fn a_chain_of_ten_thousand_is_linear() {
    let line: Vec<String> = (1..10_000).map(|n| format!("t{n}<t{}", n - 1)).collect();
    let plan = accepted(&graph(&format!("t0 {}", line.join(" "))));
    let count =
        |of: fn(&Plan, u32) -> usize| (0..10_000).map(|task| of(&plan, task)).sum::<usize>();
    assert_eq!(count(|plan, task| plan.waits(task).len()), 9_999);
    assert_eq!(count(|plan, task| plan.waiters(task).len()), 9_999);
    assert_eq!(count(|plan, task| plan.deciders(task).len()), 0);
    assert!(plan.footprint() < 10_000 * 1_000, "{}", plan.footprint());
}

/// A random definition: tasks depend on earlier ones, some are conditions that lead anywhere.
fn lines() -> impl Strategy<Value = String> {
    let task = (
        proptest::collection::vec(0..8_usize, 0..3),
        proptest::collection::vec(0..10_usize, 0..3),
    );
    proptest::collection::vec(task, 2..10).prop_map(|tasks| {
        let count = tasks.len();
        let words: Vec<String> = tasks
            .into_iter()
            .enumerate()
            .map(|(n, (on, routes))| {
                let on: HashSet<usize> = on.into_iter().filter(|&on| on < n).collect();
                let on: Vec<String> = on.into_iter().map(|on| format!("t{on}")).collect();
                let routes: Vec<String> = routes
                    .into_iter()
                    .map(|to| format!("t{}", to % count))
                    .collect();
                let mut word = format!("t{n}");
                if !on.is_empty() {
                    word.push_str(&format!("<{}", on.join(",")));
                }
                if !routes.is_empty() {
                    word.push_str(&format!(">{}", routes.join(",")));
                }
                word
            })
            .collect();
        words.join(" ")
    })
}

/// Runs a plan: any task whose turn has come ends, conditions take any route, bodies begin anew.
fn run(plan: &Plan, choices: &[u32]) -> Result<(), TestCaseError> {
    let mut done = vec![false; plan.tasks().len()];
    for &choice in choices {
        let ready: Vec<u32> = (0..plan.task_count())
            .filter(|&task| !done[task as usize])
            .filter(|&task| plan.waits(task).iter().all(|&on| done[on as usize]))
            .collect();
        if ready.is_empty() {
            prop_assert!(done.iter().all(|&done| done), "nothing can go on");
            return Ok(());
        }
        let task = ready[choice as usize % ready.len()];
        done[task as usize] = true;
        let Some(routes) = plan.task(task).work.routes() else {
            continue;
        };
        let routes: Vec<_> = routes.by_number.values().collect();
        let route = routes[choice as usize / ready.len() % routes.len()];
        if !route.back {
            continue;
        }
        let body = plan.body(task, route.target);
        prop_assert_eq!(body.first(), Some(&route.target));
        prop_assert_eq!(body.last(), Some(&task));
        for &inside in body {
            prop_assert!(done[inside as usize], "a task of the body is not done");
            for waiter in plan.waiters(inside) {
                let outside = !body.contains(waiter);
                prop_assert!(
                    !(outside && done[*waiter as usize]),
                    "one outside has begun"
                );
            }
        }
        for &inside in body {
            done[inside as usize] = false;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Row 70, W16: when a loop goes round, all of its body is done, and nothing outside that waits
    /// for a task of it has begun. And whatever is accepted can go on until all is done.
    #[test]
    fn a_loop_goes_round_before_anything_outside_begins(
        line in lines(),
        choices in proptest::collection::vec(0..1_000_u32, 60),
    ) {
        if let Ok(plan) = flow(&line).validate(16) {
            run(&plan, &choices)?;
        }
    }

    /// An independent reading: a target leads back if the condition reaches it over dependencies,
    /// and every edge is one of the three kinds.
    #[test]
    fn edges_and_routes_are_what_they_are_said_to_be(line in lines()) {
        let Ok(plan) = flow(&line).validate(16) else {
            return Ok(());
        };
        let count = plan.task_count();
        let reaches = |edges: &dyn Fn(u32) -> Vec<u32>, from: u32| {
            let mut seen = HashSet::from([from]);
            let mut open = vec![from];
            while let Some(task) = open.pop() {
                open.extend(edges(task).into_iter().filter(|&on| seen.insert(on)));
            }
            seen
        };
        let mut expected: Vec<HashSet<u32>> =
            (0..count).map(|task| plan.dependencies(task).iter().copied().collect()).collect();
        let mut back = Vec::new();
        for condition in 0..count {
            let before = reaches(&|task| plan.dependencies(task).to_vec(), condition);
            for route in plan.task(condition).work.routes().iter().flat_map(|it| it.by_number.values()) {
                prop_assert_eq!(route.back, before.contains(&route.target));
                if route.back {
                    back.push((condition, route.target));
                } else {
                    expected[route.target as usize].insert(condition);
                }
            }
        }
        let forward = expected.clone();
        let mut bodies = Vec::new();
        for (condition, target) in back {
            let edges = |task: u32| forward[task as usize].iter().copied().collect();
            let before = reaches(&edges, condition);
            let after = |task: u32| reaches(&edges, task).contains(&target);
            let body: HashSet<u32> = before.into_iter().filter(|&task| after(task)).collect();
            let planned: HashSet<u32> = plan.body(condition, target).iter().copied().collect();
            prop_assert_eq!(&planned, &body);
            bodies.push((condition, body));
        }
        // As long as anything is added: what waits for a task inside waits for the condition.
        loop {
            let before = expected.clone();
            for (condition, body) in &bodies {
                for task in (0..count).filter(|task| !body.contains(task)) {
                    let waits = &mut expected[task as usize];
                    if waits.iter().any(|on| body.contains(on)) {
                        waits.insert(*condition);
                    }
                }
            }
            if before == expected {
                break;
            }
        }
        for (condition, body) in bodies {
            let others = body.into_iter().filter(|&task| task != condition);
            expected[condition as usize].extend(others);
        }
        for task in 0..count {
            let waits: HashSet<u32> = plan.waits(task).iter().copied().collect();
            prop_assert_eq!(waits.len(), plan.waits(task).len(), "each once");
            prop_assert_eq!(&waits, &expected[task as usize]);
            for on in waits {
                prop_assert!(plan.waiters(on).contains(&task));
            }
        }
    }
}
