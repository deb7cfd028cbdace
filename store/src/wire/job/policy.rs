//! The policy in the record of a job: what scripts must know of it beside its lane.
//!
//! Fields of one letter and a value, US between them; `lua/lib/jobs.lua` reads them.

use std::time::Duration;

use paceline_types::{FiringRef, JobSpec, LimitKey, ScheduleId, Tag, UniqueKey, UnixMillis};

use super::UpstreamRef;
use crate::wire::escape::{escape, unescape};
use crate::wire::pack::pack;
use crate::wire::{US, millis};

/// First letters of the fields of a policy that matter when a run ends, see `lua/lib/jobs.lua`.
const FOLLOWED: [char; 5] = ['u', 'l', 'M', 'H', 'F'];

/// The policy of a job; `-` when there is none.
pub(super) fn encode(spec: &JobSpec, upstream: Option<&UpstreamRef>) -> String {
    let mut fields = Vec::new();
    let max_attempts = match (&spec.retry_policy, spec.dlq_after) {
        (Some(policy), Some(dlq_after)) => Some(policy.max_attempts.min(dlq_after)),
        (Some(policy), None) => Some(policy.max_attempts),
        (None, dlq_after) => dlq_after,
    };
    if let Some(max_attempts) = max_attempts {
        fields.push(format!("a{max_attempts}"));
    }
    if let Some(key) = &spec.unique_key {
        fields.push(format!("u{}", escape(key.as_str())));
    }
    let keys = spec.limits.iter();
    fields.extend(keys.map(|key| format!("l{}", escape(key.as_str()))));
    for (letter, limit) in [
        ('S', spec.schedule_to_start_timeout),
        ('M', spec.max_duration),
        ('H', spec.heartbeat_timeout),
    ] {
        fields.extend(limit.map(|limit| format!("{letter}{}", millis(limit).max(1))));
    }
    if let Some(firing) = &spec.firing {
        fields.push(format!("F{}", firing.schedule));
    }
    if spec.audited {
        fields.push("A".to_owned());
    }
    fields.extend(spec.tags.iter().map(|tag| format!("t{tag}")));
    let sources = pack(upstream.map(UpstreamRef::jobs).unwrap_or_default());
    if !sources.is_empty() {
        fields.push(format!("U{sources}"));
    }
    if fields.is_empty() {
        "-".to_owned()
    } else {
        fields.join(&US.to_string())
    }
}

/// The fields of a policy.
pub(super) fn fields(policy: &str) -> impl Iterator<Item = &str> {
    policy.split(US).filter(|field| *field != "-")
}

/// Those that matter when a run ends.
pub(super) fn followed(policy: &str) -> impl Iterator<Item = &str> {
    fields(policy).filter(|field| field.starts_with(FOLLOWED))
}

/// Reads one field of a policy; those of no concern to a spec are passed over.
pub(super) fn read(spec: &mut JobSpec, field: &str, fires_at: Option<UnixMillis>) {
    let mut letters = field.chars();
    let letter = letters.next();
    let value = letters.as_str();
    let duration = || value.parse().ok().map(Duration::from_millis);
    match letter {
        Some('u') => spec.unique_key = unescape(value).and_then(|key| UniqueKey::new(&key).ok()),
        Some('l') => {
            let key = unescape(value).and_then(|key| LimitKey::new(&key).ok());
            spec.limits.extend(key);
        }
        Some('t') => spec.tags.extend(Tag::new(value).ok()),
        Some('S') => spec.schedule_to_start_timeout = duration(),
        Some('M') => spec.max_duration = duration(),
        Some('H') => spec.heartbeat_timeout = duration(),
        Some('A') => spec.audited = true,
        Some('F') => {
            let schedule = ScheduleId::new(value).ok();
            spec.firing = schedule
                .zip(fires_at)
                .map(|(schedule, at)| FiringRef { schedule, at });
        }
        _ => {}
    }
}
