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

/// What a task refers to.
#[derive(Default)]
struct Used {
    tasks: Vec<u32>,
    input: bool,
}

impl<'a> Reader<'a> {
    /// Must follow [`Reader::read_dependencies`] of the same task.
    pub(super) fn read_values(&mut self, place: u32, task: &'a TaskDefinition) -> Values {
        let is_map = task.kind == TaskKind::Map;
        let mut used = Used::default();
        let mut template = None;
        if let Some(payload) = task.payload.as_deref() {
            if self.fits(format!("tasks[{place}].payload"), payload) {
                template = self.read_template(place, "payload", payload);
            }
            if let Some(template) = &template {
                self.read_references(place, ("payload", payload), template, is_map, &mut used);
            }
        } else if is_map {
            template = Reference::parse("item").ok().map(Template::of);
        }
        if let Some(items) = task.items.as_deref().filter(|_| is_map) {
            // Its own mistakes were told when the array was read.
            if let Ok(Some(template)) = Template::parse(items) {
                self.read_references(place, ("items", items), &template, false, &mut used);
            }
        }
        let condition = task.condition.as_deref();
        let expression = condition.and_then(|text| Expression::parse(text).ok());
        for reference in expression.iter().flat_map(Expression::references) {
            if let Err(problem) = self.read_reference(place, reference, false, &mut used) {
                self.wrong_in(place, "condition", problem);
            }
        }
        let mut seen = std::collections::HashSet::new();
        used.tasks.retain(|task| seen.insert(*task));
        Values {
            template: template.map(Box::new),
            references: used.tasks.into(),
            uses_input: used.input,
        }
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

    fn read_references(
        &mut self,
        place: u32,
        (field, json): (&str, &RawValue),
        template: &Template,
        of_element: bool,
        used: &mut Used,
    ) {
        let mut wrong = Vec::new();
        let mut problems = Vec::new();
        for (index, reference) in template.references().iter().enumerate() {
            if let Err(problem) = self.read_reference(place, reference, of_element, used) {
                wrong.push(index);
                problems.push(problem);
            }
        }
        for (path, problem) in template.paths(json, &wrong).iter().zip(problems) {
            self.wrong_in(place, &format!("{field}{path}"), problem);
        }
    }

    fn read_reference(
        &mut self,
        place: u32,
        reference: &Reference,
        of_element: bool,
        used: &mut Used,
    ) -> Result<(), String> {
        match reference.root() {
            Root::Input => used.input = true,
            Root::Item | Root::Index if of_element => {}
            Root::Item | Root::Index => {
                return Err(format!(
                    "{:?} is of an element of a map, and stands in the payload of a map alone",
                    reference.as_str()
                ));
            }
            Root::Task(name) => used.tasks.push(self.dependency(place, name)?),
        }
        Ok(())
    }
}
