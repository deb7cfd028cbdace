//! Reading schedules: by id, page by page, and those of a provider.

use paceline_types::scheduled::ScheduleStatus;
use paceline_types::{JobId, ScheduleDefinition, ScheduleId, ScheduleInfo, ShardIndex, UnixMillis};

use crate::calls::cancel::by_shard;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

static GET_SCHEDULES: Script = script!("get_schedules");

/// Schedules of one call: each brings its payload with it.
const READ_AT_ONCE: usize = 20;

/// A page of schedules.
pub type SchedulePage = crate::calls::list::Page<ScheduleInfo>;

/// The record of a schedule, its definition unread.
struct Record {
    definition: String,
    revision: String,
    rest: Reply,
}

impl Store {
    /// A schedule, if there is one, and the server's time.
    ///
    /// # Errors
    /// When there was no answer, or the definition is of a newer version.
    pub async fn schedule(
        &self,
        id: &ScheduleId,
    ) -> Result<(Option<ScheduleInfo>, UnixMillis), StoreError> {
        let shard = self.shard_of_schedule(id);
        let (now, records) = self
            .schedule_records(shard, std::slice::from_ref(id))
            .await?;
        let record = records.into_iter().next().flatten();
        Ok((record.map(|record| info(id, record)).transpose()?, now))
    }

    /// Several schedules of any shards, in order; none where there is none.
    ///
    /// # Errors
    /// When there was no answer, or a definition is of a newer version.
    pub async fn schedules(
        &self,
        ids: &[ScheduleId],
    ) -> Result<Vec<Option<ScheduleInfo>>, StoreError> {
        let mut found = vec![None; ids.len()];
        for (shard, indices) in by_shard(ids.iter().map(|id| self.shard_of_schedule(id))) {
            for indices in indices.chunks(READ_AT_ONCE) {
                let wanted: Vec<_> = indices.iter().map(|&index| ids[index].clone()).collect();
                let (_, records) = self.schedule_records(shard, &wanted).await?;
                for (&index, record) in indices.iter().zip(records) {
                    let record = record.map(|record| info(&ids[index], record));
                    found[index] = record.transpose()?;
                }
            }
        }
        Ok(found)
    }

    /// Revision and definition, as JSON, of schedules of a shard; none where there is none.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn schedule_definitions(
        &self,
        shard: ShardIndex,
        ids: &[ScheduleId],
    ) -> Result<Vec<Option<(String, String)>>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(READ_AT_ONCE) {
            let (_, records) = self.schedule_records(shard, ids).await?;
            let text = |record: Record| (record.revision, record.definition);
            found.extend(records.into_iter().map(|record| record.map(text)));
        }
        Ok(found)
    }

    /// Ids of the schedules that a provider keeps, in all shards; as many as it has named.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn schedules_of_provider(
        &self,
        provider: &str,
    ) -> Result<Vec<ScheduleId>, StoreError> {
        let mut ids = Vec::new();
        for shard in self.each_shard() {
            let key = self.keys(shard)?.periodic(provider);
            let mut position = "0".to_owned();
            loop {
                let mut command = redis::cmd("SSCAN");
                command.arg(&key).arg(&position).arg("COUNT").arg(100);
                let mut reply = Reply::list("SSCAN", self.link.command(&command).await?)?;
                position = reply.text()?;
                let found = reply.nested()?.rest()?;
                ids.extend(found.iter().filter_map(|id| ScheduleId::new(id).ok()));
                if position == "0" {
                    break;
                }
            }
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    async fn schedule_records(
        &self,
        shard: ShardIndex,
        ids: &[ScheduleId],
    ) -> Result<(UnixMillis, Vec<Option<Record>>), StoreError> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&GET_SCHEDULES, &[&keys.events]);
        for id in ids {
            call.arg(id.as_str());
        }
        let mut reply = Reply::list("get_schedules", self.link.call(&call).await?)?;
        let now = reply.parse("the server's time")?;
        let mut records = Vec::with_capacity(ids.len());
        while reply.len() > 0 {
            let mut rest = reply.nested()?;
            records.push(match rest.len() {
                0 => None,
                _ => Some(Record {
                    definition: rest.text()?,
                    revision: rest.text()?,
                    rest,
                }),
            });
        }
        Ok((now, records))
    }
}

fn info(id: &ScheduleId, record: Record) -> Result<ScheduleInfo, StoreError> {
    let Record {
        definition,
        revision,
        rest: mut fields,
    } = record;
    let what = "a definition that this version can read";
    let definition = ScheduleDefinition::from_json(&definition)
        .map_err(|error| StoreError::protocol("get_schedules", what, &format!("{id}: {error}")))?;
    let created_at = fields.parse("a time")?;
    let anchored_at = fields.parse("a time")?;
    let next_run_at: Option<UnixMillis> = fields.text()?.parse().ok();
    let paused = fields.text()? == "1";
    let last_run_at = fields.text()?.parse().ok();
    let last_job_id = JobId::from_bare(&fields.text()?).ok();
    let is_active = fields.int()? == 1;
    let mut count = || fields.parse("a count");
    let (fired, skipped, dropped, buffered) = (count()?, count()?, count()?, count()?);
    let status = match (paused, next_run_at) {
        (true, _) => ScheduleStatus::Paused,
        (false, Some(_)) => ScheduleStatus::Active,
        (false, None) => ScheduleStatus::Finishing,
    };
    Ok(ScheduleInfo {
        id: id.clone(),
        definition,
        status,
        revision: revision.parse().unwrap_or(0),
        created_at,
        anchored_at,
        next_run_at: next_run_at.filter(|_| !paused),
        last_run_at,
        last_job_id,
        active_job_id: last_job_id.filter(|_| is_active),
        buffered,
        fired,
        skipped,
        dropped,
    })
}
