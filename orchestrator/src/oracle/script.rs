//! What each job of a generated workflow comes to: a function of what its handler sees.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chance::Chance;
use super::generate;

/// What a job comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It completes with this.
    Value(Value),
    /// It completes with its payload.
    Echo,
    /// It completes with this, and the workflow is to go on as a new one.
    Continue(Value),
    /// It fails for good.
    Dead(String),
    /// Its handler panics.
    Panic(String),
    /// It says that there was nothing to do.
    Skip(String),
    /// Somebody cancels it.
    Cancel,
}

/// What the handler of a job sees of it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Headers of the task.
    pub headers: &'a BTreeMap<String, String>,
    /// Name of the task; `m#3` of an element.
    pub task: &'a str,
    /// Which start of it.
    pub iteration: u32,
    /// Which attempt of the workflow, from 1; known in memory alone.
    pub attempt: u32,
    /// The workflow's input.
    pub input: &'a Value,
}

/// Where chance begins for this workflow.
pub const SEED: &str = "seed";
/// `job`, `condition`, `subflow`, `map`.
pub const KIND: &str = "kind";
/// How many of a hundred starts fail.
pub const RISK: &str = "risk";
/// Numbers of a condition's routes.
pub const ROUTES: &str = "routes";
/// Set where a job's outcome follows from the attempt of the workflow, not from the iteration.
pub const STEADY: &str = "steady";
/// Of [`STEADY`]: a job that fails does so in every attempt, as its failure is allowed, and a
/// later attempt need not run it.
pub const ALWAYS: &str = "always";
/// Set where a job may ask the workflow to go on as a new one.
pub const CONTINUES: &str = "continues";
/// What the starts of a task come to, one after another, as a JSON array of `{"value"}`, `{"dead"}`,
/// `{"skip"}` and `{"cancel"}`; the last one stays. In place of chance.
pub const ACTS: &str = "acts";
/// Set where what is generated may be such that only memory can run it.
pub const IN_MEMORY: &str = "in-memory";
/// Set where jobs may be cancelled by hand.
pub const BY_HAND: &str = "by-hand";
/// How deep subflows may still generate subflows.
pub const DEPTH: &str = "depth";

/// What the job comes to.
#[must_use]
pub fn act(call: &Call<'_>) -> Act {
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    if let Some(acts) = call.headers.get(ACTS) {
        return written(acts, call.iteration);
    }
    let seed: u64 = header(SEED).parse().unwrap_or(0);
    let steady = !header(STEADY).is_empty();
    let iteration = if steady { 0 } else { call.iteration };
    let mut chance = Chance::of(seed, &format!("{}:{iteration}", call.task));
    let risk = header(RISK).parse().unwrap_or(0);
    if chance.percent(risk) {
        // A steady one fails until some attempt of the workflow.
        let attempts = u32::try_from(1 + chance.below(3)).unwrap_or(1);
        if !steady || header(STEADY) == ALWAYS || call.attempt <= attempts {
            return fail(&mut chance, !header(BY_HAND).is_empty());
        }
    }
    match header(KIND) {
        "condition" => decide(&mut chance, header(ROUTES), risk > 0),
        "subflow" => {
            let depth = header(DEPTH).parse().unwrap_or(0);
            Act::Value(generate::answer(
                &mut chance,
                call.task,
                call.headers,
                depth,
            ))
        }
        _ => work(&mut chance, call),
    }
}

fn written(acts: &str, iteration: u32) -> Act {
    let acts: Vec<Value> = serde_json::from_str(acts).unwrap_or_default();
    let place = (iteration as usize).min(acts.len().saturating_sub(1));
    let Some(Value::Object(act)) = acts.get(place) else {
        return Act::Echo;
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match act
        .iter()
        .next()
        .map(|(name, value)| (name.as_str(), value))
    {
        Some(("value", value)) => Act::Value(value.clone()),
        Some(("continue", value)) => Act::Continue(value.clone()),
        Some(("dead", error)) => Act::Dead(text(error)),
        Some(("skip", reason)) => Act::Skip(text(reason)),
        Some(("cancel", _)) => Act::Cancel,
        _ => Act::Echo,
    }
}

fn fail(chance: &mut Chance, by_hand: bool) -> Act {
    match chance.below(10) {
        0..3 if by_hand => Act::Cancel,
        8 => Act::Panic("handler panicked: at the disco".to_owned()),
        _ => Act::Dead(format!("boom {}", chance.below(10))),
    }
}

fn decide(chance: &mut Chance, routes: &str, risky: bool) -> Act {
    match chance.below(40) {
        0 if risky => return Act::Value(json!({ "route": 77 })),
        1 if risky => return Act::Value(json!({ "rout": 0 })),
        2 if risky => return Act::Value(json!("route 0")),
        3 => return Act::Skip("nothing to decide".to_owned()),
        _ => {}
    }
    let routes: Vec<u32> = routes.split(',').filter_map(|n| n.parse().ok()).collect();
    if routes.is_empty() {
        return Act::Value(json!({ "route": 0 }));
    }
    Act::Value(json!({ "route": chance.pick(&routes) }))
}

fn work(chance: &mut Chance, call: &Call<'_>) -> Act {
    let generation = call.input.get("gen").and_then(Value::as_u64);
    if call.headers.contains_key(CONTINUES) && generation == Some(0) && chance.percent(40) {
        return Act::Continue(json!({ "gen": 1, "n": chance.below(5), "list": [1] }));
    }
    match chance.below(20) {
        0..3 => Act::Echo,
        3 => Act::Skip("nothing to do".to_owned()),
        4 => Act::Value(json!([1, "two", { "v": 3 }])),
        5 => Act::Value(json!([])),
        6 => Act::Value(Value::Null),
        _ => Act::Value(generate::value(chance)),
    }
}

/// What a hook's job comes to; `payload` is what its handler is given.
#[must_use]
pub fn act_of_hook(name: &str, payload: &Value) -> Act {
    let seed = payload["original"]["seed"].as_u64().unwrap_or(0);
    let mut chance = Chance::of(seed, name);
    if chance.percent(30) {
        Act::Dead("a hook failed".to_owned())
    } else {
        Act::Value(json!(name))
    }
}
