//! Ports that no other test takes, even while nobody listens on them.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use rand::RngExt;

/// Below the ephemeral ranges of Linux and macOS: no outgoing connection takes one of these as its
/// own port, so a server can be restarted on it, and a client that reconnects to a dead server
/// cannot end up connected to itself.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that is ours, among all test processes of this user, as long as the lease lives.
#[derive(Debug)]
pub(crate) struct PortLease {
    port: u16,
    /// The lock goes with the file, and the file with the process.
    _lock: File,
}

impl PortLease {
    /// Takes a free port. A process that does not know the leases may still grab it before it is
    /// bound: who binds it tries again with another lease.
    pub(crate) fn take() -> Self {
        let folder = lock_folder();
        let first = rand::rng().random_range(PORTS);
        for port in (first..PORTS.end).chain(PORTS.start..first) {
            if let Some(lease) = Self::try_take(&folder, port) {
                return lease;
            }
        }
        panic!(
            "no free port in {PORTS:?}, or {} cannot be written",
            folder.display()
        );
    }

    fn try_take(folder: &std::path::Path, port: u16) -> Option<Self> {
        let lock = File::create(folder.join(port.to_string())).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self { port, _lock: lock })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

/// One folder per user, so that rights never get in the way.
fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("paceline-test-ports-{user}"));
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            panic!("cannot make {}: {error}", folder.display())
        }
        _ => folder,
    }
}
