//! What the leader does with schedules: reads those that are due, and fires.

use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{
    Advance, DueSchedule, DueSchedules, Fired, FiringAnswer, FiringCounts, FiringOutcome,
    FiringStep, NewFiring,
};
use paceline_types::{Bytes, JobSpec, ScheduleId, ShardIndex};

use crate::calls::leader::due_in;
use crate::calls::turn::RETENTION_FAILED;
use crate::calls::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::wire::{job, millis};
use crate::{Store, StoreError};
use paceline_types::id::ID_LEN;

static DUE_SCHEDULES: Script = script!("due_schedules");
static FIRE: Script = script!("fire");

impl Store {
    /// Schedules of a shard that are due by the server's clock, longest first, at most `max`, and
    /// as many of those whose buffer may start.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn due_schedules(
        &self,
        shard: ShardIndex,
        max: usize,
    ) -> Result<DueSchedules, StoreError> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.due_schedules, &keys.ended_schedules];
        let mut call = Invocation::new(&DUE_SCHEDULES, &names);
        call.arg(max.min(MAX_BATCH));
        let mut reply = Reply::list("due_schedules", self.link.call(&call).await?)?;
        let now = reply.parse("the server's time")?;
        let next_due_in = due_in(reply.int()?);
        let mut schedules = Vec::new();
        while reply.len() > 0 {
            let mut fields = reply.nested()?;
            let id: ScheduleId = fields.parse("the id of a schedule")?;
            let revision = fields.text()?;
            schedules.push(DueSchedule {
                id,
                revision,
                anchored_at: fields.text()?.parse().unwrap_or(0),
                next: fields.text()?.parse().ok(),
                waiting: fields.text()?.parse().ok(),
                is_due: fields.int()? == 1,
            });
        }
        Ok(DueSchedules {
            now,
            schedules,
            next_due_in,
        })
    }

    /// Carries steps out, each whole or not at all, at most [`MAX_BATCH`] firings in all. A step
    /// that was carried out answers `Changed` when it is sent again.
    ///
    /// # Errors
    /// [`Fenced`]: nothing was done. No answer: send it again, or read again what is due.
    pub async fn fire(
        &self,
        shard: ShardIndex,
        term: u64,
        steps: &[FiringStep],
    ) -> Result<Fired, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.due_schedules, &keys.leader];
        let mut call = Invocation::new(&FIRE, &names);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(millis(RETENTION_FAILED))
            .arg(steps.len());
        for step in steps {
            add_step(&mut call, step);
        }
        let mut reply = expect_ok("fire", self.link.call(&call).await?)?;
        let next_due_in = due_in(reply.int()?);
        let mut answers = Vec::with_capacity(steps.len());
        while reply.len() > 0 {
            let text = reply.text()?;
            let answer = answer(&text);
            answers.push(answer.ok_or_else(|| StoreError::protocol("fire", "an answer", &text))?);
        }
        Ok(Fired {
            answers,
            next_due_in,
        })
    }
}

fn answer(text: &str) -> Option<FiringAnswer> {
    let mut parts = text.split(' ');
    let outcome = match parts.next()? {
        "." => FiringOutcome::Done,
        "s" => FiringOutcome::Changed,
        "m" => FiringOutcome::Missing,
        "p" => FiringOutcome::Paused,
        _ => return None,
    };
    let mut count = || parts.next()?.parse().ok();
    Some(FiringAnswer {
        outcome,
        counts: FiringCounts {
            fired: count()?,
            skipped: count()?,
            buffered: count()?,
            dropped: count()?,
            replaced: count()?,
        },
    })
}

fn overlap(policy: OverlapPolicy) -> &'static str {
    match policy {
        OverlapPolicy::AllowAll => "A",
        OverlapPolicy::Skip => "S",
        OverlapPolicy::BufferOne => "1",
        OverlapPolicy::BufferAll => "N",
        OverlapPolicy::Replace => "R",
    }
}

/// One step, as `lua/lib/firing.lua` reads it. Its jobs share all but their heads, so that a payload
/// is sent once.
pub(super) fn add_step(call: &mut Invocation, step: &FiringStep) {
    call.arg(step.id.as_str()).arg(&step.revision);
    match step.advance {
        Advance::Stay => call.arg("").arg(""),
        Advance::To(from, Some(to)) => call.arg(from).arg(to),
        Advance::To(from, None) => call.arg(from).arg(""),
        Advance::Later(from) => call.arg(from).arg("?"),
    };
    call.arg(overlap(step.overlap));
    let first = step.firings.first();
    match first.filter(|_| step.drains) {
        Some(first) => call.arg(first.firing.to_string()),
        None => call.arg(""),
    };
    let spec = first.map(|first| &first.spec);
    call.bytes(spec.map_or(&[], |spec| &spec.payload));
    call.arg(step.firings.len());
    for firing in &step.firings {
        add_firing(call, firing);
    }
}

fn add_firing(call: &mut Invocation, firing: &NewFiring) {
    let head = JobSpec {
        payload: Bytes::new(),
        ..firing.spec.clone()
    };
    call.arg(firing.firing.at)
        .arg(firing.firing.kind.letter().to_string())
        .arg(firing.job.bare(&mut [0; ID_LEN]) as &str)
        .arg(millis(firing.delay));
    call.bytes(&job::encode(&head, None, None));
}
