//! Middleware: what runs around every handler, or around one.
//!
//! The layers of a handler are put together once, when the node is built. A handler without any
//! is called as if there were no such thing.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use paceline_types::Outcome;

use crate::context::Context;
use crate::handler::HandlerFn;

/// What runs around a handler: it may look at the job before, at the outcome after, change
/// either, or answer in place of the handler.
///
/// Closures of this form are middleware. A panic in one is a panic of the handler: a failure that
/// is tried again, with the place where it happened. What it awaits counts towards the timeout of
/// the run.
pub trait Middleware: Send + Sync + 'static {
    /// Answers one run. [`Next::run`] goes on inwards; without it the handler is not called.
    fn call(&self, context: Context, payload: Bytes, next: Next) -> BoxFuture<'static, Outcome>;
}

impl<F, Fut> Middleware for F
where
    F: Fn(Context, Bytes, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    fn call(&self, context: Context, payload: Bytes, next: Next) -> BoxFuture<'static, Outcome> {
        Box::pin(self(context, payload, next))
    }
}

/// The rest of the way inwards: the middleware that was registered later, and the handler.
pub struct Next {
    chain: Arc<Chain>,
    /// The layer that comes next.
    at: usize,
}

impl Next {
    /// Goes on with this payload, and returns what the handler answered.
    pub fn run(self, context: Context, payload: Bytes) -> BoxFuture<'static, Outcome> {
        let Next { chain, at } = self;
        match chain.layers.get(at).cloned() {
            Some(layer) => {
                let next = Next { chain, at: at + 1 };
                layer.call(context, payload, next)
            }
            None => (chain.handler)(context, payload),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.chain.layers.len().saturating_sub(self.at);
        f.debug_struct("Next").field("layers_left", &left).finish()
    }
}

/// A handler and what stands around it, outermost first.
struct Chain {
    layers: Box<[Arc<dyn Middleware>]>,
    handler: HandlerFn,
}

/// Middleware of one handler, or of all, in the order of registration: the first is outermost.
///
/// Two lists are equal when they hold the same registrations.
#[derive(Clone, Default)]
pub struct Layers(Vec<Arc<dyn Middleware>>);

impl Layers {
    /// Adds the next one, inside of those that are there.
    pub fn push(&mut self, middleware: impl Middleware) {
        self.0.push(Arc::new(middleware));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Layers {
    fn eq(&self, other: &Layers) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        self.len() == other.len() && pairs.into_iter().all(|(one, two)| Arc::ptr_eq(one, two))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} middleware", self.len())
    }
}

/// Puts a handler inside of the node's middleware and its own.
pub(crate) fn wrap(handler: HandlerFn, global: &Layers, own: &Layers) -> HandlerFn {
    if global.is_empty() && own.is_empty() {
        return handler;
    }
    let layers = global.0.iter().chain(&own.0).cloned().collect();
    let chain = Arc::new(Chain { layers, handler });
    Box::new(move |context, payload| {
        let chain = Arc::clone(&chain);
        Next { chain, at: 0 }.run(context, payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(context: Context, payload: Bytes, next: Next) -> Outcome {
        next.run(context, payload).await
    }

    #[test]
    fn lists_are_equal_when_they_hold_the_same_registrations() {
        let mut one = Layers::default();
        assert_eq!(one, Layers::default());
        one.push(pass);
        assert_eq!(one, one.clone());
        let mut two = Layers::default();
        two.push(async |_: Context, payload, _: Next| Ok(payload));
        assert_ne!(one, two);
        assert_eq!(format!("{one:?}"), "1 middleware");
    }
}
