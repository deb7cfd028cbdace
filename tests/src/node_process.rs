//! A node in a process of its own.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use crate::port::PortLease;
use crate::process::{Process, Program, http_get};
use crate::wait::eventually;
use crate::work::PATIENCE;

/// For a start on a busy machine, with connections, scripts and registration.
const START: Duration = Duration::from_secs(20);

/// `paceline node` in a process of its own, to be killed and stopped like any [`Process`].
#[derive(Debug)]
pub struct NodeProcess {
    process: Process,
    port: PortLease,
}

impl NodeProcess {
    /// Starts a node of the binary on the Redis at `url`, with further arguments, and returns once
    /// `/readyz` says so.
    ///
    /// # Panics
    /// There is no binary, or the node does not become ready.
    pub async fn start(url: &str, args: &[&str]) -> Self {
        Self::start_program(
            Program::paceline()
                .args(["node", "--redis", url])
                .args(args),
        )
        .await
    }

    /// The same for a program that is called otherwise and understands `--http ADDRESS`.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn start_program(program: Program) -> Self {
        let port = PortLease::take();
        let process = program.arg("--http").arg(port.addr().to_string()).start();
        let node = Self { process, port };
        eventually(&format!("{node:?} is ready"), START, async || {
            if let Some(status) = node.ended() {
                panic!("{node:?} ended at its start: {status}");
            }
            match http_get(node.http(), "/readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("{status} {body}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        node
    }

    /// Where its probes and metrics are.
    pub fn http(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The value of one metric, summed over its labels; none when it has not been written.
    ///
    /// # Panics
    /// The node does not answer.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = http_get(self.http(), "/metrics").await;
        let (_, text) = answer.unwrap_or_else(|error| panic!("no metrics of {self:?}: {error}"));
        sum(&text, name)
    }
}

/// The index of the one process that says it leads.
///
/// One that just woke up may still say so for a moment, beside the one that does lead.
///
/// # Panics
/// None does, or several do, for too long; or one of them does not answer.
pub async fn leading(nodes: &[NodeProcess]) -> usize {
    eventually("one node leads", PATIENCE, async || {
        let mut leading = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if node.metric("paceline_leader").await == Some(1.0) {
                leading.push(index);
            }
        }
        match leading[..] {
            [index] => Ok(index),
            _ => Err(leading),
        }
    })
    .await
}

impl Deref for NodeProcess {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The sum of the samples of `name` in the Prometheus text format.
fn sum(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with([' ', '{']) {
            return None;
        }
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    samples.reduce(|total, sample| total + sample)
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn samples_of_one_metric_are_added_up() {
        let text =
            "# TYPE jobs counter\njobs{state=\"a b\"} 2\njobs{state=\"c\"} 3\njobs_total 9\n";
        assert_eq!(sum(text, "jobs"), Some(5.0));
        assert_eq!(sum(text, "job"), None);
    }
}
