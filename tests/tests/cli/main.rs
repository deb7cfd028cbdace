//! The `paceline` binary as its users meet it: what it prints, its exit codes, what it leaves.
#![cfg(test)]

mod batches;
mod bench;
mod commands;
mod crash;
mod dev;
mod files;
mod followed;
mod graph;
mod groups;
mod health;
mod limits;
mod looking;
mod old_redis;
mod programs;
mod run_view;
mod schedules;
mod steer;
mod steering;
mod workflow_steer;
mod wrong;

use std::path::PathBuf;

use paceline_tests::{Backend, Env, Finished, NodeProcess, Program, SOON};
use serde_json::Value;
use tempfile::TempDir;

/// The binary, told of one namespace of one Redis.
struct Binary {
    url: String,
    namespace: String,
    folder: TempDir,
}

impl Binary {
    /// On a namespace of its own of the shared server.
    async fn alone() -> Binary {
        let env = Env::on(Backend::Standalone).await;
        Binary::on(&env.url(), env.namespace())
    }

    /// The same with a node that serves everything.
    async fn with_node() -> (Binary, NodeProcess) {
        let binary = Binary::alone().await;
        let node = binary.node(&["--allow-shell"]).await;
        (binary, node)
    }

    fn on(url: &str, namespace: &str) -> Binary {
        Binary {
            url: url.to_owned(),
            namespace: namespace.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn node(&self, args: &[&str]) -> NodeProcess {
        NodeProcess::start_program(self.program("node").args(args)).await
    }

    /// A command by its words, which hold no spaces; further arguments can be added.
    fn program(&self, words: &str) -> Program {
        Program::paceline()
            .args(words.split_whitespace())
            .env("PACELINE_REDIS", &self.url)
            .env("PACELINE_NAMESPACE", &self.namespace)
            .folder(self.folder.path())
    }

    /// Runs a command to its end.
    async fn end(&self, words: &str, args: &[&str]) -> Finished {
        self.program(words).args(args).finish(SOON).await
    }

    /// Runs a command that must end well; what it printed.
    async fn done(&self, words: &str, args: &[&str]) -> String {
        let end = self.end(words, args).await;
        assert_eq!(end.code, Some(0), "{words}: {}", end.stderr);
        end.stdout.trim_end().to_owned()
    }

    /// The same, as JSON.
    async fn json(&self, words: &str, args: &[&str]) -> Value {
        let printed = self.done(&format!("{words} -o json"), args).await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Runs a command that must fail with this code; the sentence, without its `error: `.
    async fn refused(&self, code: i32, words: &str, args: &[&str]) -> String {
        let end = self.end(words, args).await;
        assert_eq!(
            end.code,
            Some(code),
            "{words}: {} {}",
            end.stdout,
            end.stderr
        );
        let last = end
            .stderr
            .lines()
            .rev()
            .find(|line| line.starts_with("error: "));
        let at = last.unwrap_or_else(|| panic!("{words}: no sentence in {}", end.stderr));
        let from = end.stderr.find(at).unwrap() + "error: ".len();
        end.stderr[from..].trim_end().to_owned()
    }

    /// A file in the folder that commands run in.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}
