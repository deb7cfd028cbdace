use super::super::RedisUrl;

/// Parsed, then shown again with every default filled in and every password masked.
const GOOD: &[(&str, &str)] = &[
    ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
    ("  redis://127.0.0.1/\n", "redis://127.0.0.1:6379/0"),
    ("redis://h:7000/3", "redis://h:7000/3"),
    ("rediss://h", "rediss://h:6379/0"),
    ("redis://[::1]", "redis://[::1]:6379/0"),
    ("redis://[fe80::1]:7/1", "redis://[fe80::1]:7/1"),
    ("redis://bob@h", "redis://bob@h:6379/0"),
    ("redis://bob:secret@h", "redis://bob:***@h:6379/0"),
    ("redis://:secret@h", "redis://:***@h:6379/0"),
    ("redis://:p@ss@h", "redis://:***@h:6379/0"),
    (
        "rediss://h?ca=/ca.pem&cert=/c.pem&key=/k%20.pem",
        "rediss://h:6379/0?ca=/ca.pem&cert=/c.pem&key=/k .pem",
    ),
    ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ("redis+unix:///r.sock?db=2", "unix:///r.sock?db=2"),
    ("unix://u:p@/r.sock", "unix://u:***@/r.sock"),
    (
        "redis+sentinel://a,b:1/mymaster",
        "redis+sentinel://a:26379,b:1/mymaster/0",
    ),
    (
        "rediss+sentinel://u:p@a/m/4?sentinel_username=s&sentinel_password=q",
        "rediss+sentinel://u:***@a:26379/m/4?sentinel_username=s&sentinel_password=***",
    ),
    (
        "redis+cluster://a:7000,b,[::1]:7002",
        "redis+cluster://a:7000,b:6379,[::1]:7002",
    ),
    (
        "rediss+cluster://u:p@a/0?ca=/x",
        "rediss+cluster://u:***@a:6379?ca=/x",
    ),
];

/// Refused, with a message that holds this text.
const BAD: &[(&str, &str)] = &[
    ("", "unknown scheme ``"),
    ("localhost:6379", "unknown scheme"),
    ("hunter2", "unknown scheme ``"),
    ("http://h", "unknown scheme `http`"),
    ("valkey://h", "redis+cluster://"),
    ("redis://", "names no host"),
    ("redis://:pw@/0", "names no host"),
    ("redis://a,b", "lists several hosts"),
    ("redis+cluster://a,,b", "names no host"),
    ("redis://h:0", "the port after host `h`"),
    ("redis://h:65536", "the port after host `h`"),
    ("redis://h:x", "the port after host `h`"),
    ("redis://::1", "in brackets"),
    ("redis://[::1", "in brackets"),
    ("redis://[::1]7", "in brackets"),
    ("redis://h/x", "database `x`"),
    ("redis://h/-1", "database `-1`"),
    ("redis://h/1/2", "database `1/2`"),
    ("redis://:a/b@h", "%2F"),
    ("redis://:a?b@h", "%3F"),
    ("redis://:a#b@h", "%23"),
    ("redis://h#insecure", "%23"),
    ("redis://:a%2@h", "%25"),
    ("redis://:a%zz@h", "the password"),
    ("redis://a%ff@h", "the user"),
    ("redis+sentinel://h", "lacks the name"),
    ("redis+sentinel://h/", "lacks the name"),
    ("redis+cluster://h/1", "only database 0"),
    ("unix://", "names no socket"),
    ("unix:///", "names no socket"),
    ("unix://run/redis.sock", "names no socket"),
    ("redis://h?ca=/x", "rediss://"),
    ("rediss://h?cert=/x", "cert= and key="),
    ("rediss://h?ca=/x&ca=/y", "stands twice"),
    ("redis://h?db=1", "stands in the path"),
    ("redis://h?sentinel_password=x", "redis+sentinel://"),
    ("redis://h?timeout=1", "`timeout`"),
    ("unix:///s?protocol=3", "known is db"),
];

#[test]
fn good_addresses_are_read_whole() {
    for (text, shown) in GOOD {
        let url: RedisUrl = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.to_string(), *shown, "{text}");
        assert!(!format!("{url:?}").contains("secret"), "{text}");
    }
}

#[test]
fn bad_addresses_say_what_is_wrong() {
    for (text, part) in BAD {
        let error = text.parse::<RedisUrl>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn no_refusal_repeats_a_password() {
    for text in [
        "redis://:hunter2",
        "redis://user:hunter2",
        "redis://:hunter2/x@h",
        "redis://:hunter2%@h",
        "redis://:hunter2@h:port",
        "hunter2",
        "redis://:a/hunter2@h",
    ] {
        let error = text.parse::<RedisUrl>().expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn credentials_are_decoded() {
    let url: RedisUrl = "redis://us%65r:p%40%2F%25@h".parse().expect("parses");
    assert_eq!(url.credentials.username.as_deref(), Some("user"));
    assert_eq!(url.credentials.password.as_deref(), Some("p@/%"));
}

#[test]
fn the_address_in_messages_has_no_user() {
    for (text, shown) in [
        ("redis://u:p@h", "h:6379"),
        ("unix:///r.sock", "/r.sock"),
        ("redis+sentinel://u:p@a/m", "`m` of the Sentinels a:26379"),
        ("redis+cluster://u:p@a,b", "the cluster at a:6379,b:6379"),
    ] {
        let url: RedisUrl = text.parse().expect("parses");
        assert_eq!(url.address(), shown);
    }
}
