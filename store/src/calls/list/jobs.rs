//! Listing jobs.

use paceline_types::{Job, JobId, JobStatus, ShardIndex};

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
        && (filter.unique_key.is_none() || job.unique_key == filter.unique_key)
        && filter
            .created_since
            .is_none_or(|since| job.created_at >= since)
        && filter
            .created_until
            .is_none_or(|until| job.created_at < until)
        && filter
            .ended_since
            .is_none_or(|since| job.completed_at.is_some_and(|at| at >= since))
        && filter
            .ended_until
            .is_none_or(|until| job.completed_at.is_some_and(|at| at < until))
        && filter
            .payload
            .as_ref()
            .is_none_or(|wanted| wanted.matches(&job.payload))
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
        let mut walk = Walk::begin(page)?.narrow(filter.is_narrow());
        let mut shards = self.shards();
        if let Some(key) = &filter.unique_key {
            // Jobs with the key are in no other shard.
            let shard = ShardIndex::of_key(key.as_str(), shards);
            walk = walk.only(shard);
            shards = shard.0 + 1;
        }
        while let Some(step) = walk.step(shards, sources.len()) {
            let source = sources[step.source];
            let slice = self.slice(source, filter, &step).await?;
            let in_time = |ended_at: Option<u64>| {
                let since = filter.ended_since.zip(ended_at);
                let until = filter.ended_until.zip(ended_at);
                since.is_none_or(|(since, at)| at >= since)
                    && until.is_none_or(|(until, at)| at < until)
            };
            let read = slice.ids.iter().zip(slice.behind).enumerate();
            let read = read.filter_map(|(index, (bare, behind))| {
                let ended_at = slice.ended_at.get(index).copied();
                let id = JobId::from_bare(bare).ok().filter(|_| in_time(ended_at))?;
                Some((id, (ended_at, behind)))
            });
            let (ids, places): (Vec<JobId>, Vec<_>) = read.unzip();
            let found = self.jobs(&ids).await?;
            walk.weigh(found.iter().flatten().map(|job| job.payload.len()).sum());
            // A job that was retried and ended again is found where it ended last.
            let newest = |job: &Job, ended_at: Option<u64>| {
                ended_at.is_none_or(|at| job.completed_at == Some(at))
            };
            let listed = found
                .into_iter()
                .zip(places)
                .filter_map(|(job, (ended_at, behind))| {
                    let job = job?;
                    let fits = matches(filter, source, &job) && newest(&job, ended_at);
                    fits.then_some((job, behind))
                });
            walk.take(listed, slice.next, slice.ids.len());
        }
        Ok(walk.page(shards))
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
