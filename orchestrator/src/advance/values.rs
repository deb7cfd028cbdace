//! Results of tasks, as far as they are known.

use bytes::Bytes;
use paceline_types::JobId;
use paceline_types::value::{Known, of_bytes};
use paceline_types::workflow::{TaskRecord, UpstreamTasks, object};
use serde_json::{Value, json};

use super::{MAX_WANTED, Step};

/// Why a result cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// It was not read; it is wanted now.
    Unread,
    /// Why it never will be, as a sentence.
    Gone(String),
}

impl Step<'_> {
    /// Whether there is no room to want more.
    pub(super) fn wants_enough(&self) -> bool {
        self.wanted.len() >= MAX_WANTED
    }

    /// What a job left; it is wanted if it is not known.
    pub(super) fn fact(&mut self, job: JobId) -> Option<Option<Bytes>> {
        match self.facts.result(job) {
            Some(result) => Some(result.cloned()),
            None => {
                if !self.wants_enough() {
                    self.wanted.insert(job);
                }
                None
            }
        }
    }

    /// The result of a task that is done, as those that depend on it are given it.
    pub(super) fn result_of(&mut self, index: u32) -> Result<Bytes, Lack> {
        match self.instance.record_of(index) {
            None | Some(TaskRecord::Skipped { .. } | TaskRecord::Bypassed { .. }) => {
                Ok(Bytes::from_static(b"null"))
            }
            Some(TaskRecord::FailedAllowed { error, .. }) => {
                Ok(Bytes::from(json!({ "error": error }).to_string()))
            }
            Some(record) => {
                let job = self.instance.job_of(index, record.iteration());
                match self.fact(job) {
                    Some(Some(result)) => Ok(result),
                    Some(None) => Err(Lack::Gone(self.gone(index))),
                    None => Err(Lack::Unread),
                }
            }
        }
    }

    pub(super) fn gone(&self, index: u32) -> String {
        let name = self.instance.task_name(index);
        let name = name.as_ref().map_or("", |name| name.as_str());
        format!("the result of task {name} is not there any more")
    }

    /// Results of several tasks; all that are not known are wanted at once.
    fn results_of(&mut self, indices: &[u32]) -> Result<Vec<Bytes>, Lack> {
        let mut unread = false;
        let mut results = Vec::with_capacity(indices.len());
        for &index in indices {
            match self.result_of(index) {
                Ok(result) => results.push(result),
                Err(Lack::Unread) => unread = true,
                Err(lack) => return Err(lack),
            }
        }
        match unread {
            true => Err(Lack::Unread),
            false => Ok(results),
        }
    }

    /// What the payload, the items or the expression of a task refer to.
    pub(super) fn known_to(&mut self, index: u32) -> Result<Known, Lack> {
        let Some((plan, base, place)) = self.instance.place(index) else {
            return Ok(Known::new());
        };
        let plan = plan.clone();
        let planned = plan.task(place);
        let indices: Vec<u32> = planned
            .references
            .iter()
            .map(|place| base + place)
            .collect();
        let results = self.results_of(&indices)?;
        let mut known = Known::new();
        for (&place, result) in planned.references.iter().zip(&results) {
            known.set_output(plan.task(place).name.as_str(), of_bytes(result));
        }
        if planned.uses_input {
            known.set_input(self.instance.input().map_or(Value::Null, of_bytes));
        }
        Ok(known)
    }

    /// What `result_from` of a task comes to: none if it has none.
    pub(super) fn upstream_of(&mut self, index: u32) -> Result<Option<Bytes>, Lack> {
        let Some((plan, base, place)) = self.instance.place(index) else {
            return Ok(None);
        };
        let plan = plan.clone();
        let Some(from) = &plan.task(place).result_from else {
            return Ok(None);
        };
        let indices: Vec<u32> = from.indices().iter().map(|place| base + place).collect();
        let results = self.results_of(&indices)?;
        Ok(match from {
            UpstreamTasks::One(_) => results.into_iter().next(),
            UpstreamTasks::Many(places) => {
                let names = places.iter().map(|&place| plan.task(place).name.as_str());
                Some(object(names.zip(results.iter().map(Some))))
            }
        })
    }

    /// The number of the first precondition that does not hold, and why.
    pub(super) fn failing_precondition(&mut self, index: u32) -> Result<Option<String>, Lack> {
        let Some((plan, base, place)) = self.instance.place(index) else {
            return Ok(None);
        };
        let plan = plan.clone();
        let preconditions = &plan.task(place).preconditions;
        if preconditions.is_empty() {
            return Ok(None);
        }
        let indices: Vec<u32> = preconditions.iter().map(|one| base + one.task).collect();
        let results = self.results_of(&indices)?;
        for (number, (one, result)) in preconditions.iter().zip(&results).enumerate() {
            let value = of_bytes(result);
            let found = one.path.find(&value).unwrap_or(&Value::Null);
            let found = paceline_types::value::text_of(found);
            if found != one.expected.as_str() {
                let task = &plan.task(one.task).name;
                let path = one.text.trim_start_matches('$').trim_start_matches('.');
                let dot = match path.is_empty() || path.starts_with('[') {
                    true => "",
                    false => ".",
                };
                return Ok(Some(format!(
                    "precondition {number}: tasks.{task}.output{dot}{path} is {found:?}, not {:?}",
                    one.expected
                )));
            }
        }
        Ok(None)
    }
}
