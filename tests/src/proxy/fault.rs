//! What may happen to a request on its way.

use std::time::Duration;

use tokio::sync::oneshot;

use super::resp;

/// One fault of the network, from the point of view of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request never reaches the server, and the connection closes: an error before.
    LoseRequest,
    /// The server carries it out, its reply is lost, and the connection closes: done, but an error.
    LoseReply,
    /// The server carries it out, and the connection stays open but mute: done, but a timeout.
    /// What the client sends afterwards is still carried out.
    Mute,
    /// The connection closes at once; the server carries the request out this much later.
    Late(Duration),
    /// The server carries it out twice in a row; the client sees the first reply.
    Twice,
}

/// A request as a rule sees it.
#[derive(Debug)]
pub struct Request<'a> {
    words: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self {
            words: resp::words(frame),
        }
    }

    /// The command and its arguments.
    pub fn words(&self) -> &[&'a [u8]] {
        &self.words
    }

    /// Whether it is this command, in any case of letters.
    pub fn is(&self, command: &str) -> bool {
        self.words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case(command.as_bytes()))
    }

    /// Whether one of its words has `text` in it: a part of a key, or the hash of a script.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.words
            .iter()
            .any(|word| word.windows(text.len().max(1)).any(|part| part == text))
    }
}

pub(super) type Hits = Box<dyn FnMut(&Request<'_>) -> bool + Send>;

/// An order for a fault.
pub(super) struct Rule {
    fault: Fault,
    hits: Hits,
    /// Present until it has happened, in an order for one time.
    once: Option<oneshot::Sender<()>>,
}

impl Rule {
    pub(super) fn once(fault: Fault, hits: Hits, done: oneshot::Sender<()>) -> Self {
        Self {
            fault,
            hits,
            once: Some(done),
        }
    }

    pub(super) fn always(fault: Fault, hits: Hits) -> Self {
        Self {
            fault,
            hits,
            once: None,
        }
    }
}

/// The fault that hits this request, and the signal to give when it has happened.
///
/// An order for one time is taken off the list at once: a second request must not meet it as well.
pub(super) fn judge(
    rules: &mut Vec<Rule>,
    request: &Request<'_>,
) -> Option<(Fault, Option<oneshot::Sender<()>>)> {
    let hit = rules.iter_mut().position(|rule| (rule.hits)(request))?;
    if rules[hit].once.is_some() {
        let rule = rules.remove(hit);
        Some((rule.fault, rule.once))
    } else {
        Some((rules[hit].fault, None))
    }
}
