//! Everything but the records, at one moment: a start reads the newest one and replays only what came after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use polder_types::Result;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::coding::{Put, Take};
use crate::fact::{read_topic, write_topic};
use crate::index::{Extent, Index, Stored, encode, kept_since};
use crate::producer::Producer;
use crate::records::Bounds;
use crate::segment::REWRITTEN;
use crate::state::{Head, State, TopicState};
use crate::view::{Aborted, PartitionView, Published};

pub(crate) const NAME: &str = "checkpoint";
const MAGIC: &[u8; 8] = b"POLDERCP";
/// Version 1 did not know what retention counts from.
const VERSION: u32 = 2;

/// Where the replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) identity: u64,
    /// The segment that was written.
    pub(crate) segment: u64,
    /// The first append in it.
    pub(crate) first_sequence: u64,
    /// The last append that the checkpoint knows.
    pub(crate) sequence: u64,
}

/// A stretch of a partition that a checkpoint needs the file of.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) partition: Arc<PartitionView>,
    pub(crate) segment: u64,
    pub(crate) next: i64,
}

/// A checkpoint that is to be written, and the indexes that it refers to.
#[derive(Debug, Default)]
pub(crate) struct CheckpointJob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) indexes: Vec<(u64, Vec<u8>)>,
    pub(crate) settled: Vec<(Arc<PartitionView>, u64, Stored)>,
    pub(crate) references: Vec<Reference>,
    pub(crate) tail_segment: u64,
    pub(crate) done: Option<oneshot::Sender<Result<()>>>,
}

#[derive(Default)]
struct Indexes(BTreeMap<u64, Vec<u8>>);

impl Indexes {
    fn add(&mut self, segment: u64, entries: &[crate::index::IndexEntry]) -> Stored {
        let bytes = self.0.entry(segment).or_default();
        let first = u32::try_from(bytes.len() / crate::index::ENTRY_BYTES).unwrap_or(u32::MAX);
        let checksum = encode(entries, bytes);
        Stored { first, count: u32::try_from(entries.len()).unwrap_or(u32::MAX), checksum }
    }
}

/// A checkpoint of what is durable. The writer calls it between groups, so that its state is what is published.
pub(crate) fn make(state: &State, published: &Published, tail: Tail) -> CheckpointJob {
    let mut job = CheckpointJob { tail_segment: tail.segment, ..CheckpointJob::default() };
    let mut indexes = Indexes::default();
    let mut bytes = Vec::new();
    bytes.put(MAGIC);
    bytes.put_u32(VERSION);
    bytes.put_u64(tail.identity);
    bytes.put_u64(tail.segment);
    bytes.put_u64(tail.first_sequence);
    bytes.put_u64(tail.sequence);
    bytes.put_u32(state.next_number);
    bytes.put_count(state.topics.len());
    for (number, topic) in &state.topics {
        bytes.put_u32(*number);
        write_topic(&mut bytes, topic.topic.id, &topic.topic.name, topic.topic.partitions, &topic.topic.config);
        for head in &topic.heads {
            write_head(&mut bytes, head, tail.segment, &mut indexes, &mut job);
        }
    }
    {
        let kept = published.state.read();
        bytes.put_count(kept.len());
        for ((space, key), value) in &*kept {
            bytes.put_u8(*space);
            bytes.put_bytes(key);
            bytes.put_bytes(value);
        }
    }
    let sum = xxh3_64(&bytes);
    bytes.put_u64(sum);
    job.bytes = bytes;
    job.indexes = indexes.0.into_iter().collect();
    job
}

fn write_head(bytes: &mut Vec<u8>, head: &Head, tail: u64, indexes: &mut Indexes, job: &mut CheckpointJob) {
    bytes.put_i64(head.next_offset);
    bytes.put_i64(head.log_start);
    bytes.put_count(head.producers.len());
    for (id, producer) in &head.producers {
        bytes.put_i64(*id);
        producer.write(bytes);
    }
    let mut view = head.view.view.write();
    bytes.put_count(view.aborted.len());
    for aborted in &view.aborted {
        bytes.put_i64(aborted.producer_id);
        bytes.put_i64(aborted.first_offset);
        bytes.put_i64(aborted.last_offset);
    }
    let before_tail = |extent: &&mut Extent| extent.segment & REWRITTEN != 0 || extent.segment < tail;
    bytes.put_count(view.extents.iter_mut().filter(before_tail).count());
    for extent in view.extents.iter_mut().filter(before_tail) {
        let stored = match &mut extent.index {
            Index::Stored(stored) | Index::Memory(_, Some(stored)) => *stored,
            Index::Memory(entries, place) => {
                let stored = indexes.add(extent.segment, entries);
                *place = Some(stored);
                job.settled.push((Arc::clone(&head.view), extent.segment, stored));
                stored
            }
        };
        bytes.put_u64(extent.segment);
        bytes.put_i64(extent.base);
        bytes.put_i64(extent.next);
        bytes.put_u64(extent.bytes);
        bytes.put_i64(extent.max_timestamp);
        bytes.put_i64(extent.kept_since);
        bytes.put_u32(stored.first);
        bytes.put_u32(stored.count);
        bytes.put_u64(stored.checksum);
        let partition = Arc::clone(&head.view);
        job.references.push(Reference { partition, segment: extent.segment, next: extent.next });
    }
}

/// What a checkpoint holds.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) tail: Tail,
    pub(crate) state: State,
    pub(crate) references: Vec<Reference>,
}

/// Reads a checkpoint and shows it; `None` if it is not as it was written. `now`: milliseconds since 1970.
pub(crate) fn load(bytes: &[u8], published: &Published, now: i64) -> Option<Loaded> {
    let (bytes, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if xxh3_64(bytes) != Take(sum).u64()? {
        return None;
    }
    let mut from = Take(bytes.strip_prefix(MAGIC)?);
    let version = from.u32()?;
    if !(1..=VERSION).contains(&version) {
        return None;
    }
    let age = Age { version, now };
    let tail = Tail { identity: from.u64()?, segment: from.u64()?, first_sequence: from.u64()?, sequence: from.u64()? };
    let mut state = State::default();
    state.next_number = from.u32()?;
    let mut references = Vec::new();
    let mut effects = Vec::new();
    for _ in 0..from.u32()? {
        let number = from.u32()?;
        let topic = read_topic(&mut from)?;
        let heads =
            (0..topic.partitions).map(|partition| read_head(&mut from, age, number, partition, &mut references));
        let heads = heads.collect::<Option<Vec<_>>>()?;
        let view = state.restore(number, TopicState { topic: Arc::new(topic), heads });
        effects.push(crate::view::Effect::Topic(view));
    }
    published.publish(effects);
    for _ in 0..from.u32()? {
        let (space, key, value) = (from.u8()?, from.bytes()?, from.bytes()?);
        published.keep(space, Bytes::copy_from_slice(key), Some(Bytes::copy_from_slice(value)));
    }
    from.done()?;
    Some(Loaded { tail, state, references })
}

/// By which version a checkpoint was written, and what the time is now.
#[derive(Clone, Copy)]
struct Age {
    version: u32,
    now: i64,
}

fn read_extent(from: &mut Take<'_>, age: Age) -> Option<Extent> {
    let (segment, base, next, bytes, max_timestamp) = (from.u64()?, from.i64()?, from.i64()?, from.u64()?, from.i64()?);
    let kept_since = if age.version == 1 { kept_since(max_timestamp, age.now) } else { from.i64()? };
    let index = Index::Stored(Stored { first: from.u32()?, count: from.u32()?, checksum: from.u64()? });
    Some(Extent { segment, base, next, bytes, max_timestamp, kept_since, index })
}

fn read_head(
    from: &mut Take<'_>,
    age: Age,
    number: u32,
    partition: u32,
    references: &mut Vec<Reference>,
) -> Option<Head> {
    let mut head = Head::new(number, partition);
    (head.next_offset, head.log_start) = (from.i64()?, from.i64()?);
    for _ in 0..from.u32()? {
        let id = from.i64()?;
        head.set_producer(id, Some(Producer::read(from)?));
    }
    let mut view = head.view.view.write();
    view.bounds = Bounds {
        log_start_offset: head.log_start,
        high_watermark: head.next_offset,
        last_stable_offset: head.last_stable(),
    };
    for _ in 0..from.u32()? {
        let (producer_id, first_offset, last_offset) = (from.i64()?, from.i64()?, from.i64()?);
        view.aborted.push(Aborted { producer_id, first_offset, last_offset });
    }
    for _ in 0..from.u32()? {
        let extent = read_extent(from, age)?;
        let (segment, next) = (extent.segment, extent.next);
        references.push(Reference { partition: Arc::clone(&head.view), segment, next });
        view.extents.push(extent);
    }
    drop(view);
    Some(head)
}
