//! The audit trail of a job: what happened to it, as moves from status to status.

use serde::Serialize;

use crate::{Event, EventKind, JobId, JobStatus, NodeId, UnixMillis};

/// One move of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// When, by the server's clock.
    pub time: UnixMillis,
    /// Where it stood; none when it was accepted, and behind a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<JobStatus>,
    /// Where it stands from then on; none after an event of a kind that this version does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<JobStatus>,
    /// What happened.
    pub event: EventKind,
    /// The node that acted, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Which execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Why, where there is a why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where an audit was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditSource {
    /// The trail that is kept with an audited job.
    Trail,
    /// The event log, as far as it is kept: the job is not audited.
    Log,
}

/// What happened to a job, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The job.
    pub job: JobId,
    /// Where it was read.
    pub source: AuditSource,
    /// Whether it is everything since the job was accepted.
    pub complete: bool,
    /// In order.
    pub entries: Vec<AuditEntry>,
}

/// Where a job stands after an event; none for kinds that do not say so.
#[must_use]
pub fn status_after(kind: &EventKind) -> Option<JobStatus> {
    Some(match kind {
        EventKind::JobEnqueued
        | EventKind::JobDispatched
        | EventKind::JobRetrying
        | EventKind::JobResumed
        | EventKind::JobAutoRecovered => JobStatus::Pending,
        EventKind::JobScheduled => JobStatus::Scheduled,
        EventKind::JobStarted => JobStatus::Running,
        EventKind::JobCompleted => JobStatus::Completed,
        EventKind::JobFailed => JobStatus::Retrying,
        EventKind::JobDead => JobStatus::Dead,
        EventKind::JobCancelled => JobStatus::Cancelled,
        EventKind::JobPaused => JobStatus::Paused,
        other => return late_end(other.as_str()),
    })
}

/// Kinds that stand in the place of another one.
fn late_end(kind: &str) -> Option<JobStatus> {
    (kind == "job.schedule_to_start_timeout").then_some(JobStatus::Dead)
}

/// Whether a job stands where it stood, whatever this tells.
fn is_no_move(kind: &EventKind) -> bool {
    kind.as_str() == "job.fenced"
}

/// The moves that events of one job, in their order, tell of. `gaps` are moments behind which
/// events are missing.
#[must_use]
pub fn moves<'a>(
    events: impl IntoIterator<Item = &'a Event>,
    gaps: &[UnixMillis],
) -> Vec<AuditEntry> {
    let mut stands = None;
    let mut before: Option<UnixMillis> = None;
    let fold = |event: &'a Event| {
        let missing = |before| {
            gaps.iter()
                .any(|&gap| before <= gap && gap < event.timestamp)
        };
        if before.is_some_and(missing) {
            stands = None;
        }
        before = Some(event.timestamp);
        let from = stands;
        if !is_no_move(&event.kind) {
            stands = status_after(&event.kind);
        }
        AuditEntry {
            time: event.timestamp,
            from,
            to: stands,
            event: event.kind.clone(),
            node: event.node_id,
            attempt: event.attempt,
            error: event.error.clone(),
        }
    };
    events.into_iter().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardIndex;
    use crate::event::EventCursor;

    fn event(timestamp: UnixMillis, kind: &str) -> Event {
        Event {
            kind: EventKind::from_name(kind),
            timestamp,
            shard: ShardIndex(0),
            cursor: EventCursor::default(),
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
            node_id: None,
            term: None,
            error: None,
        }
    }

    #[test]
    fn every_event_of_a_job_moves_it_somewhere() {
        for kind in EventKind::ALL {
            let moves = kind.as_str().starts_with("job.") && !is_no_move(kind);
            assert_eq!(status_after(kind).is_some(), moves, "{kind}");
        }
    }

    #[test]
    fn moves_follow_one_another() {
        use JobStatus as S;
        let story = [
            ("job.scheduled", None, S::Scheduled),
            ("job.dispatched", Some(S::Scheduled), S::Pending),
            ("job.started", Some(S::Pending), S::Running),
            ("job.failed", Some(S::Running), S::Retrying),
            ("job.dispatched", Some(S::Retrying), S::Pending),
            ("job.started", Some(S::Pending), S::Running),
            ("job.dead", Some(S::Running), S::Dead),
            ("job.fenced", Some(S::Dead), S::Dead),
            ("job.retrying", Some(S::Dead), S::Pending),
            ("job.cancelled", Some(S::Pending), S::Cancelled),
        ];
        let events: Vec<_> = (1..)
            .zip(story)
            .map(|(at, (kind, ..))| event(at, kind))
            .collect();
        for (entry, (_, from, to)) in moves(&events, &[]).into_iter().zip(story) {
            assert_eq!((entry.from, entry.to), (from, Some(to)));
        }
        let with_gap = moves(&events, &[4]);
        assert_eq!(with_gap[4].from, None);
        assert_eq!(with_gap[5].from, Some(S::Pending));
    }

    #[test]
    fn nothing_is_claimed_about_what_is_not_known() {
        let events = [
            event(1, "job.enqueued"),
            event(2, "job.teleported"),
            event(3, "job.started"),
        ];
        let moves = moves(&events, &[]);
        let told: Vec<_> = moves.iter().map(|entry| (entry.from, entry.to)).collect();
        let (pending, running) = (Some(JobStatus::Pending), Some(JobStatus::Running));
        assert_eq!(told, [(None, pending), (pending, None), (None, running)]);
    }
}
