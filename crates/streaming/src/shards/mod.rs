//! Topics as streams of shards, as Kinesis knows them.

mod change;
mod division;
mod kept;
mod limits;
mod put;
mod read;

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::topics::{
    Division, NewStream, NewTopic, Put, ReadShard, Shard, ShardRead, ShardRecord, ShardStart, Shards, Stream,
    StreamChange, TopicAdmin, TopicClient, TopicError, TopicFailure, TopicRef, TopicResult, TopicRight, TopicThing,
};
use polder_topic_log::{Entry, Log, Topic};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::division::Slot;
use self::kept::Kept;
use self::limits::Limits;
use crate::Streaming;
use crate::failure::of_append;
use crate::spaces::{STREAMS, forget, set};

/// Beside a record in its batch: the batch's head, lengths, and room for a record's time.
const BATCH_EXTRA_BYTES: usize = 1_024;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Who puts takes one of so many permits, who divides a stream takes all: so no record is on its way into a shard that is closed.
const PERMITS: u32 = 1 << 16;

/// What streams need beside the log.
pub(crate) struct StreamWork {
    gate: Semaphore,
    limits: Limits,
}

impl Default for StreamWork {
    fn default() -> Self {
        Self { gate: Semaphore::new(PERMITS as usize), limits: Limits::default() }
    }
}

impl StreamWork {
    async fn enter(&self, permits: u32) -> TopicResult<SemaphorePermit<'_>> {
        self.gate.acquire_many(permits).await.map_err(|_| TopicError::Unavailable.into())
    }
}

/// What is kept about topics that are gone: who deletes one by Kafka's protocol knows nothing of it.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn of_deleted_topics(log: &Log) -> polder_types::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (key, _) in log.state(STREAMS) {
        if log.topic_by_id(kept::read_key(&key)?).is_none() {
            entries.push(forget(STREAMS, key));
        }
    }
    Ok(entries)
}

impl Streaming {
    /// A topic for somebody who may do this with it. Whoever may know of it is told so if not.
    fn stream_of(&self, client: &TopicClient, right: TopicRight, stream: &TopicRef) -> TopicResult<Arc<Topic>> {
        let topic = match stream {
            TopicRef::Name(name) => self.inner.log.topic(name).ok_or(TopicError::UnknownTopic)?,
            TopicRef::Id(id) => self.inner.log.topic_by_id(*id).ok_or(TopicError::UnknownTopicId)?,
        };
        let may = |right| self.may(client, right, TopicThing::Topic(&topic.name));
        match (may(right), may(TopicRight::Describe)) {
            (true, _) => Ok(topic),
            (false, true) => Err(TopicError::TopicForbidden.into()),
            (false, false) => Err(TopicError::UnknownTopic.into()),
        }
    }

    fn kept(&self, topic: &Topic) -> TopicResult<Kept> {
        match self.inner.log.state_of(STREAMS, &kept::key(topic.id)) {
            None => Ok(Kept::default()),
            Some(bytes) => Kept::read(&bytes).map_err(|error| {
                tracing::error!(topic = topic.name, %error, "what is kept about a stream cannot be read");
                TopicError::Internal.into()
            }),
        }
    }

    fn slots(&self, topic: &Topic) -> TopicResult<(Kept, Vec<Slot>)> {
        let kept = self.kept(topic)?;
        let slots = kept.shards(topic.partitions);
        Ok((kept, slots))
    }

    fn shard(&self, topic: &Topic, number: u32, slot: &Slot) -> Shard {
        Shard {
            number,
            first_hash: slot.first,
            last_hash: slot.last,
            parent: slot.parent,
            adjacent_parent: slot.adjacent,
            first_sequence: slot.base + 1,
            last_sequence: slot.closed_ms.map(|_| self.end_of(topic, number, slot).max(slot.base + 1)),
            created_ms: slot.created_ms,
            closed_ms: slot.closed_ms,
        }
    }

    /// The sequence number of a shard's last record, or the one before its first.
    fn end_of(&self, topic: &Topic, number: u32, slot: &Slot) -> i64 {
        let bounds = self.inner.log.bounds(topic.id, number).unwrap_or_default();
        slot.base + bounds.high_watermark
    }

    fn described_stream(&self, topic: &Topic) -> TopicResult<Stream> {
        let (kept, slots) = self.slots(topic)?;
        let retention_ms = topic.settings.retention_ms;
        let now_ms = self.now_ms();
        // What is closed goes once all of its records have.
        let is_seen = |slot: &Slot| match (slot.closed_ms, retention_ms) {
            (Some(closed), Some(retention)) => closed.saturating_add(retention) > now_ms,
            _ => true,
        };
        let numbered = (0_u32..).zip(&slots).filter(|(_, slot)| is_seen(slot));
        Ok(Stream {
            name: topic.name.clone(),
            id: topic.id,
            created_ms: kept.created_ms,
            on_demand: kept.on_demand,
            retention_hours: retention_ms.map(|ms| ms / HOUR_MS),
            record_bytes_max: topic.settings.max_message_bytes.saturating_sub(BATCH_EXTRA_BYTES),
            tags: kept.tags,
            metrics: kept.metrics,
            consumers: kept.consumers,
            shards: numbered.map(|(number, slot)| self.shard(topic, number, slot)).collect(),
        })
    }

    async fn make_stream(&self, client: &TopicClient, new: NewStream) -> TopicResult<()> {
        let config = [
            ("max.message.bytes", (new.record_bytes_max + BATCH_EXTRA_BYTES).to_string()),
            ("retention.ms", (24 * HOUR_MS).to_string()),
        ];
        let topic = NewTopic {
            name: new.name.clone(),
            partitions: Some(i32::try_from(new.shards).unwrap_or(i32::MAX)),
            config: config.map(|(name, value)| (name.to_owned(), Some(value))).into(),
            ..NewTopic::default()
        };
        let created = self.create(client, vec![topic], false).await?.pop().ok_or(TopicError::Internal)??;
        let kept = Kept { created_ms: self.now_ms(), on_demand: new.on_demand, tags: new.tags, ..Kept::default() };
        self.keep(created.id, &kept, Vec::new()).await
    }

    /// Writes down what is kept about a stream, along with other entries, as one fact.
    async fn keep(&self, topic: uuid::Uuid, kept: &Kept, mut with: Vec<Entry>) -> TopicResult<()> {
        with.push(set(STREAMS, kept::key(topic), kept.to_bytes()));
        self.inner.log.append(with).await.map(|_| ()).map_err(of_append)
    }
}

fn no_such_shard(number: u32) -> TopicFailure {
    TopicFailure::new(TopicError::InvalidPartitions, format!("there is no shard {number}"))
}

#[async_trait]
impl Shards for Streaming {
    fn streams(&self, client: &TopicClient) -> Vec<Stream> {
        let topics = self.inner.log.topics();
        let seen = topics.iter().filter(|topic| self.may(client, TopicRight::Describe, TopicThing::Topic(&topic.name)));
        seen.filter_map(|topic| self.described_stream(topic).ok()).collect()
    }

    fn stream(&self, client: &TopicClient, stream: &TopicRef) -> TopicResult<Stream> {
        let topic = self.stream_of(client, TopicRight::Describe, stream)?;
        self.described_stream(&topic)
    }

    async fn create_stream(&self, client: &TopicClient, new: NewStream) -> TopicResult<()> {
        let _all = self.inner.streams.enter(PERMITS).await?;
        self.make_stream(client, new).await
    }

    async fn delete_stream(&self, client: &TopicClient, stream: &TopicRef) -> TopicResult<()> {
        let topic = self.stream_of(client, TopicRight::Delete, stream)?;
        let _all = self.inner.streams.enter(PERMITS).await?;
        self.delete(client, vec![TopicRef::Id(topic.id)]).await?.pop().ok_or(TopicError::Internal)??;
        let entries = vec![forget(STREAMS, kept::key(topic.id))];
        self.inner.log.append(entries).await.map(|_| ()).map_err(of_append)
    }

    async fn change_stream(&self, client: &TopicClient, stream: &TopicRef, change: StreamChange) -> TopicResult<()> {
        let _all = self.inner.streams.enter(PERMITS).await?;
        self.change(client, stream, change).await
    }

    async fn divide(&self, client: &TopicClient, stream: &TopicRef, division: Division) -> TopicResult<()> {
        let _all = self.inner.streams.enter(PERMITS).await?;
        self.divide_anew(client, stream, division).await
    }

    async fn put(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        records: Vec<ShardRecord>,
    ) -> TopicResult<Vec<TopicResult<Put>>> {
        let _one = self.inner.streams.enter(1).await?;
        self.put_all(client, stream, records).await
    }

    async fn start_at(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        shard: u32,
        start: ShardStart,
    ) -> TopicResult<i64> {
        self.begin(client, stream, shard, start).await
    }

    async fn read_shard(&self, client: &TopicClient, read: &ReadShard) -> TopicResult<ShardRead> {
        self.read_records(client, read).await
    }
}

#[cfg(test)]
mod tests;
