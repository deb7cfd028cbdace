//! From a closure of a user to what the runtime calls: payload in, outcome out.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobError, Outcome, RetryPolicy, Task};

use crate::breaker::Breaker;
use crate::context::Context;
use crate::middleware::{Layers, Middleware};

pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler without its types.
pub(crate) type HandlerFn = Box<dyn Fn(Context, Bytes) -> HandlerFuture + Send + Sync>;

/// What holds for every run of one handler. A job's own timeout, retry policy and retention
/// come first; before both comes what is set while nodes run (`Client::set_config`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandlerOptions {
    /// Most runs at once on this node, at least 1. Default: only the node's slots limit it.
    pub concurrency: Option<u32>,
    /// Longest run, then the handler is cancelled and the run counts as a failure. Default:
    /// none.
    pub timeout: Option<Duration>,
    /// When a failed job runs again. Default: [`RetryPolicy::default`].
    pub retry_policy: Option<RetryPolicy>,
    /// How long a completed job is kept; zero means for ever. Default: 1 h.
    pub retention: Option<Duration>,
    /// How long a dead or cancelled job is kept; zero means for ever. Default: 7 days.
    pub dead_retention: Option<Duration>,
    /// Version of the handler. With one, work that asks for another version is left to nodes
    /// that serve it. Default: serves every version.
    pub version: Option<paceline_types::Version>,
    /// Leaves the handler alone for a while after failures in a row. Default: never.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use paceline_node::{Breaker, HandlerOptions};
    /// let options = HandlerOptions {
    ///     breaker: Some(Breaker { failures: 5, open_for: Duration::from_secs(30) }),
    ///     ..HandlerOptions::default()
    /// };
    /// # let _ = options;
    /// ```
    pub breaker: Option<Breaker>,
    /// What runs around this handler, inside of the node's own middleware. Default: nothing.
    pub middleware: Layers,
}

impl HandlerOptions {
    /// Adds middleware around this handler, inside of what was added before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use paceline_node::{Bytes, Context, HandlerOptions, Next};
    /// # use paceline_types::JobError;
    /// let options = HandlerOptions::default().middleware(
    ///     async |context: Context, payload: Bytes, next: Next| {
    ///         if context.headers().contains_key("dry-run") {
    ///             return Err(JobError::skip("a dry run"));
    ///         }
    ///         next.run(context, payload).await
    ///     },
    /// );
    /// # assert_eq!(options.middleware.len(), 1);
    /// ```
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// The first field that cannot be used, and why.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.concurrency == Some(0) {
            return Some("concurrency must be at least 1".to_owned());
        }
        if self.timeout == Some(Duration::ZERO) {
            return Some("timeout must be longer than zero".to_owned());
        }
        if let Some(problem) = self.breaker.as_ref().and_then(Breaker::problem) {
            return Some(problem.to_owned());
        }
        let policy = self.retry_policy.as_ref()?;
        let error = policy.check().into_iter().next()?;
        Some(format!("retry_policy.{error}"))
    }
}

/// Wraps a typed handler: reads the payload, writes the output.
pub(crate) fn typed<T, F, Fut>(handler: F) -> HandlerFn
where
    T: Task,
    F: Fn(Context, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T::Output, JobError>> + Send + 'static,
{
    Box::new(move |context, payload| match read::<T>(&payload) {
        Ok(job) => {
            let work = handler(context, job);
            Box::pin(async move { write(&work.await?) })
        }
        Err(error) => Box::pin(std::future::ready(Err(error))),
    })
}

/// Wraps a handler that works on bytes.
pub(crate) fn raw<F, Fut>(handler: F) -> HandlerFn
where
    F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    Box::new(move |context, payload| Box::pin(handler(context, payload)))
}

/// A payload without a byte stands for `null`, so that a unit type can be submitted as nothing.
fn read<T: Task>(payload: &[u8]) -> Result<T, JobError> {
    let payload = if payload.is_empty() { b"null" } else { payload };
    serde_json::from_slice(payload).map_err(|error| {
        // Only on the way to the dead letters is it worth finding the path.
        let mut json = serde_json::Deserializer::from_slice(payload);
        let place = match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) => error.path().to_string(),
            Ok(_) => ".".to_owned(),
        };
        let place = match place.as_str() {
            "." => String::new(),
            field => format!(" at `{field}`"),
        };
        JobError::permanent(format!("the payload is not a {}{place}: {error}", T::TYPE))
    })
}

fn write<O: serde::Serialize>(output: &O) -> Outcome {
    match serde_json::to_vec(output) {
        Ok(json) => Ok(Bytes::from(json)),
        Err(error) => Err(JobError::permanent(format!(
            "the handler's output cannot be written as JSON: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Resize {
        image: String,
        size: Size,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Size {
        width: u32,
    }

    impl Task for Resize {
        const TYPE: &'static str = "image.resize";
        type Output = String;
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tick;

    impl Task for Tick {
        const TYPE: &'static str = "tick";
        type Output = ();
    }

    #[test]
    fn a_payload_that_does_not_fit_is_dead_and_names_the_field() {
        let table = [
            (r#"{"image":"a","size":{"width":"x"}}"#, "at `size.width`"),
            (r#"{"image":"a"}"#, "missing field `size`"),
            ("[", "EOF"),
            ("", "the payload is not a image.resize: invalid type: null"),
        ];
        for (payload, part) in table {
            match read::<Resize>(payload.as_bytes()) {
                Err(JobError::Permanent(error)) => assert!(error.contains(part), "{error}"),
                other => panic!("{payload}: {other:?}"),
            }
        }
    }

    #[test]
    fn nothing_reads_as_null_and_unit_is_written_as_null() {
        assert_eq!(read::<Tick>(b""), Ok(Tick));
        assert_eq!(read::<Tick>(b"null"), Ok(Tick));
        assert_eq!(write(&()), Ok(Bytes::from_static(b"null")));
    }

    #[test]
    fn outputs_that_json_cannot_hold_are_dead() {
        let output = std::collections::HashMap::from([(vec![1_u8], 1)]);
        assert!(matches!(write(&output), Err(JobError::Permanent(_))));
    }

    #[test]
    fn options_name_what_is_wrong_with_them() {
        let problem = |options: HandlerOptions| options.problem().unwrap_or_default();
        assert_eq!(problem(HandlerOptions::default()), "");
        let options = HandlerOptions {
            concurrency: Some(0),
            ..HandlerOptions::default()
        };
        assert_eq!(problem(options), "concurrency must be at least 1");
        let options = HandlerOptions {
            breaker: Some(Breaker {
                failures: 0,
                open_for: Duration::from_secs(1),
            }),
            ..HandlerOptions::default()
        };
        assert_eq!(problem(options), "breaker.failures must be at least 1");
        let options = HandlerOptions {
            retry_policy: Some(RetryPolicy {
                max_attempts: 0,
                ..RetryPolicy::default()
            }),
            ..HandlerOptions::default()
        };
        assert_eq!(
            problem(options),
            "retry_policy.max_attempts must be at least 1"
        );
    }
}
