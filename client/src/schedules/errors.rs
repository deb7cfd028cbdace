//! Why a call on schedules failed.

use paceline_store::StoreError;
use paceline_types::scheduled::MAX_BACKFILL;
use paceline_types::workflow::DefinitionError;
use paceline_types::{NameError, ScheduleId};

use crate::InvalidJob;

/// Why a schedule was not stored. Nothing was changed, unless [`PutScheduleError::Store`] says
/// that the call may have been carried out; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutScheduleError {
    /// An id that may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The job is not one that may be submitted.
    #[error(transparent)]
    Job(#[from] InvalidJob),
    /// The definition has mistakes, each with the path of its field.
    #[error("the schedule is not valid: {}", list(.0))]
    Invalid(Vec<DefinitionError>),
    /// It never fires: there is no such moment between `starts_at` and `ends_at`.
    #[error("the schedule `{id}` would never fire")]
    NeverFires {
        /// The schedule.
        id: ScheduleId,
    },
    /// The payload is too large.
    #[error(
        "the payload of the schedule `{id}` has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and schedule its address"
    )]
    TooLarge {
        /// The schedule.
        id: ScheduleId,
        /// Its bytes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A limit of its jobs lives in another shard: one script checks both.
    #[error(
        "the limit `{limit}` lives in another shard than the schedule `{id}`, and its jobs are made \
         where the schedule lives; write the limit as `{limit}{{{id}}}`, which puts it there"
    )]
    LimitElsewhere {
        /// The schedule.
        id: ScheduleId,
        /// The key.
        limit: String,
    },
    /// A provider may only change what it made.
    #[error("the schedule `{id}` is not of this provider, and is left alone")]
    Owned {
        /// The schedule.
        id: ScheduleId,
    },
    /// Others changed it all the time.
    #[error("the schedule `{id}` is being changed by somebody else; send it again")]
    Contended {
        /// The schedule.
        id: ScheduleId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a schedule was not steered or fired. Nothing was changed, unless [`ScheduleError::Store`]
/// says that the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// An id that may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is none.
    #[error("there is no schedule `{id}`: it was deleted, will not fire again, or never was")]
    Unknown {
        /// Its id.
        id: ScheduleId,
    },
    /// A backfill of more firings than allowed.
    #[error(
        "the range has more than {MAX_BACKFILL} firings of the schedule `{id}`, which is the most of \
         one backfill; take a shorter range"
    )]
    TooMany {
        /// The schedule.
        id: ScheduleId,
    },
    /// A range that ends before it begins.
    #[error("the backfill ends before it begins; give the earlier time first")]
    Backwards,
    /// Others changed it all the time.
    #[error("the schedule `{id}` is being changed by somebody else; try it again")]
    Contended {
        /// The schedule.
        id: ScheduleId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(mistakes: &[DefinitionError]) -> String {
    let sentences: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}
