//! The state record of a job (`s:<id>`) and the token of a run.

use bytes::Bytes;
use paceline_types::{JobStatus, NodeId, UnixMillis};

/// How a job stands between its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) letter: char,
    pub(crate) attempt: u32,
    pub(crate) run: u64,
    pub(crate) crashes: u32,
    pub(crate) errors: u32,
    /// When it got there.
    pub(crate) at: UnixMillis,
    /// Due time or time of removal, by the letter.
    pub(crate) x: String,
    /// Its workflow is to go on as a new one.
    pub(crate) continues: bool,
    /// Result or reason.
    pub(crate) tail: Bytes,
}

impl State {
    /// Reads a state record; none when it is not one.
    pub(crate) fn parse(record: &Bytes) -> Option<State> {
        let line = record.iter().position(|&byte| byte == b'\n')?;
        let header = std::str::from_utf8(&record[..line]).ok()?;
        let mut fields = header.split(' ');
        let letter = fields.next()?.chars().next()?;
        Some(State {
            letter,
            attempt: fields.next()?.parse().ok()?,
            run: fields.next()?.parse().ok()?,
            crashes: fields.next()?.parse().ok()?,
            errors: fields.next()?.parse().ok()?,
            at: fields.next()?.parse().ok()?,
            x: fields.next()?.to_owned(),
            continues: letter == 'C' && fields.any(|field| field == "n"),
            tail: record.slice(line + 1..),
        })
    }

    pub(crate) fn status(&self) -> Option<JobStatus> {
        status_of(self.letter)
    }

    /// The tail as text, if there is any.
    pub(crate) fn reason(&self) -> Option<String> {
        (!self.tail.is_empty()).then(|| String::from_utf8_lossy(&self.tail).into_owned())
    }
}

/// The status that a letter stands for; `r` (running) appears in replies only.
pub(crate) fn status_of(letter: char) -> Option<JobStatus> {
    Some(match letter {
        // Parked at a limit is no state of its own to the outside.
        'P' | 'B' => JobStatus::Pending,
        'S' => JobStatus::Scheduled,
        'R' => JobStatus::Retrying,
        'Z' => JobStatus::Paused,
        'C' | 'K' => JobStatus::Completed,
        'D' => JobStatus::Dead,
        'X' => JobStatus::Cancelled,
        'r' => JobStatus::Running,
        _ => return None,
    })
}

/// The proof of owning a run, as the claim handed it out: opaque, compared as a whole. Runs that
/// one claim began may share it; together with the job's id it names one run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunToken(pub(crate) Bytes);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) cancel_requested: bool,
    pub(crate) node: NodeId,
    pub(crate) claimed_at: UnixMillis,
    pub(crate) attempt: u32,
    pub(crate) run: u64,
}

impl Run {
    /// Reads `<flag><node> <claimed ms> <attempt>US<run>`; `lua/lib/jobs.lua` tells more.
    pub(crate) fn parse(token: &[u8]) -> Option<Run> {
        let text = std::str::from_utf8(token).ok()?;
        let mut parts = text.splitn(3, ' ');
        let owner = parts.next()?;
        let claimed_at = parts.next()?.parse().ok()?;
        let mut detail = parts.next()?.split(super::US);
        Some(Run {
            cancel_requested: owner.starts_with(['c', 'C']),
            node: NodeId::from_bare(owner.get(1..)?).ok()?,
            claimed_at,
            attempt: detail.next()?.parse().ok()?,
            run: detail.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_with_fields_of_newer_versions() {
        let record = Bytes::from_static(b"R 2 3 1 2 1700000000000 1700000005000 new\nboom\nboom");
        let state = State::parse(&record).expect("state");
        assert_eq!((state.letter, state.attempt, state.run), ('R', 2, 3));
        assert_eq!((state.crashes, state.errors), (1, 2));
        assert_eq!(state.x, "1700000005000");
        assert_eq!(&state.tail[..], b"boom\nboom");
        assert_eq!(State::parse(&Bytes::from_static(b"nonsense")), None);
    }

    #[test]
    fn a_token_names_its_node_and_attempt() {
        let node = NodeId::from_parts(5, paceline_types::ShardIndex(0), 9);
        let bare = node.bare(&mut [0; 26]).to_owned();
        let token = format!("c{bare} 1700000000000 2\u{1f}7");
        let run = Run::parse(token.as_bytes()).expect("token");
        assert!(run.cancel_requested);
        assert_eq!((run.node, run.attempt, run.run), (node, 2, 7));
    }
}
