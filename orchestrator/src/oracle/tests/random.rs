//! Random definitions, by the orchestrator and by the interpreter.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::WorkflowDefinition;
use paceline_types::workflow::{Plan, TaskKind};
use serde_json::Value;

use super::super::chance::Chance;
use super::super::cluster::{Cluster, Mishaps};
use super::super::generate::{self, Generated, Wish, shrunk};
use super::super::interpret::{Told, Unfit, tell};
use super::super::judge::{Disturbed, judge};
use super::super::shape::Shape;

const MAX_PAYLOAD: usize = 256 << 10;

/// How many definitions a run looks at; they must be accepted to count.
const DEFINITIONS: u64 = 20_000;

/// What may happen to a definition of this seed.
fn mishaps(seed: u64) -> Mishaps {
    let mut chance = Chance::of(seed, "mishaps");
    Mishaps {
        cancel: chance.percent(8),
        time_out: chance.percent(10),
        suspend: chance.percent(10),
        retry: chance.percent(10),
        forget: chance.percent(50),
    }
}

/// Whether the plan has the edges of the definition.
fn same_shape(definition: &WorkflowDefinition, plan: &Plan) -> Result<(), String> {
    let shape = Shape::of(&definition.tasks);
    let set = |indices: &[u32]| -> BTreeSet<usize> {
        indices.iter().map(|&index| index as usize).collect()
    };
    for (task, index) in (0..definition.tasks.len()).zip(0_u32..) {
        let name = &definition.tasks[task].name;
        let pairs = [
            (
                "dependencies",
                set(plan.dependencies(index)),
                &shape.dependencies[task],
            ),
            ("waits", set(plan.waits(index)), &shape.waits[task]),
            ("deciders", set(plan.deciders(index)), &shape.deciders[task]),
        ];
        for (what, found, wanted) in pairs {
            if found != *wanted {
                return Err(format!("{what} of {name}: {found:?}, not {wanted:?}"));
            }
        }
    }
    for (&(target, condition), body) in &shape.bodies {
        let (target, condition) = (u32::try_from(target), u32::try_from(condition));
        let (Ok(target), Ok(condition)) = (target, condition) else {
            continue;
        };
        let found = set(plan.body(condition, target));
        if found != *body {
            return Err(format!(
                "the body of {condition} to {target}: {found:?}, not {body:?}"
            ));
        }
    }
    let leaves = set(plan.leaves());
    match leaves == shape.leaves.iter().copied().collect() {
        true => Ok(()),
        false => Err(format!("leaves {leaves:?}, not {:?}", shape.leaves)),
    }
}

/// Steps that a run may take: some for each task that may run, more at small limits, and for what
/// chance adds.
fn most_steps(told: &Told) -> usize {
    2_000 + 400 * told.steps
}

enum Verdict {
    Refused,
    Unfit,
    Right(Box<Told>, Disturbed),
    Wrong(String),
}

fn try_one(generated: &Generated, seed: u64, mishaps: Mishaps) -> Verdict {
    let Ok(plan) = generated.definition.validate(MAX_PAYLOAD) else {
        return Verdict::Refused;
    };
    if let Err(difference) = same_shape(&generated.definition, &plan) {
        return Verdict::Wrong(difference);
    }
    let told = match tell(
        &generated.definition,
        &generated.input,
        &mut Chance::new(seed),
    ) {
        Ok(told) => told,
        Err(Unfit::TooLong) => return Verdict::Unfit,
        Err(unfit) => return Verdict::Wrong(format!("the interpreter: {unfit:?}")),
    };
    let run = std::panic::catch_unwind(|| {
        Cluster::run(
            &generated.definition,
            plan,
            &generated.input,
            seed,
            mishaps,
            most_steps(&told),
        )
    });
    match run {
        Err(_) => Verdict::Wrong("panicked".to_owned()),
        Ok(Err(error)) => Verdict::Wrong(error),
        Ok(Ok((seen, cluster))) => {
            let disturbed = cluster.disturbed;
            match judge(&told, &seen, disturbed) {
                Ok(()) => Verdict::Right(Box::new(told), disturbed),
                Err(difference) => Verdict::Wrong(difference),
            }
        }
    }
}

/// The smallest definition that can be found by leaving tasks out and still goes wrong.
fn shrink(
    mut generated: Generated,
    seed: u64,
    mishaps: Mishaps,
    wrong: String,
) -> (Generated, u64, String) {
    let mut why = (seed, wrong);
    let mut again = true;
    while again {
        again = false;
        for smaller in shrunk(&generated.definition) {
            let smaller = Generated {
                definition: smaller,
                ..generated.clone()
            };
            let wrong = (0..6).map(|more| seed + more * 1_000_003).find_map(|seed| {
                match try_one(&smaller, seed, mishaps) {
                    Verdict::Wrong(wrong) => Some((seed, wrong)),
                    _ => None,
                }
            });
            if let Some(wrong) = wrong {
                (generated, why, again) = (smaller, wrong, true);
                break;
            }
        }
    }
    (generated, why.0, why.1)
}

fn run_all(seeds: std::ops::Range<u64>, size: usize) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    let mut failures = Vec::new();
    for seed in seeds {
        let wish = Wish {
            size,
            depth: 2,
            in_memory: true,
        };
        let generated = generate::definition(seed, wish);
        let mishaps = mishaps(seed);
        match try_one(&generated, seed, mishaps) {
            Verdict::Refused => count("~refused"),
            Verdict::Unfit => count("~too long"),
            Verdict::Right(told, disturbed) => {
                count("~accepted");
                count(&format!("~told {}", told.status));
                if disturbed.ended {
                    count("~cancelled or timed out");
                }
                if disturbed.retried {
                    count("~retried by hand");
                }
                for feature in generate::features(&generated.definition) {
                    count(feature);
                }
            }
            Verdict::Wrong(wrong) => {
                let (smaller, at, wrong) = shrink(generated, seed, mishaps, wrong);
                let json = serde_json::to_string(&smaller.definition).expect("json");
                let mut wrong = wrong;
                wrong.truncate(1_500);
                failures.push(format!(
                    "seed {seed} (as {at}), {mishaps:?}, steady {}: {wrong}\ninput {}\n{json}\n",
                    smaller.steady, smaller.input
                ));
                if failures.len() >= 5 {
                    break;
                }
            }
        }
    }
    assert!(failures.is_empty(), "{counts:#?}\n{}", failures.join("\n"));
    counts
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("ORACLE_SEED").unwrap_or(1) * 1_000_000;
    first..first + number("ORACLE_COUNT").unwrap_or(DEFINITIONS)
}

/// Rows 65 to 90, W14 to W22, invariant 5: nothing that validation accepts hangs, and everything
/// ends as the interpreter says.
#[test]
#[expect(clippy::print_stdout, reason = "what was met is worth a look")]
fn random_definitions_end_as_the_interpreter_says() {
    let began = std::time::Instant::now();
    let seeds = seeds();
    let looked_at = seeds.end - seeds.start;
    let mut counts = run_all(seeds.clone(), 8);
    for (what, more) in run_all(seeds.end..seeds.end + looked_at / 10, 14) {
        *counts.entry(what).or_default() += more;
    }
    println!("{counts:#?} in {:?}", began.elapsed());
    let accepted = counts.get("~accepted").copied().unwrap_or(0) as u64;
    assert!(
        accepted * 10 > looked_at * 3,
        "too few are accepted: {counts:?}"
    );
}

/// The list of what was not in the table by hand: every kind of task comes up.
#[test]
fn the_generator_leaves_nothing_out() {
    let mut found = BTreeSet::new();
    for seed in 0..2_000 {
        let generated = generate::definition(
            seed,
            Wish {
                size: 12,
                depth: 2,
                in_memory: true,
            },
        );
        if generated.definition.validate(MAX_PAYLOAD).is_ok() {
            found.extend(generate::features(&generated.definition));
            let nested = generated
                .definition
                .tasks
                .iter()
                .filter_map(|task| task.child_workflow_def.as_ref());
            for child in nested {
                let grandchild = child
                    .tasks
                    .iter()
                    .any(|task| task.child_workflow_def.is_some());
                found.extend(grandchild.then_some("grandchildren"));
            }
            let maps = generated
                .definition
                .tasks
                .iter()
                .filter(|task| task.kind == TaskKind::Map);
            found.extend(
                maps.filter(|map| map.result_from.is_some())
                    .map(|_| "maps of results"),
            );
        }
    }
    let wanted = [
        "allow_failure",
        "children",
        "conditions",
        "expressions",
        "forward routes",
        "grandchildren",
        "hooks",
        "joins",
        "loops",
        "maps",
        "maps of results",
        "nested loops",
        "overlapping loops",
        "preconditions",
        "result_from",
        "retry policy",
        "several loops",
        "signals",
        "subflows",
        "templates",
    ];
    assert_eq!(found, BTreeSet::from(wanted));
}

/// The same seed makes the same definition and the same end.
#[test]
fn a_seed_tells_everything() {
    for seed in 0..50 {
        let wish = Wish {
            size: 8,
            depth: 2,
            in_memory: false,
        };
        let (one, other) = (
            generate::definition(seed, wish),
            generate::definition(seed, wish),
        );
        let text =
            |generated: &Generated| serde_json::to_string(&generated.definition).expect("json");
        assert_eq!(text(&one), text(&other));
        let parsed: Value = serde_json::from_str(&text(&one)).expect("json");
        assert!(parsed["tasks"].is_array());
    }
}
