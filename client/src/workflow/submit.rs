//! Accepting workflows.

use paceline_store::StoreError;
use paceline_types::ShardIndex;
use paceline_types::workflow::DefinitionError;

use super::{IntoDefinition, WorkflowHandle};
use crate::Client;
use crate::mistakes::Listed;
use crate::submit::new_workflow_id;

/// Why a workflow was not accepted. Nothing was stored, unless
/// [`WorkflowSubmitError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowSubmitError {
    /// The definition is wrong. Nothing was sent.
    #[error("the workflow is not valid: {}", Listed(.0))]
    Invalid(Vec<DefinitionError>),
    /// The input is over the client's limit. Nothing was sent.
    #[error(
        "the input of the workflow has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and submit a reference, or raise max_payload (8 MiB at most)"
    )]
    InputTooLarge {
        /// Bytes of the input.
        size: usize,
        /// The client's limit.
        limit: usize,
    },
    /// Redis did not take it. It says itself whether **the workflow may have been stored**.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WorkflowSubmitError {
    /// Whether the workflow may have been stored although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            WorkflowSubmitError::Store(error) => error.maybe_stored(),
            WorkflowSubmitError::Invalid(_) | WorkflowSubmitError::InputTooLarge { .. } => false,
        }
    }
}

/// A workflow as it is stored.
struct Written {
    definition: Vec<u8>,
    input: Option<Vec<u8>>,
    /// The one that its limits lead to.
    shard: Option<ShardIndex>,
}

impl Client {
    /// Validates a workflow and submits it. On `Ok` it is accepted, and the leader begins it.
    ///
    /// `input` is readable by every task of it.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, Step, WorkflowBuilder};
    /// # use serde_json::json;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let etl = WorkflowBuilder::new("etl")
    ///     .task(Step::new("extract", "db.extract"))
    ///     .task(Step::new("load", "db.load").after(["extract"]).result_from("extract"));
    /// let handle = client.submit_workflow(etl, Some(json!({ "day": "2026-01-31" }))).await?;
    /// let rows: u64 = handle.output().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WorkflowSubmitError::Invalid`] with every mistake of the definition and its place,
    /// before anything is sent; else see [`WorkflowSubmitError`].
    pub async fn submit_workflow(
        &self,
        definition: impl IntoDefinition,
        input: Option<serde_json::Value>,
    ) -> Result<WorkflowHandle, WorkflowSubmitError> {
        let Written {
            definition,
            input,
            shard,
        } = self.written(definition, input)?;
        let id = new_workflow_id(shard.unwrap_or_else(|| self.spread()));
        self.store()
            .submit_workflow(id, &definition, input.as_deref())
            .await?;
        Ok(self.workflow_handle(id))
    }

    /// What is stored; apart, so that what is not `Send` is gone before anything is awaited.
    fn written(
        &self,
        definition: impl IntoDefinition,
        input: Option<serde_json::Value>,
    ) -> Result<Written, WorkflowSubmitError> {
        let limit = self.max_payload();
        let definition = definition
            .into_definition()
            .and_then(|definition| definition.validate(limit).map(|_plan| definition))
            .map_err(WorkflowSubmitError::Invalid)?;
        let shard = definition
            .shard_of_limits(self.shards())
            .map_err(WorkflowSubmitError::Invalid)?;
        let whole = |error: serde_json::Error| {
            WorkflowSubmitError::Invalid(vec![DefinitionError {
                path: "definition".to_owned(),
                problem: format!("cannot be written as JSON: {error}"),
            }])
        };
        let definition = serde_json::to_vec(&definition).map_err(whole)?;
        let input = input.map(|input| input.to_string().into_bytes());
        let size = input.as_ref().map_or(0, Vec::len);
        if size > limit {
            return Err(WorkflowSubmitError::InputTooLarge { size, limit });
        }
        Ok(Written {
            definition,
            input,
            shard,
        })
    }

    /// Every mistake of a definition, with its place; none when it would be accepted. Asks
    /// nothing of Redis.
    #[must_use]
    pub fn validate(&self, definition: impl IntoDefinition) -> Vec<DefinitionError> {
        let validated = definition
            .into_definition()
            .and_then(|definition| definition.validate(self.max_payload()));
        validated.err().unwrap_or_default()
    }
}
