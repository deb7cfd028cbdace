//! Submits a workflow and follows it, its children and its successors, to the end.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::SelectAll;
use paceline_client::{Client, Cursors, Delivery, StoreError, Subscription};
use paceline_types::workflow::{TaskState, Workflow};
use paceline_types::{WorkflowDefinition, WorkflowId, WorkflowStatus};

use super::board::{Board, Change, Kind, Place};
use super::view::View;
use super::{Watch, end};
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Between two readings of a workflow, at least: a large one is large to read.
const READ_EVERY: Duration = Duration::from_millis(250);

/// Workflows that are followed at once; the children of a workflow may be many.
const MOST_FOLLOWED: usize = 100;

/// Submits the workflow and follows it to its end.
pub(super) async fn follow(
    client: &Client,
    definition: WorkflowDefinition,
    input: Option<serde_json::Value>,
    watch: Watch,
    output: Output,
) -> Result<(), Failure> {
    let board = Board::of(&definition);
    let view = View::new(watch, output, &board);
    // Taken before the submit, so that nothing of it is missed; its id is only known afterwards.
    let before = client.subscribe().from_now().await?.cursors().clone();
    let handle = client.submit_workflow(definition, input).await?;
    let mut run = Following {
        client,
        board,
        view,
        before,
        events: SelectAll::new(),
        silent: output.is_json() || watch == Watch::None,
        gap: false,
    };
    run.board.begin(handle.id());
    run.view.submitted(handle.id());
    run.listen(handle.id()).await?;
    let workflow = run.watch(handle.wait()).await?;
    end(&workflow, output)
}

struct Following<'a> {
    client: &'a Client,
    board: Board,
    view: View,
    /// Where the logs stood before the submit.
    before: Cursors,
    events: SelectAll<Subscription>,
    /// Nothing is shown, so nothing is read for it.
    silent: bool,
    /// Events were missed.
    gap: bool,
}

impl Following<'_> {
    async fn watch(
        &mut self,
        ended: impl Future<Output = Result<Workflow, paceline_client::WaitError>>,
    ) -> Result<Workflow, Failure> {
        tokio::pin!(ended);
        let mut reading = tokio::time::interval(READ_EVERY);
        reading.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let workflow = loop {
            tokio::select! {
                delivery = self.events.next() => self.take(delivery).await?,
                _ = reading.tick(), if !self.silent => self.read().await?,
                workflow = &mut ended => break workflow?,
            }
        };
        self.wait_for_hooks(workflow.status).await?;
        let changes = self.board.reconcile(workflow.id, &workflow.tasks);
        let changes: Vec<_> = changes.into_iter().map(Change::Row).collect();
        self.view.show(&self.board, &changes, None);
        self.view.finish(&self.board);
        Ok(workflow)
    }

    /// What is shown of a workflow is complete with its hooks, and a private Redis must not end
    /// before them.
    async fn wait_for_hooks(&mut self, outcome: WorkflowStatus) -> Result<(), Failure> {
        // Their end may have been among the events that are missing.
        while !self.gap && !self.board.hooks_ended(outcome) {
            let delivery = self.events.next().await;
            self.take(delivery).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        delivery: Option<Result<Delivery, StoreError>>,
    ) -> Result<(), Failure> {
        match delivery {
            Some(Ok(Delivery::Event(event))) => {
                let newest = |board: &Board| board.newest_of(event.workflow_id?);
                let before = newest(&self.board);
                let changes = self.board.apply(&event);
                self.view.show(&self.board, &changes, Some(&event));
                match newest(&self.board) {
                    Some(successor) if Some(successor) != before => self.listen(successor).await,
                    _ => Ok(()),
                }
            }
            // The record at the end has what is missing.
            Some(Ok(Delivery::Gap { .. })) => {
                self.gap = true;
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(Failure::redis("the subscription ended")),
        }
    }

    /// Reads what the board asks for.
    async fn read(&mut self) -> Result<(), Failure> {
        let Some(id) = self.board.wanted() else {
            return Ok(());
        };
        let Some(workflow) = self.client.workflow(id).await? else {
            return Ok(());
        };
        let places: Vec<Place> = workflow.tasks.iter().map(place).collect();
        let (changes, children) = self.board.place(id, &places);
        self.view.show(&self.board, &changes, None);
        for child in children {
            self.listen(child).await?;
        }
        Ok(())
    }

    /// Hears of everything that happened to a workflow since before the first was submitted.
    async fn listen(&mut self, id: WorkflowId) -> Result<(), Failure> {
        if self.events.len() >= MOST_FOLLOWED {
            return Ok(());
        }
        let events = self.client.subscribe().from(self.before.clone());
        self.events.push(events.workflow(id).await?);
        Ok(())
    }
}

/// Where a task belongs, as a reading of its workflow says.
fn place(task: &TaskState) -> Place {
    Place {
        name: task.name.to_string(),
        kind: Some(Kind::of_state(task)),
        parent: task.generated_by.as_ref().map(ToString::to_string),
        total: task.elements.map(|elements| elements.total),
        child: task.child_workflow_id,
    }
}
