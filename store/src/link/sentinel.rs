//! Asking Sentinels where the primary is, and making sure that it is one.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::dial::{Dialer, within};
use crate::redis_url::Endpoint;

/// Sentinels, and the name of the primary among them.
#[derive(Debug)]
pub(super) struct Sentinels {
    endpoints: Vec<Endpoint>,
    name: String,
}

impl Sentinels {
    pub(super) const fn new(endpoints: Vec<Endpoint>, name: String) -> Self {
        Self { endpoints, name }
    }

    /// A connection to the primary, and where it is.
    ///
    /// All Sentinels are asked at once, until one names a server that answers and is a primary:
    /// one that was cut off from the others may still name the old one.
    pub(super) async fn primary(
        &self,
        dialer: &Dialer,
    ) -> RedisResult<(MultiplexedConnection, Endpoint)> {
        let mut answers: FuturesUnordered<_> = self
            .endpoints
            .iter()
            .map(|sentinel| self.ask(dialer, sentinel))
            .collect();
        let mut failure = None;
        let mut tried = Vec::new();
        while let Some(answer) = answers.next().await {
            let opened = match answer {
                Ok(primary) if tried.contains(&primary) => continue,
                Ok(primary) => {
                    tried.push(primary.clone());
                    open(dialer, primary).await
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(found) => return Ok(found),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        Err(failure
            .unwrap_or_else(|| (ErrorKind::EmptySentinelList, "no Sentinel is named").into()))
    }

    async fn ask(&self, dialer: &Dialer, sentinel: &Endpoint) -> RedisResult<Endpoint> {
        let mut connection = dialer.sentinel(sentinel).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let reply = within(dialer.timeout, connection.send_packed_command(&command))
            .await?
            .extract_error()
            .map_err(|error| not_a_sentinel(error, sentinel))?;
        match redis::from_redis_value::<Option<(String, u16)>>(reply)? {
            Some((host, port)) => Ok(Endpoint::Tcp { host, port }),
            None => Err(RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "unknown name",
                format!(
                    "the Sentinel at {sentinel} knows no primary `{}`; write the name from its \
                     `sentinel monitor` line after the hosts",
                    self.name
                ),
            ))),
        }
    }
}

/// A connection to `primary`, which must call itself one.
async fn open(
    dialer: &Dialer,
    primary: Endpoint,
) -> RedisResult<(MultiplexedConnection, Endpoint)> {
    let mut connection = dialer.server(&primary).await?;
    let role = redis::cmd("ROLE");
    let role = within(dialer.timeout, connection.send_packed_command(&role)).await?;
    if is_primary(&role.extract_error()?) {
        return Ok((connection, primary));
    }
    Err(RedisError::from((
        ErrorKind::Server(ServerErrorKind::ReadOnly),
        "the Sentinels name a server that is a replica",
    )))
}

fn is_primary(role: &Value) -> bool {
    let Value::Array(parts) = role else {
        return false;
    };
    matches!(parts.first(), Some(Value::BulkString(word)) if word == b"master")
}

fn not_a_sentinel(error: RedisError, sentinel: &Endpoint) -> RedisError {
    if !error
        .detail()
        .is_some_and(|text| text.contains("unknown command"))
    {
        return error;
    }
    RedisError::from((
        ErrorKind::InvalidClientConfig,
        "not a Sentinel",
        format!(
            "the server at {sentinel} is no Sentinel; name the Sentinels (port 26379), or write \
             redis:// to use this server"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_server_is_told_from_a_sentinel() {
        let place = Endpoint::Tcp {
            host: "h".into(),
            port: 1,
        };
        let error = |line: &str| {
            redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
                .and_then(Value::extract_error)
                .expect_err("an error")
        };
        let unknown = not_a_sentinel(error("ERR unknown command 'SENTINEL', with"), &place);
        assert_eq!(unknown.kind(), ErrorKind::InvalidClientConfig);
        let denied = not_a_sentinel(error("NOPERM no"), &place);
        assert_eq!(denied.code(), Some("NOPERM"));
    }
}
