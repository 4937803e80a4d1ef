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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use self::division::Slot;
use self::kept::Kept;
use self::limits::Limits;
use crate::Streaming;
use crate::failure::of_append;
use crate::spaces::{STREAMS, forget, set};

/// Beside a record in its batch: the batch's head, lengths, and room for a record's time.
const BATCH_EXTRA_BYTES: usize = 1_024;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Who writes takes one of so many permits, who divides a stream takes all: so no record is on its way into a shard that is closed.
const PERMITS: u32 = 1 << 16;

/// What streams need beside the log.
pub(crate) struct StreamWork {
    gate: Arc<Semaphore>,
    /// Who changes what is kept about a stream has it: one after the other.
    changes: Semaphore,
    limits: Limits,
}

impl Default for StreamWork {
    fn default() -> Self {
        let gate = Arc::new(Semaphore::new(PERMITS as usize));
        Self { gate, changes: Semaphore::new(1), limits: Limits::default() }
    }
}

impl StreamWork {
    /// A part in writing. What it is needed for takes it along, and no stream is divided until it is dropped.
    ///
    /// It is there at the first poll unless a stream is being divided; then those that wait get theirs in the order of their
    /// first polls, which is the order of writes to a partition. A task's budget is not to change that.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn enter(&self) -> TopicResult<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.gate).try_acquire_owned() {
            return Ok(permit);
        }
        let permit = Arc::clone(&self.gate).acquire_owned();
        tokio::task::unconstrained(permit).await.map_err(|_| TopicError::Unavailable.into())
    }

    /// The one change of streams that is under way.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn change(&self) -> TopicResult<SemaphorePermit<'_>> {
        self.changes.acquire().await.map_err(|_| TopicError::Unavailable.into())
    }

    /// Nobody writes, until it is dropped.
    async fn alone(&self) -> TopicResult<SemaphorePermit<'_>> {
        self.gate.acquire_many(PERMITS).await.map_err(|_| TopicError::Unavailable.into())
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
        if may(right) {
            return Ok(topic);
        }
        self.inner.rights.refused(client, right, TopicThing::Topic(&topic.name));
        let knows = may(TopicRight::Describe);
        Err(if knows { TopicError::TopicForbidden } else { TopicError::UnknownTopic }.into())
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

    /// Refuses records for a shard that was split or merged: who has passed its end would never see them, and their numbers
    /// would be those of its children's.
    ///
    /// # Errors
    /// `Policy`; `Internal` for what cannot be read.
    pub(crate) fn check_open(&self, topic: &Topic, partition: u32) -> TopicResult<()> {
        // Nearly all topics are no streams that somebody has made.
        if self.inner.log.state_of(STREAMS, &kept::key(topic.id)).is_none() {
            return Ok(());
        }
        let slots = self.kept(topic)?.slots;
        match slots.get(partition as usize) {
            Some(slot) if !slot.is_open() => {
                let message = format!(
                    "partition {partition} of {:?} takes no records any more: it is a shard that was split or merged",
                    topic.name
                );
                Err(TopicFailure::new(TopicError::Policy, message))
            }
            _ => Ok(()),
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
        let (created, entry) = self.new_topic(client, &topic)?;
        let kept = Kept { created_ms: self.now_ms(), on_demand: new.on_demand, tags: new.tags, ..Kept::default() };
        let state = set(STREAMS, kept::key(created.id), kept.to_bytes());
        self.make(client, &topic.name, created.id, vec![entry, state]).await
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
        let _one = self.inner.streams.change().await?;
        self.make_stream(client, new).await
    }

    async fn delete_stream(&self, client: &TopicClient, stream: &TopicRef) -> TopicResult<()> {
        let topic = self.stream_of(client, TopicRight::Delete, stream)?;
        let _one = self.inner.streams.change().await?;
        self.delete(client, vec![TopicRef::Id(topic.id)]).await?.pop().ok_or(TopicError::Internal)??;
        let entries = vec![forget(STREAMS, kept::key(topic.id))];
        self.inner.log.append(entries).await.map(|_| ()).map_err(of_append)
    }

    async fn change_stream(&self, client: &TopicClient, stream: &TopicRef, change: StreamChange) -> TopicResult<()> {
        let _one = self.inner.streams.change().await?;
        self.change(client, stream, change).await
    }

    async fn divide(&self, client: &TopicClient, stream: &TopicRef, division: Division) -> TopicResult<()> {
        let _one = self.inner.streams.change().await?;
        let _all = self.inner.streams.alone().await?;
        self.divide_anew(client, stream, division).await
    }

    async fn put(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        records: Vec<ShardRecord>,
    ) -> TopicResult<Vec<TopicResult<Put>>> {
        let part = self.inner.streams.enter().await?;
        self.put_all(client, stream, records, part).await
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
