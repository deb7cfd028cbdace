//! Listing jobs.

use paceline_types::{Job, JobId, JobStatus};

use super::sources::Slice;
use super::walk::{Step, Walk};
use super::{JobFilter, JobPage, ListError, PageRequest};
use crate::Store;

/// Where the jobs of a status are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Running,
    Waiting,
    Blocked,
    Delayed,
    Paused,
    Ended,
    Dead,
    Tagged,
}

fn sources(filter: &JobFilter) -> &'static [Source] {
    use JobStatus as S;
    if filter.tag.is_some() {
        return &[Source::Tagged];
    }
    match filter.status {
        Some(S::Running) => &[Source::Running],
        Some(S::Pending) => &[Source::Waiting, Source::Blocked],
        Some(S::Scheduled | S::Retrying) => &[Source::Delayed],
        Some(S::Paused) => &[Source::Paused],
        Some(S::Completed | S::Cancelled | S::Dead) => &[Source::Ended],
        None => &[
            Source::Running,
            Source::Waiting,
            Source::Blocked,
            Source::Delayed,
            Source::Paused,
            Source::Ended,
        ],
    }
}

fn letters(status: Option<JobStatus>) -> &'static [char] {
    match status {
        Some(JobStatus::Completed) => &['C', 'K'],
        Some(JobStatus::Dead) => &['D'],
        Some(JobStatus::Cancelled) => &['X'],
        _ => &[],
    }
}

fn matches(filter: &JobFilter, source: Source, job: &Job) -> bool {
    let in_place = match source {
        Source::Running => job.status == JobStatus::Running,
        Source::Waiting | Source::Blocked => job.status == JobStatus::Pending,
        Source::Delayed => matches!(job.status, JobStatus::Scheduled | JobStatus::Retrying),
        Source::Paused => job.status == JobStatus::Paused,
        Source::Ended => job.status.is_terminal(),
        Source::Dead => job.status == JobStatus::Dead,
        Source::Tagged => true,
    };
    in_place
        && filter.status.is_none_or(|status| job.status == status)
        && filter
            .task_type
            .as_ref()
            .is_none_or(|wanted| job.task_type == *wanted)
        && filter.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
}

impl Store {
    /// Jobs that match a filter, a page at a time. Jobs of workflows are found while they wait
    /// and run; once ended, with their workflow.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn list_jobs(
        &self,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<JobPage, ListError> {
        self.walk(filter, sources(filter), page).await
    }

    /// Dead letters, newest first.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn dead_letters(&self, page: &PageRequest) -> Result<JobPage, ListError> {
        self.walk(&JobFilter::default(), &[Source::Dead], page)
            .await
    }

    async fn walk(
        &self,
        filter: &JobFilter,
        sources: &[Source],
        page: &PageRequest,
    ) -> Result<JobPage, ListError> {
        let mut walk = Walk::begin(page)?;
        while let Some(step) = walk.step(self.shards(), sources.len()) {
            let source = sources[step.source];
            let slice = self.slice(source, filter, &step).await?;
            let read = slice.ids.iter().enumerate().filter_map(|(index, bare)| {
                let ended_at = slice.ended_at.get(index).copied();
                Some((JobId::from_bare(bare).ok()?, ended_at))
            });
            let (ids, ended_at): (Vec<JobId>, Vec<_>) = read.unzip();
            let found = self.jobs(&ids).await?;
            // A job that was retried and ended again is found where it ended last.
            let newest = |job: &Job, ended_at: Option<u64>| {
                ended_at.is_none_or(|at| job.completed_at == Some(at))
            };
            let listed = found
                .into_iter()
                .zip(ended_at)
                .filter_map(|(job, ended_at)| {
                    job.filter(|job| matches(filter, source, job) && newest(job, ended_at))
                });
            walk.take(listed, slice.next);
        }
        Ok(walk.page(self.shards()))
    }

    async fn slice(
        &self,
        source: Source,
        filter: &JobFilter,
        step: &Step,
    ) -> Result<Slice, ListError> {
        let (shard, position, limit) = (step.shard, step.position.as_str(), step.want);
        Ok(match (source, &filter.tag) {
            (Source::Running, _) => self.running(shard, position, limit).await?,
            (Source::Waiting, _) => {
                self.waiting(shard, filter.task_type.as_ref(), position, limit)
                    .await?
            }
            (Source::Blocked, _) => self.blocked(shard, position, limit).await?,
            (Source::Delayed, _) => self.delayed(shard, position, limit).await?,
            (Source::Paused, _) => self.paused(shard, position, limit).await?,
            (Source::Dead, _) => self.dead(shard, position, limit).await?,
            (Source::Tagged, Some(tag)) => self.tagged(shard, tag, position, limit).await?,
            (Source::Ended | Source::Tagged, _) => {
                self.ended(shard, letters(filter.status), position, limit)
                    .await?
            }
        })
    }
}
