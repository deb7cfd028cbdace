//! The only ways to wait in a test: for a condition, through a span, or for a signal.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::ride::SOON;

/// The first wait between two looks; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest wait between two looks: short enough to measure recovery times with.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a look at a condition may return: it holds, or why it does not hold yet.
pub trait Verdict {
    /// What the condition yields when it holds.
    type Value;
    /// The value, or the last thing seen, in words for the panic message.
    ///
    /// # Errors
    /// The condition does not hold yet.
    fn verdict(self) -> Result<Self::Value, String>;
}

impl Verdict for bool {
    type Value = ();
    fn verdict(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

impl<T> Verdict for Option<T> {
    type Value = T;
    fn verdict(self) -> Result<T, String> {
        self.ok_or_else(|| "none".to_owned())
    }
}

impl<T, E: Debug> Verdict for Result<T, E> {
    type Value = T;
    fn verdict(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Looks at a condition until it holds, and returns what it yields.
///
/// `look` returns a `bool`, an `Option` or a `Result`; the error of the last look is in the message.
/// A look that hangs counts as "not yet" and is dropped at the deadline.
///
/// # Panics
/// The condition did not hold within `deadline`.
#[track_caller]
pub fn eventually<V: Verdict>(
    what: &str,
    deadline: Duration,
    look: impl AsyncFnMut() -> V,
) -> impl Future<Output = V::Value> {
    let caller = Location::caller();
    async move {
        match poll(deadline, look).await {
            Ok(value) => value,
            Err(last) => {
                panic!("{caller}: waited {deadline:?} for: {what}; last seen: {last}")
            }
        }
    }
}

/// Like [`eventually`], for callers that can say more than a panic: the last thing seen is the error.
pub(crate) async fn poll<V: Verdict>(
    deadline: Duration,
    mut look: impl AsyncFnMut() -> V,
) -> Result<V::Value, String> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    let mut last = "nothing: the first look has not returned".to_owned();
    loop {
        match timeout_at(end, look()).await {
            Ok(verdict) => match verdict.verdict() {
                Ok(value) => return Ok(value),
                Err(seen) => last = seen,
            },
            Err(_) => return Err(format!("{last}, and then a look that hung")),
        }
        if Instant::now() + pause >= end {
            return Err(last);
        }
        doze(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Looks at a condition again and again, and requires that it holds through the whole span.
///
/// For "never happens": it can only fail rightly, never pass wrongly, so keep the span short. A look
/// that a busy machine makes longer than the span is the last one, and what it finds counts.
///
/// # Panics
/// A look found that the condition does not hold, or a look hung.
#[track_caller]
pub fn throughout<V: Verdict>(
    what: &str,
    span: Duration,
    mut look: impl AsyncFnMut() -> V,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let start = Instant::now();
        while start.elapsed() < span {
            let Ok(verdict) = timeout(SOON, look()).await else {
                panic!("{caller}: {what}: the look hung for {SOON:?}")
            };
            if let Err(seen) = verdict.verdict() {
                let after = start.elapsed();
                panic!("{caller}: did not hold after {after:?} of {span:?}: {what}; seen: {seen}");
            }
            doze(LONGEST_PAUSE.min(span / 10)).await;
        }
    }
}

/// Waits for a signal: a future that is driven by somebody else.
///
/// # Panics
/// The signal did not come within `deadline`.
#[track_caller]
pub fn within<F: Future>(
    what: &str,
    deadline: Duration,
    signal: F,
) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match timeout(deadline, signal).await {
            Ok(output) => output,
            Err(_) => panic!("{caller}: waited {deadline:?} for: {what}"),
        }
    }
}

/// The one sleep of the harness.
#[expect(
    clippy::disallowed_methods,
    reason = "polling and injected delays need one real sleep"
)]
pub(crate) async fn doze(span: Duration) {
    tokio::time::sleep(span).await;
}
