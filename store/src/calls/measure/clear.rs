//! Removing a namespace that was made for a measurement.

use redis::Value;

use crate::wire::reply::Reply;
use crate::{Store, StoreError};

/// Keys looked at in one step.
const STEP: usize = 1_000;

impl Store {
    /// Removes every key of the namespace, whoever still uses it.
    ///
    /// On `Ok` nothing of it is left, unless somebody wrote meanwhile.
    ///
    /// # Errors
    /// When there was no answer. Part of it may have been removed.
    pub async fn remove_namespace(&self) -> Result<(), StoreError> {
        for shard in self.each_shard() {
            let anchor = &self.keys(shard)?.events;
            // All keys of a shard begin alike, and stand on the server of any of them.
            let prefix = anchor.trim_end_matches("events");
            let pattern = format!("{}*", prefix.replace('*', "\\*"));
            let mut connection = self.link.separate(anchor).await?;
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg(&pattern);
                let reply = connection.send(scan.arg("COUNT").arg(STEP)).await?;
                let mut reply = Reply::list("SCAN", reply)?;
                cursor = reply.text()?;
                let found = reply.nested()?.rest()?;
                if !found.is_empty() {
                    let mut unlink = redis::cmd("UNLINK");
                    unlink.arg(&found);
                    let _: Value = connection.send(&unlink).await?;
                }
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }
}
