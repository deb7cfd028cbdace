//! Schedules that a program names instead of a file: a provider is asked again and again, and the
//! cluster keeps the schedules that it named last.
//!
//! Only the node that leads the first shard asks, so a provider that several nodes have is asked
//! by one of them. A schedule carries its provider's name: a provider changes and removes what it
//! made and nothing else.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use paceline_client::{Client, PutScheduleError};
use paceline_store::{CallError, Store, StoreError};
use paceline_types::{ScheduleDefinition, ScheduleId, ShardIndex};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kit::Kit;
use crate::phase::Phase;

/// How often a provider is asked unless configured otherwise: every minute.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(60);

/// How soon a node that begins to lead notices that it has to ask.
const LOOK: Duration = Duration::from_secs(1);

/// The shard whose leader asks.
const ASKING: ShardIndex = ShardIndex(0);

type Answer = Result<Vec<ScheduleDefinition>, String>;
type Ask = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// A named source of schedules.
#[derive(Clone)]
pub(crate) struct Provider {
    name: ScheduleId,
    ask: Ask,
}

impl Provider {
    pub(crate) fn new<F, Fut, E>(name: ScheduleId, provider: F) -> Provider
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<ScheduleDefinition>, E>> + Send + 'static,
        E: Display,
    {
        let ask = move || -> Pin<Box<dyn Future<Output = Answer> + Send>> {
            let answer = provider();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        };
        Provider {
            name,
            ask: Arc::new(ask),
        }
    }

    /// Asks; a panic is an error like any other.
    async fn answer(&self) -> Answer {
        let ask = Arc::clone(&self.ask);
        // The call itself may panic as well, before there is anything to await.
        let asked = tokio::spawn(async move { ask().await });
        match asked.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => Err("it panicked".to_owned()),
            Err(_) => Err("it was aborted".to_owned()),
        }
    }
}

/// Asks a provider while this node leads, until the node stops.
pub(crate) async fn run(
    kit: Arc<Kit>,
    provider: Provider,
    period: Duration,
    mut phase: watch::Receiver<Phase>,
) {
    let client = Client::from_store(kit.store.clone());
    let mut asked_at: Option<Instant> = None;
    let work = async {
        loop {
            if !kit.leads().contains_key(&ASKING) {
                asked_at = None;
            } else if asked_at.is_none_or(|at| at.elapsed() >= period) {
                asked_at = Some(Instant::now());
                ask_once(&kit.store, &client, &provider).await;
            }
            tokio::time::sleep(period.min(LOOK)).await;
        }
    };
    tokio::select! {
        () = work => {}
        // What is cut off here is made good by the next leader's question.
        _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
    }
}

async fn ask_once(store: &Store, client: &Client, provider: &Provider) {
    let name = &provider.name;
    let definitions = match provider.answer().await {
        Ok(definitions) => definitions,
        Err(error) => {
            tracing::warn!(
                provider = %name,
                error,
                "a provider of schedules failed; those that it named last stay"
            );
            return;
        }
    };
    if let Err(error) = follow(store, client, name, definitions).await {
        tracing::warn!(provider = %name, %error, "the schedules of a provider wait for the next round");
    }
}

/// Makes the schedules of a provider those that it names now.
async fn follow(
    store: &Store,
    client: &Client,
    name: &ScheduleId,
    definitions: Vec<ScheduleDefinition>,
) -> Result<(), StoreError> {
    let mut named = BTreeSet::new();
    for definition in definitions {
        let id = definition.id.clone();
        if !named.insert(id.clone()) {
            tracing::warn!(provider = %name, schedule = %id, "a provider names a schedule twice; the first counts");
            continue;
        }
        let definition = ScheduleDefinition {
            provider: Some(name.clone()),
            ..definition
        };
        match client.apply_schedule(definition).await {
            Ok(_) => {}
            Err(PutScheduleError::Store(error)) => return Err(error),
            // It was named, so what there is of it stays.
            Err(error) => {
                tracing::warn!(provider = %name, schedule = %id, %error, "a schedule of a provider is left as it is");
            }
        }
    }
    let made = store.schedules_of_provider(name.as_str()).await?;
    let gone: Vec<_> = made.into_iter().filter(|id| !named.contains(id)).collect();
    for known in store.schedules(&gone).await?.into_iter().flatten() {
        if known.definition.provider.as_ref() == Some(name) {
            let why = "its provider names it no more";
            let deleted = store
                .delete_schedule(&known.id, Some(known.revision), why)
                .await;
            if let Err(CallError::Store(error)) = deleted {
                return Err(error);
            }
        }
    }
    Ok(())
}
