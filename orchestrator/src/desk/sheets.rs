//! Results that decisions wait for, as far as they were read.
//!
//! What a job left never changes, so a result that was read stays true; but it may be large, and
//! the leader's memory is bounded. So results are kept for those instances only that wait for
//! more of them, and given up once the decision is made. When all of them take too much room, the
//! instances that came last give theirs up and read them again, so that the first comes on. One
//! that takes too much by itself reads anew what it still waits for: it has made the decisions that
//! the rest was for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use paceline_types::{JobId, WorkflowId};

use crate::facts::Facts;

/// Room for results that are kept between turns: 32 MiB.
const LIMIT: usize = 32 << 20;

/// What a result takes beside its bytes, about.
const OVERHEAD: usize = 96;

/// What instances wait for, and what of it was read.
#[derive(Debug)]
pub(super) struct Sheets {
    limit: usize,
    size: usize,
    tickets: u64,
    by_workflow: BTreeMap<WorkflowId, Sheet>,
    nothing: Facts,
}

/// One instance's.
#[derive(Debug)]
struct Sheet {
    /// Whose is lower came first.
    ticket: u64,
    facts: Facts,
    size: usize,
    wanted: Vec<JobId>,
}

impl Default for Sheets {
    fn default() -> Sheets {
        Sheets {
            limit: LIMIT,
            size: 0,
            tickets: 0,
            by_workflow: BTreeMap::new(),
            nothing: Facts::new(),
        }
    }
}

impl Sheets {
    /// What is known for an instance.
    pub(super) fn facts(&self, workflow: WorkflowId) -> &Facts {
        self.by_workflow
            .get(&workflow)
            .map_or(&self.nothing, |sheet| &sheet.facts)
    }

    /// What an instance waits for now; with nothing, it has no more use for what is known.
    pub(super) fn want(&mut self, workflow: WorkflowId, wanted: Vec<JobId>) {
        if wanted.is_empty() {
            return self.forget(workflow);
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let sheet = self.by_workflow.entry(workflow);
        let sheet = sheet.or_insert_with(|| Sheet {
            ticket,
            facts: Facts::new(),
            size: 0,
            wanted: Vec::new(),
        });
        sheet.wanted = wanted;
    }

    /// What these instances wait for and is not known, first come first, at most `max`; but for
    /// what is `unwritten`, which nobody could read yet.
    pub(super) fn unknown(
        &self,
        among: &BTreeSet<WorkflowId>,
        max: usize,
        unwritten: &BTreeSet<JobId>,
    ) -> Vec<(WorkflowId, JobId)> {
        let mut waiting: Vec<(&WorkflowId, &Sheet)> = among
            .iter()
            .filter_map(|workflow| self.by_workflow.get_key_value(workflow))
            .collect();
        waiting.sort_unstable_by_key(|(_, sheet)| sheet.ticket);
        let mut unknown = Vec::new();
        let mut seen = BTreeSet::new();
        for (workflow, sheet) in waiting {
            for &job in &sheet.wanted {
                if unknown.len() >= max {
                    return unknown;
                }
                let can_be_read = !unwritten.contains(&job);
                if can_be_read && sheet.facts.result(job).is_none() && seen.insert(job) {
                    unknown.push((*workflow, job));
                }
            }
        }
        unknown
    }

    /// Takes in what a job left, for an instance that waits for it.
    pub(super) fn learn(&mut self, workflow: WorkflowId, job: JobId, result: Option<Bytes>) {
        if let Some(sheet) = self.by_workflow.get_mut(&workflow) {
            // A copy, as the result may be part of a larger reply.
            let result = result.map(|result| Bytes::copy_from_slice(&result));
            let size = OVERHEAD + result.as_ref().map_or(0, Bytes::len);
            sheet.size += size;
            self.size += size;
            sheet.facts.learn(job, result);
        }
    }

    /// Gives up what is known for an instance.
    pub(super) fn forget(&mut self, workflow: WorkflowId) {
        if let Some(sheet) = self.by_workflow.remove(&workflow) {
            self.size -= sheet.size;
        }
    }

    /// Gives up what those know that came last, until the rest fits.
    pub(super) fn trim(&mut self) {
        while self.size > self.limit {
            let last = self
                .by_workflow
                .iter()
                .max_by_key(|(_, sheet)| sheet.ticket);
            let Some((&last, _)) = last else {
                return;
            };
            if self.by_workflow.len() > 1 {
                self.forget(last);
            } else if let Some(sheet) = self.by_workflow.get_mut(&last) {
                self.size = 0;
                sheet.size = 0;
                sheet.facts = Facts::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::ShardIndex;

    use super::*;

    fn workflow(number: u64) -> WorkflowId {
        WorkflowId::from_parts(1, ShardIndex(0), number << 20)
    }

    fn job(of: u64, task: u32) -> JobId {
        JobId::of_task(workflow(of), task, 0)
    }

    fn result(len: usize) -> Option<Bytes> {
        Some(vec![b'1'; len].into())
    }

    fn unknown(
        sheets: &Sheets,
        among: &BTreeSet<WorkflowId>,
        max: usize,
    ) -> Vec<(WorkflowId, JobId)> {
        sheets.unknown(among, max, &BTreeSet::new())
    }

    #[test]
    fn what_is_not_written_is_not_asked_for() {
        let mut sheets = Sheets::default();
        sheets.want(workflow(1), vec![job(1, 0), job(1, 1)]);
        let among = BTreeSet::from([workflow(1)]);
        let unwritten = BTreeSet::from([job(1, 0)]);
        assert_eq!(
            sheets.unknown(&among, 1, &unwritten),
            [(workflow(1), job(1, 1))]
        );
    }

    #[test]
    fn what_is_unknown_is_asked_for_in_the_order_of_arrival() {
        let mut sheets = Sheets::default();
        sheets.want(workflow(2), vec![job(2, 0), job(2, 1), job(2, 1)]);
        sheets.want(workflow(1), vec![job(1, 0)]);
        sheets.want(workflow(3), vec![job(3, 0)]);
        let among = BTreeSet::from([workflow(1), workflow(2)]);
        let all = [
            (workflow(2), job(2, 0)),
            (workflow(2), job(2, 1)),
            (workflow(1), job(1, 0)),
        ];
        assert_eq!(unknown(&sheets, &among, 9), all);
        assert_eq!(unknown(&sheets, &among, 2), all[..2]);
        sheets.learn(workflow(2), job(2, 0), result(1));
        assert_eq!(unknown(&sheets, &among, 9), all[1..]);
        assert!(sheets.facts(workflow(2)).result(job(2, 0)).is_some());
        sheets.want(workflow(2), Vec::new());
        assert_eq!(unknown(&sheets, &among, 9), all[2..]);
        assert!(sheets.facts(workflow(2)).result(job(2, 0)).is_none());
        assert_eq!(sheets.size, 0);
    }

    #[test]
    fn who_came_last_gives_up_first() {
        let mut sheets = Sheets {
            limit: 1_000,
            ..Sheets::default()
        };
        for number in [2, 1, 3] {
            sheets.want(workflow(number), vec![job(number, 0), job(number, 1)]);
            sheets.learn(workflow(number), job(number, 0), result(300));
        }
        // Wanting more does not send it to the end.
        sheets.want(workflow(2), vec![job(2, 1)]);
        sheets.trim();
        let known = |sheets: &Sheets, number| {
            let facts = sheets.facts(workflow(number));
            facts.result(job(number, 0)).is_some()
        };
        assert!(!known(&sheets, 3));
        assert!(known(&sheets, 1) && known(&sheets, 2));
        sheets.learn(workflow(2), job(2, 1), result(400));
        sheets.trim();
        assert!(known(&sheets, 2), "the first keeps what it has");
        assert!(!known(&sheets, 1));
        sheets.learn(workflow(2), job(2, 2), result(500));
        sheets.trim();
        assert_eq!(sheets.size, 0, "one alone is bounded as well");
        let asked = unknown(&sheets, &BTreeSet::from([workflow(2)]), 9);
        assert_eq!(asked, [(workflow(2), job(2, 1))]);
    }
}
