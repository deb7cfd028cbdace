//! Submits as plain commands, for callers who send them by themselves.

use std::collections::BTreeMap;

use paceline_store::StoreError;
use paceline_store::calls::submit::{NewJob, read_submit_reply};
use paceline_types::ShardIndex;

use crate::group_commit::forming::MAX_BATCH;
use crate::submit::new_job_id;
use crate::submit_many::Submission;
use crate::{Accepted, Client, JobId, JobRequest, SubmitError};

/// One call that submits jobs, to be put into a pipeline or a `MULTI` of the caller's own, with any
/// client of Redis.
///
/// ```text
/// SCRIPT LOAD <source>            load_arguments(): once, before the MULTI
/// MULTI
/// SET order:17 paid               the caller's
/// EVALSHA <hash> <keys> …         arguments()
/// EXEC                            the reply to EVALSHA goes to read_reply()
/// ```
///
/// Inside a `MULTI` a script that is not loaded cannot be loaded any more, and the call fails alone:
/// load it first, or send [`eval_arguments`](SubmitCommand::eval_arguments), which carries the source.
/// On a cluster everything goes to the server of [`key`](SubmitCommand::key), and a `MULTI` can only
/// hold other keys with the same hash tag. The ids are part of the call, so sending it twice makes
/// no second job.
#[derive(Clone, Debug)]
pub struct SubmitCommand {
    jobs: Vec<NewJob>,
    arguments: Vec<Vec<u8>>,
    key: Vec<u8>,
    source: &'static str,
}

impl SubmitCommand {
    /// The call: `EVALSHA`, the hash of the script, and what it takes.
    #[must_use]
    pub fn arguments(&self) -> &[Vec<u8>] {
        &self.arguments
    }

    /// The call with the source of the script in place of its hash: `EVAL` and what follows.
    #[must_use]
    pub fn eval_arguments(&self) -> Vec<Vec<u8>> {
        let mut arguments = self.arguments.clone();
        for (place, text) in ["EVAL", self.source].into_iter().enumerate() {
            if let Some(argument) = arguments.get_mut(place) {
                *argument = text.as_bytes().to_vec();
            }
        }
        arguments
    }

    /// What makes the script known to a server: `SCRIPT LOAD` and the source. It stays known until
    /// the server restarts or its scripts are flushed.
    #[must_use]
    pub fn load_arguments(&self) -> Vec<Vec<u8>> {
        ["SCRIPT", "LOAD", self.source]
            .map(|text| text.as_bytes().to_vec())
            .to_vec()
    }

    /// The key that says which server of a cluster the call goes to.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Ids that the jobs have if they are made, in the order of the requests.
    pub fn ids(&self) -> impl Iterator<Item = JobId> {
        self.jobs.iter().map(|job| job.id)
    }

    /// Reads the reply to the call: a list of bulk strings, in their order. Gives the result of each
    /// job, as [`Client::submit_many`] does.
    ///
    /// # Errors
    /// When it is not the reply to this call.
    pub fn read_reply<P: AsRef<[u8]>>(&self, parts: &[P]) -> Result<Vec<Submission>, StoreError> {
        let replies = read_submit_reply(&self.jobs, parts)?;
        let told = self.jobs.iter().zip(replies);
        Ok(told
            .map(|(job, reply)| {
                let accepted = reply.map(|submitted| Accepted::of(job.id, submitted));
                accepted.map_err(SubmitError::from)
            })
            .collect())
    }
}

impl Client {
    /// The calls that submit these jobs, without sending them: one for each shard, of a hundred jobs
    /// at most. Jobs that no key ties to a shard go to one of them together.
    ///
    /// # Errors
    /// When a request is wrong or too large; then there are no calls.
    pub fn submit_command<I>(&self, jobs: I) -> Result<Vec<SubmitCommand>, SubmitError>
    where
        I: IntoIterator<Item: Into<JobRequest>>,
    {
        let fallback = self.spread();
        let mut sorted = BTreeMap::<ShardIndex, Vec<NewJob>>::new();
        for request in jobs {
            let spec = self.checked(request.into())?;
            let shard = self.store().shard_for(&spec, fallback)?;
            let id = new_job_id(shard);
            sorted.entry(shard).or_default().push(NewJob { id, spec });
        }
        let mut commands = Vec::new();
        for (shard, jobs) in sorted {
            for jobs in jobs.chunks(MAX_BATCH) {
                let call = self.store().submit_call(shard, jobs)?;
                commands.push(SubmitCommand {
                    jobs: jobs.to_vec(),
                    arguments: call.arguments(),
                    key: call.slot_key().to_vec(),
                    source: call.script().source(),
                });
            }
        }
        Ok(commands)
    }
}
