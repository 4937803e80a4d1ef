//! Records on their way out of shards.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use polder_capability::topics::{
    ReadRecord, ReadShard, ShardRead, ShardStart, TopicClient, TopicError, TopicFailure, TopicRef, TopicResult,
    TopicRight,
};
use polder_topic_log::format::Record;
use polder_topic_log::{Isolation, ReadError, Topic};

use super::division::Slot;
use super::no_such_shard;
use crate::Streaming;
use crate::failure::of_read;
use crate::quotas::Way;

/// Bytes of batches that are read from the log at once.
const READ_BYTES: usize = 1 << 20;

/// Readings of the log for one answer: what is passed over, as records of aborted transactions are, is no reason to go on for ever.
const READINGS_MAX: usize = 32;

/// What one answer is filled with.
struct Filling {
    records: Vec<ReadRecord>,
    bytes: usize,
    /// The next offset.
    next: i64,
    full: bool,
}

impl Filling {
    fn take(&mut self, record: &Record<'_>, base: i64, read: &ReadShard) {
        if self.full || record.offset < self.next {
            return;
        }
        let (key, data) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        let bytes = key.len() + data.len();
        let has_room = self.records.len() < read.records_max && self.bytes + bytes <= read.bytes_max;
        if !has_room && !self.records.is_empty() {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.next = record.offset + 1;
        self.records.push(ReadRecord {
            sequence: base + record.offset + 1,
            timestamp_ms: record.timestamp.max(0),
            partition_key: text_of(key),
            data: data.to_vec(),
        });
    }
}

/// A key as text: what is none is written in hexadecimal digits.
fn text_of(key: &[u8]) -> String {
    use std::fmt::Write as _;
    match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => key.iter().fold("0x".to_owned(), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

impl Streaming {
    pub(super) async fn begin(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        shard: u32,
        start: ShardStart,
    ) -> TopicResult<i64> {
        let topic = self.stream_of(client, TopicRight::Read, stream)?;
        let (slot, _) = self.slot(&topic, shard)?;
        let bounds = self.inner.log.bounds(topic.id, shard).ok_or_else(|| no_such_shard(shard))?;
        let first = slot.base + 1;
        let known = |sequence: i64| {
            if sequence < first || sequence > first + bounds.high_watermark {
                let message = format!("sequence number {sequence} is not of shard {shard} in stream {}", topic.name);
                return Err(TopicFailure::new(TopicError::OffsetOutOfRange, message));
            }
            Ok(sequence)
        };
        match start {
            ShardStart::TrimHorizon => Ok(first + bounds.log_start_offset),
            ShardStart::Latest => Ok(first + bounds.last_stable_offset),
            ShardStart::At(sequence) => known(sequence),
            ShardStart::After(sequence) => known(sequence.saturating_add(1)),
            ShardStart::Timestamp(at_ms) => {
                let found = self.inner.log.offset_for_time(topic.id, shard, at_ms).await;
                let found = found.map_err(|error| of_read(&error))?;
                Ok(first + found.map_or(bounds.last_stable_offset, |found| found.offset))
            }
        }
    }

    fn slot(&self, topic: &Topic, shard: u32) -> TopicResult<(Slot, Vec<Slot>)> {
        let (_, slots) = self.slots(topic)?;
        let slot = slots.get(shard as usize).copied().ok_or_else(|| no_such_shard(shard))?;
        Ok((slot, slots))
    }

    pub(super) async fn read_records(&self, client: &TopicClient, read: &ReadShard) -> TopicResult<ShardRead> {
        let topic = self.stream_of(client, TopicRight::Read, &TopicRef::Id(read.stream))?;
        let (shard, limits) = ((topic.id, read.shard), &self.inner.streams.limits);
        let is_limited = read.shared && !self.kept(&topic)?.on_demand;
        if is_limited && !limits.may_read(shard, self.now_ms()) {
            let message = format!("rate exceeded for shard {} in stream {}", read.shard, topic.name);
            return Err(TopicFailure::new(TopicError::Throttled, message));
        }
        let wait = TimeDelta::from_std(read.wait_max).unwrap_or(TimeDelta::MAX);
        let until = self.inner.clock.now().checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut deadline = self.inner.clock.sleep_until(until);
        let mut last = read.wait_max.is_zero();
        let filling = loop {
            // Before the look, so that what comes behind it is not missed.
            let growth = self.inner.log.appended(&[shard]);
            // Anew each time: the shard may have been closed.
            let (slot, _) = self.slot(&topic, read.shard)?;
            let filling = self.fill(&topic, &slot, read).await?;
            if last || !filling.records.is_empty() || !slot.is_open() {
                break filling;
            }
            tokio::select! {
                () = growth.wait() => {}
                () = &mut deadline => last = true,
            }
        };
        if is_limited {
            limits.has_read(shard, filling.bytes, self.now_ms());
        }
        let throttle = self.inner.quotas.take(Way::Out, client, filling.bytes, self.now_ms());
        if !throttle.is_zero() {
            let until = self.inner.clock.now() + TimeDelta::from_std(throttle).unwrap_or_default();
            self.inner.clock.sleep_until(until).await;
        }
        self.answer(&topic, read, filling)
    }

    /// Reads what there is now.
    async fn fill(&self, topic: &Arc<Topic>, slot: &Slot, read: &ReadShard) -> TopicResult<Filling> {
        let log = &self.inner.log;
        let mut filling =
            Filling { records: Vec::new(), bytes: 0, next: read.sequence.saturating_sub(slot.base + 1), full: false };
        for _ in 0..READINGS_MAX {
            let bounds = log.bounds(topic.id, read.shard).ok_or_else(|| no_such_shard(read.shard))?;
            filling.next = filling.next.max(bounds.log_start_offset);
            if filling.full || filling.next >= bounds.last_stable_offset || filling.bytes >= read.bytes_max {
                break;
            }
            let records = match log.read(topic.id, read.shard, filling.next, READ_BYTES, Isolation::Committed).await {
                // Deleted since the look at the bounds.
                Err(ReadError::OffsetOutOfRange(_)) => continue,
                records => records.map_err(|error| of_read(&error))?,
            };
            let damaged = |error: polder_types::Error| {
                tracing::warn!(topic = topic.name, partition = read.shard, %error, "records cannot be read");
                TopicFailure::new(TopicError::CorruptBatch, error.to_string())
            };
            for batch in records.committed() {
                for record in &batch.unpack().map_err(damaged)? {
                    filling.take(&record.map_err(damaged)?, slot.base, read);
                }
                if filling.full {
                    break;
                }
            }
            if !filling.full {
                filling.next = behind(&records).unwrap_or(bounds.last_stable_offset).max(filling.next);
            }
        }
        Ok(filling)
    }

    fn answer(&self, topic: &Topic, read: &ReadShard, filling: Filling) -> TopicResult<ShardRead> {
        let (slot, slots) = self.slot(topic, read.shard)?;
        let bounds = self.inner.log.bounds(topic.id, read.shard).ok_or_else(|| no_such_shard(read.shard))?;
        let is_at_end = filling.next >= bounds.last_stable_offset;
        let last_ms = filling.records.last().map(|record| record.timestamp_ms);
        let behind_ms = match (is_at_end, last_ms) {
            (true, _) => 0,
            (false, Some(last_ms)) => self.now_ms().saturating_sub(last_ms).max(1),
            (false, None) => 1,
        };
        let has_ended = is_at_end && !slot.is_open() && bounds.last_stable_offset == bounds.high_watermark;
        let mut children = Vec::new();
        if has_ended {
            let is_child = |child: &Slot| child.parent == Some(read.shard) || child.adjacent == Some(read.shard);
            let numbered = (0_u32..).zip(&slots).filter(|(_, child)| is_child(child));
            children.extend(numbered.map(|(number, child)| self.shard(topic, number, child)));
        }
        let next = (!has_ended).then_some(slot.base + 1 + filling.next);
        Ok(ShardRead { records: filling.records, next, behind_ms, children })
    }
}

/// The offset behind the last batch.
fn behind(records: &polder_topic_log::Records) -> Option<i64> {
    let bytes = records.batches.last()?;
    polder_topic_log::format::batches(bytes).last().map(|batch| batch.header().last_offset() + 1)
}
