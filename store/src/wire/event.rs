//! The packed form of the event log. `lua/lib/events.lua` describes it.

use std::borrow::Cow;

use bytes::Bytes;
use paceline_types::batch::{BatchProgress, BatchStep};
use paceline_types::event::EventCursor;
use paceline_types::{
    BatchId, Event, EventKind, JobId, NodeId, ScheduleId, ShardIndex, TaskName, TaskType,
    WorkflowId,
};

use super::batch::{parse_batch, parse_item as parse_item_ref};
use super::pack::bare_ids;
use super::{RS, US};

/// One entry of the log, read: its events, and the ordinal of the first of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) ordinal: u64,
    pub(crate) events: Vec<Event>,
}

/// Splits an entry id, `<milliseconds>-<sequence>`.
pub(crate) fn entry_id(text: &str) -> Option<(u64, u64)> {
    let (millis, sequence) = text.split_once('-')?;
    Some((millis.parse().ok()?, sequence.parse().ok()?))
}

/// Reads one entry; none when it is not one.
pub(crate) fn parse(shard: ShardIndex, id: &str, fields: &[(Bytes, Bytes)]) -> Option<Entry> {
    let (millis, sequence) = entry_id(id)?;
    let mut entry = Entry {
        ordinal: 0,
        events: Vec::new(),
    };
    let mut acting = None;
    for (name, value) in fields {
        let name = std::str::from_utf8(name).ok()?;
        let value = String::from_utf8_lossy(value);
        match name {
            "#" => entry.ordinal = value.parse().ok()?,
            "@node" => acting = NodeId::from_bare(&value).ok(),
            context if context.starts_with('@') => {}
            kind => {
                let kind = EventKind::from_name(kind);
                let (begins, items) = common(&value);
                for item in items.split(RS) {
                    let item = &*whole(begins, item);
                    let cursor = EventCursor {
                        millis,
                        sequence,
                        index: u32::try_from(entry.events.len()).ok()?,
                    };
                    let first = parse_item(shard, cursor, kind.clone(), acting, item);
                    let alike = if kind.as_str().starts_with("job.") {
                        alike(&first, item)
                    } else {
                        Vec::new()
                    };
                    entry.events.push(first);
                    entry.events.extend(alike);
                }
            }
        }
    }
    Some(entry)
}

/// What items have in common, and the items.
pub(super) fn common(value: &str) -> (Option<&str>, &str) {
    let common = value.strip_prefix('=').and_then(|rest| rest.split_once(RS));
    common.map_or((None, value), |(begins, items)| (Some(begins), items))
}

/// An item with what it has in common with others put back behind its id.
pub(super) fn whole<'a>(begins: Option<&str>, item: &'a str) -> Cow<'a, str> {
    match begins.zip(item.split_once(US)) {
        Some((begins, (id, ident))) => format!("{id}{US}{begins}{US}{ident}").into(),
        None => item.into(),
    }
}

/// The events of the other jobs that share an item with the first one.
fn alike(first: &Event, item: &str) -> Vec<Event> {
    let packs = item.split(US).next().unwrap_or_default();
    let others = bare_ids(packs).skip(1).zip(1..);
    others
        .map(|(bare, place)| {
            let mut event = first.clone();
            event.job_id = JobId::from_bare(&bare).ok();
            event.cursor.index += place;
            event
        })
        .collect()
}

fn parse_item(
    shard: ShardIndex,
    cursor: EventCursor,
    kind: EventKind,
    acting: Option<NodeId>,
    item: &str,
) -> Event {
    let mut event = Event {
        timestamp: cursor.millis,
        shard,
        cursor,
        job_id: None,
        task_type: None,
        attempt: None,
        run: None,
        workflow_id: None,
        workflow_task: None,
        batch_id: None,
        batch_item: None,
        batch_progress: None,
        schedule_id: None,
        node_id: acting,
        term: None,
        error: None,
        kind,
    };
    let mut fields = item.split(US);
    let mut next = || fields.next().filter(|field| !field.is_empty());
    match event.kind.as_str().split('.').next() {
        Some("job") => {
            event.job_id = next().and_then(|packs| JobId::from_bare(&bare_ids(packs).next()?).ok());
            event.attempt = next().and_then(|text| text.parse().ok()).filter(|&n| n > 0);
            event.run = next().and_then(|text| text.parse().ok()).filter(|&n| n > 0);
            event.task_type = next().and_then(|lane| TaskType::new(lane.split(':').nth(1)?).ok());
            belongs(&mut event, next(), next());
            let _iteration = next();
            event.error = next().map(str::to_owned);
        }
        Some("batch") if event.kind == EventKind::BatchProgress => {
            event.batch_progress = next().and_then(|id| {
                Some(BatchProgress {
                    batch_id: BatchId::from_bare(id).ok()?,
                    done: next()?.parse().ok()?,
                    total: next()?.parse().ok()?,
                    failed: next()?.parse().ok()?,
                    step: BatchStep::from_name(next()?)?,
                })
            });
            event.batch_id = event.batch_progress.map(|progress| progress.batch_id);
        }
        Some("batch") => {
            event.batch_id = next().and_then(|id| BatchId::from_bare(id).ok());
            event.batch_item = next().and_then(item_id);
            event.task_type = next().and_then(|name| TaskType::new(name).ok());
            event.job_id = next().and_then(|id| JobId::from_bare(id).ok());
            let _iteration = next();
            event.error = next().map(str::to_owned);
        }
        Some("workflow") => {
            event.workflow_id = next().and_then(|id| WorkflowId::from_bare(id).ok());
            event.workflow_task = next().and_then(|name| TaskName::new(name).ok());
            event.task_type = next().and_then(|name| TaskType::new(name).ok());
            event.job_id = next().and_then(|id| JobId::from_bare(id).ok());
            let _iteration = next();
            event.error = next().map(str::to_owned);
        }
        Some("schedule") => {
            event.schedule_id = next().and_then(|id| ScheduleId::new(id).ok());
            event.error = next().map(str::to_owned);
        }
        _ => {
            event.node_id = next().and_then(|id| NodeId::from_bare(id).ok());
            event.term = next().and_then(|text| text.parse().ok());
        }
    }
    event
}

/// The workflow and the task, or the batch and the item, that a job belongs to.
fn belongs(event: &mut Event, whole: Option<&str>, part: Option<&str>) {
    event.batch_id = whole.and_then(parse_batch);
    if event.batch_id.is_some() {
        event.batch_item = part.and_then(item_id);
    } else {
        event.workflow_id = whole.and_then(|id| WorkflowId::from_bare(id).ok());
        event.workflow_task = part.and_then(|name| TaskName::new(name).ok());
    }
}

/// The id of an item; none where it is not known.
fn item_id(field: &str) -> Option<String> {
    let (_, item) = parse_item_ref(field)?;
    (!item.is_empty()).then(|| item.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_batches_name_the_item_and_tell_the_progress() {
        let batch = BatchId::from_parts(1, ShardIndex(0), 2);
        let job = JobId::of_item(batch, 7, 0);
        let (b, j) = (
            batch.bare(&mut [0; 26]).to_owned(),
            job.bare(&mut [0; 26]).to_owned(),
        );
        let fields = [
            (bytes("#"), bytes("0")),
            (
                bytes("job.started"),
                bytes(&format!(
                    "=1\u{1f}1\u{1e}{j}\u{1f}n:t:\u{1f}#{b}\u{1f}7:a%20b\u{1f}0"
                )),
            ),
            (
                bytes("batch.item.failed"),
                bytes(&format!(
                    "{b}\u{1f}7:a%20b\u{1f}t\u{1f}{j}\u{1f}0\u{1f}boom"
                )),
            ),
            (
                bytes("batch.progress"),
                bytes(&format!("{b}\u{1f}3\u{1f}9\u{1f}1\u{1f}processing")),
            ),
            (
                bytes("batch.failed"),
                bytes(&format!("{b}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}1 item failed")),
            ),
        ];
        let events = parse(ShardIndex(0), "1700-5", &fields)
            .expect("entry")
            .events;
        assert!(events.iter().all(|event| event.batch_id == Some(batch)));
        for event in &events[..2] {
            assert_eq!(event.batch_item.as_deref(), Some("a b"));
            assert_eq!((event.job_id, event.workflow_id), (Some(job), None));
        }
        assert_eq!(events[1].error.as_deref(), Some("boom"));
        let progress = events[2].batch_progress.expect("progress");
        assert_eq!((progress.done, progress.total, progress.failed), (3, 9, 1));
        assert_eq!(progress.step, BatchStep::Processing);
        assert_eq!(events[3].error.as_deref(), Some("1 item failed"));
    }

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn an_entry_unpacks_into_its_events_in_order() {
        let node = NodeId::from_parts(1, ShardIndex(0), 2);
        let job = JobId::from_parts(1, ShardIndex(0), 3);
        let workflow = WorkflowId::from_parts(1, ShardIndex(0), 4);
        let bare = |text: String| text.split('_').nth(1).expect("prefix").to_owned();
        let other = JobId::from_parts(1, ShardIndex(0), 5);
        let jk = crate::wire::pack::pack([job, other]);
        let (n, j, w) = (
            bare(node.to_string()),
            bare(job.to_string()),
            bare(workflow.to_string()),
        );
        let fields = [
            (bytes("#"), bytes("41")),
            (bytes("@node"), bytes(&n)),
            (
                bytes("job.completed"),
                bytes(&format!(
                    "{jk}\u{1f}1\u{1f}2\u{1f}n:a.b:\u{1e}\
                     {j}\u{1f}1\u{1f}1\u{1f}n:a.b:v1\u{1f}{w}\u{1f}task\u{1f}0"
                )),
            ),
            (
                bytes("job.dead"),
                bytes(&format!(
                    "{j}\u{1f}3\u{1f}3\u{1f}l:x:\u{1f}\u{1f}\u{1f}\u{1f}boom"
                )),
            ),
            (bytes("leader.elected"), bytes(&format!("{n}\u{1f}7"))),
            (
                bytes("job.started"),
                bytes(&format!(
                    "=1\u{1f}4\u{1e}{j}\u{1f}n:a.b:\u{1f}{w}\u{1f}task\u{1f}0\u{1e}\
                     {n}\u{1f}n:c:\u{1f}{w}\u{1f}other\u{1f}0"
                )),
            ),
        ];
        let entry = parse(ShardIndex(0), "1700-5", &fields).expect("entry");
        assert_eq!(entry.ordinal, 41);
        let kinds: Vec<_> = entry
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "job.completed",
                "job.completed",
                "job.completed",
                "job.dead",
                "leader.elected",
                "job.started",
                "job.started"
            ]
        );
        assert_eq!(entry.events[0].node_id, Some(node));
        assert_eq!(entry.events[0].run, Some(2));
        assert_eq!(entry.events[0].job_id, Some(job));
        assert_eq!(entry.events[1].job_id, Some(other));
        assert_eq!(entry.events[1].run, Some(2));
        assert_eq!(entry.events[2].workflow_id, Some(workflow));
        assert_eq!(
            entry.events[2].workflow_task.as_ref().map(TaskName::as_str),
            Some("task")
        );
        assert_eq!(
            entry.events[2].task_type.as_ref().map(TaskType::as_str),
            Some("a.b")
        );
        assert_eq!(entry.events[3].error.as_deref(), Some("boom"));
        assert_eq!(entry.events[4].term, Some(7));
        assert_eq!(
            (entry.events[5].attempt, entry.events[5].run),
            (Some(1), Some(4))
        );
        assert_eq!(entry.events[5].workflow_id, Some(workflow));
        assert_eq!(
            entry.events[6].workflow_task.as_ref().map(TaskName::as_str),
            Some("other")
        );
        assert_eq!(entry.events[4].cursor.to_string(), "1700-5.4");
    }
}
