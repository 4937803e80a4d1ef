//! Records on their way into shards.

use std::collections::BTreeMap;
use std::time::Duration;

use md5::{Digest as _, Md5};
use polder_capability::topics::{
    Acks, Produce, ProduceBatch, Put, ShardRecord, TopicClient, TopicError, TopicFailure, TopicPartition, TopicRef,
    TopicResult, TopicRight,
};
use polder_topic_log::Topic;
use polder_topic_log::format::{BatchBuilder, Codec, NewRecord};
use tokio::sync::OwnedSemaphorePermit;

use super::BATCH_EXTRA_BYTES;
use super::division::{Slot, in_charge};
use crate::Streaming;

/// How long a write may take.
const WAIT: Duration = Duration::from_secs(30);

/// The hash key of a partition key.
pub fn hash_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// Batches of the shards, and which records are in them.
#[derive(Default)]
struct Batches {
    open: BTreeMap<u32, (BatchBuilder, Vec<usize>)>,
    done: Vec<(u32, BatchBuilder, Vec<usize>)>,
}

impl Batches {
    fn add(&mut self, shard: u32, place: usize, record: &NewRecord<'_>, bytes_max: usize) -> polder_types::Result<()> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if self.open.get(&shard).is_some_and(|(batch, _)| batch.bytes() + bytes > bytes_max)
            && let Some((batch, places)) = self.open.remove(&shard)
        {
            self.done.push((shard, batch, places));
        }
        let (batch, places) = self.open.entry(shard).or_default();
        batch.push(record)?;
        places.push(place);
        Ok(())
    }

    fn finish(self) -> Vec<(u32, BatchBuilder, Vec<usize>)> {
        let mut all = self.done;
        all.extend(self.open.into_iter().map(|(shard, (batch, places))| (shard, batch, places)));
        all
    }
}

impl Streaming {
    pub(super) async fn put_all(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        records: Vec<ShardRecord>,
        part: OwnedSemaphorePermit,
    ) -> TopicResult<Vec<TopicResult<Put>>> {
        let topic = self.stream_of(client, TopicRight::Write, stream)?;
        let (kept, slots) = self.slots(&topic)?;
        let now_ms = self.now_ms();
        // The room that a batch has for records: what else is in it has room of its own.
        let bytes_max = topic.settings.max_message_bytes.saturating_sub(BATCH_EXTRA_BYTES);
        let mut batches = Batches::default();
        let mut results: Vec<TopicResult<Put>> = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            let bytes = record.data.len() + record.partition_key.len();
            let outcome = self.shard_for(&topic, &slots, record, bytes, bytes_max).and_then(|shard| {
                if !kept.on_demand && !self.inner.streams.limits.may_put((topic.id, shard), bytes, now_ms) {
                    let message = format!("rate exceeded for shard {shard} in stream {}", topic.name);
                    return Err(TopicFailure::new(TopicError::Throttled, message));
                }
                let key = Some(record.partition_key.as_bytes());
                let new = NewRecord { timestamp: now_ms, key, value: Some(&record.data), headers: &[] };
                batches.add(shard, place, &new, bytes_max).map_err(|_| TopicError::TooLarge.into())
            });
            // Holds the place until it is known what became of it.
            results.push(outcome.and(Err(TopicError::TimedOut.into())));
        }
        self.write_batches(client, (&topic, &slots), batches, &mut results, part).await?;
        Ok(results)
    }

    fn shard_for(
        &self,
        topic: &Topic,
        slots: &[Slot],
        record: &ShardRecord,
        bytes: usize,
        bytes_max: usize,
    ) -> TopicResult<u32> {
        if bytes > bytes_max {
            let message = format!("{bytes} bytes are more than the {bytes_max} that stream {} takes", topic.name);
            return Err(TopicFailure::new(TopicError::TooLarge, message));
        }
        let hash = record.hash_key.unwrap_or_else(|| hash_of(&record.partition_key));
        in_charge(slots, hash).ok_or_else(|| TopicError::Internal.into())
    }

    async fn write_batches(
        &self,
        client: &TopicClient,
        (topic, slots): (&Topic, &[Slot]),
        batches: Batches,
        results: &mut [TopicResult<Put>],
        part: OwnedSemaphorePermit,
    ) -> TopicResult<()> {
        let (mut sent, mut whose) = (Vec::new(), Vec::new());
        for (shard, batch, places) in batches.finish() {
            let bytes = batch.finish(Codec::None).map_err(|error| {
                tracing::error!(%error, "records cannot be put into a batch");
                TopicFailure::from(TopicError::Internal)
            })?;
            let partition = i32::try_from(shard).map_err(|_| TopicError::Internal)?;
            sent.push(ProduceBatch { to: TopicPartition { topic: TopicRef::Id(topic.id), partition }, bytes });
            whose.push((shard, places));
        }
        if sent.is_empty() {
            return Ok(());
        }
        let produce = Produce { transactional_id: None, acks: Acks::All, timeout: WAIT, batches: sent };
        let answer = self.write(client, produce, part).await?;
        for ((shard, places), outcome) in whose.into_iter().zip(answer.results) {
            let base = slots.get(shard as usize).map_or(0, |slot| slot.base);
            for (number, place) in (1_i64..).zip(places) {
                let put = |offset: i64| Put { shard, sequence: base + offset + number };
                if let Some(result) = results.get_mut(place) {
                    *result = outcome.clone().map(|produced| put(produced.base_offset));
                }
            }
        }
        Ok(())
    }
}
