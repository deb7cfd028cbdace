//! What is asked of Redis, in one form for the retry loop.

use redis::{Cmd, Pipeline};

use super::key::{key_in, key_of};
use super::wire::Packet;
use crate::script::{Invocation, Script};

/// What is asked of Redis.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Script(&'a Invocation),
    /// The call of a script and what follows it, already in one pipeline.
    Sequence(&'a Invocation, &'a Pipeline),
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

impl<'a> Request<'a> {
    /// The first key, or nothing when there is none.
    pub(super) fn key(self) -> &'a [u8] {
        match self {
            Self::Script(call) | Self::Sequence(call, _) => call.slot_key(),
            Self::Command(command) => key_of(command),
            Self::Pipeline(pipeline) => key_in(pipeline),
        }
    }

    pub(super) const fn packet(self) -> Packet<'a> {
        match self {
            Self::Script(call) => Packet::One(call.command()),
            Self::Command(command) => Packet::One(command),
            Self::Sequence(_, pipeline) | Self::Pipeline(pipeline) => Packet::Many(pipeline),
        }
    }

    /// What a server that answers NOSCRIPT must be given.
    pub(super) const fn script(self) -> Option<&'static Script> {
        match self {
            Self::Script(call) | Self::Sequence(call, _) => Some(call.script()),
            Self::Command(_) | Self::Pipeline(_) => None,
        }
    }

    /// What is said to have failed.
    pub(super) fn name(self) -> String {
        match self {
            Self::Script(call) | Self::Sequence(call, _) => {
                format!("the script `{}`", call.script().name())
            }
            Self::Command(command) => word(command),
            Self::Pipeline(pipeline) => pipeline
                .cmd_iter()
                .next()
                .map_or_else(|| "a pipeline".to_owned(), word),
        }
    }
}

/// The command's name; its arguments may hold secrets.
pub(super) fn word(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => "a command".to_owned(),
    }
}

/// `SCRIPT LOAD` of a script.
pub(super) fn load_command(script: &Script) -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(script.source());
    command
}
