//! Listing groups in which messages stand, those that are due first.

use paceline_types::{Group, GroupKey, ShardIndex, UnixMillis};

use super::walk::Walk;
use super::{GroupPage, ListError, PageRequest};
use crate::calls::group::template_of;
use crate::wire::escape::{escape, unescape};
use crate::wire::reply::{Reply, bytes_of, text_of};
use crate::{Store, StoreError};

impl Store {
    /// Groups, a page at a time: of each shard by the moment of their flush.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn list_groups(&self, page: &PageRequest) -> Result<GroupPage, ListError> {
        let mut walk = Walk::begin(page)?;
        while let Some(step) = walk.step(self.shards(), 1) {
            let from: usize = step.position.parse().unwrap_or(0);
            let due = self.due_groups(step.shard, from, step.want).await?;
            let next = (due.len() == step.want).then(|| (from + step.want).to_string());
            let scanned = due.len();
            let found = self.groups(step.shard, from, due).await?;
            walk.take(found, next, scanned);
        }
        Ok(walk.page(self.shards()))
    }

    /// Names and moments, from a rank on.
    async fn due_groups(
        &self,
        shard: ShardIndex,
        from: usize,
        limit: usize,
    ) -> Result<Vec<(GroupKey, UnixMillis)>, StoreError> {
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(&self.keys(shard)?.groups_due)
            .arg(from)
            .arg(from + limit - 1)
            .arg("WITHSCORES");
        let parts = Reply::list("ZRANGE", self.link.command(&command).await?)?.rest()?;
        let read = |pair: &[String]| {
            let name = unescape(&pair[0]).and_then(|name| GroupKey::new(&name).ok());
            let due = pair[1].parse().ok();
            name.zip(due)
                .ok_or_else(|| StoreError::protocol("ZRANGE", "a group and its moment", &pair))
        };
        parts.chunks_exact(2).map(read).collect()
    }

    /// How these groups stand, each with the rank behind it; without those that were flushed
    /// meanwhile.
    async fn groups(
        &self,
        shard: ShardIndex,
        from: usize,
        due: Vec<(GroupKey, UnixMillis)>,
    ) -> Result<Vec<(Group, String)>, StoreError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.keys(shard)?;
        let mut pipeline = redis::pipe();
        for (name, _) in &due {
            let name = escape(name.as_str());
            let head = keys.group_head(&name);
            for field in ["h", "n", "f"] {
                pipeline.cmd("HGET").arg(&head).arg(field);
            }
            pipeline.cmd("STRLEN").arg(keys.group(&name));
        }
        let mut values = self.link.pipeline(&pipeline).await?.into_iter();
        let mut next = || values.next().unwrap_or(redis::Value::Nil);
        let mut found = Vec::with_capacity(due.len());
        for (place, (name, due_at)) in due.into_iter().enumerate() {
            let head = bytes_of("HGET", next())?;
            let number = |value| Ok::<_, StoreError>(text_of("HGET", value)?.parse().unwrap_or(0));
            let (messages, first_at) = (number(next())?, number(next())?);
            // With both brackets.
            let bytes = number(next())? + 2;
            if let Some(template) = template_of(&head) {
                let group = Group {
                    name,
                    task_type: template.task_type,
                    messages,
                    bytes,
                    first_at,
                    due_at,
                };
                found.push((group, (from + place + 1).to_string()));
            }
        }
        Ok(found)
    }
}
