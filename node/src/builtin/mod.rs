//! Task types that a node serves without a line of Rust.
//!
//! | task type | payload | result |
//! |---|---|---|
//! | `echo` | anything | the payload |
//! | `noop` | anything | `null` |
//! | `sleep` | `{"duration": "2s"}` | `null` |
//! | `fail` | `{"error": "…", "permanent": false, "times": 2}`, all optional | `null` after `times` failures |
//! | `route` | `{"route": 1}`, with `times` and `default` only so often, or `{"value", "cases": {"text": 0}, "default"}` | `{"route": n}`, for conditions |
//! | `continue` | `{"input": …}` | the input; the workflow goes on as a new one with it |
//! | `http` | `{"url", "method", "headers", "body", "timeout", "expect_status"}` | `{"status", "headers", "body"}` |
//! | `shell` | `{"argv"` or `"script", "shell", "env", "cwd", "timeout", "input", "output_limit", "permanent_exit_codes"}` | standard output |
//!
//! As conditions and subflows serve `route`, a `shell` that prints `{"route": n}` or
//! `{"tasks": […]}`, and an `echo` of such a payload. What stands beside the payload of a task with
//! `result_from`, and of a hook, is taken apart from it; see `http` and `shell` for what they make of
//! it.
//!
//! A field that a payload does not have fails the job for good, with a sentence that names it.
//! `sleep`, `http` and `shell` give the signs of life that a job with a heartbeat timeout asks for.

mod alive;
mod continuing;
mod echo;
mod fail;
mod http;
mod noop;
mod payload;
mod route;
mod run;
mod shell;
mod sleep;

use crate::{Context, HandlerOptions, NodeBuilder};

use self::alive::alive;
use self::http::Sender;
use self::run::Run;

/// Which task types are served, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuiltinOptions {
    /// Serve `shell`: whoever may submit jobs may then run programs on this machine. Default: no.
    pub allow_shell: bool,
}

/// Why the built-in task types cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the task type `http` cannot be served: {0}")]
pub struct BuiltinError(#[source] reqwest::Error);

/// Registers the built-in task types with a node.
///
/// # Errors
/// When the HTTP client cannot be made, for want of the system's certificates.
pub fn register(node: NodeBuilder, options: BuiltinOptions) -> Result<NodeBuilder, BuiltinError> {
    let sender = Sender::new().map_err(BuiltinError)?;
    let default = HandlerOptions::default;
    let node = node
        .handle_raw("echo", default(), async |_, payload| echo::run(payload))
        .handle_raw("noop", default(), async |_, _| noop::run())
        .handle_raw("fail", default(), async |context, payload| {
            fail::run(&payload, context.attempt())
        })
        .handle_raw("route", default(), async |context, payload| {
            route::run(&payload, context.workflow_iteration().unwrap_or_default())
        })
        .handle_raw("continue", default(), async |_, payload| {
            continuing::run(&payload)
        })
        .handle_raw("sleep", default(), async |context, payload| {
            alive(&context, sleep::run(&payload, told_to_end(&context))).await
        })
        .handle_raw("http", default(), move |context, payload| {
            let sender = sender.clone();
            async move {
                let request = sender.run(&payload, told_to_end(&context));
                alive(&context, request).await
            }
        });
    Ok(if options.allow_shell {
        node.handle_raw("shell", default(), async |context, payload| {
            let run = Run::of(&context);
            let input = async || Ok(context.workflow_input().await?);
            let program = shell::run(&run, &payload, input, told_to_end(&context));
            alive(&context, program).await
        })
    } else {
        node
    })
}

async fn told_to_end(context: &Context) {
    // All reasons come to the same here; the runtime settles by the reason.
    context.cancelled().await;
}
