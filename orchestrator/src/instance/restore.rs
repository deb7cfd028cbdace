//! From what is kept to the instance that it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_types::WorkflowId;
use paceline_types::workflow::{Hook, Plan, Section, SectionBody, Stage, TaskRecord, Work};

use super::unit::Unit;
use super::{Instance, Limits};
use crate::ports::StoredInstance;

/// Why what is kept cannot be an instance of its plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenInstance {
    /// A record of no task.
    #[error("a record names task {index}, but only {tasks} were numbered")]
    NoSuchTask {
        /// The index of the record.
        index: u32,
        /// How many tasks were numbered so far.
        tasks: u32,
    },
    /// A section that no plan can be made of.
    #[error("the tasks that task {generator} added are broken: {problem}")]
    Section {
        /// The task that added them.
        generator: u32,
        /// What is wrong, in one sentence.
        problem: String,
    },
}

impl Instance {
    /// The instance that was kept. `plan` is that of its definition.
    ///
    /// Of the sections those count whose generator is at the start that added them; records of
    /// tasks of others are to go. Passed over are signals whose entry in the inbox is still to come.
    /// Of those entries, the ones whose signal was acknowledged meanwhile tell of nothing.
    ///
    /// # Errors
    /// When a record names a task that never was, or a section does not read.
    pub fn restore(
        id: WorkflowId,
        plan: Arc<Plan>,
        stored: StoredInstance,
        limits: Limits,
    ) -> Result<Instance, BrokenInstance> {
        let mut instance = Instance::new(id, plan);
        instance.header = stored.header;
        instance.input = stored.input;
        instance.origin = stored.origin;
        instance.continues_another = stored.continued_from.is_some();
        instance.suspended = stored.suspended;
        instance.limits = limits;

        let records: BTreeMap<u32, TaskRecord> = stored.tasks.into_iter().collect();
        let mut sections = stored.sections;
        // One that was added inside another has a higher base.
        sections.sort_by_key(|section| section.base);
        for section in sections {
            if matches!(records.get(&section.generator), Some(record)
                if record.iteration() == section.iteration
                    && !matches!(record, TaskRecord::Again { .. }))
            {
                instance.adopt(&section)?;
            }
        }
        let tasks = instance.numbered();
        for (index, record) in records {
            if index >= tasks && Hook::of_index(index).is_none() {
                return Err(BrokenInstance::NoSuchTask { index, tasks });
            }
            if Hook::of_index(index).is_none() && instance.units.of(index).is_none() {
                instance.find_dropped(index);
            }
            instance.take(index, record);
        }
        // A closed one hears of no further signal; a retry finds those that came too late.
        let known = match instance.stage().is_closed() {
            true => u64::MAX,
            false => instance.header.signals,
        };
        let heard = instance.header.signals;
        let pending: BTreeSet<u64> = stored.signals.iter().map(|(number, _)| *number).collect();
        instance.acknowledged = (heard + 1..=stored.last_signal)
            .filter(|number| !pending.contains(number))
            .collect();
        for (number, name) in stored.signals {
            if number <= known {
                instance.mailbox.signal(number, name);
            }
        }
        if matches!(instance.stage(), Stage::Restarting) {
            instance.find_all_stale();
        }
        Ok(instance)
    }

    /// How many tasks were numbered so far.
    #[must_use]
    pub fn numbered(&self) -> u32 {
        self.header.numbered.max(self.plan.task_count())
    }

    /// Adds a section; its generator must be there.
    pub(crate) fn adopt(&mut self, section: &Section) -> Result<(), BrokenInstance> {
        let Some((above, _)) = self.units.of(section.generator) else {
            return Ok(());
        };
        let depth = above.depth + 1;
        let generator = (section.generator, section.iteration);
        let broken = |problem: String| BrokenInstance::Section {
            generator: section.generator,
            problem,
        };
        let unit = match &section.body {
            SectionBody::Subflow(tasks) => {
                let name = self.task_name(section.generator);
                let name = name.as_ref().map_or("", |name| name.as_str());
                let priority = self.plan.default_priority();
                let plan = Plan::restore_section(tasks, name, priority).map_err(|errors| {
                    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    broken(errors.join("; "))
                })?;
                Unit::graph(section.base, depth, Some(generator), Arc::new(plan))
            }
            SectionBody::Map { count } => {
                let planned = self.planned(section.generator);
                let Some(Work::Map { window, .. }) = planned.map(|planned| &planned.work) else {
                    return Err(broken("it is not a map".to_owned()));
                };
                Unit::elements(section.base, depth, generator, *count, *window)
            }
        };
        self.add_unit(unit);
        Ok(())
    }

    /// Adds the tasks of a subflow whose plan was made already.
    pub(crate) fn add_subflow(&mut self, generator: u32, iteration: u32, base: u32, plan: Plan) {
        if let Some((above, _)) = self.units.of(generator) {
            let depth = above.depth + 1;
            let unit = Unit::graph(base, depth, Some((generator, iteration)), Arc::new(plan));
            self.add_unit(unit);
        }
    }

    /// When it begins to restart: what is passed by behind tasks that are reset already.
    pub(crate) fn find_all_stale(&mut self) {
        for index in self.reset.clone() {
            self.find_stale(index);
        }
    }
}
