//! Who owns which slots of a cluster, read from `CLUSTER SLOTS`. Pure.

use redis::{ErrorKind, RedisError, RedisResult, Value};

use crate::redis_url::Endpoint;

/// Slots `first..=last` and the servers that hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) primary: Endpoint,
    pub(super) replicas: Vec<Endpoint>,
}

/// The ranges in a reply of `CLUSTER SLOTS` that `asked` gave, in order of their slots.
///
/// With `by_name` a server's announced host name stands in for its address, since certificates
/// are issued for names. A server that does not know its own address is the one asked.
///
/// # Errors
/// When the reply has another shape, or covers no slot.
pub(super) fn parse(reply: &Value, asked: &Endpoint, by_name: bool) -> RedisResult<Vec<Range>> {
    let Value::Array(rows) = reply else {
        return Err(unreadable());
    };
    let mut ranges = rows
        .iter()
        .map(|row| range(row, asked, by_name).ok_or_else(unreadable))
        .collect::<RedisResult<Vec<_>>>()?;
    if ranges.is_empty() {
        return Err(RedisError::from((
            ErrorKind::ClusterConnectionNotFound,
            "the cluster has no slots yet",
            format!("according to {asked}"),
        )));
    }
    ranges.sort_by_key(|range| range.first);
    Ok(ranges)
}

/// The index of the range that holds `slot`.
pub(super) fn find<T>(ranges: &[T], slot: u16, bounds: impl Fn(&T) -> (u16, u16)) -> Option<usize> {
    let after = ranges.partition_point(|range| bounds(range).0 <= slot);
    let index = after.checked_sub(1)?;
    (slot <= bounds(&ranges[index]).1).then_some(index)
}

fn unreadable() -> RedisError {
    (
        ErrorKind::Parse,
        "CLUSTER SLOTS answered in an unknown form",
    )
        .into()
}

fn range(row: &Value, asked: &Endpoint, by_name: bool) -> Option<Range> {
    let Value::Array(columns) = row else {
        return None;
    };
    let [Value::Int(first), Value::Int(last), servers @ ..] = columns.as_slice() else {
        return None;
    };
    let mut servers = servers.iter().map(|server| place(server, asked, by_name));
    Some(Range {
        first: u16::try_from(*first).ok()?,
        last: u16::try_from(*last).ok()?,
        primary: servers.next()??,
        replicas: servers.flatten().collect(),
    })
}

fn place(server: &Value, asked: &Endpoint, by_name: bool) -> Option<Endpoint> {
    let Value::Array(columns) = server else {
        return None;
    };
    let [host, Value::Int(port), rest @ ..] = columns.as_slice() else {
        return None;
    };
    let announced = rest.get(1).and_then(host_name).filter(|_| by_name);
    let host = match announced.or_else(|| text(host)).unwrap_or_default() {
        "" | "?" => match asked {
            Endpoint::Tcp { host, .. } => host,
            Endpoint::Unix(_) => "127.0.0.1",
        },
        host => host,
    };
    Some(Endpoint::Tcp {
        host: host.to_owned(),
        port: u16::try_from(*port).ok()?,
    })
}

/// The value behind `hostname` in a list of names and values.
fn host_name(metadata: &Value) -> Option<&str> {
    let Value::Array(pairs) = metadata else {
        return None;
    };
    pairs
        .chunks_exact(2)
        .find(|pair| text(&pair[0]) == Some("hostname"))
        .and_then(|pair| text(&pair[1]))
        .filter(|name| !name.is_empty())
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp {
            host: host.into(),
            port,
        }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn server(host: Value, port: i64, metadata: &[&str]) -> Value {
        let metadata = metadata.iter().map(|text| bulk(text)).collect();
        Value::Array(vec![
            host,
            Value::Int(port),
            bulk("id"),
            Value::Array(metadata),
        ])
    }

    fn row(first: i64, last: i64, servers: Vec<Value>) -> Value {
        let mut columns = vec![Value::Int(first), Value::Int(last)];
        columns.extend(servers);
        Value::Array(columns)
    }

    #[test]
    fn ranges_come_in_order_with_their_servers() {
        let reply = Value::Array(vec![
            row(9, 20, vec![server(bulk("b"), 2, &[])]),
            row(
                0,
                5,
                vec![server(bulk("a"), 1, &[]), server(bulk("c"), 3, &[])],
            ),
        ]);
        let ranges = parse(&reply, &at("seed", 7), false).expect("parses");
        assert_eq!(ranges[0].primary, at("a", 1));
        assert_eq!(ranges[0].replicas, [at("c", 3)]);
        assert_eq!(ranges[1].primary, at("b", 2));
        let owner = |slot| find(&ranges, slot, |range| (range.first, range.last));
        assert_eq!(
            [0, 5, 6, 8, 9, 20, 21].map(owner),
            [Some(0), Some(0), None, None, Some(1), Some(1), None]
        );
    }

    #[test]
    fn hosts_are_taken_from_where_they_are_known() {
        let seed = at("seed", 7);
        let named = ["hostname", "a.example"];
        for (host, metadata, by_name, expected) in [
            (bulk("10.0.0.1"), &named[..], true, "a.example"),
            (bulk("10.0.0.1"), &named[..], false, "10.0.0.1"),
            (bulk("10.0.0.1"), &["hostname", ""][..], true, "10.0.0.1"),
            (bulk(""), &[][..], false, "seed"),
            (bulk("?"), &[][..], false, "seed"),
            (Value::Nil, &[][..], true, "seed"),
        ] {
            let reply = Value::Array(vec![row(0, 1, vec![server(host, 5, metadata)])]);
            let ranges = parse(&reply, &seed, by_name).expect("parses");
            assert_eq!(ranges[0].primary, at(expected, 5));
        }
    }

    #[test]
    fn other_replies_are_errors() {
        for reply in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![row(0, 5, vec![])]),
            Value::Array(vec![row(-1, 5, vec![server(bulk("a"), 1, &[])])]),
            Value::Array(vec![row(0, 5, vec![server(bulk("a"), 70_000, &[])])]),
        ] {
            assert!(parse(&reply, &at("seed", 7), false).is_err(), "{reply:?}");
        }
    }
}
