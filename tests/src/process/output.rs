//! What a process writes, line by line.

use std::io::{BufRead, BufReader, Read};
use std::thread;

use tokio::sync::watch;

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The lines of both outputs, while they are being written.
#[derive(Clone)]
pub(super) struct Output {
    lines: watch::Sender<Vec<(Source, String)>>,
    /// Outputs that have not ended.
    open: watch::Sender<usize>,
}

impl Output {
    /// Reads both outputs to their ends, each on a thread of its own: they must not depend on the
    /// runtime of a test.
    pub(super) fn collect(
        stdout: impl Read + Send + 'static,
        stderr: impl Read + Send + 'static,
    ) -> Self {
        let output = Self {
            lines: watch::Sender::default(),
            open: watch::Sender::new(2),
        };
        output.read(stdout, Source::Out);
        output.read(stderr, Source::Err);
        output
    }

    fn read(&self, from: impl Read + Send + 'static, source: Source) {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                output.lines.send_modify(|lines| lines.push((source, line)));
            }
            output.open.send_modify(|open| *open -= 1);
        });
    }

    /// The first line, past or future, that `find` makes something of; `None` when both outputs
    /// ended without it.
    pub(super) async fn line<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut lines = self.lines.subscribe();
        let mut open = self.open.subscribe();
        let mut seen = 0;
        loop {
            // Looked at before the lines: what was written before the end is in them.
            let ended = *open.borrow_and_update() == 0;
            {
                let lines = lines.borrow_and_update();
                let found = lines[seen..].iter().find_map(|(_, line)| find(line));
                if found.is_some() || ended {
                    return found;
                }
                seen = lines.len();
            }
            // The senders are ours, so neither can fail.
            tokio::select! {
                _ = lines.changed() => {}
                _ = open.changed() => {}
            }
        }
    }

    /// Returns when both outputs have ended.
    pub(super) async fn ended(&self) {
        let mut open = self.open.subscribe();
        // The sender is ours, so it cannot fail.
        let _ = open.wait_for(|open| *open == 0).await;
    }

    /// What was written to one of the outputs so far.
    pub(super) fn written(&self, source: Source) -> String {
        let lines = self.lines.borrow();
        let own = lines.iter().filter(|(from, _)| *from == source);
        own.map(|(_, line)| format!("{line}\n")).collect()
    }

    /// The last lines of both outputs, and how many came before them.
    pub(super) fn tail(&self, count: usize) -> (usize, Vec<(Source, String)>) {
        let lines = self.lines.borrow();
        let skipped = lines.len().saturating_sub(count);
        (skipped, lines[skipped..].to_vec())
    }
}
