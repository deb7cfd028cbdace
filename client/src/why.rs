//! Why work is not running.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use paceline_store::StoreError;
use paceline_types::why::{Reason, Why, dependencies};
use paceline_types::{JobId, JobStatus, TaskName, WorkflowId, WorkflowStatus};

use crate::Client;

/// What is asked about: a job, or a task of a workflow, which may have none yet. Written as the id
/// of the job, or `<workflow>/<task>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyTarget {
    /// A job.
    Job(JobId),
    /// A task of a workflow.
    Task(WorkflowId, TaskName),
}

impl From<JobId> for WhyTarget {
    fn from(id: JobId) -> WhyTarget {
        WhyTarget::Job(id)
    }
}

impl fmt::Display for WhyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyTarget::Job(id) => id.fmt(f),
            WhyTarget::Task(workflow, task) => write!(f, "{workflow}/{task}"),
        }
    }
}

impl FromStr for WhyTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<WhyTarget, String> {
        let Some((workflow, task)) = text.split_once('/') else {
            let id = text.parse().map(WhyTarget::Job);
            return id.map_err(|error| format!("{error}; or write WORKFLOW/TASK"));
        };
        let workflow = workflow.parse().map_err(|error| format!("{error}"))?;
        let task = TaskName::new(task).map_err(|error| error.to_string())?;
        Ok(WhyTarget::Task(workflow, task))
    }
}

/// Why it was not said why work is not running.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhyError {
    /// There is no record of it.
    #[error("{0} is not known: its retention is over, or its id is from another cluster")]
    Unknown(WhyTarget),
    /// The workflow has no such task.
    #[error("workflow {workflow} has no task {task}")]
    NoSuchTask {
        /// The workflow.
        workflow: WorkflowId,
        /// The task.
        task: TaskName,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Why a job is not running, or a task of a workflow has not begun: what stands in its way,
    /// what blocks first coming first. It asks a bounded number of times, whatever waits.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, JobId};
    /// # async fn example(client: Client, id: JobId) -> Result<(), Box<dyn std::error::Error>> {
    /// let why = client.why(id).await?;
    /// for reason in &why.reasons {
    ///     tracing::info!("{}", reason.sentence(why.at));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`WhyError`].
    pub async fn why(&self, target: impl Into<WhyTarget>) -> Result<Why, WhyError> {
        match target.into() {
            WhyTarget::Job(id) => self.why_job(id).await,
            WhyTarget::Task(workflow, task) => self.why_task(workflow, task).await,
        }
    }

    async fn why_job(&self, id: JobId) -> Result<Why, WhyError> {
        let why = self.store().why(id).await?;
        why.ok_or(WhyError::Unknown(WhyTarget::Job(id)))
    }

    async fn why_task(&self, id: WorkflowId, name: TaskName) -> Result<Why, WhyError> {
        let found = self.store().workflow(id).await?;
        let Some(workflow) = found else {
            return Err(WhyError::Unknown(WhyTarget::Task(id, name)));
        };
        let Some(task) = workflow.tasks.iter().find(|task| task.name == name) else {
            return Err(WhyError::NoSuchTask {
                workflow: id,
                task: name,
            });
        };
        if let Some(job) = task.job_id {
            return self.why_job(job).await;
        }
        let states: BTreeMap<TaskName, JobStatus> = workflow
            .tasks
            .iter()
            .map(|task| (task.name.clone(), task.status))
            .collect();
        let (has_leader, now) = self.store().leader_lives(id.shard()).await?;
        let mut reasons = Vec::new();
        if task.status.is_terminal() {
            reasons.push(Reason::Ended {
                status: task.status,
                at: task.finished_at,
                error: task.error.clone(),
            });
        } else {
            if workflow.status != WorkflowStatus::Running {
                reasons.push(Reason::Workflow {
                    status: workflow.status,
                });
            }
            reasons.extend(dependencies(&name, &task.depends_on, &states));
            if !workflow.status.is_terminal() && !has_leader {
                reasons.push(Reason::NoLeader);
            }
            if reasons.is_empty() {
                reasons.push(Reason::Next);
            }
        }
        Ok(Why {
            job: None,
            status: task.status,
            at: now,
            reasons,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back() {
        for text in [
            "job_00000000000000000000000000",
            "wf_00000000000000000000000000/build",
        ] {
            let target: WhyTarget = text.parse().expect(text);
            assert_eq!(target.to_string(), text);
        }
        for (text, begin) in [
            (
                "wf_00000000000000000000000000",
                "`wf_00000000000000000000000000` is not a job id",
            ),
            (
                "job_00000000000000000000000000/a",
                "`job_00000000000000000000000000` is not a workflow id",
            ),
            ("wf_00000000000000000000000000/", "the task name is empty"),
        ] {
            let error = text.parse::<WhyTarget>().expect_err(text);
            assert!(error.starts_with(begin), "{error}");
        }
    }
}
