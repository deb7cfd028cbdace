//! Where a key's server is, and what to do when that turns out wrong.

use std::io;
use std::sync::Arc;

use futures::FutureExt;
use redis::{ErrorKind, RedisError, RedisResult};

use super::cluster::Map;
use super::failure::Failure;
use super::member::Member;
use super::retry::{Fault, classify};
use super::{Link, Routes};
use crate::redis_url::Endpoint;

/// The server that a key belongs to, and the map of the cluster that says so.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) member: Arc<Member>,
    map: Option<Arc<Map>>,
}

impl Link {
    /// The server that owns `key`; on a cluster any primary when the key is empty.
    pub(super) async fn place(&self, key: &[u8]) -> RedisResult<Place> {
        let cluster = match &self.inner.routes {
            Routes::One(member) => {
                return Ok(Place {
                    member: Arc::clone(member),
                    map: None,
                });
            }
            Routes::Many(cluster) => cluster,
        };
        let mut map = cluster.map();
        let mut member = map.owner(key).cloned();
        if member.is_none() {
            map = cluster.refresh(&map, None, None).boxed().await?;
            member = map.owner(key).cloned();
        }
        let member = member.ok_or((
            ErrorKind::ClusterConnectionNotFound,
            "no server of the cluster owns the slot",
        ))?;
        Ok(Place {
            member,
            map: Some(map),
        })
    }

    /// Opens the connection to a place, and doubts the place if that fails.
    ///
    /// In a task of its own, which goes on when the caller gives up: callers whose patience is
    /// shorter than the limit of a connection would otherwise never learn that a server hangs,
    /// each of them beginning anew.
    pub(super) async fn open(&self, place: &Place) -> Result<(), Failure> {
        let (link, place) = (self.clone(), place.clone());
        let opened = tokio::spawn(async move {
            let opened = link.wire(&place.member).await.map(drop);
            if let Err(failure) = &opened {
                link.doubt(&place, &failure.error, failure.server.as_ref())
                    .await;
            }
            opened
        });
        opened.await.unwrap_or_else(|stopped| {
            let error = io::Error::other(stopped);
            Err(Failure::before_sending(error.into(), None))
        })
    }

    /// [`doubt`](Self::doubt) that goes on when the caller gives up, as [`open`](Self::open) does.
    pub(super) async fn doubt_for_all(&self, place: Place, failure: &Failure) {
        let (link, error) = (self.clone(), failure.error.clone());
        let server = failure.server.clone();
        let doubted =
            tokio::spawn(async move { link.doubt(&place, &error, server.as_ref()).await });
        // It only fails with the runtime.
        let _ = doubted.await;
    }

    /// Reads the map of the cluster again when `error` casts doubt on it.
    pub(super) async fn doubt(&self, place: &Place, error: &RedisError, server: Option<&Endpoint>) {
        let fault = classify(error);
        let (Routes::Many(cluster), Some(map)) = (&self.inner.routes, &place.map) else {
            return;
        };
        if !fault.doubts_topology() {
            return;
        }
        let named = redirection(error);
        let doubted = match server {
            // Who redirects is well.
            _ if fault == Fault::Moved && named.is_some() => None,
            Some(server) => Some(server.clone()),
            None => place.member.endpoint(),
        };
        let fresh = cluster.refresh(map, named.as_ref(), doubted.as_ref());
        if let Err(error) = fresh.boxed().await {
            tracing::debug!(server = %self.inner.address, %error, "no new map of the cluster");
        }
    }
}

/// The server that a MOVED or ASK names.
pub(super) fn redirection(error: &RedisError) -> Option<Endpoint> {
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    // A server that does not know the address leaves the host out; its map has to do then.
    if host.is_empty() {
        return None;
    }
    Some(Endpoint::Tcp {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn redirections_name_a_server() {
        for (line, expected) in [
            ("MOVED 3999 127.0.0.1:6381", Some("127.0.0.1:6381")),
            ("ASK 3999 host.example:7", Some("host.example:7")),
            ("MOVED 3999 ::1:6381", Some("[::1]:6381")),
            ("MOVED 3999 :6381", None),
            ("CLUSTERDOWN The cluster is down", None),
        ] {
            let error = redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
                .and_then(Value::extract_error)
                .expect_err("an error");
            let named = redirection(&error).map(|endpoint| endpoint.to_string());
            assert_eq!(named.as_deref(), expected, "{line}");
        }
    }
}
