//! Results that decisions rest on, as they were read for one turn.

use std::collections::HashMap;

use bytes::Bytes;
use paceline_types::JobId;

/// Results by job: what a job left never changes, so a fact stays true.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    results: HashMap<JobId, Option<Bytes>>,
}

impl Facts {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Facts {
        Facts::default()
    }

    /// Takes in what a job left; none when its record is gone.
    pub fn learn(&mut self, job: JobId, result: Option<Bytes>) {
        self.results.insert(job, result);
    }

    /// What a job left: nothing if it is not known yet, `Some(None)` if its record is gone.
    #[must_use]
    pub fn result(&self, job: JobId) -> Option<Option<&Bytes>> {
        self.results.get(&job).map(Option::as_ref)
    }
}
