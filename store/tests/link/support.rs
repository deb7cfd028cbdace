//! Private servers for these tests: each on a port of its own, killed when dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use paceline_store::link::{Link, LinkOptions};
use paceline_store::{RedisUrl, StoreError};

use super::port::PortLease;

/// Long enough for the busiest machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a call waits for a server that is known to hang.
pub(crate) const HASTE: Duration = Duration::from_millis(200);

/// Waits until `condition` yields something.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("paceline-link-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).expect("a folder");
    path
}

/// A `redis-server` or a Sentinel.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Also while it is down: nobody else listens there, and no connection has it as its own.
    _lease: PortLease,
    pub(crate) folder: PathBuf,
    arguments: Vec<String>,
}

impl Server {
    /// A server with these further arguments, which answers.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let lease = PortLease::take();
        let (port, folder) = (lease.addr().port(), folder());
        let port_text = port.to_string();
        let mut all = vec!["--port", &port_text, "--bind", "127.0.0.1", "--save", ""];
        // Replicas are in step at once.
        all.extend(["--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
        all.extend(arguments);
        Self::run(all.into_iter().map(str::to_owned).collect(), lease, folder)
    }

    /// A Sentinel that alone decides about the primary at `port`, under the name `line`.
    pub(crate) fn sentinel(primary: u16) -> Self {
        let lease = PortLease::take();
        let (port, folder) = (lease.addr().port(), folder());
        let file = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor line 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds line 1000\nsentinel failover-timeout line 5000\n"
        );
        fs::write(&file, text).expect("a file");
        let file = file.display().to_string();
        Self::run(vec![file, "--sentinel".to_owned()], lease, folder)
    }

    fn run(arguments: Vec<String>, lease: PortLease, folder: PathBuf) -> Self {
        let child = spawn(&arguments, &folder);
        let server = Self {
            child,
            port: lease.addr().port(),
            _lease: lease,
            folder,
            arguments,
        };
        server.await_answer();
        server
    }

    /// Starts again on the same port after a [`kill`](Self::kill).
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.arguments, &self.folder);
        self.await_answer();
    }

    pub(crate) fn kill(&mut self) {
        // It may have been stopped, and a stopped process dies all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it as a hung machine would: connections stay open, nothing answers.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn await_answer(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            assert!(Instant::now() < deadline, "{} does not start", self.port);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        if self
            .arguments
            .iter()
            .any(|argument| argument == "--tls-port")
        {
            return true;
        }
        let mut reply = [0; 7];
        socket.write_all(b"PING\r\n").is_ok()
            && socket.read_exact(&mut reply).is_ok()
            && (reply.starts_with(b"+PONG") || reply.starts_with(b"-NOAUTH"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(arguments: &[String], folder: &PathBuf) -> Child {
    Command::new("redis-server")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

pub(crate) fn options() -> LinkOptions {
    LinkOptions {
        retry_for: PATIENCE,
        client_name: Some("link-test".to_owned()),
        ..LinkOptions::default()
    }
}

pub(crate) async fn connect(url: &str) -> Link {
    try_connect(url).await.expect("connects")
}

pub(crate) async fn try_connect(url: &str) -> Result<Link, StoreError> {
    use paceline_store::link::ConnectError;
    let url: RedisUrl = url.parse().expect("a good URL");
    match Link::connect(&url, options()).await {
        Ok(link) => Ok(link),
        Err(ConnectError::Store(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// A command from its words.
pub(crate) fn command(words: &str) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for word in words.split(' ') {
        command.arg(word);
    }
    command
}

/// Sends a command and reads a whole number or a text out of the reply.
pub(crate) async fn ask<T: redis::FromRedisValue>(link: &Link, words: &str) -> T {
    let reply = link.command(&command(words)).await;
    let reply = reply.unwrap_or_else(|error| panic!("{words}: {error}"));
    redis::from_redis_value(reply).unwrap_or_else(|error| panic!("{words}: {error}"))
}
