//! Plans of definitions that were read before: most workflows come from few definitions.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use paceline_types::WorkflowDefinition;
use paceline_types::workflow::Plan;

/// Definitions that are remembered, in bytes of their text.
const LIMIT: usize = 8 << 20;

/// Plans by the text of their definition.
#[derive(Debug, Default)]
pub(super) struct Plans {
    known: HashMap<Bytes, Arc<Plan>>,
    size: usize,
}

impl Plans {
    /// The plan of a definition.
    ///
    /// # Errors
    /// A sentence, when the text is not a definition that holds.
    pub(super) fn of(&mut self, definition: &Bytes) -> Result<Arc<Plan>, String> {
        if let Some(plan) = self.known.get(definition) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(read(definition)?);
        if definition.len() > LIMIT / 8 {
            // It would push out many others.
            return Ok(plan);
        }
        if self.size + definition.len() > LIMIT {
            self.known.clear();
            self.size = 0;
        }
        self.size += definition.len();
        // A copy, as the text may be part of a larger reply.
        let text = Bytes::copy_from_slice(definition);
        self.known.insert(text, Arc::clone(&plan));
        Ok(plan)
    }
}

fn read(definition: &[u8]) -> Result<Plan, String> {
    let text = std::str::from_utf8(definition).map_err(|error| error.to_string())?;
    let definition = WorkflowDefinition::from_json(text).map_err(|error| error.to_string())?;
    Plan::restore(&definition).map_err(|errors| {
        let sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
        sentences.join("; ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str) -> Bytes {
        let text = format!(r#"{{"name":"{name}","tasks":[{{"name":"a","task_type":"x"}}]}}"#);
        Bytes::from(text)
    }

    #[test]
    fn a_definition_is_read_once() {
        let mut plans = Plans::default();
        let first = plans.of(&definition("one")).expect("a plan");
        let again = plans.of(&definition("one")).expect("a plan");
        let other = plans.of(&definition("two")).expect("a plan");
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(plans.of(&Bytes::from_static(b"{}")).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut plans = Plans::default();
        for number in 0..40 {
            let name = format!("{number}{}", "x".repeat(100));
            plans.size += LIMIT / 16;
            plans.of(&definition(&name)).expect("a plan");
            assert!(plans.size <= LIMIT + LIMIT / 16);
        }
        assert!(plans.known.len() < 20);
    }
}
