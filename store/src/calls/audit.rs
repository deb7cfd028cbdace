//! Audit trails: what happened to single jobs.
//!
//! The leader copies the events of jobs that asked for it from the log to a stream beside the
//! job. The place of an event in the log stands in its place in the trail, so that what is not
//! copied yet is read from the log and joined without a seam.

use std::collections::BTreeMap;

use paceline_types::audit::{Audit, AuditSource, moves};
use paceline_types::event::EventCursor;
use paceline_types::{Event, EventKind, Job, JobId, NodeId, ShardIndex, UnixMillis};

use super::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::US;
use crate::wire::event::entry_id;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static AUDIT: Script = script!("audit");
pub(crate) static COPY_AUDIT: Script = script!("copy_audit");

/// Events that a trail keeps, about; the oldest go first.
pub const MAX_TRAIL: usize = 1_000;

/// Entries of the log that one read takes, and most of them that one audit looks at.
const READ: usize = 500;
const MOST_READ: usize = 20_000;

/// Events of one entry have places below this in a trail.
const PLACES: u64 = 10_000;

/// By how much an entry of the log may be younger than the moment that its script read.
const SLACK: UnixMillis = 1_000;

/// What one step of copying did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCopied {
    /// Events that stand in trails now.
    pub copied: usize,
    /// The log goes on.
    pub more: bool,
}

/// What `audit` answers.
struct Trail {
    events: BTreeMap<EventCursor, Event>,
    open: bool,
    copied: EventCursor,
    /// Moments behind which the log was cut, and until when.
    gaps: Vec<(UnixMillis, UnixMillis)>,
}

impl Store {
    /// Copies events of audited jobs to their trails, from where the last call ended.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again; what was copied is not copied again.
    pub async fn copy_audit(
        &self,
        shard: ShardIndex,
        term: u64,
    ) -> Result<AuditCopied, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&COPY_AUDIT, &[&keys.events, &keys.audited, &keys.leader]);
        call.arg(term).arg(MAX_BATCH).arg(MAX_TRAIL);
        let mut reply = expect_ok("copy_audit", self.link.call(&call).await?)?;
        Ok(AuditCopied {
            copied: reply.count()?,
            more: reply.int()? == 1,
        })
    }

    /// What happened to a job: its trail, with what is not copied to it yet; of a job that is not
    /// audited what the event log still holds, at most so much as is read in a bounded time.
    /// None when there is no such job.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn audit(&self, id: JobId) -> Result<Option<Audit>, StoreError> {
        let Some(job) = self.job(id).await? else {
            return Ok(None);
        };
        if !job.audited {
            return Ok(Some(self.audit_of_log(&job).await?));
        }
        let mut trail = self.trail(id).await?;
        let mut complete = true;
        if trail.open {
            // What the leader copies meanwhile is in the trail when it is read again.
            let (log, whole) = self.events_of(id, trail.copied, None).await?;
            trail = self.trail(id).await?;
            trail.events.extend(log);
            complete = whole;
        }
        let until = job.completed_at.unwrap_or(UnixMillis::MAX);
        let since = job.created_at;
        let gaps: Vec<UnixMillis> = trail
            .gaps
            .iter()
            .filter(|&&(after, before)| before >= since && after <= until)
            .map(|&(after, _)| after)
            .collect();
        complete &= gaps.is_empty() && is_beginning(trail.events.values().next());
        Ok(Some(Audit {
            job: id,
            source: AuditSource::Trail,
            complete,
            entries: moves(trail.events.values(), &gaps),
        }))
    }

    async fn audit_of_log(&self, job: &Job) -> Result<Audit, StoreError> {
        let from = EventCursor {
            millis: job.created_at.saturating_sub(1),
            sequence: u64::MAX,
            index: 0,
        };
        let until = job.completed_at.map(|at| at + SLACK);
        let (events, whole) = self.events_of(job.id, from, until).await?;
        Ok(Audit {
            job: job.id,
            source: AuditSource::Log,
            complete: whole && is_beginning(events.values().next()),
            entries: moves(events.values(), &[]),
        })
    }

    /// Events of a job in the log behind a place, and whether all were looked at.
    async fn events_of(
        &self,
        id: JobId,
        from: EventCursor,
        until: Option<UnixMillis>,
    ) -> Result<(BTreeMap<EventCursor, Event>, bool), StoreError> {
        let (mut events, mut after) = (BTreeMap::new(), from);
        for _ in 0..MOST_READ / READ {
            let page = self.read_events(id.shard(), Some(after), READ).await?;
            let Some(end) = page.end else {
                return Ok((events, true));
            };
            let own = page.events.into_iter().filter(|event| {
                event.job_id == Some(id) && event.kind.as_str().starts_with("job.")
            });
            events.extend(own.map(|event| (event.cursor, event)));
            if until.is_some_and(|until| end.millis > until) {
                return Ok((events, true));
            }
            after = end;
        }
        Ok((events, false))
    }

    async fn trail(&self, id: JobId) -> Result<Trail, StoreError> {
        let shard = id.shard();
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&AUDIT, &[&keys.events, &keys.audited, &keys.trail(id)]);
        call.arg(id.bare(&mut [0; 26]) as &str);
        let mut reply = Reply::list("audit", self.link.call(&call).await?)?;
        let mut entries = reply.nested()?;
        let mut events = BTreeMap::new();
        while entries.len() > 0 {
            let mut entry = entries.nested()?;
            let place = entry.text()?;
            let mut fields = entry.nested()?;
            let (kind, told) = (fields.text()?, fields.text()?);
            if let Some(event) = read_event(id, &place, &kind, &told) {
                events.insert(event.cursor, event);
            }
        }
        let open = reply.int()? == 1;
        let copied = reply.text()?;
        // The entry that was copied last is done with, all of it.
        let copied = cursor(&copied, u32::MAX).unwrap_or_default();
        let mut told = reply.nested()?;
        let mut gaps = Vec::new();
        while told.len() > 0 {
            let fields = told.nested()?.rest()?;
            let of = |name: &str| {
                let pair = fields.chunks_exact(2).find(|pair| pair[0] == name)?;
                entry_id(&pair[1]).map(|(millis, _)| millis)
            };
            gaps.extend(of("after").zip(of("before")));
        }
        Ok(Trail {
            events,
            open,
            copied,
            gaps,
        })
    }
}

/// Whether a story begins with this event, as it must.
fn is_beginning(event: Option<&Event>) -> bool {
    event
        .is_some_and(|event| matches!(event.kind, EventKind::JobEnqueued | EventKind::JobScheduled))
}

fn cursor(entry: &str, index: u32) -> Option<EventCursor> {
    let (millis, sequence) = entry_id(entry)?;
    Some(EventCursor {
        millis,
        sequence,
        index,
    })
}

/// One event of a trail: its place is that in the log, with the index in the sequence.
fn read_event(id: JobId, place: &str, kind: &str, told: &str) -> Option<Event> {
    let (millis, place) = entry_id(place)?;
    let mut fields = told.splitn(4, US);
    let mut next = || fields.next().filter(|field| !field.is_empty());
    Some(Event {
        kind: EventKind::from_name(kind),
        timestamp: millis,
        shard: id.shard(),
        cursor: EventCursor {
            millis,
            sequence: place / PLACES,
            index: u32::try_from(place % PLACES).ok()?,
        },
        job_id: Some(id),
        task_type: None,
        attempt: next().and_then(|text| text.parse().ok()).filter(|&n| n > 0),
        run: next().and_then(|text| text.parse().ok()).filter(|&n| n > 0),
        workflow_id: None,
        workflow_task: None,
        batch_id: None,
        batch_item: None,
        batch_progress: None,
        schedule_id: None,
        node_id: next().and_then(|bare| NodeId::from_bare(bare).ok()),
        term: None,
        error: next().map(str::to_owned),
    })
}
