//! What few commits have beside records, plain jobs and events. `lua/lib/consequences.lua` follows it.

use paceline_types::WorkflowId;
use paceline_types::id::ID_LEN;
use redis::RedisWrite as _;

use super::workflows::{Commit, ConcludedBy, Dispatch};
use crate::StoreError;
use crate::script::Invocation;
use crate::wire::job;
use crate::wire::workflow::encode_task;

impl Dispatch<'_> {
    /// Whether the job asks for more than a place in a lane.
    pub(super) fn is_special(&self) -> bool {
        let spec = self.spec;
        spec.audited
            || !spec.limits.is_empty()
            || !spec.tags.is_empty()
            || spec.schedule_to_start_timeout.is_some()
            || spec.max_duration.is_some()
            || spec.heartbeat_timeout.is_some()
    }
}

/// One for each special job, past start, conclusion, post, successor and dropped task.
pub(super) fn add(call: &mut Invocation, commits: &[&Commit<'_>]) -> Result<(), StoreError> {
    call.arg(commits.iter().map(|commit| count(commit)).sum::<usize>());
    for commit in commits {
        let bare = |id: WorkflowId| id.bare(&mut [0; ID_LEN]).to_owned();
        for dispatch in commit.dispatches.iter().filter(|job| job.is_special()) {
            let body = job::encode(
                dispatch.spec,
                Some(&dispatch.place),
                dispatch.upstream.as_ref(),
            );
            call.arg("j")
                .arg(dispatch.job.bare(&mut [0; ID_LEN]) as &str)
                .bytes(&body)
                .arg("");
        }
        for (index, record) in commit.history {
            call.arg("h").arg(bare(commit.workflow));
            call.write_arg_fmt(format_args!("{index}.{}", record.iteration()));
            call.arg(encode_task(commit.workflow, *index, record));
        }
        for conclusion in &commit.conclusions {
            let job = conclusion.job.bare(&mut [0; ID_LEN]).to_owned();
            match conclusion.result {
                ConcludedBy::Value(value) => call.arg("v").arg(job).bytes(value).arg(""),
                ConcludedBy::Signal(number) => {
                    let workflow = bare(commit.workflow);
                    call.arg("s").arg(job).arg(workflow).arg(number)
                }
            };
        }
        for post in &commit.posts {
            let text = serde_json::to_vec(post)
                .map_err(|error| StoreError::protocol("commit", "a post as JSON", &error))?;
            call.arg("p").bytes(&text).arg("").arg("");
        }
        if let Some((to, job)) = commit.successor {
            call.arg("n")
                .arg(bare(commit.workflow))
                .arg(bare(to))
                .arg(job.bare(&mut [0; ID_LEN]) as &str);
        }
        for task in commit.dropped {
            call.arg("d").arg(bare(commit.workflow)).arg(*task).arg("");
        }
    }
    Ok(())
}

fn count(commit: &Commit<'_>) -> usize {
    let special = commit.dispatches.iter().filter(|job| job.is_special());
    special.count()
        + commit.history.len()
        + commit.conclusions.len()
        + commit.posts.len()
        + commit.dropped.len()
        + usize::from(commit.successor.is_some())
}
