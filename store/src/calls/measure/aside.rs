//! Work beside the one that is measured: on the same runtime, or on a thread of its own.

use tokio::task::JoinHandle;

use crate::StoreError;

/// Work under way.
pub(super) struct Aside<T>(JoinHandle<Result<T, StoreError>>);

/// Runs the future that `work` makes. It need not be `Send`: it never leaves its thread.
pub(super) fn aside<T, F, Fut>(work: F) -> Aside<T>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, StoreError>>,
{
    Aside(tokio::task::spawn_blocking(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(no_runtime)?;
        runtime.block_on(work())
    }))
}

/// Runs a future on the runtime that it is called in.
pub(super) fn beside<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Aside<T> {
    Aside(tokio::spawn(work))
}

impl<T> Aside<T> {
    /// Waits for the end of the work.
    pub(super) async fn result(self) -> Result<T, StoreError> {
        self.0
            .await
            .unwrap_or_else(|stopped| Err(no_runtime(stopped)))
    }
}

fn no_runtime(error: impl std::fmt::Display) -> StoreError {
    StoreError::Server {
        server: "this machine".to_owned(),
        what: "a thread of its own for a reference".to_owned(),
        code: "ERR".to_owned(),
        detail: error.to_string(),
    }
}
