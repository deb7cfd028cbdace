//! One connection through the proxy.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::fault::{Fault, Request, judge};
use super::{Mode, Shared, resp};
use crate::wait::doze;

/// Says that a fault has happened.
type Done = Option<oneshot::Sender<()>>;

/// What becomes of the reply to a request that was forwarded.
enum Fate {
    Pass,
    /// The reply to a repetition: the client does not know of it.
    Drop(Done),
    Close(Done),
    Mute(Done),
}

/// What goes on after a piece of the stream.
enum Next {
    Go,
    End,
}

struct Pipe {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    /// Bytes of the client that are not a whole request yet.
    asked: BytesMut,
    /// Bytes of the server that are not a whole reply yet.
    said: BytesMut,
    /// In the order of the requests that the server has.
    fates: VecDeque<Fate>,
    /// Not the protocol of Redis, or a subscription: passed on unread.
    opaque: bool,
    /// RESP3, where a subscription is answered out of band.
    pushes: bool,
    mute: bool,
}

/// Carries one connection until it ends or is cut.
pub(super) async fn serve(client: TcpStream, mut cuts: watch::Receiver<u64>, shared: Arc<Shared>) {
    let target = *shared.target.lock().unwrap();
    let down = *shared.mode.borrow() == Mode::Down;
    let Some(target) = target.filter(|_| !down) else {
        return;
    };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Errors mean that it delays more than it has to, nothing else.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let mut pipe = Pipe {
        client,
        server,
        shared,
        asked: BytesMut::new(),
        said: BytesMut::new(),
        fates: VecDeque::new(),
        opaque: false,
        pushes: false,
        mute: false,
    };
    tokio::select! {
        _ = pipe.run() => {}
        // Both sockets close; so they do when the proxy is gone.
        _ = cuts.changed() => {}
    }
}

impl Pipe {
    /// Ends with an error when a peer does; the other one is closed with it.
    async fn run(&mut self) -> io::Result<()> {
        let mut mode = self.shared.mode.subscribe();
        loop {
            // Nothing is read while it is paused, so that nothing gets through.
            if mode.wait_for(|mode| *mode != Mode::Paused).await.is_err() {
                return Ok(());
            }
            let next = tokio::select! {
                read = self.client.read_buf(&mut self.asked) => match read? {
                    0 => Next::End,
                    _ => self.forward().await?,
                },
                read = self.server.read_buf(&mut self.said) => match read? {
                    0 => Next::End,
                    _ => self.answer().await?,
                },
                _ = mode.changed() => Next::Go,
            };
            if let Next::End = next {
                return Ok(());
            }
        }
    }

    /// Passes on the requests that have arrived in full.
    async fn forward(&mut self) -> io::Result<Next> {
        while !self.asked.is_empty() && !self.opaque {
            let length = match resp::frame_len(&self.asked) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(Next::Go),
                Err(resp::NotResp) => {
                    self.opaque = true;
                    break;
                }
            };
            let frame = self.asked.split_to(length).freeze();
            let request = Request::new(&frame);
            self.shared.tally.send_modify(|tally| tally.requests += 1);
            if request.is("HELLO") && request.words().get(1) == Some(&b"3".as_slice()) {
                self.pushes = true;
            }
            let subscribes = [
                "SUBSCRIBE",
                "PSUBSCRIBE",
                "SSUBSCRIBE",
                "UNSUBSCRIBE",
                "MONITOR",
            ]
            .iter()
            .any(|command| request.is(command));
            if subscribes && !self.pushes {
                self.opaque = true;
                self.server.write_all(&frame).await?;
                break;
            }
            let hit = judge(&mut self.shared.rules(), &request);
            drop(request);
            let Some((fault, done)) = hit else {
                if !subscribes {
                    self.fates.push_back(Fate::Pass);
                }
                self.server.write_all(&frame).await?;
                continue;
            };
            self.shared.tally.send_modify(|tally| tally.faults += 1);
            match fault {
                Fault::LoseRequest => return Ok(self.end(done)),
                Fault::LoseReply => self.fates.push_back(Fate::Close(done)),
                Fault::Mute => self.fates.push_back(Fate::Mute(done)),
                Fault::Late(wait) => return self.deliver_late(&frame, wait, done).await,
                Fault::Twice => {
                    self.fates.push_back(Fate::Pass);
                    self.fates.push_back(Fate::Drop(done));
                    self.server.write_all(&frame).await?;
                }
            }
            self.server.write_all(&frame).await?;
        }
        if self.opaque {
            self.server.write_all_buf(&mut self.asked).await?;
        }
        Ok(Next::Go)
    }

    /// Passes on the replies that have arrived in full.
    async fn answer(&mut self) -> io::Result<Next> {
        let delay = *self.shared.delay.borrow();
        if !delay.is_zero() {
            doze(delay).await;
            // It may have been paused in the meantime.
            let mut mode = self.shared.mode.subscribe();
            let _ = mode.wait_for(|mode| *mode != Mode::Paused).await;
        }
        while !self.said.is_empty() && !self.opaque {
            let length = match resp::frame_len(&self.said) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(Next::Go),
                Err(resp::NotResp) => {
                    self.opaque = true;
                    break;
                }
            };
            let mut frame = self.said.split_to(length);
            let fate = if resp::is_push(&frame) {
                None
            } else {
                self.fates.pop_front()
            };
            match fate {
                None | Some(Fate::Pass) => {}
                Some(Fate::Drop(done)) => {
                    tell(done);
                    continue;
                }
                Some(Fate::Close(done)) => return Ok(self.end(done)),
                Some(Fate::Mute(done)) => {
                    self.mute = true;
                    tell(done);
                }
            }
            if !self.mute {
                self.client.write_all_buf(&mut frame).await?;
            }
        }
        if self.opaque {
            if self.mute {
                self.said.clear();
            }
            self.client.write_all_buf(&mut self.said).await?;
        }
        Ok(Next::Go)
    }

    /// The client sees its connection close; the server gets the request when nobody waits any more.
    async fn deliver_late(&mut self, frame: &[u8], wait: Duration, done: Done) -> io::Result<Next> {
        self.client.shutdown().await?;
        doze(wait).await;
        self.server.write_all(frame).await?;
        // The replies to what was asked before it, and its own.
        let mut missing = self.fates.len() + 1;
        while missing > 0 {
            match resp::frame_len(&self.said) {
                Ok(Some(length)) => {
                    missing -= usize::from(!resp::is_push(&self.said));
                    self.said.advance(length);
                }
                Ok(None) if self.server.read_buf(&mut self.said).await? > 0 => {}
                Ok(None) | Err(resp::NotResp) => return Ok(Next::End),
            }
        }
        Ok(self.end(done))
    }

    fn end(&mut self, done: Done) -> Next {
        tell(done);
        Next::End
    }
}

fn tell(done: Done) {
    if let Some(done) = done {
        // Nobody has to listen.
        let _ = done.send(());
    }
}
