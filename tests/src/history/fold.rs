//! One job, folded from its events.

use std::fmt;

use paceline_types::{Event, EventKind};

#[derive(Clone, Debug, Default, PartialEq)]
enum Place {
    /// No event yet.
    #[default]
    Unknown,
    /// In a lane.
    Waiting,
    /// Waits for its time.
    Delayed,
    /// Waits to be resumed.
    Paused,
    /// Run by a node.
    Running { attempt: u32, run: u64 },
    /// Ended.
    Ended(EventKind),
}

/// What the events so far make of a job.
#[derive(Clone, Debug, Default)]
pub(super) struct JobFold {
    place: Place,
    /// Executions that counted, of this generation.
    attempts: u32,
    /// The newest fencing token.
    run: u64,
}

impl fmt::Display for JobFold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.place)
    }
}

impl JobFold {
    pub(super) fn end(&self) -> Option<&EventKind> {
        match &self.place {
            Place::Ended(kind) => Some(kind),
            _ => None,
        }
    }

    /// Goes on by one event, or says why that cannot be.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), String> {
        use EventKind as K;
        let next = match (&self.place, &event.kind) {
            (Place::Unknown, K::JobEnqueued) => Place::Waiting,
            (Place::Unknown, K::JobScheduled) => Place::Delayed,
            (Place::Delayed, K::JobDispatched) => Place::Waiting,
            (Place::Paused, K::JobResumed) => Place::Waiting,
            (Place::Waiting, K::JobStarted) => self.start(event)?,
            // The end of a run that was given up tells nothing of the job.
            (Place::Running { run, .. }, K::JobFenced) if event.run == Some(*run) => {
                return Err(format!("the end of run {run} was refused while it is on"));
            }
            (place, K::JobFenced) if *place != Place::Unknown => return Ok(()),
            (
                Place::Ended(K::JobDead | K::JobScheduleToStartTimeout | K::JobCancelled),
                K::JobRetrying,
            ) => {
                self.attempts = 0;
                Place::Waiting
            }
            (Place::Waiting | Place::Delayed | Place::Paused, K::JobCancelled) => {
                Place::Ended(K::JobCancelled)
            }
            (Place::Waiting | Place::Delayed, K::JobPaused) => Place::Paused,
            (Place::Waiting, K::JobScheduleToStartTimeout) => {
                Place::Ended(K::JobScheduleToStartTimeout)
            }
            // It lasted too long, and did not run when that was found.
            (Place::Waiting | Place::Delayed | Place::Paused, K::JobDead) => {
                Place::Ended(K::JobDead)
            }
            (Place::Running { attempt, run }, kind) => {
                let (attempt, run) = (*attempt, *run);
                if event.run.is_some_and(|told| told != run) {
                    return Err(format!(
                        "{kind} of run {:?} while run {run} is on",
                        event.run
                    ));
                }
                self.leave_run(attempt, kind)?
            }
            (place, kind) => return Err(format!("{kind} while it is {place:?}")),
        };
        self.place = next;
        Ok(())
    }

    fn start(&mut self, event: &Event) -> Result<Place, String> {
        let (Some(attempt), Some(run)) = (event.attempt, event.run) else {
            return Err("a start without attempt and run".to_owned());
        };
        if run <= self.run {
            return Err(format!("run {run} after run {}", self.run));
        }
        if attempt != self.attempts + 1 {
            return Err(format!(
                "attempt {attempt} after {} that counted",
                self.attempts
            ));
        }
        self.run = run;
        Ok(Place::Running { attempt, run })
    }

    fn leave_run(&mut self, attempt: u32, kind: &EventKind) -> Result<Place, String> {
        use EventKind as K;
        // Handed back and repeated runs use no attempt; all others do.
        let (place, counts) = match kind {
            K::JobCompleted | K::JobDead | K::JobCancelled => (Place::Ended(kind.clone()), true),
            K::JobFailed => (Place::Delayed, true),
            K::JobPaused => (Place::Paused, true),
            K::JobAutoRecovered => (Place::Waiting, true),
            K::JobScheduled => (Place::Delayed, false),
            K::JobDispatched => (Place::Waiting, false),
            other => return Err(format!("{other} while it runs")),
        };
        if counts {
            self.attempts = attempt;
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;
    use paceline_types::event::EventCursor;

    fn event(kind: EventKind, attempt: u32, run: u64) -> Event {
        Event {
            kind,
            timestamp: 0,
            shard: ShardIndex(0),
            cursor: EventCursor::default(),
            job_id: None,
            task_type: None,
            attempt: Some(attempt).filter(|&n| n > 0),
            run: Some(run).filter(|&n| n > 0),
            workflow_id: None,
            workflow_task: None,
            batch_id: None,
            batch_item: None,
            batch_progress: None,
            schedule_id: None,
            node_id: None,
            term: None,
            error: None,
        }
    }

    fn fold(events: &[(EventKind, u32, u64)]) -> Result<JobFold, String> {
        let mut fold = JobFold::default();
        for (kind, attempt, run) in events {
            fold.apply(&event(kind.clone(), *attempt, *run))?;
        }
        Ok(fold)
    }

    #[test]
    fn a_life_with_a_crash_and_a_retry_is_possible() {
        use EventKind as K;
        let life = fold(&[
            (K::JobEnqueued, 0, 0),
            (K::JobStarted, 1, 1),
            (K::JobAutoRecovered, 1, 1),
            (K::JobStarted, 2, 3),
            (K::JobFailed, 2, 3),
            (K::JobDispatched, 2, 3),
            (K::JobStarted, 3, 4),
            (K::JobCompleted, 3, 4),
        ]);
        assert_eq!(life.expect("possible").end(), Some(&K::JobCompleted));
    }

    #[test]
    fn what_breaks_an_invariant_is_found() {
        use EventKind as K;
        let begun = [(K::JobEnqueued, 0, 0), (K::JobStarted, 1, 1)];
        for (what, more) in [
            (
                "settled twice",
                vec![(K::JobCompleted, 1, 1), (K::JobCompleted, 1, 1)],
            ),
            ("started twice", vec![(K::JobStarted, 2, 2)]),
            (
                "settled by a stale run",
                vec![(K::JobAutoRecovered, 1, 1), (K::JobCompleted, 1, 1)],
            ),
            (
                "a fence that stands still",
                vec![(K::JobAutoRecovered, 1, 1), (K::JobStarted, 2, 1)],
            ),
            (
                "a gap in the attempts",
                vec![(K::JobAutoRecovered, 1, 1), (K::JobStarted, 3, 2)],
            ),
            (
                "run after its end",
                vec![(K::JobCancelled, 1, 1), (K::JobStarted, 2, 2)],
            ),
        ] {
            let events: Vec<_> = begun.iter().cloned().chain(more).collect();
            assert!(fold(&events).is_err(), "{what}");
        }
    }
}
