//! How far a batch is, as it goes.

use paceline_store::StoreError;
use paceline_types::BatchId;
use paceline_types::batch::{BatchProgress, BatchStep};

use crate::{Client, Delivery, SubscribeError, Subscription};

/// Tells how far a batch is, each time it is further, until it has ended.
///
/// The first that it tells is where the batch stands when it is asked for, so whoever comes late
/// misses nothing.
#[derive(Debug)]
pub struct ProgressFeed {
    client: Client,
    batch: BatchId,
    events: Subscription,
    /// The last that was told.
    told: Option<BatchProgress>,
}

impl ProgressFeed {
    /// Listens before it looks, so that nothing falls between.
    pub(super) async fn open(client: &Client, batch: BatchId) -> Result<Self, SubscribeError> {
        let events = client.subscribe().from_now().batch(batch).await?;
        Ok(ProgressFeed {
            client: client.clone(),
            batch,
            events,
            told: None,
        })
    }

    /// Where the batch stands now, the first time; then each time that it is further. `None` after
    /// the end was told, or when there is no record of the batch (any more).
    ///
    /// Steps that follow each other quickly are told as one: each is as far as the batch was then.
    ///
    /// # Errors
    /// When Redis could not be asked. The feed may be asked again.
    pub async fn next(&mut self) -> Result<Option<BatchProgress>, StoreError> {
        match self.told {
            None => return self.look().await,
            Some(told) if told.step == BatchStep::Done => return Ok(None),
            Some(_) => {}
        }
        loop {
            match self.events.next().await {
                Some(Ok(Delivery::Event(event))) => {
                    let further = event.batch_progress.filter(|now| self.is_further(now));
                    if let Some(progress) = further {
                        self.told = Some(progress);
                        return Ok(Some(progress));
                    }
                    if event.batch_item.is_none() && event.batch_progress.is_none() {
                        // It began, or ended: its record says more than the event.
                        let before = self.told;
                        let now = self.look().await?;
                        if now != before {
                            return Ok(now);
                        }
                    }
                }
                Some(Ok(Delivery::Gap { .. })) => return self.look().await,
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    /// Events of before the look at the record may come after it.
    fn is_further(&self, now: &BatchProgress) -> bool {
        self.told
            .is_none_or(|told| now.done > told.done || now.step != told.step)
    }

    async fn look(&mut self) -> Result<Option<BatchProgress>, StoreError> {
        self.told = self.client.batch_progress(self.batch).await?;
        Ok(self.told)
    }
}
