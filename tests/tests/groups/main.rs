//! Groups: what is pushed becomes one job with others, and nothing of it is lost or taken twice.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::time::Duration;

use bytes::Bytes;
use paceline_client::Client;
use paceline_node::{Context, HandlerOptions, NodeBuilder};
use paceline_store::Store;
use paceline_store::calls::group::Push;
use paceline_tests::{Env, Notes, Ride, Serve, attempts, notes};
use paceline_types::group::GROUP_HEADER;
use paceline_types::{GroupKey, GroupLimits, JobId, JobSpec, ShardIndex, TaskType};

mod aggregate;
mod flush;
mod kills;
mod lost;
mod many;
mod refusals;
mod retention;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

/// Short, and still longer than what it must outlast.
const MOMENT: Duration = Duration::from_millis(100);

/// The task type of the jobs.
const TYPE: &str = "digest";

/// What a handler was given: the group, and the payload.
type Given = (String, String);

fn options(times: u32) -> HandlerOptions {
    HandlerOptions {
        retry_policy: Some(attempts(times)),
        ..HandlerOptions::default()
    }
}

/// A node whose handler notes what it is given.
async fn listening(
    env: &Env,
    more: impl FnOnce(NodeBuilder) -> NodeBuilder,
) -> (Ride, Notes<Given>) {
    let (pen, given) = notes();
    let handle = async |pen: paceline_tests::Pen<Given>, context: Context, payload: Bytes| {
        let group = context.headers().get(GROUP_HEADER).cloned();
        let payload = String::from_utf8(payload.to_vec()).unwrap();
        pen.note((group.unwrap_or_default(), payload));
        Ok(Bytes::from_static(b"null"))
    };
    let ride = env
        .ride(|node| more(node.serve(TYPE, options(3), pen, handle)))
        .await;
    (ride, given)
}

fn given(group: &str, payload: &str) -> Given {
    (group.to_owned(), payload.to_owned())
}

/// Pushes a number to a group that becomes a job by its size only.
async fn push(client: &Client, group: &str, number: usize) -> paceline_client::Pushed {
    let push = client.push_raw(group, TYPE, number.into());
    push.grace(NEVER)
        .max_delay(NEVER)
        .max_size(1_000)
        .await
        .unwrap()
}

/// One call of the store, driven by hand.
struct Hand {
    store: Store,
    group: GroupKey,
    template: JobSpec,
    limits: GroupLimits,
}

impl Hand {
    fn on(store: &Store, group: &str, max_size: u32) -> Hand {
        Hand {
            store: store.clone(),
            group: GroupKey::new(group).unwrap(),
            template: JobSpec::new(TaskType::new(TYPE).unwrap(), Bytes::new()),
            limits: GroupLimits {
                grace: NEVER,
                max_delay: NEVER,
                max_size,
            },
        }
    }

    fn shard(&self) -> ShardIndex {
        self.store.shard_of_group(&self.group)
    }

    /// The id of a job of the group's shard.
    fn id(&self, number: u64) -> JobId {
        JobId::from_parts(1, self.shard(), number)
    }

    /// Pushes numbers under the ids from `number` on.
    async fn push(&self, number: u64, messages: &[usize]) -> paceline_client::Pushed {
        let ids: Vec<JobId> = (0..=messages.len() as u64)
            .map(|n| self.id(number + n))
            .collect();
        let messages: Vec<Bytes> = messages.iter().map(|n| n.to_string().into()).collect();
        let push = Push {
            group: &self.group,
            template: &self.template,
            limits: self.limits,
            max_bytes: 1_000_000,
            ids: &ids,
            messages: &messages,
        };
        self.store.push_group(&push).await.unwrap()
    }

    /// The payload of a job, if there is one.
    async fn payload(&self, id: JobId) -> Option<String> {
        let job = self.store.job(id).await.unwrap()?;
        Some(String::from_utf8(job.payload.to_vec()).unwrap())
    }
}
