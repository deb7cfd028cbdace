//! Programs under test, above all the `paceline` binary.

mod http;
mod output;
mod program;

use std::fmt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

pub use http::http_get;
use output::Output;
pub use output::Source;
pub use program::Program;

use crate::child::GuardedChild;
use crate::wait::{eventually, within};

/// Lines that a failed test shows of each process.
const SHOWN_LINES: usize = 40;

/// How a process ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A running program: killed on drop and with the test process. When its test fails, its last lines
/// are shown.
pub struct Process {
    program: Program,
    child: Mutex<GuardedChild>,
    output: Output,
}

impl Process {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Waits for a line of either output, past or future, that `find` makes something of.
    ///
    /// # Panics
    /// It did not come within `deadline`, or the outputs ended without it.
    pub async fn line<T>(
        &self,
        what: &str,
        deadline: Duration,
        find: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let what = format!("{what} from {self}");
        let line = within(&what, deadline, self.output.line(find)).await;
        line.unwrap_or_else(|| panic!("the outputs ended without {what}"))
    }

    /// What it has written to one of its outputs so far.
    pub fn written(&self, source: Source) -> String {
        self.output.written(source)
    }

    /// SIGKILL; it is gone on return.
    pub fn kill(&self) {
        self.child().kill();
    }

    /// SIGSTOP; it stands still on return.
    ///
    /// # Panics
    /// It has ended.
    pub fn stop(&self) {
        assert!(self.child().stop(), "{self} has ended");
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// It has ended.
    pub fn cont(&self) {
        assert!(self.child().cont(), "{self} has ended");
    }

    /// SIGTERM, which asks it to stop gracefully.
    ///
    /// # Panics
    /// It has ended.
    pub fn terminate(&self) {
        assert!(self.child().signal(Signal::TERM), "{self} has ended");
    }

    /// SIGINT, as from the keyboard.
    ///
    /// # Panics
    /// It has ended.
    pub fn interrupt(&self) {
        assert!(self.child().signal(Signal::INT), "{self} has ended");
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().ended()
    }

    /// Waits for its end, and for the end of its outputs.
    ///
    /// # Panics
    /// It did not end within `deadline`, or a child of its own holds its outputs open.
    pub async fn finished(&self, deadline: Duration) -> Finished {
        let what = format!("the end of {self}");
        let status = eventually(&what, deadline, async || self.ended()).await;
        within("the end of its outputs", deadline, self.output.ended()).await;
        Finished {
            code: status.code(),
            stdout: self.written(Source::Out),
            stderr: self.written(Source::Err),
        }
    }

    fn child(&self) -> MutexGuard<'_, GuardedChild> {
        self.child.lock().unwrap()
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the failure"
    )]
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let (skipped, lines) = self.output.tail(SHOWN_LINES);
        eprintln!("--- {self}, process {}, after {skipped} lines:", self.id());
        for (source, line) in lines {
            eprintln!("{source:?} {line}");
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.fmt(f)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}: {self}", self.id())
    }
}
