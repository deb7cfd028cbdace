//! The workflows that are measured.

use bytes::Bytes;
use paceline_client::{Step, WorkflowBuilder, WorkflowDefinition};

use super::super::failure::Failure;
use super::chance::Chance;
use super::workers::TASK_TYPE;

/// Which workflow it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// One task after another, with results handed on.
    Chain(u32),
    /// One, then many, then one.
    Fanout(u32),
    /// One task again and again, led back to by an expression.
    Loop(u32),
    /// One task for each element of an array.
    Map(u32),
}

impl Shape {
    /// How many jobs it comes to.
    pub(super) fn tasks(self) -> u32 {
        match self {
            Shape::Chain(length) => length,
            Shape::Fanout(width) => width + 2,
            Shape::Loop(times) => times,
            Shape::Map(elements) => elements,
        }
    }

    /// What figures of it are called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shape::Chain(_) => "chain",
            Shape::Fanout(_) => "fanout",
            Shape::Loop(_) => "loop",
            Shape::Map(_) => "map",
        }
    }

    /// The definition; each task has a payload of its own.
    pub(super) fn definition(self, chance: &mut Chance) -> Result<WorkflowDefinition, Failure> {
        let mut step = |name: String| Step::new(name, TASK_TYPE).payload(chance.json());
        let builder = WorkflowBuilder::new(format!("bench {}", self.name()));
        let builder = match self {
            Shape::Chain(length) => builder.tasks((0..length).map(|place| {
                let task = step(format!("t{place}"));
                match place.checked_sub(1) {
                    None => task,
                    Some(before) => {
                        let before = format!("t{before}");
                        task.after([before.clone()]).result_from(before)
                    }
                }
            })),
            Shape::Fanout(width) => {
                let names: Vec<String> = (0..width).map(|place| format!("t{place}")).collect();
                let first = step("first".to_owned());
                let last = step("last".to_owned()).after(names.clone());
                let middle = names.into_iter().map(|name| step(name).after(["first"]));
                builder.task(first).tasks(middle).task(last)
            }
            // True until it has led back as often as it may: the body runs once more than the
            // condition is evaluated.
            Shape::Loop(times) => builder.task(step("body".to_owned())).task(
                Step::expression("again", "tasks.body.output exists")
                    .after(["body"])
                    .route(0, "body")
                    .max_iterations(times.saturating_sub(1).max(1))
                    .allow_failure(),
            ),
            Shape::Map(elements) => {
                let items: Vec<_> = (0..elements).map(|_| chance.json()).collect();
                let window = elements.min(1_000);
                builder.task(Step::map("all", TASK_TYPE).items(items).window(window))
            }
        };
        let definition = builder.build();
        definition.map_err(|_| Failure::usage("the payloads cannot be written as JSON"))
    }
}

/// A result as long as a payload.
pub(super) fn result(chance: &mut Chance) -> Bytes {
    chance.json().to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_valid_and_as_large_as_they_say() {
        let mut chance = Chance::new(1, 100);
        for shape in [Shape::Chain(1), Shape::Chain(10), Shape::Fanout(100)] {
            let definition = shape.definition(&mut chance).expect("a definition");
            assert_eq!(
                definition.tasks.len(),
                usize::try_from(shape.tasks()).expect("few")
            );
            definition.validate(256 * 1024).expect("valid");
        }
        for shape in [Shape::Loop(20), Shape::Map(1_000)] {
            let definition = shape.definition(&mut chance).expect("a definition");
            definition.validate(256 * 1024).expect("valid");
        }
    }

    #[test]
    fn a_chain_hands_results_on() {
        let chain = Shape::Chain(3).definition(&mut Chance::new(1, 100));
        let tasks = chain.expect("a definition").tasks;
        assert!(tasks[0].result_from.is_none());
        assert!(tasks[1..].iter().all(|task| task.result_from.is_some()));
    }
}
