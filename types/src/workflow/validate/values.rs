//! What a task is given: templates, and the tasks that they refer to.

use serde_json::value::RawValue;

use super::Reader;
use crate::value::{Expression, Reference, Root, Template};
use crate::workflow::{TaskDefinition, TaskKind};

/// What was read of a task's values.
#[derive(Default)]
pub(super) struct Values {
    pub(super) template: Option<Box<Template>>,
    pub(super) references: Box<[u32]>,
    pub(super) uses_input: bool,
}

impl<'a> Reader<'a> {
    /// Must follow [`Reader::read_dependencies`] of the same task.
    pub(super) fn read_values(&mut self, place: u32, task: &'a TaskDefinition) -> Values {
        self.check_size(format!("tasks[{place}].payload"), task.payload.as_deref());
        let is_map = task.kind == TaskKind::Map;
        let mut values = Values::default();
        let mut found = Vec::new();
        if let Some(payload) = task.payload.as_deref() {
            let template = self.read_template(place, "payload", payload);
            for reference in template.iter().flat_map(Template::references) {
                let source = Source::Template("payload", payload);
                let task = self.read_reference(place, source, reference, is_map);
                values.uses_input |= *reference.root() == Root::Input;
                found.extend(task);
            }
            values.template = template.map(Box::new);
        } else if is_map {
            values.template = Reference::parse("item")
                .ok()
                .map(Template::of)
                .map(Box::new);
        }
        if let Some(items) = task.items.as_deref().filter(|_| is_map) {
            // Its mistakes were told when the array was read.
            let template = Template::parse(items).ok().flatten();
            for reference in template.iter().flat_map(Template::references) {
                let source = Source::Template("items", items);
                let task = self.read_reference(place, source, reference, false);
                values.uses_input |= *reference.root() == Root::Input;
                found.extend(task);
            }
        }
        let condition = task.condition.as_deref();
        let expression = condition.and_then(|text| Expression::parse(text).ok());
        for reference in expression.iter().flat_map(Expression::references) {
            let task = self.read_reference(place, Source::Condition, reference, false);
            values.uses_input |= *reference.root() == Root::Input;
            found.extend(task);
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|task| seen.insert(*task));
        values.references = found.into();
        values
    }

    /// The template of a field, if it is one; its mistakes are told.
    pub(super) fn read_template(
        &mut self,
        place: u32,
        field: &str,
        json: &RawValue,
    ) -> Option<Template> {
        match Template::parse(json) {
            Ok(template) => template,
            Err(problems) => {
                for problem in problems {
                    self.wrong_in(place, &format!("{field}{}", problem.path), problem.problem);
                }
                None
            }
        }
    }

    /// The task that a reference means.
    fn read_reference(
        &mut self,
        place: u32,
        source: Source<'_>,
        reference: &Reference,
        of_element: bool,
    ) -> Option<u32> {
        let problem = match reference.root() {
            Root::Input => return None,
            Root::Item | Root::Index if of_element => return None,
            Root::Item | Root::Index => format!(
                "{reference} is an element of a map, and means something in the payload of a map \
                 alone"
            ),
            Root::Task(name) => match self.dependency(place, name) {
                Ok(task) => return Some(task),
                Err(problem) => problem,
            },
        };
        self.wrong_in(place, &source.place_of(reference), problem);
        None
    }
}

/// Where a reference stands.
#[derive(Clone, Copy)]
enum Source<'a> {
    Template(&'a str, &'a RawValue),
    Condition,
}

impl Source<'_> {
    fn place_of(self, reference: &Reference) -> String {
        match self {
            Source::Condition => "condition".to_owned(),
            Source::Template(field, json) => {
                format!("{field}{}", Template::place_of(json, reference))
            }
        }
    }
}
