//! One call: attempts until one succeeds, a fault does not pass, or the deadline is over.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::Instant;

use super::dial::within;
use super::failure::Failure;
use super::member::Member;
use super::place::redirection;
use super::request::{Request, load_command, word};
use super::retry::{Backoff, Fault, classify};
use super::wire::{Packet, Wire};
use super::{Link, Routes, StoreError};
use crate::script::Script;

/// What the attempts of one call have come to so far.
struct Patience {
    started: Instant,
    backoff: Backoff,
    next: Duration,
    in_doubt: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            backoff: Backoff::default(),
            next: Duration::ZERO,
            in_doubt: false,
        }
    }
}

impl Patience {
    async fn pause(&self) {
        tokio::time::sleep(self.next).await;
    }
}

impl Link {
    // Boxed, so that the futures of the callers stay small: one allocation for a round trip.
    pub(super) fn run<'a>(
        &'a self,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<Value, StoreError>> {
        self.inner.counters.called();
        async move {
            let mut patience = Patience::default();
            loop {
                match self.attempt(request).await {
                    Ok(value) => return Ok(value),
                    Err(failure) => {
                        let what = || request.name();
                        self.judge(failure, &mut patience, request.script(), &what)?;
                    }
                }
                patience.pause().await;
            }
        }
        .boxed()
    }

    pub(super) fn run_on_each<'a>(
        &'a self,
        command: &'a Cmd,
    ) -> BoxFuture<'a, Result<Vec<(String, Value)>, StoreError>> {
        self.inner.counters.called();
        async move {
            let mut patience = Patience::default();
            loop {
                match self.attempt_on_each(command).await {
                    Ok(replies) => return Ok(replies),
                    Err(failure) => {
                        self.judge(failure, &mut patience, None, &|| word(command))?;
                    }
                }
                patience.pause().await;
            }
        }
        .boxed()
    }

    async fn attempt_on_each(&self, command: &Cmd) -> Result<Vec<(String, Value)>, Failure> {
        let map = match &self.inner.routes {
            Routes::One(member) => return Ok(vec![self.ask_one(member, command).await?]),
            Routes::Many(cluster) => cluster.refresh(&cluster.map(), None, None).await,
        };
        let map = map.map_err(|error| Failure::before_sending(error, None))?;
        let mut replies = Vec::new();
        for member in map.primaries() {
            replies.push(self.ask_one(member, command).await?);
        }
        Ok(replies)
    }

    async fn ask_one(&self, member: &Member, command: &Cmd) -> Result<(String, Value), Failure> {
        let wire = self.wire(member).await?;
        let reply = wire.send(Packet::One(command), self.response_timeout).await;
        match reply {
            Ok(value) => Ok((wire.endpoint().to_string(), value)),
            Err(error) => Err(Failure::after_sending(error, &wire)),
        }
    }

    /// Whether to try again: the error for the caller when not.
    fn judge(
        &self,
        failure: Failure,
        patience: &mut Patience,
        script: Option<&'static Script>,
        what: &dyn Fn() -> String,
    ) -> Result<(), StoreError> {
        patience.in_doubt |= failure.in_doubt;
        if failure.fault == Fault::Silent {
            self.inner.counters.timed_out();
        }
        if !failure.fault.is_transient() {
            return Err(self.refusal(failure, script, what()));
        }
        patience.next = patience.backoff.pause(rand::random());
        let waited = patience.started.elapsed();
        if waited + patience.next >= self.retry_for {
            return Err(StoreError::Unreachable {
                server: self.server(failure.server),
                waited,
                maybe_stored: patience.in_doubt,
                source: failure.error,
            });
        }
        tracing::debug!(server = %self.inner.address, error = %failure.error, "sending again");
        self.inner.counters.retried();
        Ok(())
    }

    async fn attempt(&self, request: Request<'_>) -> Result<Value, Failure> {
        let place = self.place(request.key()).await;
        let place = place.map_err(|error| Failure::before_sending(error, None))?;
        if !place.member.is_open() {
            self.open(&place).await?;
        }
        let failure = match self.attempt_at(&place.member, request, false).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if let (Fault::Ask, Some(receiver), Routes::Many(cluster)) = (
            failure.fault,
            redirection(&failure.error),
            &self.inner.routes,
        ) {
            let receiver = cluster.redirected(&receiver);
            return self.attempt_at(&receiver, request, true).await;
        }
        self.doubt_for_all(place, &failure).await;
        Err(failure)
    }

    async fn attempt_at(
        &self,
        member: &Member,
        request: Request<'_>,
        asking: bool,
    ) -> Result<Value, Failure> {
        let wire = self.wire(member).await?;
        let reply = self.exchange(&wire, request, asking).await;
        reply.map_err(|error| Failure::after_sending(error, &wire))
    }

    pub(super) async fn wire(&self, member: &Member) -> Result<Arc<Wire>, Failure> {
        // Sentinels may have to be asked first, each with its own limit.
        let limit = self.inner.dialer.timeout.saturating_mul(3);
        within(limit, member.wire())
            .await
            .map_err(|error| Failure::before_sending(error, member.endpoint()))
    }

    /// Sends the request over one wire, and the script before it if the server lacks it.
    async fn exchange(
        &self,
        wire: &Wire,
        request: Request<'_>,
        asking: bool,
    ) -> RedisResult<Value> {
        let reply = self.send(wire, request.packet(), asking).await;
        let (Err(error), Some(script)) = (&reply, request.script()) else {
            return reply;
        };
        if classify(error) != Fault::NoScript {
            return reply;
        }
        let load = load_command(script);
        wire.send(Packet::One(&load), self.response_timeout).await?;
        self.inner.counters.loaded();
        self.send(wire, request.packet(), asking).await
    }

    async fn send(&self, wire: &Wire, packet: Packet<'_>, asking: bool) -> RedisResult<Value> {
        if !asking {
            return wire.send(packet, self.response_timeout).await;
        }
        // ASKING holds for the one command after it.
        let mut pipeline = Pipeline::new();
        let commands: Vec<&Cmd> = match packet {
            Packet::One(command) => vec![command],
            Packet::Many(pipeline) => pipeline.cmd_iter().collect(),
        };
        for command in &commands {
            pipeline.cmd("ASKING").add_command((*command).clone());
        }
        let sent = wire.send(Packet::Many(&pipeline), self.response_timeout);
        let Value::Array(replies) = sent.await? else {
            return Ok(Value::Nil);
        };
        let mut replies = replies.into_iter().skip(1).step_by(2);
        Ok(match packet {
            Packet::One(_) => replies.next().unwrap_or(Value::Nil),
            Packet::Many(_) => Value::Array(replies.collect()),
        })
    }
}
