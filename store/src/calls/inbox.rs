//! Reading the orchestrator's inbox.

use paceline_types::ShardIndex;

use crate::wire::inbox::parse;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub use crate::wire::inbox::{BatchNews, InboxItem, TaskEnd};

/// One entry of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Names the entry until a commit consumes it.
    pub id: String,
    /// What it tells, in order.
    pub items: Vec<InboxItem>,
}

impl Store {
    /// The oldest entries, or those after `after`, at most `max`; they stay until consumed.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn inbox(
        &self,
        shard: ShardIndex,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<InboxEntry>, StoreError> {
        let mut command = redis::cmd("XRANGE");
        command
            .arg(&self.keys(shard)?.inbox)
            .arg(after.map_or_else(|| "-".to_owned(), |id| format!("({id}")))
            .arg("+")
            .arg("COUNT")
            .arg(max);
        read_entries(Reply::list("XRANGE", self.link.command(&command).await?)?)
    }
}

/// Entries as Redis gives them.
pub(super) fn read_entries(mut reply: Reply) -> Result<Vec<InboxEntry>, StoreError> {
    let mut entries = Vec::with_capacity(reply.len());
    while reply.len() > 0 {
        let mut entry = reply.nested()?;
        let id = entry.text()?;
        let mut fields = entry.nested()?;
        let mut items = Vec::new();
        while fields.len() > 0 {
            let field = fields.text()?;
            // Scripts cut errors by bytes, so one may end within a character.
            items.extend(parse(&field, &String::from_utf8_lossy(&fields.bytes()?)));
        }
        entries.push(InboxEntry { id, items });
    }
    Ok(entries)
}
