//! Records: written, read, looked for and deleted.

mod batches;
mod fetch;
mod offsets;
mod produce;

use async_trait::async_trait;
use polder_capability::topics::{
    EpochEnd, EpochQuestion, Fetch, FetchAnswer, FoundOffset, Isolation, LEADER_EPOCH, OffsetQuestion, Produce,
    ProduceAnswer, TopicClient, TopicError, TopicPartition, TopicRecords, TopicResult,
};

pub(crate) use self::fetch::fetch_permits;
use crate::Streaming;

/// Whether a client knows the leader that there is.
///
/// # Errors
/// `FencedLeaderEpoch`, `UnknownLeaderEpoch`.
fn check_epoch(known: Option<i32>) -> Result<(), TopicError> {
    match known {
        Some(epoch) if epoch < 0 => Ok(()),
        Some(epoch) if epoch < LEADER_EPOCH => Err(TopicError::FencedLeaderEpoch),
        Some(epoch) if epoch > LEADER_EPOCH => Err(TopicError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

#[async_trait]
impl TopicRecords for Streaming {
    async fn produce(&self, client: &TopicClient, produce: Produce) -> TopicResult<ProduceAnswer> {
        let part = self.inner.streams.enter().await?;
        self.write(client, produce, part).await
    }

    async fn fetch(&self, client: &TopicClient, fetch: &Fetch) -> TopicResult<FetchAnswer> {
        self.read(client, fetch).await
    }

    async fn offsets(
        &self,
        client: &TopicClient,
        questions: Vec<OffsetQuestion>,
        isolation: Isolation,
    ) -> TopicResult<Vec<TopicResult<FoundOffset>>> {
        let mut results = Vec::with_capacity(questions.len());
        for question in &questions {
            results.push(self.offset(client, question, isolation).await);
        }
        Ok(results)
    }

    async fn epoch_ends(
        &self,
        client: &TopicClient,
        questions: Vec<EpochQuestion>,
    ) -> TopicResult<Vec<TopicResult<EpochEnd>>> {
        Ok(questions.iter().map(|question| self.epoch_end(client, question)).collect())
    }

    async fn delete_records(
        &self,
        client: &TopicClient,
        before: Vec<(TopicPartition, Option<i64>)>,
    ) -> TopicResult<Vec<TopicResult<i64>>> {
        self.delete_before(client, &before).await
    }
}
