//! Nodes: who is alive, and who should claim no more.

use paceline_store::{CallError, StoreError};
use paceline_types::{NodeId, NodeInfo};

use crate::Client;

/// Why a node was not told. Nothing was changed, unless [`DrainError::Store`] says that the call
/// may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// No node that is alive has this id.
    #[error("{node} is not alive: it stopped, or goes on under another id since it lost its lease")]
    Unknown {
        /// The node.
        node: NodeId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// The nodes that are alive.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, StoreError> {
        self.store().nodes().await
    }

    /// Tells a node to claim no more: within about a second of its beats it takes no new work,
    /// and what it runs goes on to its end. It leaves leading to others as long as there are any,
    /// and stays alive until it is stopped.
    ///
    /// The flag goes when this start of the node ends; another start begins without it.
    ///
    /// # Errors
    /// See [`DrainError`].
    pub async fn drain(&self, node: NodeId) -> Result<(), DrainError> {
        self.tell(node, true).await
    }

    /// Lets a node that was drained claim again.
    ///
    /// # Errors
    /// See [`DrainError`].
    pub async fn undrain(&self, node: NodeId) -> Result<(), DrainError> {
        self.tell(node, false).await
    }

    async fn tell(&self, node: NodeId, drained: bool) -> Result<(), DrainError> {
        let told = self.store().drain(node, drained).await;
        told.map_err(|error| match error {
            CallError::Refused(_) => DrainError::Unknown { node },
            CallError::Store(error) => DrainError::Store(error),
        })
    }
}
