//! Accepting, cancelling, loading and viewing workflows.

use bytes::Bytes;
use paceline_types::workflow::{Header, Section, TaskRecord, WorkflowStatus};
use paceline_types::{ShardIndex, SignalName, UnixMillis, WorkflowId};
use redis::Value;

use super::CallError;
use super::commit::ChildOf;
use crate::script::{Invocation, Script};
use crate::wire::plain;
use crate::wire::reply::{Reply, bytes_of, text_of};
use crate::wire::workflow::{
    encode_definition, encode_header, ended_status, parse_definition, parse_header, parse_section,
    parse_task,
};
use crate::{Store, StoreError};

mod results;
mod signals;
mod steer;
mod tasks;
mod view;

pub use signals::{MAX_SIGNALS, SIGNAL_KEY_RETENTION, SignalRefusal};
pub use steer::SteerRefusal;
pub(crate) use view::{header_view, max_attempts};

pub(crate) static SUBMIT_WORKFLOW: Script = script!("submit_workflow");
pub(crate) static CANCEL_WORKFLOW: Script = script!("cancel_workflow");

/// Why a workflow was not cancelled. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowRefusal {
    /// There is no such workflow.
    #[error("there is no such workflow; it may have been removed after its retention")]
    Unknown,
    /// It has ended.
    #[error("the workflow is {0} already")]
    Ended(WorkflowStatus),
    /// It went on as another, of which this is the newest.
    #[error("the workflow went on as {0}; ask that one")]
    Continued(WorkflowId),
}

/// A workflow as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWorkflow {
    /// The definition as JSON.
    pub definition: Bytes,
    /// What it was given.
    pub input: Option<Bytes>,
    /// Where it stands.
    pub header: Header,
    /// It was retried by hand, which its header does not say yet.
    pub retried: bool,
    /// Why somebody wanted it cancelled, since it was accepted or retried by hand.
    pub cancelled: Option<String>,
    /// Grows with every commit.
    pub revision: u64,
    /// Tasks that were dispatched or ended, by index.
    pub tasks: Vec<(u32, TaskRecord)>,
    /// The newest section of each generator, by their first index.
    pub sections: Vec<Section>,
    /// Signals that no task has taken, by number.
    pub signals: Vec<(u64, SignalName)>,
    /// The number of the newest signal that was accepted; 0 if none was.
    pub last_signal: u64,
    /// When it was suspended, if it is.
    pub suspended_at: Option<UnixMillis>,
    /// The task that it is the child of.
    pub child_of: Option<ChildOf>,
    /// The instance that went on as this one.
    pub continued_from: Option<WorkflowId>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it times out.
    pub deadline: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
}

impl Store {
    /// Accepts a workflow whose definition has been validated; the leader starts it. False when
    /// it had been accepted before.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn submit_workflow(
        &self,
        id: WorkflowId,
        definition: &[u8],
        input: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        self.accept(id, definition, input, None).await
    }

    /// The same of the child of a task of another workflow, in any shard.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn submit_child(
        &self,
        id: WorkflowId,
        definition: &[u8],
        input: Option<&[u8]>,
        of: &ChildOf,
    ) -> Result<bool, StoreError> {
        self.accept(id, definition, input, Some(of)).await
    }

    async fn accept(
        &self,
        id: WorkflowId,
        definition: &[u8],
        input: Option<&[u8]>,
        of: Option<&ChildOf>,
    ) -> Result<bool, StoreError> {
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.workflow_definition(id),
            keys.workflow(id),
        ];
        let of = match of {
            None => String::new(),
            Some(of) => serde_json::to_string(of)
                .map_err(|error| StoreError::protocol("submit_workflow", "an origin", &error))?,
        };
        let mut call = Invocation::new(&SUBMIT_WORKFLOW, &names);
        call.bytes(&encode_definition(definition, input))
            .arg(encode_header(&Header::NEW))
            .arg(of);
        Ok(text_of("submit_workflow", self.link.call(&call).await?)? == "1")
    }

    /// Asks for the cancellation of a workflow. It ends when its running tasks have stopped.
    ///
    /// # Errors
    /// Refusals change nothing. The same call may be sent again.
    pub async fn cancel_workflow(
        &self,
        id: WorkflowId,
        reason: &str,
    ) -> Result<(), CallError<WorkflowRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [keys.events.clone(), keys.workflow(id)];
        let mut call = Invocation::new(&CANCEL_WORKFLOW, &names);
        call.arg(plain(reason, 500).as_ref());
        let mut reply = Reply::list("cancel_workflow", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "unknown" => Err(CallError::Refused(match self.went_on_as(id).await? {
                Some(newest) => WorkflowRefusal::Continued(newest),
                None => WorkflowRefusal::Unknown,
            })),
            "ended" => {
                let letter = reply.text()?;
                match ended_status(&letter) {
                    Some(WorkflowStatus::Continued) => {
                        let newest = self.went_on_as(id).await?;
                        let newest = newest.unwrap_or(id.of_successor());
                        Err(CallError::Refused(WorkflowRefusal::Continued(newest)))
                    }
                    Some(status) => Err(CallError::Refused(WorkflowRefusal::Ended(status))),
                    None => Ok(reply.unknown(&letter)?),
                }
            }
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Workflows of one shard as they are kept, in the order of the ids.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn load_workflows(
        &self,
        shard: ShardIndex,
        ids: &[WorkflowId],
    ) -> Result<Vec<Option<StoredWorkflow>>, StoreError> {
        let keys = self.keys(shard)?;
        let mut pipeline = redis::pipe();
        for &id in ids {
            pipeline.cmd("GET").arg(keys.workflow_definition(id));
            pipeline.cmd("HGETALL").arg(keys.workflow(id));
        }
        let mut values = self.link.pipeline(&pipeline).await?.into_iter();
        ids.iter()
            .map(|_| {
                let (Some(definition), Some(fields)) = (values.next(), values.next()) else {
                    return Err(StoreError::protocol(
                        "HGETALL",
                        "two replies an id",
                        &"fewer",
                    ));
                };
                stored(bytes_of("GET", definition)?, fields)
            })
            .collect()
    }

    /// What a workflow was given; none without input or without such a workflow.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn workflow_input(&self, id: WorkflowId) -> Result<Option<Bytes>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys(id.shard())?.workflow_definition(id));
        let record = bytes_of("GET", self.link.command(&command).await?)?;
        Ok(parse_definition(&record).and_then(|(_, input)| input))
    }
}

/// Names one call, so that a script knows it again when the connection sends it a second time.
fn new_call_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn stored(definition: Bytes, fields: Value) -> Result<Option<StoredWorkflow>, StoreError> {
    let fields = match fields {
        Value::Map(pairs) => Value::Array(
            pairs
                .into_iter()
                .flat_map(|(name, value)| [name, value])
                .collect(),
        ),
        other => other,
    };
    let mut fields = Reply::list("HGETALL", fields)?;
    let broken = || StoreError::protocol("HGETALL", "the record of a workflow", &"another");
    if fields.len() == 0 || definition.is_empty() {
        return Ok(None);
    }
    let (definition, input) = parse_definition(&definition).ok_or_else(broken)?;
    let mut workflow = StoredWorkflow {
        definition,
        input,
        header: Header::NEW,
        retried: false,
        cancelled: None,
        revision: 0,
        tasks: Vec::new(),
        sections: Vec::new(),
        signals: Vec::new(),
        last_signal: 0,
        suspended_at: None,
        child_of: None,
        continued_from: None,
        created_at: 0,
        deadline: None,
        ended_at: None,
    };
    while fields.len() > 0 {
        let name = fields.text()?;
        let value = fields.text()?;
        match name.as_str() {
            "r" => workflow.revision = value.parse().map_err(|_| broken())?,
            "s" => {
                workflow.header = parse_header(&value).ok_or_else(broken)?;
                workflow.retried = value.starts_with('R') && workflow.header.stage.is_closed();
            }
            "k" => workflow.cancelled = Some(value),
            "c" => workflow.created_at = value.parse().map_err(|_| broken())?,
            "d" => workflow.deadline = value.parse().ok(),
            "e" => workflow.ended_at = value.parse().ok(),
            "z" => workflow.suspended_at = Some(value.parse().map_err(|_| broken())?),
            "gn" => workflow.last_signal = value.parse().map_err(|_| broken())?,
            "o" => workflow.child_of = Some(serde_json::from_str(&value).map_err(|_| broken())?),
            "f" => {
                workflow.continued_from =
                    Some(WorkflowId::from_bare(&value).map_err(|_| broken())?);
            }
            _ => numbered(&mut workflow, &name, &value).ok_or_else(broken)?,
        }
    }
    workflow.tasks.sort_by_key(|(index, _)| *index);
    workflow.sections.sort_by_key(|section| section.base);
    workflow.signals.sort_by_key(|(number, _)| *number);
    Ok(Some(workflow))
}

/// Reads a field of which there are several; others are of no concern here.
fn numbered(workflow: &mut StoredWorkflow, name: &str, value: &str) -> Option<()> {
    let mut letters = name.chars();
    match (letters.next(), letters.as_str().parse::<u64>()) {
        (Some('t'), Ok(index)) => {
            let index = u32::try_from(index).ok()?;
            workflow.tasks.push((index, parse_task(value)?));
        }
        (Some('x'), Ok(_)) => workflow.sections.push(parse_section(value)?),
        (Some('g'), Ok(number)) => {
            let name = SignalName::new(value).ok()?;
            workflow.signals.push((number, name));
        }
        _ => {}
    }
    Some(())
}
