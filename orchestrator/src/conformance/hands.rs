//! What the cases do with a bed: read its inbox, write a commit, begin a workflow.

use std::sync::Arc;

use paceline_types::WorkflowId;

use super::Bed;
use crate::advance::advance;
use crate::draft::Draft;
use crate::facts::Facts;
use crate::graph::graph;
use crate::instance::Instance;
use crate::ports::{Commit, CommitOutcome, Delivery, Ledger, ReadAhead, Turn};
use crate::term::Term;
use crate::transition::Event;

pub(super) const FROM_START: ReadAhead = ReadAhead {
    after: None,
    max: 10,
};

pub(super) async fn read<B: Bed>(bed: &B, term: &Term, ahead: ReadAhead) -> Vec<Delivery> {
    bed.ledger().inbox(term, ahead).await.expect("inbox")
}

pub(super) async fn revision<B: Bed>(bed: &B, term: &Term, workflow: WorkflowId) -> u64 {
    let stored = bed.ledger().load(term, &[workflow]).await.expect("load");
    stored[0].as_ref().expect("stored").revision
}

pub(super) fn empty(workflow: WorkflowId, expected: u64) -> Commit {
    Draft::changing(workflow, expected).finish(None)
}

pub(super) async fn write<B: Bed>(bed: &B, term: &Term, commit: Commit) -> CommitOutcome {
    let turn = Turn {
        commits: vec![commit],
        ..Turn::default()
    };
    let reply = bed.ledger().commit(term, turn).await.expect("commit");
    reply.outcomes[0]
}

pub(super) fn is_committed(outcome: CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Committed { .. })
}

/// An accepted workflow of the graph, begun: its ready tasks are dispatched, nothing consumed.
pub(super) async fn begun<B: Bed>(bed: &B, term: &Term, line: &str) -> (WorkflowId, Instance, u64) {
    let definition = graph(line);
    let workflow = bed.submit(&definition).await;
    let plan = Arc::new(definition.validate(1024).expect("plan"));
    let mut instance = Instance::new(workflow, plan);
    let transition = advance(
        &mut instance,
        &Event::Start { shards: 1 },
        &Facts::new(),
        100,
    )
    .expect("started");
    let mut draft = Draft::changing(workflow, revision(bed, term, workflow).await);
    draft.add(&instance, transition);
    match write(bed, term, draft.finish(Some(&instance))).await {
        CommitOutcome::Committed { revision } => (workflow, instance, revision),
        outcome => panic!("{outcome:?}"),
    }
}
