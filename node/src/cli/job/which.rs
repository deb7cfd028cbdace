//! Which jobs a command acts on: some by their ids, or all that match.

use clap::Args;
use paceline_client::{Bulk, JobFilter};
use paceline_types::{JobId, JobStatus, Tag, TaskType};

use crate::cli::failure::Failure;

/// Jobs, by id or by what they have in common.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Their ids
    ids: Vec<JobId>,
    /// Every job of this status, with --yes
    #[arg(long, conflicts_with = "ids")]
    status: Option<JobStatus>,
    /// Every job of this task type, with --yes
    #[arg(long = "type", value_name = "TASK_TYPE", conflicts_with = "ids")]
    task_type: Option<TaskType>,
    /// Every job with this tag, with --yes
    #[arg(long, conflicts_with = "ids")]
    tag: Option<Tag>,
    /// Do it to every job that matches
    #[arg(long, conflicts_with = "ids")]
    yes: bool,
}

/// What was chosen.
pub(super) enum Chosen {
    /// These jobs.
    Ids(Vec<JobId>),
    /// Every job that matches.
    Matching(JobFilter),
}

impl Which {
    /// Whether nothing was chosen at all.
    pub(super) fn is_empty(&self) -> bool {
        let filtered = self.status.is_some() || self.task_type.is_some() || self.tag.is_some();
        self.ids.is_empty() && !filtered
    }

    /// What was chosen, if that is clear.
    pub(super) fn chosen(self) -> Result<Chosen, Failure> {
        if self.is_empty() {
            return Err(Failure::usage(
                "no jobs are named: give their ids, or choose them by --status, --type or --tag",
            ));
        }
        if !self.ids.is_empty() {
            return Ok(Chosen::Ids(self.ids));
        }
        if !self.yes {
            return Err(Failure::usage(
                "this acts on every job that matches, which `job list` shows: add --yes to do it",
            ));
        }
        Ok(Chosen::Matching(JobFilter {
            status: self.status,
            task_type: self.task_type,
            tag: self.tag,
            ..JobFilter::default()
        }))
    }
}

/// Tells of each job that was acted on, page by page.
pub(super) async fn tell_all<T: Send + 'static>(
    mut bulk: Bulk<T>,
    mut tell: impl FnMut(JobId, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while let Some(page) = bulk.next_page().await? {
        for (id, outcome) in page {
            tell(id, outcome)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(status: Option<JobStatus>, yes: bool) -> Which {
        Which {
            ids: Vec::new(),
            status,
            task_type: None,
            tag: None,
            yes,
        }
    }

    #[test]
    fn all_that_match_are_chosen_on_purpose_only() {
        assert!(which(None, true).chosen().is_err(), "not simply all");
        assert!(which(Some(JobStatus::Dead), false).chosen().is_err());
        let chosen = which(Some(JobStatus::Dead), true).chosen();
        let wanted = |filter: &JobFilter| filter.status == Some(JobStatus::Dead);
        assert!(matches!(chosen, Ok(Chosen::Matching(filter)) if wanted(&filter)));
    }
}
