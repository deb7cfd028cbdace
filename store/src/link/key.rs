//! Which argument of a command is its first key. Pure.

use redis::{Arg, Cmd, Pipeline};

/// The first key of `command`, or nothing when it has none.
pub(super) fn key_of(command: &Cmd) -> &[u8] {
    let arg = |index: usize| match command.args_iter().nth(index) {
        Some(Arg::Simple(bytes)) => bytes,
        _ => &[],
    };
    let index = match arg(0).to_ascii_uppercase().as_slice() {
        // None of these has a key.
        b"ACL" | b"CLIENT" | b"CLUSTER" | b"COMMAND" | b"CONFIG" | b"DBSIZE" | b"DEBUG"
        | b"ECHO" | b"FLUSHALL" | b"FLUSHDB" | b"INFO" | b"KEYS" | b"PING" | b"PUBLISH"
        | b"ROLE" | b"SCAN" | b"SCRIPT" | b"TIME" | b"WAIT" | b"WAITAOF" => return &[],
        b"MEMORY" | b"OBJECT" | b"XGROUP" | b"XINFO" => 2,
        b"EVAL" | b"EVALSHA" | b"FCALL" if arg(2) != b"0" => 3,
        b"EVAL" | b"EVALSHA" | b"FCALL" => return &[],
        b"XREAD" | b"XREADGROUP" => {
            let streams = command.args_iter().position(
                |arg| matches!(arg, Arg::Simple(word) if word.eq_ignore_ascii_case(b"STREAMS")),
            );
            streams.map_or(usize::MAX, |streams| streams + 1)
        }
        _ => 1,
    };
    arg(index)
}

/// The first key in a pipeline, or nothing when it has none.
pub(super) fn key_in(pipeline: &Pipeline) -> &[u8] {
    let mut keys = pipeline.cmd_iter().map(key_of);
    keys.find(|key| !key.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &str) -> Cmd {
        let mut command = Cmd::new();
        for word in words.split(' ') {
            command.arg(word);
        }
        command
    }

    #[test]
    fn the_first_key_of_each_kind_of_command() {
        for (words, key) in [
            ("GET k", "k"),
            ("hset k f v", "k"),
            ("XRANGE k - +", "k"),
            ("XINFO STREAM k", "k"),
            ("xgroup CREATE k g 0", "k"),
            ("EVALSHA sha 2 k l", "k"),
            ("EVAL source 0 x", ""),
            ("XREAD COUNT 1 STREAMS k 0", "k"),
            ("XREADGROUP GROUP g c streams k >", "k"),
            ("PING", ""),
            ("publish channel message", ""),
            ("INFO memory", ""),
            ("GET", ""),
            ("XREAD COUNT 1", ""),
        ] {
            assert_eq!(key_of(&command(words)), key.as_bytes(), "{words}");
        }
    }

    #[test]
    fn a_pipeline_goes_by_its_first_key() {
        let mut pipeline = redis::pipe();
        pipeline.cmd("PING").cmd("GET").arg("k").cmd("GET").arg("l");
        assert_eq!(key_in(&pipeline), b"k");
        assert_eq!(key_in(redis::pipe().cmd("PING")), b"");
    }
}
