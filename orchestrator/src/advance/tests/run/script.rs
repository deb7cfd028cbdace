//! Events and what follows from them, as text.

use std::fmt::Write as _;

use bytes::Bytes;
use paceline_types::workflow::TaskRecord;
use paceline_types::{JobId, SignalName, TaskName};

use super::Run;
use crate::advance::place_of;
use crate::ports::{Alarm, ConcludedBy, TaskOutcome};
use crate::transition::{Effect, Event, Refusal, Transition};

impl Run {
    /// Applies a line of a script: what follows, as text.
    pub(in crate::advance::tests) fn say(&mut self, line: &str) -> String {
        let event = self.event(line);
        let answer = self.apply(&event);
        self.written(&answer)
    }

    /// Applies lines of which only the last says what must follow.
    pub(in crate::advance::tests) fn after(&mut self, lines: &[&str]) {
        for line in lines {
            let event = self.event(line);
            let answer = self.apply(&event);
            assert!(answer.is_ok(), "{line}: {answer:?}");
        }
    }

    pub(in crate::advance::tests) fn script(&mut self, script: &[&str]) {
        for step in script {
            let (asked, expected) = step.split_once("=>").expect("event => what follows");
            let found = self.say(asked.trim());
            assert_eq!(found, expected.trim(), "{asked}");
        }
    }

    /// `done a [result]`, `skip a`, `dead a why`, `stopped a`, `gone a`, `next a result` (goes on
    /// as another), each of the present start of the task or, with `a@1`, of another; `start`,
    /// `cancel why`, `deadline`, `rest over`, `retry`, `signal 1 name`, `ring a`, `suspend`,
    /// `resume`, `continue`.
    pub(in crate::advance::tests) fn event(&mut self, line: &str) -> Event {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (task, why) = rest.split_once(' ').unwrap_or((rest, ""));
        let (task, start) = match task.rsplit_once('@') {
            Some((task, start)) => (task, start.parse().ok()),
            None => (task, None),
        };
        let index = self.instance.index_of(task).unwrap_or(0);
        let current = self
            .instance
            .record_of(index)
            .map_or(0, TaskRecord::iteration);
        let iteration = start.unwrap_or(current);
        let job = JobId::of_task(self.instance.id(), index, iteration);
        let name = || TaskName::new(task).expect(task);
        let error = why.to_owned();
        let outcome = match word {
            "start" => return Event::Start { shards: 4 },
            "cancel" => {
                return Event::CancelRequested {
                    reason: rest.to_owned(),
                };
            }
            "deadline" => return Event::Rang(Alarm::Deadline),
            "rest" => return Event::Rang(Alarm::Retry),
            "retry" => return Event::RetryRequested,
            "ring" => {
                let task = index;
                return Event::Rang(Alarm::Signal { task, iteration });
            }
            "signal" => {
                let number = task.parse().expect("a number");
                let name = SignalName::new(why).expect(why);
                self.kept.signals.insert(number, name.clone());
                return Event::Signalled { number, name };
            }
            "suspend" | "resume" => {
                self.kept.suspended = word == "suspend";
                self.instance = self.reloaded();
                return Event::Continue;
            }
            "continue" => return Event::Continue,
            "gone" => {
                let task = name();
                return Event::JobGone { task, iteration };
            }
            "done" => TaskOutcome::Completed,
            "next" => TaskOutcome::Continued,
            "skip" => TaskOutcome::Skipped {
                reason: "nothing to do".to_owned(),
            },
            "dead" => TaskOutcome::Dead { error },
            "stopped" => TaskOutcome::Cancelled,
            _ => panic!("no such event: {line}"),
        };
        let result = match &outcome {
            TaskOutcome::Completed | TaskOutcome::Continued if why.is_empty() => "null".to_owned(),
            TaskOutcome::Completed | TaskOutcome::Continued => why.to_owned(),
            TaskOutcome::Dead { error } => serde_json::json!({ "error": error }).to_string(),
            _ => "null".to_owned(),
        };
        let known = self
            .results
            .entry(job)
            .or_insert(Bytes::from_static(b"null"));
        if known == &b"null"[..] {
            *known = Bytes::from(result);
        }
        Event::TaskEnded {
            task: name(),
            iteration,
            job,
            outcome,
        }
    }

    /// A task's name, with its iteration if it is not the first.
    fn named(&self, job: JobId) -> String {
        let (index, iteration) = place_of(self.instance.id(), job).expect("a job of this workflow");
        let name = self.instance.task_name(index);
        let name = name.map_or_else(|| format!("#{index}"), |name| name.to_string());
        match iteration {
            0 => name,
            _ => format!("{name}@{iteration}"),
        }
    }

    /// Effects, `wants`, `more`, then the events behind `!`, without their `workflow.`
    pub(in crate::advance::tests) fn written(
        &self,
        answer: &Result<Transition, Refusal>,
    ) -> String {
        let transition = match answer {
            Ok(transition) => transition,
            Err(refusal) => return refusal.to_string(),
        };
        let alarm = |alarm: &Alarm| match alarm {
            Alarm::Deadline => "deadline".to_owned(),
            Alarm::Retry => "retry".to_owned(),
            Alarm::Signal { task, iteration } => {
                format!(
                    "alarm of {}",
                    self.named(self.instance.job_of(*task, *iteration))
                )
            }
        };
        let mut words: Vec<String> = transition
            .effects
            .iter()
            .map(|effect| match effect {
                Effect::Dispatch(job) => format!("run {}", self.named(job.job)),
                Effect::CancelJob(job) => format!("stop {}", self.named(*job)),
                Effect::Arm(which, after) => format!("arm {} {after:?}", alarm(which)),
                Effect::Disarm(which) => format!("disarm {}", alarm(which)),
                Effect::Close { status } => format!("close {status}"),
                Effect::Retire => "retire".to_owned(),
                Effect::Spawn(spawn) => format!("spawn {}", spawn.task),
                Effect::CancelChild { .. } => "stop child".to_owned(),
                Effect::Conclude(conclusion) => match &conclusion.result {
                    ConcludedBy::Value(value) => {
                        let value = String::from_utf8_lossy(value);
                        format!("{} is {value}", self.named(conclusion.job))
                    }
                    ConcludedBy::Signal { number } => {
                        format!("{} takes {number}", self.named(conclusion.job))
                    }
                },
                Effect::Succeed { to, job } => {
                    assert_eq!(*to, self.instance.id().of_successor());
                    format!("succeed with {}", self.named(*job))
                }
            })
            .collect();
        for job in &transition.wanted {
            words.push(format!("want {}", self.named(*job)));
        }
        if transition.more {
            words.push("more".to_owned());
        }
        let mut text = words.join(", ");
        for (place, happening) in transition.events.iter().enumerate() {
            text.push_str(if place == 0 { " ! " } else { ", " });
            text.push_str(happening.kind.as_str().trim_start_matches("workflow."));
            if let Some(about) = &happening.task {
                let _ = write!(text, " {}", about.task);
            }
            if let Some(error) = &happening.error {
                let _ = write!(text, " ({error})");
            }
        }
        text.trim().to_owned()
    }
}
