//! The nodes that do the work: one inside this process, or several processes of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_node::{HandlerOptions, Node, RunningNode};

use super::super::failure::Failure;
use super::children::Children;
use super::common::Common;
use super::process;
use super::progress::Progress;
use super::stage::Stage;

/// What the jobs of all workloads are: every node knows it, and it does nothing.
pub(super) const TASK_TYPE: &str = "noop";

/// Nodes at work.
pub(super) enum Workers {
    /// One in this process, which counts what it does.
    Here(RunningNode),
    /// Processes of their own.
    Apart(Children),
}

impl Workers {
    /// Starts nodes whose handlers return `null`; `progress` counts the runs of one that is in
    /// this process.
    pub(super) async fn start(
        stage: &Stage,
        common: &Common,
        nodes: u16,
        progress: &Arc<Progress>,
    ) -> Result<Workers, Failure> {
        let result = Bytes::from_static(b"null");
        Workers::start_with(stage, common, nodes, progress, result).await
    }

    /// The same with another result, which one in this process returns.
    pub(super) async fn start_with(
        stage: &Stage,
        common: &Common,
        nodes: u16,
        progress: &Arc<Progress>,
        result: Bytes,
    ) -> Result<Workers, Failure> {
        if nodes > 1 {
            let concurrency = common.concurrency.to_string();
            let arguments = ["--concurrency", &concurrency];
            let children = Children::start(&stage.globals, nodes, &arguments).await?;
            return Ok(Workers::Apart(children));
        }
        let progress = Arc::clone(progress);
        let node = node_here(stage, common, result, move |_| progress.add());
        Ok(Workers::Here(node.await?))
    }

    /// Whether the progress that they were started with counts what they do.
    pub(super) fn are_counted(&self) -> bool {
        matches!(self, Workers::Here(_))
    }

    /// CPU time of the nodes: of this process since `own`, or of the others in their whole life.
    pub(super) fn cpu_since(&self, own: Duration) -> Result<Duration, Failure> {
        match self {
            Workers::Here(_) => Ok(process::own_cpu().saturating_sub(own)),
            Workers::Apart(children) => children.cpu(),
        }
    }

    /// Stops them.
    pub(super) async fn stop(self) {
        match self {
            Workers::Here(node) => node.stop().await,
            Workers::Apart(children) => children.stop().await,
        }
    }
}

/// A node in this process whose handler calls `begun` with the payload, does nothing else and
/// returns `result`.
pub(super) async fn node_here(
    stage: &Stage,
    common: &Common,
    result: Bytes,
    begun: impl Fn(&Bytes) + Send + Sync + 'static,
) -> Result<RunningNode, Failure> {
    let node = Node::builder()
        .redis(&stage.globals.redis)
        .namespace(&stage.globals.namespace)
        .concurrency(common.concurrency)
        .handle_raw(TASK_TYPE, HandlerOptions::default(), move |_, payload| {
            begun(&payload);
            std::future::ready(Ok(result.clone()))
        });
    Ok(node.start().await?)
}
