//! How a command fails: one sentence, a word for programs, and an exit code that stays.

use std::fmt::Display;
use std::process::ExitCode;

/// What kind of failure it is; each kind has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The job or workflow was carried out, and failed or was cancelled.
    Outcome,
    /// The command, a file or an argument is wrong; nothing was stored.
    Usage,
    /// What was named does not exist (any more).
    NotFound,
    /// What was named is not in a state that allows it.
    Conflict,
    /// Redis cannot be reached, or is not one that Paceline can use.
    Redis,
    /// Whoever read the output has gone: there is nothing to say, and nobody to say it to.
    ReaderGone,
}

impl Kind {
    /// The exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Outcome => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 4,
            Kind::Redis => 5,
            Kind::ReaderGone => 0,
        }
    }

    /// The word in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Outcome => "failed",
            Kind::Usage => "bad_input",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Redis => "redis",
            Kind::ReaderGone => "reader_gone",
        }
    }
}

/// Why a command ended without success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its kind.
    pub(crate) kind: Kind,
    /// One sentence; several lines only where several mistakes are told.
    pub(crate) sentence: String,
}

impl Failure {
    /// A failure of a kind.
    pub(crate) fn new(kind: Kind, sentence: impl Display) -> Failure {
        Failure {
            kind,
            sentence: sentence.to_string(),
        }
    }

    /// A wrong argument, file or payload.
    pub(crate) fn usage(sentence: impl Display) -> Failure {
        Failure::new(Kind::Usage, sentence)
    }

    /// Something that does not exist.
    pub(crate) fn not_found(what: impl Display) -> Failure {
        let sentence = format!(
            "{what} is not known: its retention is over, or its id is from another cluster or \
             namespace"
        );
        Failure::new(Kind::NotFound, sentence)
    }

    /// Redis failed.
    pub(crate) fn redis(error: impl Display) -> Failure {
        Failure::new(Kind::Redis, error)
    }
}

/// Of writing to standard output.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::new(Kind::ReaderGone, error),
            _ => Failure::new(Kind::Outcome, format!("cannot write the output: {error}")),
        }
    }
}

/// The exit code of a command's end.
pub(crate) fn exit_code(ended: &Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.kind.exit_code()),
    }
}
