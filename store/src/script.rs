//! Lua scripts as named units, and calls of them.
//!
//! A script is one file `lua/<name>.lua`. Its first line may be `#!lua flags=…`, its header is
//! a comment that begins `--[[ <name>:`, and each line `--@include lib/<helper>.lua` stands for
//! that helper. The build joins them, so a missing helper is an error of the build.

use std::sync::OnceLock;

use redis::{Cmd, RedisWrite, ToRedisArgs};

#[cfg(test)]
mod join;

/// A script: its name, its joined source, and the hash that Redis knows it by.
///
/// Made with the macro `script!`, and kept in a `static`.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    sha: OnceLock<String>,
}

/// The script in `lua/<name>.lua`, with its helpers.
///
/// ```text
/// static SUBMIT: Script = script!("submit");
/// ```
macro_rules! script {
    ($name:literal) => {
        crate::script::Script::new(
            $name,
            include_str!(concat!(env!("OUT_DIR"), "/lua/", $name, ".lua")),
        )
    };
}

impl Script {
    /// A script of this source, which must hold its helpers already.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self {
            name,
            source,
            sha: OnceLock::new(),
        }
    }

    /// The name of its file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What Redis runs, helpers included.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// SHA-1 of the source in hexadecimal digits, which is what `EVALSHA` takes.
    #[must_use]
    pub fn sha(&self) -> &str {
        self.sha
            .get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }

    /// The line that an error of Redis points at with `user_script:<number>`, if it does.
    pub(crate) fn line_in(&self, detail: &str) -> Option<&'static str> {
        let (_, after) = detail.split_once("user_script:")?;
        let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
        let number: usize = digits.parse().ok()?;
        Some(self.source.lines().nth(number.checked_sub(1)?)?.trim())
    }
}

/// One call of a script: its keys, then as many arguments as are added.
///
/// All of it is written into one buffer as it is added, so that a batch of hundreds of arguments
/// costs no allocation for each.
///
/// Every script is idempotent, so a call whose reply was lost is sent again as it stands.
#[derive(Clone, Debug)]
pub struct Invocation {
    script: &'static Script,
    command: Cmd,
    slot_key: Vec<u8>,
}

impl Invocation {
    /// A call of `script` on `keys`, all of which carry one hash tag.
    #[must_use]
    pub fn new<K: AsRef<[u8]>>(script: &'static Script, keys: &[K]) -> Self {
        Self::with_capacity(script, keys, 0, 0)
    }

    /// The same, with room for `arguments` arguments of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity<K: AsRef<[u8]>>(
        script: &'static Script,
        keys: &[K],
        arguments: usize,
        bytes: usize,
    ) -> Self {
        let key_bytes: usize = keys.iter().map(|key| key.as_ref().len()).sum();
        // EVALSHA, 40 digits of the hash, and the number of keys.
        let mut command = Cmd::with_capacity(3 + keys.len() + arguments, 50 + key_bytes + bytes);
        command.arg("EVALSHA").arg(script.sha()).arg(keys.len());
        for key in keys {
            command.write_arg(key.as_ref());
        }
        let slot_key = keys.first().map(|key| key.as_ref().to_vec());
        Self {
            script,
            command,
            slot_key: slot_key.unwrap_or_default(),
        }
    }

    /// Adds an argument, or several when the value is a list.
    #[inline]
    pub fn arg(&mut self, value: impl ToRedisArgs) -> &mut Self {
        self.command.arg(value);
        self
    }

    /// Adds bytes as one argument.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.command.write_arg(value);
        self
    }

    /// The script that is called.
    #[must_use]
    pub const fn script(&self) -> &'static Script {
        self.script
    }

    /// The call as a command, to be put into a pipeline.
    #[must_use]
    pub const fn command(&self) -> &Cmd {
        &self.command
    }

    /// The call as plain arguments, from `EVALSHA` on, for clients other than ours.
    #[must_use]
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        self.command
            .args_iter()
            .filter_map(|argument| match argument {
                redis::Arg::Simple(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .collect()
    }

    /// The key that says which server of a cluster runs it; empty without keys.
    #[must_use]
    pub fn slot_key(&self) -> &[u8] {
        &self.slot_key
    }
}

/// Writes each argument in place: `invocation.write_arg_fmt(7)` needs no string of its own.
impl RedisWrite for Invocation {
    fn write_arg(&mut self, arg: &[u8]) {
        self.command.write_arg(arg);
    }

    fn write_arg_fmt(&mut self, arg: impl std::fmt::Display) {
        self.command.write_arg_fmt(arg);
    }

    fn writer_for_next_arg(&mut self) -> impl std::io::Write + '_ {
        self.command.writer_for_next_arg()
    }
}

#[cfg(test)]
mod tests {
    use super::join::join;
    use super::{Invocation, Script};

    const FILES: &[(&str, &str)] = &[
        (
            "good.lua",
            "#!lua flags=allow-oom\n--[[ good: x ]]\n--@include lib/b.lua\n--@include lib/a.lua\nreturn 1\n",
        ),
        ("lib/a.lua", "local a = 1\n"),
        ("lib/b.lua", "--@include lib/a.lua\nlocal b = a\n"),
        (
            "inside.lua",
            "--@include lib/a.lua\n--@include-here lib/b.lua\n--@include lib/b.lua\n",
        ),
        ("loop.lua", "--@include lib/x.lua\n"),
        ("lib/x.lua", "--@include lib/y.lua\n"),
        ("lib/y.lua", "--@include lib/x.lua\n"),
        ("lost.lua", "--@include lib/none.lua\n"),
        ("flags.lua", "--@include lib/flags.lua\n"),
        ("lib/flags.lua", "#!lua flags=no-writes\n"),
    ];

    fn joined(entry: &str) -> Result<String, String> {
        join(entry, &|path| {
            let file = FILES.iter().find(|(name, _)| *name == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn helpers_come_once_and_in_order_below_the_flags() {
        assert_eq!(
            joined("good.lua").as_deref(),
            Ok("#!lua flags=allow-oom\n--[[ good: x ]]\nlocal a = 1\nlocal b = a\nreturn 1\n"),
        );
    }

    #[test]
    fn a_helper_inside_a_function_has_its_own_copy() {
        assert_eq!(
            joined("inside.lua").as_deref(),
            Ok("local a = 1\nlocal b = a\nlocal b = a\n")
        );
    }

    #[test]
    fn mistakes_name_the_file() {
        for (entry, part) in [
            ("loop.lua", "lua/lib/x.lua includes itself"),
            ("lost.lua", "lua/lib/none.lua is missing; lost.lua"),
            ("flags.lua", "lua/lib/flags.lua is a helper"),
            ("nowhere.lua", "lua/nowhere.lua is missing"),
        ] {
            let fault = joined(entry).expect_err(entry);
            assert!(fault.contains(part), "{entry}: {fault}");
        }
    }

    static ECHO: Script = Script::new("echo", "-- one\n  return ARGV\n");

    #[test]
    fn an_invocation_is_packed_as_evalsha() {
        let mut call = Invocation::new(&ECHO, &["{t}:a", "{t}:b"]);
        call.arg(7).bytes(b"\x00\xff").arg("x");
        let expected: Vec<&[u8]> = vec![
            b"EVALSHA",
            ECHO.sha().as_bytes(),
            b"2",
            b"{t}:a",
            b"{t}:b",
            b"7",
            b"\x00\xff",
            b"x",
        ];
        let packed: Vec<&[u8]> = call
            .command()
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => bytes,
                _ => b"?",
            })
            .collect();
        assert_eq!(packed, expected);
        assert_eq!(call.slot_key(), b"{t}:a");
        assert_eq!(ECHO.sha().len(), 40);
    }

    #[test]
    fn an_error_of_redis_points_at_its_line() {
        let detail = "ERR bad script: 1a2b, on @user_script:2.";
        assert_eq!(ECHO.line_in(detail), Some("return ARGV"));
        assert_eq!(ECHO.line_in("ERR user_script:99: x"), None);
        assert_eq!(ECHO.line_in("ERR no line"), None);
    }
}
