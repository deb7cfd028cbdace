//! What jobs left, and how those of a workflow's tasks stand: for the leader.

use bytes::Bytes;
use paceline_types::{JobId, ShardIndex};

use super::inbox::TaskEnd;
use super::turn::upstream_result;
use super::{MAX_BATCH, read::Reading};
use crate::wire::inbox::end_of;
use crate::wire::reply::bytes_of;
use crate::wire::state::State;
use crate::{Store, StoreError};

/// How the job of a task stands; or what stands in its place, where nothing ran on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// There is nothing.
    Missing,
    /// It has not ended.
    Unfinished,
    /// It ended.
    Ended {
        /// How.
        end: TaskEnd,
        /// The execution that ended it; 0 where nothing ran on a node.
        attempt: u32,
    },
}

impl Store {
    /// What jobs of one shard left, in the order of the ids, as those that depend on them are given
    /// it: the result of one that completed, `{"error": …}` of one that failed, `null` of one that was
    /// skipped. None where there is nothing, or it has not ended.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn results(
        &self,
        shard: ShardIndex,
        jobs: &[JobId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let states = self.states(shard, jobs).await?;
        Ok(states.iter().map(upstream_result).collect())
    }

    /// How jobs of tasks stand, in the order of the ids.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn task_phases(
        &self,
        shard: ShardIndex,
        jobs: &[JobId],
    ) -> Result<Vec<TaskPhase>, StoreError> {
        let mut phases = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(MAX_BATCH) {
            let readings = self.readings(shard, chunk).await?;
            phases.extend(readings.iter().map(phase));
        }
        Ok(phases)
    }

    /// States of jobs of one shard, in the order of the ids; empty where there is none.
    pub(crate) async fn states(
        &self,
        shard: ShardIndex,
        jobs: &[JobId],
    ) -> Result<Vec<Bytes>, StoreError> {
        let keys = self.keys(shard)?;
        let mut states = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(10 * MAX_BATCH) {
            let mut pipeline = redis::pipe();
            for &job in chunk {
                let (stem, last) = keys.state(job);
                pipeline.cmd("HGET").arg(stem).arg(last);
            }
            for value in self.link.pipeline(&pipeline).await? {
                states.push(bytes_of("HGET", value)?);
            }
        }
        Ok(states)
    }
}

fn phase(reading: &Reading) -> TaskPhase {
    let state = State::parse(&reading.state);
    let end = state.as_ref().and_then(|state| {
        let letter = if state.continues { 'N' } else { state.letter };
        end_of(letter, &state.reason().unwrap_or_default())
    });
    match (end, state) {
        _ if !reading.token.is_empty() => TaskPhase::Unfinished,
        (Some(end), Some(state)) => TaskPhase::Ended {
            end,
            attempt: state.attempt,
        },
        _ if reading.record.is_empty() => TaskPhase::Missing,
        _ => TaskPhase::Unfinished,
    }
}
