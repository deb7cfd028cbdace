//! Settings that change while nodes run. `configure` is their only writer.

use std::collections::BTreeMap;

use paceline_types::{Scope, ShardIndex};

use super::CallError;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static CONFIGURE: Script = script!("configure");

/// Somebody else was faster; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings have changed since they were read")]
pub struct Changed {
    /// What stands there now; none when nothing does.
    pub current: Option<String>,
}

impl Store {
    /// Everything that is set, as it stands: what it is for (see [`Scope`]), and its JSON. One
    /// command, which nodes send every five seconds.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.keys(ShardIndex(0))?.config);
        let reply = match self.link.command(&command).await? {
            redis::Value::Map(pairs) => redis::Value::Array(
                pairs
                    .into_iter()
                    .flat_map(|(field, value)| [field, value])
                    .collect(),
            ),
            other => other,
        };
        let mut reply = Reply::list("HGETALL", reply)?;
        let mut settings = BTreeMap::new();
        while reply.len() > 0 {
            settings.insert(reply.text()?, reply.text()?);
        }
        Ok(settings)
    }

    /// Replaces what is set for `scope`, if it stands as it was `seen`. `None` stands for nothing.
    ///
    /// # Errors
    /// [`Changed`]: look at what stands there now and try again. Without an answer the same call
    /// may be sent again.
    pub async fn configure(
        &self,
        scope: &Scope,
        seen: Option<&str>,
        text: Option<&str>,
    ) -> Result<(), CallError<Changed>> {
        let keys = self.keys(ShardIndex(0))?;
        let mut call = Invocation::new(&CONFIGURE, &[&keys.events, &keys.config]);
        call.arg(scope.to_string())
            .arg(seen.unwrap_or_default())
            .arg(text.unwrap_or_default());
        let mut reply = Reply::list("configure", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "changed" => {
                let current = reply.text()?;
                let current = (!current.is_empty()).then_some(current);
                Err(CallError::Refused(Changed { current }))
            }
            other => Ok(reply.unknown(other)?),
        }
    }
}
