//! Inputs of workflows, kept by the node: every task of a workflow may ask for the same one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use paceline_types::WorkflowId;
use tokio::sync::OnceCell;

/// Bytes of inputs that a node keeps: room for two of the largest, and for some 60 of the default
/// limit. The oldest go first; what is gone is read again.
const ROOM: usize = 16 * 1024 * 1024;

/// What an input costs beside its bytes; also bounds how many there are.
const COST: usize = 256;

/// An input that was read, or is being read: whoever comes second waits for the first.
type Cell = Arc<OnceCell<Option<Bytes>>>;

/// Inputs of the workflows that this node saw last. An input never changes, so what was read once
/// stays true.
#[derive(Default)]
pub(crate) struct Inputs {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// With the bytes that each is counted for.
    cells: HashMap<WorkflowId, (Cell, usize)>,
    /// Oldest first.
    order: VecDeque<WorkflowId>,
    bytes: usize,
}

impl Inputs {
    /// The input of a workflow, fetched at the first call.
    pub(crate) async fn of<E>(
        &self,
        workflow: WorkflowId,
        fetch: impl AsyncFnOnce() -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Bytes>, E> {
        let cell = self.lock().cell(workflow);
        let mut fetched = false;
        let input = cell
            .get_or_try_init(async || {
                fetched = true;
                fetch().await
            })
            .await?;
        if fetched && let Some(input) = input {
            self.lock().count(workflow, input.len());
        }
        Ok(input.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Counted from its first moment on, since whoever fetches may be dropped meanwhile.
    fn cell(&mut self, workflow: WorkflowId) -> Cell {
        if let Some((cell, _)) = self.cells.get(&workflow) {
            return Arc::clone(cell);
        }
        let cell = Cell::default();
        self.cells.insert(workflow, (Arc::clone(&cell), 0));
        self.order.push_back(workflow);
        self.count(workflow, COST);
        cell
    }

    fn count(&mut self, workflow: WorkflowId, bytes: usize) {
        let Some((_, counted)) = self.cells.get_mut(&workflow) else {
            return;
        };
        *counted += bytes;
        self.bytes += bytes;
        while self.bytes > ROOM
            && let Some(oldest) = self.order.pop_front()
        {
            let (_, bytes) = self.cells.remove(&oldest).unwrap_or_default();
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use paceline_types::ShardIndex;

    use super::*;

    fn workflow(n: u64) -> WorkflowId {
        WorkflowId::from_parts(n, ShardIndex(0), 1)
    }

    #[derive(Default)]
    struct Reads(AtomicUsize);

    impl Reads {
        async fn of(&self, inputs: &Inputs, n: u64, bytes: usize) -> Option<usize> {
            let read = inputs.of(workflow(n), async || {
                self.0.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, ()>(Some(Bytes::from(vec![b'1'; bytes])))
            });
            read.await.ok().flatten().map(|input| input.len())
        }

        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn an_input_is_read_once_for_all_who_ask() {
        let (inputs, reads) = (Inputs::default(), Reads::default());
        let (one, two) = tokio::join!(reads.of(&inputs, 1, 7), reads.of(&inputs, 1, 7));
        assert_eq!((one, two), (Some(7), Some(7)));
        assert_eq!(reads.of(&inputs, 1, 7).await, Some(7));
        assert_eq!(reads.count(), 1);
    }

    #[tokio::test]
    async fn a_read_that_failed_is_made_again() {
        let inputs = Inputs::default();
        let failed = inputs.of(workflow(1), async || Err("no answer")).await;
        assert_eq!(failed, Err("no answer"));
        let read = inputs.of(workflow(1), async || Ok::<_, &str>(None)).await;
        assert_eq!(read, Ok(None));
        let none = inputs.of(workflow(1), async || Err("asked again")).await;
        assert_eq!(none, Ok(None), "no input is an answer, too");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let (inputs, reads) = (Inputs::default(), Reads::default());
        const LARGE: usize = ROOM / 3;
        for n in 0..10 {
            assert_eq!(reads.of(&inputs, n, LARGE).await, Some(LARGE));
            let kept = inputs.lock();
            assert!(kept.bytes <= ROOM && kept.cells.len() == kept.order.len());
            let counted: usize = kept.cells.values().map(|(_, bytes)| bytes).sum();
            assert_eq!(kept.bytes, counted);
        }
        assert_eq!(inputs.lock().cells.len(), 2);
        let before = reads.count();
        reads.of(&inputs, 9, LARGE).await;
        assert_eq!(reads.count(), before, "the newest are kept");
        reads.of(&inputs, 0, LARGE).await;
        assert_eq!(reads.count(), before + 1, "the oldest are not");
    }
}
