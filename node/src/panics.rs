//! Panics of handlers become errors, with the place where they happened.
//!
//! Only the panic hook knows the place, so a hook is put in front of the one that is there. It
//! keeps quiet for handlers, whose panics are reported as the job's error, and passes every
//! other panic on.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use paceline_types::{JobError, Outcome};

use crate::handler::HandlerFuture;

/// Longest stack that is kept with a job, in characters.
const LONGEST_STACK: usize = 8 * 1024;

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Puts the hook in place, once per process.
pub(crate) fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IN_HANDLER.get() {
                return previous(info);
            }
            let mut place = info
                .location()
                .map(|location| format!(" at {location}"))
                .unwrap_or_default();
            // Captured only if RUST_BACKTRACE asks for it.
            let stack = Backtrace::capture();
            if stack.status() == BacktraceStatus::Captured {
                let stack = stack.to_string();
                place.push('\n');
                place.extend(stack.chars().take(LONGEST_STACK));
            }
            PLACE.set(Some(place));
        }));
    });
}

/// Runs code of a handler; a panic becomes its message and place.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Nested when a handler's future is dropped by another handler's code.
    let outer = IN_HANDLER.replace(true);
    // What was broken half-way belongs to the handler and is dropped with it.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IN_HANDLER.set(outer);
    result.map_err(|payload| {
        let place = PLACE.take().unwrap_or_default();
        format!("{}{place}", message(&*payload))
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

/// A handler at work, whose panics are its outcome.
pub(crate) struct Guarded(Option<HandlerFuture>);

impl Guarded {
    /// Calls the handler; the call itself may panic too.
    pub(crate) fn call(handler: impl FnOnce() -> HandlerFuture) -> Guarded {
        Guarded(Some(guarded(handler).unwrap_or_else(|message| {
            Box::pin(std::future::ready(Err(JobError::Panicked(message))))
        })))
    }
}

impl Future for Guarded {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(work) = self.0.as_mut() else {
            return Poll::Pending;
        };
        let outcome = match guarded(|| work.as_mut().poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(message) => Err(JobError::Panicked(message)),
        };
        let work = self.0.take();
        match guarded(|| drop(work)) {
            Ok(()) => Poll::Ready(outcome),
            Err(message) => Poll::Ready(Err(JobError::Panicked(message))),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Err(message) = guarded(|| drop(work))
        {
            tracing::warn!(message, "a handler panicked while it was cancelled");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_tells_what_and_where() {
        install_hook();
        type Case = (fn() -> HandlerFuture, &'static str);
        let cases: [Case; 3] = [
            (|| panic!("before it began"), "before it began at "),
            (
                || Box::pin(async { panic!("half-way {}", 7) }),
                "half-way 7 at ",
            ),
            (
                || Box::pin(async { panic::panic_any(7) }),
                "a value that is not text at ",
            ),
        ];
        for (handler, begin) in cases {
            match Guarded::call(handler).await {
                Err(JobError::Panicked(message)) => {
                    assert!(message.starts_with(begin), "{message}");
                    assert!(message.contains("panics.rs:"), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[tokio::test]
    async fn a_panic_while_dropping_goes_no_further() {
        install_hook();
        drop(Guarded::call(|| {
            let bomb = Bomb;
            Box::pin(async move {
                let _bomb = bomb;
                std::future::pending().await
            })
        }));
    }
}
