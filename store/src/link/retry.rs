//! The one retry policy: which faults pass by themselves, and how long to wait for that. Pure.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What an error of the client or the server means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is gone, or could not be made.
    Broken,
    /// No reply in time; the connection may still be good.
    Silent,
    /// The server is there and asks for patience.
    Busy,
    /// Another server owns the slot, or the cluster is rearranging itself.
    Moved,
    /// The slot is being moved; this one call goes to the server that receives it.
    Ask,
    /// The server is a replica, has just become one, or has lost its replicas to another.
    NotPrimary,
    /// The server does not know the script.
    NoScript,
    /// `maxmemory` is reached.
    OutOfMemory,
    /// Wrong password, or a right is missing.
    Denied,
    /// The server is of another kind than the URL says.
    Mismatch,
    /// Anything else: the same call would fail again.
    Permanent,
}

impl Fault {
    /// Whether the same call may succeed when it is sent again.
    pub(super) const fn is_transient(self) -> bool {
        match self {
            Self::Broken
            | Self::Silent
            | Self::Busy
            | Self::Moved
            | Self::Ask
            | Self::NotPrimary
            | Self::NoScript => true,
            Self::OutOfMemory | Self::Denied | Self::Mismatch | Self::Permanent => false,
        }
    }

    /// Whether the server may have carried out the call all the same.
    pub(super) const fn leaves_doubt(self) -> bool {
        matches!(self, Self::Broken | Self::Silent)
    }

    /// Whether this connection must not be used again.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(self, Self::Broken | Self::NotPrimary)
    }

    /// Whether the cluster may look different from what we believe.
    pub(super) const fn doubts_topology(self) -> bool {
        matches!(
            self,
            Self::Broken | Self::Silent | Self::Moved | Self::NotPrimary
        )
    }
}

pub(super) fn classify(error: &RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Fault::Silent,
        // A certificate that is refused today is refused tomorrow.
        ErrorKind::Io if is_tls(error) => Fault::Mismatch,
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => Fault::Broken,
        ErrorKind::AuthenticationFailed => Fault::Denied,
        ErrorKind::InvalidClientConfig | ErrorKind::MasterNameNotFoundBySentinel => Fault::Mismatch,
        ErrorKind::Server(kind) => of_server(kind, error),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        _ => Fault::Permanent,
    }
}

fn of_server(kind: ServerErrorKind, error: &RedisError) -> Fault {
    match kind {
        ServerErrorKind::Moved | ServerErrorKind::ClusterDown => Fault::Moved,
        ServerErrorKind::Ask => Fault::Ask,
        ServerErrorKind::TryAgain | ServerErrorKind::BusyLoading => Fault::Busy,
        ServerErrorKind::MasterDown | ServerErrorKind::ReadOnly => Fault::NotPrimary,
        ServerErrorKind::NoScript => Fault::NoScript,
        ServerErrorKind::NoPerm => Fault::Denied,
        ServerErrorKind::ResponseError => {
            let detail = error.detail().unwrap_or_default();
            if detail.contains("max number of clients") {
                Fault::Busy
            } else if detail.contains("invalid password") || detail.contains("AUTH") {
                Fault::Denied
            } else {
                Fault::Permanent
            }
        }
        _ => Fault::Permanent,
    }
}

fn of_code(code: &str) -> Fault {
    match code {
        "OOM" => Fault::OutOfMemory,
        "NOAUTH" | "WRONGPASS" => Fault::Denied,
        // A primary without its replicas may be the old one of a failover, which finds out late.
        "UNBLOCKED" | "NOREPLICAS" => Fault::NotPrimary,
        // A script of someone else runs too long, or the disk is full: it passes or is mended
        // while the server stays where it is.
        "BUSY" | "MISCONF" => Fault::Busy,
        _ => Fault::Permanent,
    }
}

fn is_tls(error: &RedisError) -> bool {
    // rustls' own error type is wrapped beyond reach, so its words have to do.
    let text = error.to_string();
    ["certificate", "corrupt message", "fatal alert", "dns name"]
        .iter()
        .any(|word| text.contains(word))
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that double from 20 ms to 1 s, each shortened by chance to spread the callers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure. `roll` in `0.0..1.0` takes away up to half of it.
    pub(super) fn pause(&mut self, roll: f64) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        doubled.min(LONGEST_PAUSE).mul_f64(1.0 - roll / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn server(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .expect("an error is a value")
            .extract_error()
            .expect_err("it is an error")
    }

    #[test]
    fn errors_of_the_server() {
        for (line, fault) in [
            ("MOVED 3999 127.0.0.1:6381", Fault::Moved),
            ("CLUSTERDOWN The cluster is down", Fault::Moved),
            ("ASK 3999 127.0.0.1:6381", Fault::Ask),
            ("TRYAGAIN Multiple keys request", Fault::Busy),
            ("LOADING Redis is loading the dataset", Fault::Busy),
            ("BUSY Redis is busy running a script.", Fault::Busy),
            ("NOREPLICAS Not enough good replicas", Fault::NotPrimary),
            ("MISCONF Errors writing to the AOF file", Fault::Busy),
            ("ERR max number of clients reached", Fault::Busy),
            ("READONLY You can't write against a", Fault::NotPrimary),
            ("MASTERDOWN Link with MASTER is down", Fault::NotPrimary),
            ("UNBLOCKED force unblock", Fault::NotPrimary),
            ("NOSCRIPT No matching script.", Fault::NoScript),
            ("OOM command not allowed when", Fault::OutOfMemory),
            ("NOAUTH Authentication required.", Fault::Denied),
            ("WRONGPASS invalid username-password", Fault::Denied),
            ("NOPERM this user has no permissions", Fault::Denied),
            ("ERR Client sent AUTH, but no password", Fault::Denied),
            ("WRONGTYPE Operation against a key", Fault::Permanent),
            ("NOGROUP No such key", Fault::Permanent),
            ("CROSSSLOT Keys in request", Fault::Permanent),
            ("EXECABORT Transaction discarded", Fault::Permanent),
            ("ERR unknown command 'X'", Fault::Permanent),
        ] {
            assert_eq!(classify(&server(line)), fault, "{line}");
        }
    }

    #[test]
    fn errors_of_the_connection() {
        for (kind, fault) in [
            (io::ErrorKind::TimedOut, Fault::Silent),
            (io::ErrorKind::BrokenPipe, Fault::Broken),
            (io::ErrorKind::ConnectionReset, Fault::Broken),
            (io::ErrorKind::ConnectionRefused, Fault::Broken),
            (io::ErrorKind::UnexpectedEof, Fault::Broken),
            (io::ErrorKind::NotFound, Fault::Broken),
            (io::ErrorKind::Other, Fault::Broken),
        ] {
            let error = RedisError::from(io::Error::from(kind));
            assert_eq!(classify(&error), fault, "{kind:?}");
        }
    }

    #[test]
    fn only_faults_that_pass_are_retried() {
        for (fault, transient, doubt) in [
            (Fault::Broken, true, true),
            (Fault::Silent, true, true),
            (Fault::Busy, true, false),
            (Fault::Moved, true, false),
            (Fault::Ask, true, false),
            (Fault::NotPrimary, true, false),
            (Fault::NoScript, true, false),
            (Fault::OutOfMemory, false, false),
            (Fault::Denied, false, false),
            (Fault::Mismatch, false, false),
            (Fault::Permanent, false, false),
        ] {
            assert_eq!(fault.is_transient(), transient, "{fault:?}");
            assert_eq!(fault.leaves_doubt(), doubt, "{fault:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_second() {
        let mut whole = Backoff::default();
        let millis: Vec<u128> = (0..8).map(|_| whole.pause(0.0).as_millis()).collect();
        assert_eq!(millis, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        let mut halved = Backoff::default();
        assert_eq!(halved.pause(1.0).as_millis(), 10);
        let mut late = Backoff { failures: u32::MAX };
        assert_eq!(late.pause(0.0), LONGEST_PAUSE);
    }
}
