//! Entries of the orchestrator's inbox. `lua/lib/endings.lua` writes them.

use paceline_types::{BatchId, JobId, SignalName, TaskName, WorkflowId};
use serde::{Deserialize, Serialize};

use super::batch::{ItemRef, parse_batch};
use super::event::whole;
use super::{RS, US};

/// How the job of a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    /// Well.
    Completed,
    /// Well, and its handler wants the workflow to go on as a new one.
    Continued,
    /// Well, with nothing to do.
    Skipped {
        /// Why, cut to a readable length.
        reason: String,
    },
    /// It is dead.
    Dead {
        /// Why, cut to a readable length.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// One item of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxItem {
    /// A workflow was accepted.
    Start(WorkflowId),
    /// The job of a task ended.
    TaskEnded {
        /// Which workflow.
        workflow: WorkflowId,
        /// Which task.
        task: TaskName,
        /// Which start of the task.
        iteration: u32,
        /// The execution that ended it.
        attempt: u32,
        /// The job.
        job: JobId,
        /// How.
        end: TaskEnd,
    },
    /// A caller wants the workflow cancelled.
    Cancel {
        /// Which.
        workflow: WorkflowId,
        /// The caller's words.
        reason: String,
    },
    /// A signal was accepted.
    Signal {
        /// By which workflow.
        workflow: WorkflowId,
        /// Its number.
        number: u64,
        /// Its name.
        name: SignalName,
    },
    /// A caller wants what failed of a workflow to be tried again.
    Retry(WorkflowId),
    /// A workflow was suspended or resumed.
    Look(WorkflowId),
    /// Something happened to a batch.
    Batch(BatchId, BatchNews),
    /// Not understood.
    Unreadable(String),
}

/// Something that happened to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchNews {
    /// It was accepted.
    Start,
    /// The job of an item, or of the onetime task, ended.
    JobEnded {
        /// Which item, and which start of it.
        item: ItemRef,
        /// The job.
        job: JobId,
        /// How.
        end: TaskEnd,
    },
    /// A caller wants it cancelled.
    Cancel {
        /// The caller's words.
        reason: String,
    },
    /// A caller wants it tried again.
    Retry {
        /// Only what did not complete.
        failed_only: bool,
    },
}

/// Reads one field of an entry: `b` holds items of every sort, a letter those of tasks that ended so.
pub(crate) fn parse(field: &str, packed: &str) -> Vec<InboxItem> {
    let read =
        |item: &str| parse_item(item).unwrap_or_else(|| InboxItem::Unreadable(item.to_owned()));
    if field == "b" {
        return packed.split(RS).map(read).collect();
    }
    let Some((begins, items)) = packed.split_once(RS) else {
        return vec![InboxItem::Unreadable(format!("{field}: {packed}"))];
    };
    items
        .split(RS)
        .map(|item| read(&format!("t{US}{field}{US}{}", whole(Some(begins), item))))
        .collect()
}

/// The end that a state's letter stands for.
pub(crate) fn end_of(letter: char, why: &str) -> Option<TaskEnd> {
    Some(match letter {
        'C' => TaskEnd::Completed,
        'N' => TaskEnd::Continued,
        'K' => TaskEnd::Skipped {
            reason: why.to_owned(),
        },
        'D' => TaskEnd::Dead {
            error: why.to_owned(),
        },
        'X' => TaskEnd::Cancelled,
        _ => return None,
    })
}

/// Reads an item about a batch; none when it is about a workflow.
fn parse_batch_item(item: &str) -> Option<InboxItem> {
    let mut fields = item.split(US);
    let (letter, second) = (fields.next()?, fields.next()?);
    if letter != "t" {
        let batch = parse_batch(second)?;
        let third = fields.next().unwrap_or_default();
        let news = match letter {
            "s" => BatchNews::Start,
            "c" => BatchNews::Cancel {
                reason: third.to_owned(),
            },
            "y" => BatchNews::Retry {
                failed_only: third == "1",
            },
            _ => return None,
        };
        return Some(InboxItem::Batch(batch, news));
    }
    let end = second.chars().next()?;
    let job = JobId::from_bare(fields.next()?).ok()?;
    let (_attempt, _run, _lane) = (fields.next()?, fields.next()?, fields.next()?);
    let item = ItemRef::parse(fields.next()?, fields.next()?, fields.next()?)?;
    let end = end_of(end, fields.next().unwrap_or_default())?;
    Some(InboxItem::Batch(
        item.batch,
        BatchNews::JobEnded { item, job, end },
    ))
}

fn parse_item(item: &str) -> Option<InboxItem> {
    if item.contains("\u{1f}#") {
        return parse_batch_item(item);
    }
    let mut fields = item.split(US);
    match fields.next()? {
        "s" => Some(InboxItem::Start(
            WorkflowId::from_bare(fields.next()?).ok()?,
        )),
        "c" => Some(InboxItem::Cancel {
            workflow: WorkflowId::from_bare(fields.next()?).ok()?,
            reason: fields.next().unwrap_or_default().to_owned(),
        }),
        "g" => Some(InboxItem::Signal {
            workflow: WorkflowId::from_bare(fields.next()?).ok()?,
            number: fields.next()?.parse().ok()?,
            name: SignalName::new(fields.next()?).ok()?,
        }),
        "y" => Some(InboxItem::Retry(
            WorkflowId::from_bare(fields.next()?).ok()?,
        )),
        "k" => Some(InboxItem::Look(WorkflowId::from_bare(fields.next()?).ok()?)),
        "t" => {
            let letter = fields.next()?.chars().next()?;
            let job = JobId::from_bare(fields.next()?).ok()?;
            let attempt = fields.next()?.parse().ok()?;
            let _run = fields.next()?;
            let _lane = fields.next()?;
            Some(InboxItem::TaskEnded {
                workflow: WorkflowId::from_bare(fields.next()?).ok()?,
                task: TaskName::new(fields.next()?).ok()?,
                iteration: fields.next()?.parse().ok()?,
                attempt,
                job,
                end: end_of(letter, fields.next().unwrap_or_default())?,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;

    #[test]
    fn what_callers_want_and_how_runs_end_reads_back() {
        let workflow = WorkflowId::from_parts(1, ShardIndex(0), 4);
        let w = workflow.bare(&mut [0; 26]).to_owned();
        let packed = format!("g\u{1f}{w}\u{1f}17\u{1f}paid\u{1e}y\u{1f}{w}\u{1e}k\u{1f}{w}");
        assert_eq!(
            parse("b", &packed),
            [
                InboxItem::Signal {
                    workflow,
                    number: 17,
                    name: SignalName::new("paid").expect("name"),
                },
                InboxItem::Retry(workflow),
                InboxItem::Look(workflow),
            ]
        );
        assert_eq!(end_of('N', ""), Some(TaskEnd::Continued));
        let reason = "no news".to_owned();
        assert_eq!(end_of('K', "no news"), Some(TaskEnd::Skipped { reason }));
    }

    #[test]
    fn items_read_and_what_is_not_one_is_kept() {
        let workflow = WorkflowId::from_parts(1, ShardIndex(0), 4);
        let job = JobId::of_task(workflow, 1, 0);
        let w = workflow.bare(&mut [0; 26]).to_owned();
        let j = job.bare(&mut [0; 26]).to_owned();
        let packed = format!(
            "s\u{1f}{w}\u{1e}t\u{1f}D\u{1f}{j}\u{1f}3\u{1f}4\u{1f}n:x:\u{1f}{w}\u{1f}b\u{1f}2\u{1f}boom\
             \u{1e}c\u{1f}{w}\u{1f}enough\u{1e}?"
        );
        let task = TaskName::new("b").expect("name");
        let done = format!("1\u{1f}4\u{1e}{j}\u{1f}n:x:\u{1f}{w}\u{1f}b\u{1f}2");
        assert_eq!(
            parse("C", &done),
            [InboxItem::TaskEnded {
                workflow,
                task: task.clone(),
                iteration: 2,
                attempt: 1,
                job,
                end: TaskEnd::Completed,
            }]
        );
        assert_eq!(
            parse("b", &packed),
            [
                InboxItem::Start(workflow),
                InboxItem::TaskEnded {
                    workflow,
                    task,
                    iteration: 2,
                    attempt: 3,
                    job,
                    end: TaskEnd::Dead {
                        error: "boom".into()
                    },
                },
                InboxItem::Cancel {
                    workflow,
                    reason: "enough".into()
                },
                InboxItem::Unreadable("?".into()),
            ]
        );
    }
}
