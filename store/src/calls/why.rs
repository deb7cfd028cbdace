//! What stands around a job that waits, gathered in a few bounded calls.

use paceline_types::stats::Lane;
use paceline_types::why::{Facts, LimitFacts, MOST_AHEAD, Why, explain};
use paceline_types::{
    AllSettings, Job, JobId, JobStatus, LimitKey, NodeId, Settings, ShardIndex, UnixMillis,
};

use super::stats::GRANTED;
use crate::script::{Invocation, Script};
use crate::wire::escape::{escape, unescape};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static WHY: Script = script!("why");
pub(crate) static PLACE: Script = script!("place");

/// Holders of a limit that are named.
const NAMED: usize = 10;

/// Steps of counting what is ahead in a lane; each entry of a lane may be one job.
const MOST_STEPS: usize = 100;

/// What `why` answers.
struct Around {
    now: UnixMillis,
    has_leader: bool,
    tier_paused: bool,
    type_paused: bool,
    tier_rate: UnixMillis,
    parked_at: Option<LimitKey>,
    lane: String,
    older_lanes: Vec<Lane>,
    limits: Vec<LimitFacts>,
}

impl Store {
    /// Why a job is not running; none when there is no such job. What is told of it, of its lane
    /// and of the nodes is not of one moment.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn why(&self, id: JobId) -> Result<Option<Why>, StoreError> {
        let Some(job) = self.job(id).await? else {
            return Ok(None);
        };
        let status = job.status;
        let facts = self.facts(job).await?;
        Ok(Some(Why {
            job: Some(id),
            status,
            at: facts.now,
            reasons: explain(&facts),
        }))
    }

    async fn facts(&self, job: Job) -> Result<Facts, StoreError> {
        let around = self.around(&job).await?;
        let waits = job.status == JobStatus::Pending && around.parked_at.is_none();
        let ahead = if waits {
            self.jobs_ahead(job.id, &around.lane).await?
        } else {
            None
        };
        Ok(Facts {
            now: around.now,
            has_leader: around.has_leader,
            nodes: self.nodes().await?,
            settings: self.all_settings().await?,
            tier_paused: around.tier_paused,
            type_paused: around.type_paused,
            tier_rate: Some(around.tier_rate),
            limits: around.limits,
            parked_at: around.parked_at,
            ahead,
            older_lanes: around.older_lanes,
            job,
        })
    }

    async fn around(&self, job: &Job) -> Result<Around, StoreError> {
        let keys = self.keys(job.id.shard())?;
        let lane = Lane {
            tier: job.priority.tier(),
            task_type: job.task_type.clone(),
            version: job.version.clone(),
        };
        let names = [
            &keys.events,
            &keys.leader,
            &keys.leases,
            &keys.steering,
            &keys.limits,
        ];
        let mut call = Invocation::new(&WHY, &names);
        call.arg(job.id.bare(&mut [0; 26]) as &str)
            .arg(lane.to_string())
            .arg(NAMED);
        for key in &job.limits {
            call.arg(escape(key.as_str()));
        }
        let mut reply = Reply::list("why", self.link.call(&call).await?)?;
        let mut around = Around {
            now: reply.parse("a time")?,
            has_leader: reply.int()? == 1,
            tier_paused: reply.int()? == 1,
            type_paused: reply.int()? == 1,
            tier_rate: reply.parse("a time")?,
            parked_at: limit_key(&reply.text()?),
            lane: reply.text()?,
            older_lanes: Vec::new(),
            limits: Vec::new(),
        };
        let older = reply.nested()?.rest()?;
        let lanes = older.iter().filter_map(|name| {
            let name = name.strip_suffix(GRANTED).unwrap_or(name);
            Lane::parse(&format!("{}:{name}", lane.tier.letter()))
        });
        around.older_lanes = lanes.collect();
        for key in &job.limits {
            let mut told = reply.nested()?;
            let most = told.text()?.parse().ok();
            let holders = number(&mut told)?;
            let next_token = told.parse("a time")?;
            let ahead = number(&mut told)?;
            let named = told.nested()?.rest()?;
            let held = named.chunks_exact(2).filter_map(|pair| {
                let job = JobId::from_bare(&pair[0]).ok()?;
                Some((job, NodeId::from_bare(&pair[1]).ok()))
            });
            around.limits.push(LimitFacts {
                key: key.clone(),
                most,
                holders,
                held: held.collect(),
                next_token: Some(next_token),
                ahead,
            });
        }
        Ok(around)
    }

    /// Jobs that wait in a lane before one of them, up to [`MOST_AHEAD`]; none when it is not
    /// there.
    async fn jobs_ahead(&self, id: JobId, lane: &str) -> Result<Option<u64>, StoreError> {
        let keys = self.keys(id.shard())?;
        let (mut ahead, mut from) = (0, String::new());
        for _ in 0..MOST_STEPS {
            let mut call = Invocation::new(&PLACE, &[&keys.events, &keys.waiting]);
            call.arg(lane).arg(id.bare(&mut [0; 26]) as &str).arg(&from);
            let mut reply = Reply::list("place", self.link.call(&call).await?)?;
            let answer = reply.text()?;
            ahead += number(&mut reply)?;
            from = reply.text()?;
            match answer.as_str() {
                _ if ahead >= MOST_AHEAD => return Ok(Some(MOST_AHEAD)),
                "found" => return Ok(Some(ahead)),
                "end" => return Ok(None),
                "more" => {}
                other => return reply.unknown(other),
            }
        }
        // Many entries of few jobs each: as good as more than are counted.
        Ok(Some(MOST_AHEAD))
    }

    /// Whether the leader of a shard lives, by its lease in the shard, and the server's time.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn leader_lives(&self, shard: ShardIndex) -> Result<(bool, UnixMillis), StoreError> {
        let keys = self.keys(shard)?;
        let names = [
            &keys.events,
            &keys.leader,
            &keys.leases,
            &keys.steering,
            &keys.limits,
        ];
        let mut call = Invocation::new(&WHY, &names);
        // Of no job, as none has this id and no lane this name.
        call.arg("0".repeat(26)).arg("n::").arg(0);
        let mut reply = Reply::list("why", self.link.call(&call).await?)?;
        let now = reply.parse("a time")?;
        Ok((reply.int()? == 1, now))
    }

    /// The settings of handlers, without those that this version cannot read.
    async fn all_settings(&self) -> Result<AllSettings, StoreError> {
        let stored = self.settings().await?;
        let read = |(scope, text): (String, String)| {
            Some((scope.parse().ok()?, Settings::parse(&text).ok()?))
        };
        Ok(AllSettings(stored.into_iter().filter_map(read).collect()))
    }
}

fn limit_key(escaped: &str) -> Option<LimitKey> {
    LimitKey::new(&unescape(escaped)?).ok()
}

fn number(reply: &mut Reply) -> Result<u64, StoreError> {
    Ok(u64::try_from(reply.count()?).unwrap_or(u64::MAX))
}
