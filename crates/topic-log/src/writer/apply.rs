//! One entry after the other: may it be, what does it change, how is it written.

use polder_types::Result;
use uuid::Uuid;

use super::Writer;
use crate::batch::{self, BatchHeader, EndOfTransaction};
use crate::coding::Put;
use crate::entry::{AppendError, Appended, BatchAppended, Entry, Refusal};
use crate::fact::{write_state, write_topic};
use crate::frame::Kind;
use crate::request::{Checked, Outcome};
use crate::state::{Head, Location};
use crate::topic::{Topic, TopicSettings};

/// Partitions of one topic.
const PARTITIONS_MAX: u32 = 10_000;
/// Partitions of all topics.
const ALL_PARTITIONS_MAX: usize = 200_000;

impl Checked {
    /// Whether it only ever makes the log smaller.
    pub(crate) fn frees_room(&self) -> bool {
        matches!(self, Self::Other(Entry::DeleteTopic { .. } | Entry::DeleteRecords { .. }))
    }
}

/// A marker, as it is asked for.
struct End {
    topic: Uuid,
    partition: u32,
    batch: EndOfTransaction,
}

impl Writer {
    /// Takes the entries of an append, up to the first that may not be.
    pub(super) fn apply(&mut self, entries: Vec<Checked>) -> Outcome {
        let mut appended = Vec::with_capacity(entries.len());
        for (number, entry) in entries.into_iter().enumerate() {
            let taken = match entry {
                Checked::Batch { topic, partition, bytes, headers } => {
                    self.append_batches(topic, partition, &bytes, &headers)
                }
                Checked::Other(entry) => self.append_other(entry),
            };
            appended.push(taken.map_err(|refusal| AppendError::Refused { entry: number, refusal })?);
        }
        Ok(appended)
    }

    fn append_other(&mut self, entry: Entry) -> Result<Appended, Refusal> {
        match entry {
            Entry::CreateTopic { name, id, partitions, config } => {
                let settings = TopicSettings::of(&config)?;
                self.create_topic(Topic { id, name, partitions, config, settings })
            }
            Entry::DeleteTopic { id } => {
                let number = self.state.number(id).ok_or(Refusal::UnknownTopic)?;
                self.state.delete(number);
                let start = self.group.begin();
                self.group.end(start, Kind::DeleteTopic, number, 0, 0);
                Ok(Appended::Done)
            }
            Entry::AddPartitions { id, total } => self.add_partitions(id, total),
            Entry::SetConfig { id, config } => {
                let number = self.state.number(id).ok_or(Refusal::UnknownTopic)?;
                let settings = TopicSettings::of(&config)?;
                let start = self.group.begin();
                self.group.bytes.put_map(&config);
                self.group.end(start, Kind::SetConfig, number, 0, 0);
                self.state.set_config(number, config, settings);
                Ok(Appended::Done)
            }
            Entry::Marker { topic, partition, producer_id, producer_epoch, coordinator_epoch, commit } => {
                let timestamp = self.now();
                let batch = EndOfTransaction { producer_id, producer_epoch, coordinator_epoch, commit, timestamp };
                self.append_marker(&End { topic, partition, batch })
            }
            Entry::State { space, key, value } => {
                let start = self.group.begin();
                write_state(&mut self.group.bytes, space, &key, value.as_deref());
                self.group.end(start, Kind::State, 0, 0, 0);
                self.state.keep(space, &key, value.as_deref());
                Ok(Appended::Done)
            }
            Entry::DeleteRecords { topic, partition, before } => self.delete_records(topic, partition, before),
            // Batches were taken apart before they came here.
            Entry::Batch { .. } => Err(Refusal::CorruptBatch("it was not checked".to_owned())),
        }
    }

    fn partitions_fit(&self, more: u32) -> Result<(), Refusal> {
        let now: usize = self.state.topics.values().map(|topic| topic.heads.len()).sum();
        if now + usize::try_from(more).unwrap_or(usize::MAX) <= ALL_PARTITIONS_MAX {
            return Ok(());
        }
        Err(Refusal::InvalidPartitions(format!("all topics together have at most {ALL_PARTITIONS_MAX} partitions")))
    }

    fn create_topic(&mut self, topic: Topic) -> Result<Appended, Refusal> {
        if self.state.has_name(&topic.name) || self.state.number(topic.id).is_some() {
            return Err(Refusal::TopicExists);
        }
        if topic.partitions == 0 || topic.partitions > PARTITIONS_MAX {
            return Err(Refusal::InvalidPartitions(format!("a topic has 1 to {PARTITIONS_MAX} partitions")));
        }
        self.partitions_fit(topic.partitions)?;
        let number = self.state.next_number;
        let start = self.group.begin();
        write_topic(&mut self.group.bytes, topic.id, &topic.name, topic.partitions, &topic.config);
        self.group.end(start, Kind::CreateTopic, number, 0, 0);
        self.state.create(number, topic);
        Ok(Appended::Done)
    }

    fn add_partitions(&mut self, id: Uuid, total: u32) -> Result<Appended, Refusal> {
        let number = self.state.number(id).ok_or(Refusal::UnknownTopic)?;
        let now = self.state.topics.get(&number).map_or(0, |topic| topic.topic.partitions);
        if total <= now || total > PARTITIONS_MAX {
            let why = format!("the topic has {now} partitions, and may have up to {PARTITIONS_MAX}");
            return Err(Refusal::InvalidPartitions(why));
        }
        self.partitions_fit(total - now)?;
        let start = self.group.begin();
        self.group.bytes.put_u32(total);
        self.group.end(start, Kind::AddPartitions, number, 0, 0);
        self.state.add_partitions(number, total);
        Ok(Appended::Done)
    }

    fn head(&self, topic: Uuid, partition: u32) -> Result<(u32, TopicSettings, &Head), Refusal> {
        let number = self.state.number(topic).ok_or(Refusal::UnknownTopic)?;
        let settings = self.state.topics.get(&number).ok_or(Refusal::UnknownTopic)?.topic.settings;
        let head = self.state.head(number, partition).ok_or(Refusal::UnknownTopic)?;
        Ok((number, settings, head))
    }

    fn delete_records(&mut self, topic: Uuid, partition: u32, before: i64) -> Result<Appended, Refusal> {
        let (number, _, head) = self.head(topic, partition)?;
        let (log_start, end) = (head.log_start, head.next_offset);
        let before = if before == -1 { end } else { before };
        if before < 0 || before > end {
            return Err(Refusal::OffsetOutOfRange { log_start_offset: log_start, high_watermark: end });
        }
        if before <= log_start {
            return Ok(Appended::RecordsDeleted { log_start_offset: log_start });
        }
        let start = self.group.begin();
        self.group.end(start, Kind::DeleteRecords, number, partition, before);
        self.state.delete_records(number, partition, before);
        Ok(Appended::RecordsDeleted { log_start_offset: before })
    }

    fn append_batches(
        &mut self,
        topic: Uuid,
        partition: u32,
        bytes: &[u8],
        headers: &[BatchHeader],
    ) -> Result<Appended, Refusal> {
        let (number, settings, head) = self.head(topic, partition)?;
        if let Some(large) = headers.iter().find(|header| header.bytes > settings.max_message_bytes) {
            return Err(Refusal::TooLarge { bytes: large.bytes, bytes_max: settings.max_message_bytes });
        }
        if let Some(appended) = duplicate(head, headers)? {
            return Ok(Appended::Batch(appended));
        }
        let (log_start_offset, base_offset) = (head.log_start, head.next_offset);
        let append_time = settings.log_append_time.then(|| self.now());
        let start = self.group.begin();
        self.group.bytes.extend_from_slice(bytes);
        let mut next = base_offset;
        let mut rest = self.group.payload(start);
        for header in headers {
            let Some((batch, behind)) = rest.split_at_mut_checked(header.bytes) else { break };
            batch::settle(batch, next, append_time);
            next += i64::from(header.last_offset_delta) + 1;
            rest = behind;
        }
        self.take_in(number, partition, start, base_offset);
        Ok(Appended::Batch(BatchAppended {
            base_offset,
            last_offset: next - 1,
            log_append_time: append_time.unwrap_or(-1),
            log_start_offset,
            duplicate: false,
        }))
    }

    /// Changes the state by the batches of a frame that ends here, and ends the frame.
    fn take_in(&mut self, number: u32, partition: u32, start: usize, base_offset: i64) {
        let position = self.active.position + start as u64;
        let at = Location { segment: self.active.segment, position: u32::try_from(position).unwrap_or(u32::MAX) };
        let now = self.now();
        let payload = self.group.payload(start);
        self.state.take_batches(number, partition, payload, at, now);
        self.group.end(start, Kind::Batch, number, partition, base_offset);
    }

    fn append_marker(&mut self, end: &End) -> Result<Appended, Refusal> {
        let Ok((number, _, head)) = self.head(end.topic, end.partition) else {
            // A topic that is gone takes its part of the transaction along; the others end nevertheless.
            return Ok(Appended::Done);
        };
        let current = head.producers.get(&end.batch.producer_id).map_or(-1, |producer| producer.epoch);
        let found = end.batch.producer_epoch;
        if found < current {
            return Err(Refusal::InvalidProducerEpoch { current, found });
        }
        let (log_start_offset, base_offset) = (head.log_start, head.next_offset);
        let start = self.group.begin();
        self.group.bytes.extend_from_slice(&end.batch.write());
        batch::settle(self.group.payload(start), base_offset, None);
        self.take_in(number, end.partition, start, base_offset);
        Ok(Appended::Batch(BatchAppended {
            base_offset,
            last_offset: base_offset,
            log_append_time: -1,
            log_start_offset,
            duplicate: false,
        }))
    }
}

/// Where batches went the first time, if they came before. Those that come with new ones are out of order.
fn duplicate(head: &Head, headers: &[BatchHeader]) -> Result<Option<BatchAppended>, Refusal> {
    let mut expected: Option<(i64, i32)> = None;
    let mut first_time: Option<BatchAppended> = None;
    for (number, header) in headers.iter().enumerate() {
        let (id, found) = (header.producer_id, header.base_sequence);
        // Behind another batch of the same append, its producer is not yet known by it.
        if let Some((last_id, expected)) = expected
            && last_id == id
            && id >= 0
            && first_time.is_none()
        {
            if found != expected {
                return Err(Refusal::OutOfOrderSequence { expected, found });
            }
        } else {
            match (head.check(header)?, &mut first_time) {
                (Some(sent), Some(seen)) => seen.last_offset = sent.last_offset,
                (Some(sent), None) if number == 0 => {
                    first_time = Some(BatchAppended {
                        base_offset: sent.base_offset,
                        last_offset: sent.last_offset,
                        log_append_time: sent.log_append_time,
                        log_start_offset: head.log_start,
                        duplicate: true,
                    });
                }
                (None, None) => {}
                (Some(_), None) | (None, Some(_)) => {
                    return Err(Refusal::OutOfOrderSequence { expected: found.wrapping_add(1), found });
                }
            }
        }
        expected = Some((id, batch::sequence_after(header.last_sequence(), 1)));
    }
    Ok(first_time)
}
