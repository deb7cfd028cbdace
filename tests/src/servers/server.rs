//! One private server.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tempfile::TempDir;

use super::address::server_program;
use super::options::{Kind, Listen, RedisOptions};
use super::tls::write_certificates;
use crate::child::{GuardedChild, temp_folder};
use crate::port::PortLease;
use crate::wait::poll;

/// For a start, with the append-only file read, on a machine that is busy.
const START: Duration = Duration::from_secs(20);
/// For a reply to the harness. Tests that stop the server do not talk to it through here.
const REPLY: Duration = Duration::from_secs(10);
/// Starts on another port, when somebody grabbed the first one.
const PORT_TRIES: usize = 5;

/// A private `redis-server` (or `valkey-server`) on a port of its own, killed on drop and with the
/// test process. `PACELINE_TEST_REDIS_SERVER` names another program; `PACELINE_TEST_KEEP` keeps the
/// data folders.
pub struct RedisServer {
    pub(super) options: RedisOptions,
    pub(super) listen: Listen,
    /// Before the folder, so that the process is gone when its folder is removed.
    process: Mutex<Option<GuardedChild>>,
    folder: TempDir,
    _ports: Vec<PortLease>,
}

/// Why a start did not work.
enum StartError {
    PortTaken,
    Other(String),
}

impl RedisServer {
    /// Options to start a server with.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// Starts a small server without persistence.
    ///
    /// # Panics
    /// As [`RedisOptions::start`].
    pub async fn start() -> Self {
        Self::options().start().await
    }

    pub(super) async fn launch(options: RedisOptions) -> Self {
        for _ in 0..PORT_TRIES {
            let server = Self::prepare(options.clone());
            match server.boot().await {
                Ok(()) => return server,
                Err(StartError::PortTaken) => {}
                Err(StartError::Other(why)) => panic!("{why}"),
            }
        }
        panic!("{PORT_TRIES} free ports in a row were taken before the server could bind them");
    }

    fn prepare(options: RedisOptions) -> Self {
        let plain = PortLease::take();
        let tls = options.tls.then(PortLease::take);
        let bus = options.cluster.then(PortLease::take);
        let listen = Listen {
            plain: plain.addr(),
            tls: tls.as_ref().map(PortLease::addr),
            bus: bus.as_ref().map(PortLease::addr),
        };
        let folder = temp_folder("redis-");
        fs::write(
            folder.path().join("redis.conf"),
            options.render(folder.path(), &listen),
        )
        .unwrap();
        if options.tls {
            write_certificates(folder.path());
        }
        let ports = [Some(plain), tls, bus].into_iter().flatten().collect();
        Self {
            options,
            listen,
            process: Mutex::new(None),
            folder,
            _ports: ports,
        }
    }

    /// Starts the process and waits until it answers.
    async fn boot(&self) -> Result<(), StartError> {
        let process = GuardedChild::spawn(&server_program(), |command| {
            command.arg("redis.conf").current_dir(self.folder.path());
            if self.options.kind == Kind::Sentinel {
                command.arg("--sentinel");
            }
            let log = fs::File::create(self.folder.path().join("output.log")).unwrap();
            command
                .stderr(log.try_clone().unwrap())
                .stdout(Stdio::from(log));
        });
        let id = process.id();
        *self.process() = Some(process);
        let waited = poll(START, async || {
            let ended = self.process().as_mut().and_then(GuardedChild::ended);
            match ended {
                Some(status) => Ok(Err(status)),
                None => self.answers_as(id).await.map(Ok),
            }
        });
        match waited.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) if self.log().contains("in use") => Err(StartError::PortTaken),
            Ok(Err(status)) => {
                let log = self.log();
                Err(StartError::Other(format!(
                    "the Redis server ended at its start, {status}:\n{log}"
                )))
            }
            Err(last) => {
                let log = self.log();
                Err(StartError::Other(format!(
                    "the Redis server does not answer ({last}):\n{log}"
                )))
            }
        }
    }

    /// Whether the process that we started answers, and not another one on the same port.
    async fn answers_as(&self, id: u32) -> Result<(), String> {
        let ready = async {
            let mut connection = self.try_connect().await?;
            redis::cmd("PING")
                .query_async::<()>(&mut connection)
                .await?;
            info_from(&mut connection, "server").await
        };
        let info = ready.await.map_err(|error| error.to_string())?;
        match info.get("process_id").map(|text| text.parse::<u32>()) {
            Some(Ok(other)) if other != id => Err(format!("process {other} listens there")),
            _ => Ok(()),
        }
    }

    /// Where it listens without TLS.
    pub fn addr(&self) -> SocketAddr {
        self.listen.plain
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server wrote to its log and outputs.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("output.log"), read("redis.log"))
    }

    /// A new connection as the default user.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn connect(&self) -> MultiplexedConnection {
        match self.try_connect().await {
            Ok(connection) => connection,
            Err(error) => panic!("no connection to {self:?}: {error}"),
        }
    }

    async fn try_connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(REPLY))
            .set_response_timeout(Some(REPLY));
        Client::open(self.url())?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// The fields of one section of INFO.
    ///
    /// # Errors
    /// Whatever the server or the connection said.
    pub async fn info(&self, section: &str) -> RedisResult<HashMap<String, String>> {
        info_from(&mut self.try_connect().await?, section).await
    }

    /// All keys that match the pattern. It walks the keyspace.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut connection)
            .await
            .unwrap()
    }

    /// Removes all data and all cached scripts, as an operator would by mistake.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn flush(&self) {
        let mut connection = self.connect().await;
        let mut both = redis::pipe();
        both.cmd("FLUSHALL")
            .ignore()
            .cmd("SCRIPT")
            .arg("FLUSH")
            .ignore();
        both.query_async::<()>(&mut connection).await.unwrap();
    }

    /// SIGKILL: nothing is written any more, the port is refused, the folder stays.
    pub fn kill(&self) {
        self.running(GuardedChild::kill);
    }

    /// SIGSTOP: connections stay open and nothing answers. It stands still on return.
    pub fn stop(&self) {
        let sent = self.running(GuardedChild::stop);
        assert!(sent, "{self:?} is not running");
    }

    /// SIGCONT.
    pub fn cont(&self) {
        let sent = self.running(GuardedChild::cont);
        assert!(sent, "{self:?} is not running");
    }

    /// Starts it again on the same ports and folder, after a SIGKILL if it still runs.
    ///
    /// # Panics
    /// It does not answer again, or another program took its port.
    pub async fn restart(&self) {
        self.kill();
        match self.boot().await {
            Ok(()) => {}
            Err(StartError::PortTaken) => {
                panic!("the port of {self:?} was taken while it was down")
            }
            Err(StartError::Other(why)) => panic!("{why}"),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running(|process| process.id())
    }

    /// Whether it runs: neither dead nor stopped.
    pub fn is_up(&self) -> bool {
        self.process().as_mut().is_some_and(GuardedChild::is_up)
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.listen
            .bus
            .expect("a node of a cluster has a bus")
            .port()
    }

    fn running<T>(&self, act: impl FnOnce(&mut GuardedChild) -> T) -> T {
        act(self
            .process()
            .as_mut()
            .expect("a server that was returned has a process"))
    }

    fn process(&self) -> MutexGuard<'_, Option<GuardedChild>> {
        self.process.lock().unwrap()
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis on {}", self.addr())
    }
}

async fn info_from(
    connection: &mut MultiplexedConnection,
    section: &str,
) -> RedisResult<HashMap<String, String>> {
    let text: String = redis::cmd("INFO")
        .arg(section)
        .query_async(connection)
        .await?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}
