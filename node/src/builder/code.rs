//! The user's code in a node: handlers, what is around them, callbacks, providers of schedules.

use bytes::Bytes;
use paceline_types::{Event, EventKind, JobError, Outcome, ScheduleDefinition, ScheduleId, Task};

use super::NodeBuilder;
use crate::callbacks::Callback;
use crate::context::Context;
use crate::handler::{self, HandlerOptions};
use crate::middleware::Middleware;
use crate::periodic::Provider;

impl NodeBuilder {
    /// Calls `callback` for events of this kind, wherever in the cluster they come from: a job
    /// that completed, failed, died, was paused, resumed or cancelled, a workflow that ended, and
    /// so on.
    ///
    /// Each event reaches the callbacks of one node, at least once: after a crash another node
    /// with callbacks goes on, and may repeat the last second's. The first node of a namespace
    /// that has callbacks begins with what happens from then on. In each shard one call is made
    /// after the other, in the order of events; a call that takes longer than 30 s is dropped. A
    /// panic is logged, counted, and goes no further.
    ///
    /// ```
    /// # use paceline_node::{Event, EventKind, Node};
    /// let node = Node::builder()
    ///     .on(EventKind::JobDead, |event: Event| async move {
    ///         tracing::error!(job = ?event.job_id, error = ?event.error, "given up");
    ///     })
    ///     .on(EventKind::WorkflowCompleted, async |event: Event| {
    ///         tracing::info!(workflow = ?event.workflow_id, "done");
    ///     });
    /// # let _ = node;
    /// ```
    pub fn on<F, Fut>(mut self, kind: EventKind, callback: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.push(Callback::new(Some(kind), callback));
        self
    }

    /// Calls `callback` for every event; see [`NodeBuilder::on`].
    pub fn on_any<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.push(Callback::new(None, callback));
        self
    }

    /// Adds middleware around every handler of the node, wherever in the builder it was
    /// registered: the first that is added is outermost, that of a handler comes inside of it.
    ///
    /// ```
    /// # use paceline_node::{Bytes, Context, Next, Node};
    /// let node = Node::builder().middleware(
    ///     async |context: Context, payload: Bytes, next: Next| {
    ///         let job = context.job_id();
    ///         let outcome = next.run(context, payload).await;
    ///         tracing::info!(%job, done = outcome.is_ok(), "a run ended");
    ///         outcome
    ///     },
    /// );
    /// # let _ = node;
    /// ```
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// Registers the handler of a task.
    ///
    /// A payload that is not a `T` goes to the dead letters at once, and the error names the
    /// field.
    pub fn handle<T, F, Fut>(self, handler: F) -> Self
    where
        T: Task,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Output, JobError>> + Send + 'static,
    {
        self.handle_with(HandlerOptions::default(), handler)
    }

    /// Registers the handler of a task, with options.
    pub fn handle_with<T, F, Fut>(mut self, options: HandlerOptions, handler: F) -> Self
    where
        T: Task,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Output, JobError>> + Send + 'static,
    {
        let entry = (T::TYPE.to_owned(), options, handler::typed(handler));
        self.handlers.push(entry);
        self
    }

    /// Registers a handler that works on bytes, for one task type (`image.resize`), for all that
    /// begin alike (`image.*`), or for all (`*`). The most particular one gets a job.
    pub fn handle_raw<F, Fut>(
        mut self,
        pattern: impl Into<String>,
        options: HandlerOptions,
        handler: F,
    ) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let entry = (pattern.into(), options, handler::raw(handler));
        self.handlers.push(entry);
        self
    }

    /// Keeps the schedules that `provider` names: it is asked when this node begins to lead the
    /// first shard, and again every minute; what it names is created and changed, and what it
    /// made before and names no longer is deleted. An error or a panic leaves all as it is.
    ///
    /// `name` marks the schedules as its own; it touches no others. Register the same provider on
    /// every node: the one that leads asks.
    ///
    /// ```no_run
    /// # use paceline_node::Node;
    /// # use paceline_types::ScheduleDefinition;
    /// # async fn schedules_of_tenants() -> Result<Vec<ScheduleDefinition>, String> { Ok(vec![]) }
    /// let node = Node::builder().periodic("tenants", schedules_of_tenants);
    /// ```
    pub fn periodic<F, Fut, E>(mut self, name: impl AsRef<str>, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<ScheduleDefinition>, E>> + Send + 'static,
        E: std::fmt::Display,
    {
        match ScheduleId::new(name.as_ref()) {
            Ok(name) => self.periodic.push(Provider::new(name, provider)),
            Err(error) => self.wrong_provider = Some(error),
        }
        self
    }
}
