//! A private Redis server for one test.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait of a test for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A server behind a socket in a folder of its own; killed when dropped.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts a server that keeps nothing on disk, and waits until it answers.
    pub(crate) fn start() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(folder.path().join("redis"))
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        let server = Server { child, folder };
        let begun = Instant::now();
        while server.command("PING").is_none() {
            assert!(begun.elapsed() < LIMIT, "Redis does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}/redis", self.folder.path().display())
    }

    /// Stops the server's process, which keeps its connections open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill {signal} {pid}"
        );
    }

    /// Sends an inline command and returns the beginning of the answer.
    pub(crate) fn command(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("redis")).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 4096];
        let len = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..len]).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lets time pass, for what is a span of time itself: a window that is measured, or the length of
/// a fault. Never to wait for something.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}
