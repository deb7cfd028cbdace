//! A Redis server of our own: a child process on a free port of this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::failure::{Failure, Kind};

/// Names of the server's program, in the order of preference.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// Folders of servers that a user's `PATH` may lack.
const MORE_FOLDERS: [&str; 4] = ["/usr/local/bin", "/opt/homebrew/bin", "/usr/sbin", "/sbin"];

/// Loading a large append-only file takes a while.
const START: Duration = Duration::from_secs(60);

/// For the last write to disk.
const STOP: Duration = Duration::from_secs(15);

/// Another process may take the free port before the server does.
const TRIES: usize = 5;

/// The last words of a server whose port, or whose port of the cluster, is in use. Why it is so
/// stands in the line before.
const TAKEN: &str = "Failed listening on port";

/// The parent of the server, which ends it when this process is gone, however it went: then the
/// other end of its standard input is closed. `$1` is a folder to remove afterwards, or nothing.
///
/// Only the server holds the standard output, so that its end shows the server's.
const GUARD: &str = r#"
folder=$1; shift
"$@" 2>&1 &
server=$!
exec >/dev/null 2>&1
read -r line
kill "$server"
wait "$server"
if [ -n "$folder" ]; then rm -rf -- "$folder"; fi
"#;

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// All there is.
    Alone,
    /// Measurements.
    Measured,
    /// The same, as one primary of several.
    Member,
}

/// A running server; it ends with this value, or with the process at the latest.
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    guard: Child,
    /// Closed to end the server.
    lifeline: Option<ChildStdin>,
    /// Reads the server's log, which would stop the server once the pipe is full, to its end;
    /// comes back with the last line.
    log: JoinHandle<String>,
    port: u16,
    /// Held while it runs, so that no second server writes to the same folder.
    _lock: Option<std::fs::File>,
}

impl PrivateRedis {
    /// Starts a server, with its data in `folder` and an append-only file, or thrown away.
    pub(crate) async fn start(folder: Option<&Path>) -> Result<PrivateRedis, Failure> {
        let append_only = folder.is_some();
        PrivateRedis::start_as(Role::Alone, append_only, folder).await
    }

    /// Starts a server that is to be measured: it does nothing at a moment of its own, and its
    /// data is thrown away.
    pub(crate) async fn start_measured(append_only: bool) -> Result<PrivateRedis, Failure> {
        PrivateRedis::start_as(Role::Measured, append_only, None).await
    }

    /// The same for a primary of a cluster, which is yet to be formed.
    pub(crate) async fn start_member(append_only: bool) -> Result<PrivateRedis, Failure> {
        PrivateRedis::start_as(Role::Member, append_only, None).await
    }

    async fn start_as(
        role: Role,
        append_only: bool,
        folder: Option<&Path>,
    ) -> Result<PrivateRedis, Failure> {
        PrivateRedis::start_on(free_port, role, append_only, folder).await
    }

    /// `ports` gives one that was free a moment ago, which somebody may have taken since.
    async fn start_on(
        mut ports: impl FnMut() -> std::io::Result<u16>,
        role: Role,
        append_only: bool,
        folder: Option<&Path>,
    ) -> Result<PrivateRedis, Failure> {
        let program = find_server().ok_or_else(|| Failure::new(Kind::Redis, none_found()))?;
        let lock = folder.map(lock).transpose()?;
        let mut reason = String::new();
        for _ in 0..TRIES {
            let (mut server, ready) =
                PrivateRedis::spawn(&program, &mut ports, role, append_only, folder)?;
            match tokio::time::timeout(START, ready).await {
                Ok(Ok(())) => {
                    server._lock = lock;
                    return Ok(server);
                }
                Ok(Err(_)) => reason = server.last_words().await,
                Err(_) => reason = format!("it was not ready within {START:?}"),
            }
            server.stop().await;
            if !reason.contains(TAKEN) {
                break;
            }
        }
        let sentence = format!("{} does not start: {reason}", program.display());
        Err(Failure::new(Kind::Redis, sentence))
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Waits until the server ends by itself, which it should not, and says so.
    pub(crate) async fn ended(&mut self) -> Failure {
        let last = self.last_words().await;
        Failure::new(
            Kind::Redis,
            format!("the private Redis server ended: {last}"),
        )
    }

    async fn last_words(&mut self) -> String {
        let last = (&mut self.log).await.unwrap_or_default();
        match without_prefix(&last) {
            "" => "it said nothing".to_owned(),
            words => words.to_owned(),
        }
    }

    /// Stops the server and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        self.lifeline = None;
        // One that hangs is left to its guard.
        let _ = tokio::time::timeout(STOP, self.guard.wait()).await;
    }

    /// The server, and a message for when it is ready; dropped when it ends before.
    fn spawn(
        program: &Path,
        ports: &mut impl FnMut() -> std::io::Result<u16>,
        role: Role,
        append_only: bool,
        folder: Option<&Path>,
    ) -> Result<(PrivateRedis, oneshot::Receiver<()>), Failure> {
        let cannot = |what: &str, error: std::io::Error| {
            Failure::new(Kind::Redis, format!("cannot {what}: {error}"))
        };
        let (data, thrown_away) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let folder = tempfile::Builder::new().prefix("paceline-").tempdir();
                let folder = folder.map_err(|error| cannot("make a folder for data", error))?;
                // The guard removes it, as only the guard outlives everything.
                let folder = folder.keep();
                (folder.clone(), Some(folder))
            }
        };
        let port = ports().map_err(|error| cannot("find a free port", error))?;
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "sh"])
            .arg(thrown_away.unwrap_or_default())
            .arg(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(data)
            .args(["--save", "", "--maxmemory-policy", "noeviction"])
            .args(["--appendonly", if append_only { "yes" } else { "no" }]);
        if role != Role::Alone {
            // A rewrite of the file takes a core, whenever it happens to come.
            command.args(["--auto-aof-rewrite-percentage", "0"]);
        }
        if role == Role::Member {
            // By default it is the port and 10,000, which may be beyond the last one.
            let bus = ports().map_err(|error| cannot("find a free port", error))?;
            command
                .args(["--cluster-enabled", "yes"])
                .args(["--cluster-port", &bus.to_string()]);
        }
        let mut guard = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for this process, which still needs the server to stop in order.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot("start sh", error))?;
        let (Some(lifeline), Some(log)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(Failure::new(Kind::Redis, "cannot talk to the Redis server"));
        };
        let (is_ready, ready) = oneshot::channel();
        let server = PrivateRedis {
            guard,
            lifeline: Some(lifeline),
            log: tokio::spawn(read_log(log, is_ready)),
            port,
            _lock: None,
        };
        Ok((server, ready))
    }
}

/// Reads to the end, tells when the server says that it is ready, and returns the last line.
async fn read_log(log: ChildStdout, is_ready: oneshot::Sender<()>) -> String {
    let mut is_ready = Some(is_ready);
    let mut lines = BufReader::new(log).lines();
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(target: "paceline::redis", "{line}");
        if line.contains("Ready to accept connections")
            && let Some(is_ready) = is_ready.take()
        {
            let _ = is_ready.send(());
        }
        if !line.trim().is_empty() {
            last = line;
        }
    }
    last
}

/// A log line without process id, time and level: `41:M 01 Jan 2026 10:00:00.000 # the words`.
fn without_prefix(line: &str) -> &str {
    let words = [" # ", " * ", " - ", " . "]
        .iter()
        .filter_map(|mark| line.split_once(mark))
        .min_by_key(|(before, _)| before.len());
    words.map_or(line, |(_, words)| words).trim()
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn lock(folder: &Path) -> Result<std::fs::File, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::usage(format!(
            "cannot use the folder {}: {error}",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let file = std::fs::File::create(folder.join("paceline.lock")).map_err(cannot)?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => Failure::new(
            Kind::Conflict,
            format!(
                "another paceline keeps its data in {}; stop it, or choose another folder",
                folder.display()
            ),
        ),
        std::fs::TryLockError::Error(error) => cannot(error),
    })?;
    Ok(file)
}

fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(MORE_FOLDERS.map(PathBuf::from))
        .collect();
    find_in(&folders, &PROGRAMS)
}

fn find_in(folders: &[PathBuf], programs: &[&str]) -> Option<PathBuf> {
    let candidates = programs
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    candidates.into_iter().find(|file| file.is_file())
}

/// One sentence with the command for this machine.
fn none_found() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    format!(
        "neither redis-server nor valkey-server is on the PATH; {}",
        advice(|manager| find_in(&folders, &[manager]).is_some())
    )
}

fn advice(has: impl Fn(&str) -> bool) -> String {
    let commands = [
        ("apt-get", "sudo apt-get install redis-server"),
        ("dnf", "sudo dnf install valkey"),
        ("apk", "sudo apk add redis"),
        ("brew", "brew install redis"),
    ];
    match commands.into_iter().find(|(manager, _)| has(manager)) {
        Some((_, command)) => format!("install it with `{command}`"),
        None => "install Redis 7.0 or newer from https://redis.io/download".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_meanwhile_is_given_up_for_another() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = taken.local_addr().map(|address| (taken, address.port()));
        let (_listener, taken) = taken.expect("an address");
        for role in [Role::Alone, Role::Member] {
            let mut asked = 0;
            let ports = || {
                asked += 1;
                // The last one of the first server: of a member, that of the cluster.
                let last = if role == Role::Member { 2 } else { 1 };
                if asked == last {
                    Ok(taken)
                } else {
                    free_port()
                }
            };
            let server = PrivateRedis::start_on(ports, role, false, None).await;
            let server = server.unwrap_or_else(|failure| panic!("{failure:?}"));
            assert_ne!(server.port, taken);
            server.stop().await;
            assert!(asked > 1, "a second server was started");
        }
    }

    #[test]
    fn the_advice_names_the_command_of_the_machine() {
        let table = [
            (
                "apt-get",
                "install it with `sudo apt-get install redis-server`",
            ),
            ("dnf", "install it with `sudo dnf install valkey`"),
            ("apk", "install it with `sudo apk add redis`"),
            ("brew", "install it with `brew install redis`"),
            (
                "none",
                "install Redis 7.0 or newer from https://redis.io/download",
            ),
        ];
        for (manager, sentence) in table {
            assert_eq!(advice(|asked| asked == manager), sentence);
        }
    }

    #[test]
    fn a_server_is_found_by_name_before_folder() {
        let (first, second) = (tempfile::tempdir(), tempfile::tempdir());
        let folders = [first, second].map(|folder| folder.expect("folder").keep());
        assert_eq!(find_in(&folders, &PROGRAMS), None);
        for (folder, program) in [(0, "valkey-server"), (1, "redis-server")] {
            let file = folders[folder].join(program);
            std::fs::write(&file, "").expect("file");
            assert_eq!(find_in(&folders, &PROGRAMS), Some(file));
        }
        for folder in folders {
            std::fs::remove_dir_all(folder).expect("removed");
        }
    }

    #[test]
    fn a_line_of_the_log_is_cut_to_its_words() {
        let line = "41:M 01 Jan 2026 10:00:00.000 # Warning: Could not create * server";
        assert_eq!(without_prefix(line), "Warning: Could not create * server");
        assert_eq!(without_prefix(" *** FATAL ***"), "*** FATAL ***");
    }

    #[tokio::test]
    async fn a_server_comes_up_and_goes_with_its_data() {
        let mut server = PrivateRedis::start(None).await.expect("server");
        let address = server.url().replace("redis://", "").replace('/', "");
        tokio::net::TcpStream::connect(&address)
            .await
            .expect("listens");
        let running = tokio::time::timeout(Duration::from_millis(50), server.ended()).await;
        assert!(running.is_err(), "{running:?}");
        server.stop().await;
        assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    }

    #[tokio::test]
    async fn a_folder_is_used_once_at_a_time() {
        let folder = tempfile::tempdir().expect("folder");
        let server = PrivateRedis::start(Some(folder.path()))
            .await
            .expect("server");
        let second = PrivateRedis::start(Some(folder.path())).await;
        assert_eq!(second.expect_err("in use").kind, Kind::Conflict);
        server.stop().await;
        assert!(folder.path().join("appendonlydir").exists());
        let again = PrivateRedis::start(Some(folder.path()))
            .await
            .expect("server");
        again.stop().await;
    }
}
