//! Which node hands the events of a shard to its callbacks, and how far it came.
//!
//! `take_callbacks` and `save_callbacks` are the only writers of the record.

use paceline_types::event::EventCursor;
use paceline_types::{NodeId, ShardIndex};

use super::CallError;
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;

pub(crate) static TAKE_CALLBACKS: Script = script!("take_callbacks");
pub(crate) static SAVE_CALLBACKS: Script = script!("save_callbacks");

/// How far the log of a shard was handed to callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackPlace {
    /// The last event that was passed; the zero cursor stands before everything.
    pub cursor: EventCursor,
    /// How many events of the log were passed, this one included.
    pub passed: u64,
}

/// Why a node may not hand out events. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefusal {
    /// Another node that is alive does.
    #[error("another node calls the callbacks of this shard")]
    Held,
    /// The node's own lease has ended.
    #[error("the node's lease has ended")]
    Gone,
}

/// Another node hands the events out by now, or the data of Redis is gone; nothing was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another node calls the callbacks of this shard now")]
pub struct CallbacksLost;

impl Store {
    /// Lets a node hand out the events of a shard, and says after which place. The first of all
    /// begins at the present end of the log.
    ///
    /// # Errors
    /// See [`CallbackRefusal`]. Without an answer the same call may be sent again.
    pub async fn take_callbacks(
        &self,
        shard: ShardIndex,
        node: NodeId,
    ) -> Result<CallbackPlace, CallError<CallbackRefusal>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(
            &TAKE_CALLBACKS,
            &[&keys.events, &keys.leases, &keys.callbacks],
        );
        call.arg(node.bare(&mut [0; 26]) as &str);
        let mut reply = Reply::list("take_callbacks", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => {
                let mut cursor: EventCursor = reply.parse("the id of an entry")?;
                cursor.index = reply.parse("an index")?;
                let passed = reply.parse("a count")?;
                Ok(CallbackPlace { cursor, passed })
            }
            "held" => Err(CallError::Refused(CallbackRefusal::Held)),
            "gone" => Err(CallError::Refused(CallbackRefusal::Gone)),
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Notes how far a node came, and with `give_back` lets another one go on from there.
    ///
    /// # Errors
    /// [`CallbacksLost`]: stop calling. Without an answer the same call may be sent again.
    pub async fn save_callbacks(
        &self,
        shard: ShardIndex,
        node: NodeId,
        place: CallbackPlace,
        give_back: bool,
    ) -> Result<(), CallError<CallbacksLost>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&SAVE_CALLBACKS, &[&keys.events, &keys.callbacks]);
        let cursor = place.cursor;
        call.arg(node.bare(&mut [0; 26]) as &str)
            .arg(format!("{}-{}", cursor.millis, cursor.sequence))
            .arg(cursor.index)
            .arg(place.passed)
            .arg(u8::from(give_back));
        let mut reply = Reply::list("save_callbacks", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "lost" => Err(CallError::Refused(CallbacksLost)),
            other => Ok(reply.unknown(other)?),
        }
    }
}
