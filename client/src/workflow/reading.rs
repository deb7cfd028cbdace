//! What a workflow was made of.

use paceline_store::StoreError;
use paceline_store::calls::workflow::StoredWorkflow;
use paceline_types::{WorkflowDefinition, WorkflowId};

use crate::Client;

impl Client {
    /// The definition that a workflow was submitted with; `None` when there is no record of it (any
    /// more). Those that it went on as have the same.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn workflow_definition(
        &self,
        id: WorkflowId,
    ) -> Result<Option<WorkflowDefinition>, StoreError> {
        let stored = match self.stored(id).await? {
            None => match self.newest_instance(id).await? {
                Some(newest) => self.stored(newest).await?,
                None => None,
            },
            kept => kept,
        };
        let Some(stored) = stored else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&stored.definition);
        let definition = WorkflowDefinition::from_json(&text);
        let unread = |_| StoreError::protocol("workflow", "the definition of a workflow", &text);
        definition.map(Some).map_err(unread)
    }

    async fn stored(&self, id: WorkflowId) -> Result<Option<StoredWorkflow>, StoreError> {
        let found = self.store().load_workflows(id.shard(), &[id]).await?;
        Ok(found.into_iter().next().flatten())
    }
}
