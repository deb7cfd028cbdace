//! A small TCP proxy that misbehaves when it is told to.
//!
//! It understands the protocol just enough to tell requests and replies apart, so that a fault hits
//! one chosen request on a connection that carries many. An encrypted connection passes through
//! unread: it can be paused, delayed and cut, but nothing of it can be chosen.

mod fault;
mod pipe;
mod resp;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use fault::Rule;
pub use fault::{Fault, Request};

use crate::port::PortLease;

/// What passes through the proxy as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    /// Connections stay and are accepted, no byte moves.
    Paused,
    /// Connections are refused.
    Down,
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests that were understood.
    pub requests: u64,
    /// Requests that a fault hit.
    pub faults: u64,
}

/// What the connections share.
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    mode: watch::Sender<Mode>,
    delay: watch::Sender<Duration>,
    /// Counts the cuts; a connection ends when it grows.
    cuts: watch::Sender<u64>,
    rules: Mutex<Vec<Rule>>,
    tally: watch::Sender<Tally>,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap()
    }
}

/// A proxy before one server. It lives in the runtime of the test that made it, and ends on drop.
pub struct Proxy {
    port: PortLease,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before `target`, for example [`RedisServer::addr`](crate::RedisServer::addr).
    pub fn before(target: SocketAddr) -> Self {
        let proxy = Self::unaimed();
        proxy.aim(target);
        proxy
    }

    /// A proxy that closes every connection until it is [aimed](Self::aim).
    pub(crate) fn unaimed() -> Self {
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            mode: watch::Sender::new(Mode::Open),
            delay: watch::Sender::new(Duration::ZERO),
            cuts: watch::Sender::new(0),
            rules: Mutex::new(Vec::new()),
            tally: watch::Sender::new(Tally::default()),
        });
        let (port, listener) = listen();
        let accepting = tokio::spawn(accept(listener, port.addr(), Arc::clone(&shared)));
        Self {
            port,
            shared,
            accepting,
        }
    }

    /// Sends connections to `target` from now on; those that are open stay where they are.
    pub fn aim(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = Some(target);
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `redis://127.0.0.1:port/`
    pub fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// Lets `fault` happen to the next request that `hits`; the signal comes when it has happened.
    ///
    /// Requests of any connection are asked in turn; a request is hit by one fault at most, and
    /// older orders go first. Await the signal: a test whose fault never happened proves nothing.
    pub fn once(
        &self,
        fault: Fault,
        hits: impl FnMut(&Request<'_>) -> bool + Send + 'static,
    ) -> Happened {
        let (done, signal) = oneshot::channel();
        let rule = Rule::once(fault, Box::new(hits), done);
        self.shared.rules().push(rule);
        Happened { fault, signal }
    }

    /// Lets `fault` happen to every request that `hits`, until [`Self::heal`].
    pub fn always(&self, fault: Fault, hits: impl FnMut(&Request<'_>) -> bool + Send + 'static) {
        self.shared
            .rules()
            .push(Rule::always(fault, Box::new(hits)));
    }

    /// Adds `delay` to what the server says, per piece of the stream.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay.send_replace(delay);
    }

    /// Half-open: connections stay and are accepted, no byte moves in either direction.
    pub fn pause(&self) {
        self.shared.mode.send_replace(Mode::Paused);
    }

    /// Ends [`Self::pause`]: what was held back is delivered.
    pub fn resume(&self) {
        self.shared.mode.send_replace(Mode::Open);
    }

    /// Closes all connections; new ones are welcome.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Closes all connections and refuses new ones.
    pub fn down(&self) {
        self.shared.mode.send_replace(Mode::Down);
        self.cut();
    }

    /// Ends [`Self::down`].
    pub fn up(&self) {
        self.shared.mode.send_replace(Mode::Open);
    }

    /// Ends every kind of fault.
    pub fn heal(&self) {
        self.shared.rules().clear();
        self.delay(Duration::ZERO);
        self.up();
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// Returns once the tally satisfies `enough`.
    pub async fn tallied(&self, mut enough: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.shared.tally.subscribe();
        *tally
            .wait_for(|tally| enough(tally))
            .await
            .expect("the sender is ours")
    }
}

/// The signal that an ordered fault has happened.
///
/// # Panics
/// When polled: the proxy was healed or dropped before.
#[derive(Debug)]
#[must_use = "a test whose fault never happened proves nothing"]
pub struct Happened {
    fault: Fault,
    signal: oneshot::Receiver<()>,
}

impl Future for Happened {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let fault = self.fault;
        Pin::new(&mut self.signal).poll(context).map(|outcome| {
            if outcome.is_err() {
                panic!("the proxy was healed or dropped before {fault:?} happened")
            }
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy on {}: {:?}", self.addr(), self.tally())
    }
}

/// Binds a port of ours, or another one if somebody grabbed it.
fn listen() -> (PortLease, TcpListener) {
    const PORT_TRIES: usize = 5;
    for _ in 0..PORT_TRIES {
        let port = PortLease::take();
        if let Ok(listener) = bind(port.addr()) {
            return (port, listener);
        }
    }
    panic!("{PORT_TRIES} free ports in a row were taken before the proxy could bind them");
}

fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, addr: SocketAddr, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let mut listener = Some(listener);
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Down {
            listener = None;
        } else if listener.is_none() {
            listener = Some(bind(addr).expect("the port is leased"));
        }
        let Some(open) = &listener else {
            // The sender lives as long as `shared`.
            let _ = mode.changed().await;
            continue;
        };
        tokio::select! {
            biased;
            _ = mode.changed() => {}
            accepted = open.accept() => {
                let Ok((client, _)) = accepted else { continue };
                // Noted here, so that a cut right after the accept is not missed.
                let cuts = shared.cuts.subscribe();
                shared.tally.send_modify(|tally| tally.connections += 1);
                tokio::spawn(pipe::serve(client, cuts, Arc::clone(&shared)));
            }
        }
    }
}
