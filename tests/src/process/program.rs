//! What is started, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use super::output::Output;
use super::{Finished, Process};
use crate::child::GuardedChild;

/// A program to start.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start` or `finish`"]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
}

impl Program {
    /// The `paceline` binary beside the running test, or what `PACELINE_TEST_BIN` names.
    ///
    /// # Panics
    /// It has not been built.
    pub fn paceline() -> Self {
        let path = match std::env::var_os("PACELINE_TEST_BIN") {
            Some(path) => path.into(),
            None => {
                // target/<profile>/deps/<test>
                let test = std::env::current_exe().unwrap();
                test.ancestors()
                    .nth(2)
                    .expect("tests run in target/<profile>/deps")
                    .join("paceline")
            }
        };
        assert!(
            path.is_file(),
            "{} is missing: build it with the same profile, `cargo build -p paceline-node --bin \
             paceline` (`make test` does), or name another one in PACELINE_TEST_BIN",
            path.display(),
        );
        Self::at(path)
    }

    /// Any program, by its path or by a name on the search path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            folder: None,
        }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment, on top of the test's.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The folder that it runs in.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Starts it, with its output collected and no input.
    ///
    /// # Panics
    /// There is no shell. A program that does not exist ends with code 127.
    pub fn start(self) -> Process {
        let mut child = GuardedChild::spawn(&self.path, |command| {
            command.args(&self.args).envs(&self.env);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            if let Some(folder) = &self.folder {
                command.current_dir(folder);
            }
        });
        let (stdout, stderr) = child.outputs();
        let output = Output::collect(stdout.expect("piped"), stderr.expect("piped"));
        Process {
            program: self,
            child: Mutex::new(child),
            output,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// It did not end within `deadline`.
    pub async fn finish(self, deadline: Duration) -> Finished {
        self.start().finished(deadline).await
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().unwrap_or_default();
        write!(f, "{}", name.display())?;
        self.args
            .iter()
            .try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}
