//! Maps: from an array to a task for each element, and back to an array of results.

use bytes::Bytes;
use paceline_types::EventKind;
use paceline_types::job::as_json;
use paceline_types::value::of_bytes;
use paceline_types::workflow::{
    MAX_ELEMENTS, MapItems, PlannedTask, Section, SectionBody, TaskRecord, Work,
};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::Step;
use super::values::Lack;
use crate::ports::ConcludedBy;
use crate::transition::Effect;

impl Step<'_> {
    pub(super) fn begin_map(
        &mut self,
        index: u32,
        iteration: u32,
        planned: &PlannedTask,
    ) -> Result<(), Lack> {
        let items = self.items_of(index, planned)?;
        let name = planned.name.as_str();
        let kind = EventKind::WorkflowTaskDispatched;
        if items.is_empty() {
            let result = ConcludedBy::Value(Bytes::from_static(b"[]"));
            self.leave(index, iteration, result);
            let record = TaskRecord::Completed {
                iteration,
                continues: false,
            };
            self.end_well(index, record, None);
            return Ok(());
        }
        if items.len() > MAX_ELEMENTS {
            return Err(Lack::Gone(format!(
                "map {name:?}: it has {} items, at most {MAX_ELEMENTS} are allowed",
                items.len()
            )));
        }
        let count = self
            .room_for(index, name, items.len())
            .map_err(Lack::Gone)?;
        let base = self.number(count);
        let section = Section {
            generator: index,
            iteration,
            base,
            body: SectionBody::Map { count },
        };
        // A section without tasks of its own always holds.
        if self.instance.adopt(&section).is_err() {
            return Ok(());
        }
        self.instance.map_work(index).items = Some(items.into());
        self.record(index, TaskRecord::Expanded { iteration });
        self.transition.sections.push(section);
        self.tell_task(kind, index, iteration, None);
        Ok(())
    }

    /// The elements of a map, each as JSON.
    fn items_of(&mut self, index: u32, planned: &PlannedTask) -> Result<Vec<Bytes>, Lack> {
        let name = planned.name.as_str();
        let Work::Map { items, .. } = &planned.work else {
            return Ok(Vec::new());
        };
        // The payload of the elements may refer to what is gone: better before any of them runs.
        let known = self.known_to(index)?;
        let array = match items {
            Some(MapItems::Given(array)) => array.clone(),
            Some(MapItems::Rendered(template)) => template
                .render(&known, paceline_types::MAX_PAYLOAD_CEILING)
                .map_err(|error| Lack::Gone(format!("items: {error}")))?,
            None => self
                .upstream_of(index)?
                .unwrap_or_else(|| Bytes::from_static(b"null")),
        };
        let elements: Vec<&RawValue> = serde_json::from_slice(&array).map_err(|_| {
            Lack::Gone(format!("map {name:?}: its items are {}", described(&array)))
        })?;
        let element = |element: &&RawValue| array.slice_ref(element.get().as_bytes());
        Ok(elements.iter().map(element).collect())
    }

    /// Dispatches an element of a map.
    pub(super) fn begin_element(&mut self, index: u32, iteration: u32) -> Result<(), Lack> {
        let Some((map, place)) = self.instance.element(index) else {
            return Ok(());
        };
        let Some((plan, _, at)) = self.instance.place(map) else {
            return Ok(());
        };
        let plan = plan.clone();
        let planned = plan.task(at);
        let payload = self.payload_of(map, place, planned)?;
        let most = self.instance.limits().max_payload;
        let payload = payload.and_then(|payload| match payload.len() {
            size if size > most => Err(format!(
                "payload: {size} bytes, at most {most} are allowed; pass a reference to the data"
            )),
            _ => Ok(payload),
        });
        match payload {
            Ok(payload) => {
                if let Some(job) = self.instance.element_job(index, iteration, payload) {
                    self.dispatched(index, iteration, 0);
                    self.effect(Effect::Dispatch(Box::new(job)));
                }
            }
            Err(error) => self.fail(index, iteration, error, false),
        }
        Ok(())
    }

    /// What an element is given; the inner error is the element's.
    fn payload_of(
        &mut self,
        map: u32,
        place: u32,
        planned: &PlannedTask,
    ) -> Result<Result<Bytes, String>, Lack> {
        if self.instance.map_work(map).items.is_none() {
            let items = self.items_of(map, planned)?;
            self.instance.map_work(map).items = Some(items.into());
        }
        let Some(template) = &planned.template else {
            return Ok(Ok(planned.payload.clone()));
        };
        let items = self.instance.map_work(map).items.clone();
        let item = items.and_then(|items| items.get(place as usize).cloned());
        let Some(item) = item else {
            let name = planned.name.as_str();
            let error = format!("map {name:?}: its items are not what they were");
            return Err(Lack::Gone(error));
        };
        let whole = |reference: &paceline_types::value::Reference| reference.as_str() == "item";
        // The element itself, byte for byte.
        if planned.payload == b"null"[..] && template.references().iter().all(whole) {
            return Ok(Ok(item));
        }
        if self.instance.map_work(map).known.is_none() {
            let known = self.known_to(map)?;
            self.instance.map_work(map).known = Some(known);
        }
        let most = self.instance.limits().max_payload;
        let work = self.instance.map_work(map);
        let Some(known) = &mut work.known else {
            return Ok(Ok(item));
        };
        known.set_element(place, of_bytes(&item));
        let rendered = template.render(known, most);
        Ok(rendered.map_err(|error| format!("payload: {error}")))
    }

    /// Puts the results of maps together whose elements have all ended.
    pub(super) fn gather(&mut self) {
        let mut passed = None;
        while self.can_act()
            && self.is_running()
            && !self.wants_enough()
            && let Some(map) = self.instance.gathering_after(passed)
        {
            passed = Some(map);
            let Some(iteration) = self.instance.record_of(map).map(TaskRecord::iteration) else {
                return;
            };
            match self.read_results(map) {
                Ok(()) => {
                    self.acted();
                    let results = std::mem::take(&mut self.instance.map_work(map).results);
                    self.instance.forget_map(map);
                    let result = array(&results);
                    let most = self.instance.limits().max_payload;
                    // What is no JSON grows when it is written as text.
                    if result.len() > most {
                        self.fail(map, iteration, too_large(most), false);
                        continue;
                    }
                    self.leave(map, iteration, ConcludedBy::Value(result));
                    let record = TaskRecord::Completed {
                        iteration,
                        continues: false,
                    };
                    self.end_well(map, record, None);
                }
                Err(Lack::Unread) => {}
                Err(Lack::Gone(error)) => {
                    self.acted();
                    self.instance.forget_map(map);
                    self.fail(map, iteration, error, false);
                }
            }
        }
    }

    /// Reads on in the results of a map's elements. What was read before is remembered.
    fn read_results(&mut self, map: u32) -> Result<(), Lack> {
        let most = self.instance.limits().max_payload;
        let Some((base, count)) = self
            .instance
            .elements_of(map)
            .map(|(base, elements)| (base, elements.records.len()))
        else {
            return Ok(());
        };
        let mut unread = false;
        for place in self.instance.map_work(map).results.len()..count {
            let index = base + u32::try_from(place).unwrap_or(u32::MAX);
            let result = match self.instance.record_of(index) {
                Some(TaskRecord::Completed { .. }) => match self.result_of(index) {
                    Ok(result) => Some(result),
                    Err(Lack::Unread) if self.wants_enough() => return Err(Lack::Unread),
                    Err(Lack::Unread) => {
                        unread = true;
                        continue;
                    }
                    Err(lack) => return Err(lack),
                },
                _ => None,
            };
            // Behind one that is not known, they are only asked for.
            if unread {
                continue;
            }
            let work = self.instance.map_work(map);
            work.size += result.as_ref().map_or(4, Bytes::len) + 1;
            work.results.push(result);
            if work.size + 1 > most {
                return Err(Lack::Gone(too_large(most)));
            }
        }
        match unread {
            true => Err(Lack::Unread),
            false => Ok(()),
        }
    }
}

fn too_large(most: usize) -> String {
    format!("the results of its elements have more than {most} bytes in all; let each answer less")
}

/// Results as one array, each as it stands.
fn array(results: &[Option<Bytes>]) -> Bytes {
    struct One<'a>(&'a Bytes);
    impl Serialize for One<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            as_json(self.0, serializer)
        }
    }
    let mut written = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut written);
    let mut write = || {
        let mut array = serializer.serialize_seq(Some(results.len()))?;
        for result in results {
            array.serialize_element(&result.as_ref().map(One))?;
        }
        SerializeSeq::end(array)
    };
    // Checked JSON always serializes, and a vector takes every byte.
    match write() {
        Ok(()) => written.into(),
        Err(_) => Bytes::from_static(b"[]"),
    }
}

fn described(json: &[u8]) -> &'static str {
    match serde_json::from_slice::<serde_json::Value>(json) {
        Ok(serde_json::Value::Null) => "null, not an array",
        Ok(serde_json::Value::Bool(_)) => "a boolean, not an array",
        Ok(serde_json::Value::Number(_)) => "a number, not an array",
        Ok(serde_json::Value::String(_)) => "a text, not an array",
        Ok(serde_json::Value::Object(_)) => "an object, not an array",
        Ok(serde_json::Value::Array(_)) => "an array that cannot be read",
        Err(_) => "no JSON, so not an array",
    }
}
