//! The members of a Redis Cluster, and which of them a key belongs to.
//!
//! The cluster client of `redis` is not used: it sends calls again behind our back, has one
//! socket per server for everything, and never abandons a hung one. A slot map and one
//! [`Member`] per primary is all that is needed instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::{FutureExt, select_ok};
use redis::{ErrorKind, RedisError, RedisResult};

use super::dial::{Dialer, within};
use super::gate::Gate;
use super::member::{Member, Target};
use super::slot::slot_of;
use super::slot_map::{self, Range};
use super::stats::Counters;
use super::wire::Packet;
use crate::redis_url::Endpoint;

pub(super) struct Cluster {
    seeds: Vec<Endpoint>,
    dialer: Arc<Dialer>,
    counters: Arc<Counters>,
    map: RwLock<Arc<Map>>,
    gate: Gate,
}

/// One view of the cluster. It never changes; a newer one takes its place.
#[derive(Default)]
pub(super) struct Map {
    /// First slot, last slot, index of the primary.
    ranges: Vec<(u16, u16, usize)>,
    primaries: Vec<Arc<Member>>,
    replicas: Vec<Endpoint>,
    /// Servers that calls were redirected to and that own no slot yet.
    strangers: Mutex<HashMap<Endpoint, Arc<Member>>>,
}

impl Map {
    /// The primary that owns the slot of `key`, or any primary when the key is empty.
    pub(super) fn owner(&self, key: &[u8]) -> Option<&Arc<Member>> {
        if key.is_empty() {
            return self.any();
        }
        let index = slot_map::find(&self.ranges, slot_of(key), |range| (range.0, range.1))?;
        self.primaries.get(self.ranges[index].2)
    }

    /// A primary chosen by chance, so that what may go anywhere does not go to one.
    pub(super) fn any(&self) -> Option<&Arc<Member>> {
        let count = self.primaries.len();
        (count > 0).then(|| &self.primaries[rand::random_range(0..count)])
    }

    pub(super) fn primaries(&self) -> &[Arc<Member>] {
        &self.primaries
    }

    fn known(&self, endpoint: &Endpoint) -> Option<Arc<Member>> {
        let primary = self.primaries.iter().find(|member| member.is_at(endpoint));
        primary.cloned().or_else(|| {
            let strangers = self.strangers.lock();
            let strangers = strangers.unwrap_or_else(PoisonError::into_inner);
            strangers.get(endpoint).cloned()
        })
    }
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Endpoint>, dialer: Arc<Dialer>, counters: Arc<Counters>) -> Self {
        Self {
            seeds,
            dialer,
            counters,
            map: RwLock::default(),
            gate: Gate::default(),
        }
    }

    /// The view in use, which before the first [`refresh`](Self::refresh) is empty.
    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The member at `endpoint`, to which a server redirected one call.
    pub(super) fn redirected(&self, endpoint: &Endpoint) -> Arc<Member> {
        let map = self.map();
        map.known(endpoint).unwrap_or_else(|| {
            let member = self.member(endpoint.clone());
            let strangers = map.strangers.lock();
            let mut strangers = strangers.unwrap_or_else(PoisonError::into_inner);
            strangers.insert(endpoint.clone(), Arc::clone(&member));
            member
        })
    }

    /// Reads the map again, unless that has been done since `seen` was taken.
    ///
    /// `hint` is the server that a redirection named; it knows best. `doubted` is the server
    /// that failed; it is asked last, because one that was cut off believes in an old map.
    pub(super) async fn refresh(
        &self,
        seen: &Arc<Map>,
        hint: Option<&Endpoint>,
        doubted: Option<&Endpoint>,
    ) -> RedisResult<Arc<Map>> {
        let newer = || {
            let map = self.map();
            (!Arc::ptr_eq(&map, seen)).then_some(map)
        };
        let work = async {
            let old = self.map();
            let (ranges, asked) = self.ask_around(&old, hint, doubted).await?;
            let map = Arc::new(self.assemble(&old, ranges, asked));
            *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&map);
            self.counters.refreshed();
            Ok(map)
        };
        self.gate.pass(newer, work).await
    }

    async fn ask_around(
        &self,
        old: &Map,
        hint: Option<&Endpoint>,
        doubted: Option<&Endpoint>,
    ) -> RedisResult<(Vec<Range>, Vec<Arc<Member>>)> {
        if let Some(hint) = hint {
            let member = old.known(hint).unwrap_or_else(|| self.member(hint.clone()));
            if let Ok(ranges) = self.ask(&member).await {
                return Ok((ranges, vec![member]));
            }
        }
        let mut members = old.primaries.clone();
        for endpoint in old.replicas.iter().chain(&self.seeds) {
            if !members.iter().any(|member| member.is_at(endpoint)) {
                members.push(self.member(endpoint.clone()));
            }
        }
        let (last, first): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|member| doubted.is_some_and(|endpoint| member.is_at(endpoint)));
        let mut failure: Option<RedisError> = None;
        for wave in [first, last] {
            if wave.is_empty() {
                continue;
            }
            // All at once, since a stopped server would hold up those behind it.
            let asked = wave.iter().map(|member| self.ask(member).boxed());
            let first = select_ok(asked).await.map(|(ranges, _)| ranges);
            match first {
                Ok(ranges) => return Ok((ranges, wave)),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        Err(failure
            .unwrap_or_else(|| (ErrorKind::ClusterConnectionNotFound, "no node is known").into()))
    }

    async fn ask(&self, member: &Member) -> RedisResult<Vec<Range>> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        // Opening a connection and asking share one limit: a hung server is passed over quickly.
        within(self.dialer.timeout, async {
            let wire = member.wire().await?;
            let reply = wire.send(Packet::One(&command), self.dialer.timeout).await;
            let reply = reply.map_err(|error| not_a_cluster(error, wire.endpoint()))?;
            slot_map::parse(&reply, wire.endpoint(), self.dialer.is_encrypted())
        })
        .await
    }

    /// A map of these ranges that keeps the connections which are still of use.
    fn assemble(&self, old: &Map, ranges: Vec<Range>, asked: Vec<Arc<Member>>) -> Map {
        let mut map = Map::default();
        for range in ranges {
            let place = range.primary;
            let index = map.primaries.iter().position(|member| member.is_at(&place));
            let index = index.unwrap_or_else(|| {
                let reused = old.known(&place).or_else(|| {
                    let mut asked = asked.iter();
                    asked.find(|member| member.is_at(&place)).cloned()
                });
                map.primaries
                    .push(reused.unwrap_or_else(|| self.member(place)));
                map.primaries.len() - 1
            });
            map.ranges.push((range.first, range.last, index));
            for replica in range.replicas {
                if !map.replicas.contains(&replica) {
                    map.replicas.push(replica);
                }
            }
        }
        map
    }

    fn member(&self, endpoint: Endpoint) -> Arc<Member> {
        Arc::new(Member::new(
            Target::Fixed(endpoint),
            Arc::clone(&self.dialer),
            Arc::clone(&self.counters),
        ))
    }
}

fn not_a_cluster(error: RedisError, server: &Endpoint) -> RedisError {
    let detail = error.detail().unwrap_or_default();
    if !detail.contains("cluster support disabled") {
        return error;
    }
    RedisError::from((
        ErrorKind::InvalidClientConfig,
        "not a cluster",
        format!("the server at {server} is not part of a Redis Cluster; write redis://{server}"),
    ))
}
