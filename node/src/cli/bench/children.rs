//! Nodes as processes of their own: this same program, started once more.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::super::failure::{Failure, Kind};
use super::super::options::Globals;
use super::process::{self, Memory};

/// How long a node may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// How long one that was told to stop may take.
const STOP: Duration = Duration::from_secs(20);

/// A node process; killed when this is dropped.
pub(super) struct ChildNode {
    child: Child,
    pid: u32,
    /// The node's name; its id changes when it loses its lease and joins again.
    pub(super) name: String,
    /// Closed to stop it; also when this process is gone.
    lifeline: Option<ChildStdin>,
    /// Open as long as the process may write to it.
    _output: BufReader<ChildStdout>,
}

/// What a node says when it is ready.
#[derive(Deserialize)]
struct Ready {
    name: String,
}

impl ChildNode {
    /// Starts a node with the built-in task types, and waits until it is ready.
    pub(super) async fn start(globals: &Globals, arguments: &[&str]) -> Result<ChildNode, Failure> {
        let cannot = |what: &str, error: &dyn std::fmt::Display| {
            let sentence = format!("a node process cannot {what}: {error}");
            Failure::new(Kind::Outcome, sentence)
        };
        let program = std::env::current_exe().map_err(|error| cannot("be found", &error))?;
        let mut child = Command::new(program)
            .args(["bench", "node", "--output", "json"])
            .args(["--redis", &globals.redis])
            .args(["--namespace", &globals.namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| cannot("be started", &error))?;
        let (Some(lifeline), Some(output), Some(pid)) =
            (child.stdin.take(), child.stdout.take(), child.id())
        else {
            return Err(cannot("be talked to", &"it has no pipes"));
        };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let read = tokio::time::timeout(READY, output.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(bytes)) if bytes > 0) {
            let problem = format!("it did not say so within {READY:?}");
            return Err(cannot("become ready", &problem));
        }
        let ready: Ready =
            serde_json::from_str(&line).map_err(|error| cannot("be understood", &error))?;
        Ok(ChildNode {
            child,
            pid,
            name: ready.name,
            lifeline: Some(lifeline),
            _output: output,
        })
    }

    /// CPU time that it has spent so far.
    pub(super) fn cpu(&self) -> Result<Duration, Failure> {
        process::cpu_of(self.pid)
    }

    /// Its memory.
    pub(super) fn memory(&self) -> Result<Memory, Failure> {
        process::memory_of(self.pid)
    }

    /// Kills it as nothing can be caught: it has no last word.
    pub(super) async fn kill(mut self) {
        // Only a process that has ended already cannot be killed.
        let _ = self.child.kill().await;
    }

    /// Lets it end in order.
    pub(super) async fn stop(mut self) {
        self.lifeline = None;
        // One that hangs is killed when it is dropped.
        let _ = tokio::time::timeout(STOP, self.child.wait()).await;
    }
}

/// Several of them.
pub(super) struct Children(pub(super) Vec<ChildNode>);

impl Children {
    /// Starts as many, side by side.
    pub(super) async fn start(
        globals: &Globals,
        nodes: u16,
        arguments: &[&str],
    ) -> Result<Children, Failure> {
        let started = (0..nodes).map(|_| ChildNode::start(globals, arguments));
        Ok(Children(futures::future::try_join_all(started).await?))
    }

    /// CPU time that all of them have spent so far.
    pub(super) fn cpu(&self) -> Result<Duration, Failure> {
        self.0.iter().map(ChildNode::cpu).sum()
    }

    /// Lets all of them end in order.
    pub(super) async fn stop(self) {
        futures::future::join_all(self.0.into_iter().map(ChildNode::stop)).await;
    }
}
