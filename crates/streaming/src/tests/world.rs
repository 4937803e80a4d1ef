//! A server of topics that can be stopped and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, TimeDelta};
use polder_capability::Caller;
use polder_capability::topics::{
    Acks, CommitOffsets, Fetch, FetchOffsets, FetchPartition, InitProducer, Isolation, MemberId, NewTopic, OffsetEntry,
    Produce, ProduceBatch, Produced, Producer, TopicAdmin, TopicClient, TopicError, TopicGroups, TopicPartition,
    TopicRecords, TopicRef, TopicResult, TopicRights, TopicTransactions,
};
use polder_runtime::{Clock, ManualClock, Shutdown};
use polder_topic_log::{Log, LogOptions};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{Streaming, StreamingOptions, Unrestricted};

/// When the clock begins, and of which time all records are.
pub const START_MS: i64 = 1_800_000_000_000;

pub struct World {
    pub dir: TempDir,
    pub clock: ManualClock,
    pub topics: Streaming,
    pub rights: Arc<dyn TopicRights>,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<()>>,
}

pub fn options() -> StreamingOptions {
    let mut options = StreamingOptions::default();
    options.groups.classic.initial_delay_ms = 0;
    options
}

async fn start(
    dir: &TempDir,
    clock: &ManualClock,
    rights: Arc<dyn TopicRights>,
    options: StreamingOptions,
) -> (Streaming, Shutdown, Vec<JoinHandle<()>>) {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let log_options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
    let (log, _) = Log::open(dir.path(), log_options, Arc::clone(&shared)).await.unwrap();
    let topics = Streaming::open(log, options, rights, shared).await.unwrap();
    let shutdown = Shutdown::new();
    let tasks = topics.start(&shutdown);
    (topics, shutdown, tasks)
}

impl World {
    pub async fn new() -> Self {
        Self::with_rights(Arc::new(Unrestricted)).await
    }

    pub async fn with_rights(rights: Arc<dyn TopicRights>) -> Self {
        Self::with(rights, options()).await
    }

    pub async fn with(rights: Arc<dyn TopicRights>, options: StreamingOptions) -> Self {
        Self::on(tempfile::tempdir().unwrap(), rights, options).await
    }

    /// On what a folder has.
    pub async fn on(dir: TempDir, rights: Arc<dyn TopicRights>, options: StreamingOptions) -> Self {
        let clock = ManualClock::at(DateTime::from_timestamp_millis(START_MS).unwrap());
        let (topics, shutdown, tasks) = start(&dir, &clock, Arc::clone(&rights), options).await;
        Self { dir, clock, topics, rights, shutdown, tasks }
    }

    /// Stops the server, whoever waits, and starts it on what the disk has.
    pub async fn restart(&mut self) {
        self.shutdown.start();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.topics.inner.log.close().await.unwrap();
        (self.topics, self.shutdown, self.tasks) =
            start(&self.dir, &self.clock, Arc::clone(&self.rights), options()).await;
    }

    /// What is in the server's files.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files(self.dir.path())
    }

    /// Lets time go by in small steps, and what is due happen.
    pub async fn pass(&self, ms: i64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min((ms / 20).max(50));
            self.clock.advance(TimeDelta::milliseconds(step));
            left -= step;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A call comes behind whatever was due.
        self.topics.list_groups(&client("time")).await.unwrap();
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        let new = NewTopic { name: name.to_owned(), partitions: Some(partitions), ..NewTopic::default() };
        self.topics.create(&client("admin"), vec![new], false).await.unwrap().remove(0).unwrap();
    }

    pub async fn produce(&self, to: TopicPartition, bytes: Bytes) -> TopicResult<Produced> {
        self.produce_in(None, to, bytes).await
    }

    pub async fn produce_in(&self, id: Option<&str>, to: TopicPartition, bytes: Bytes) -> TopicResult<Produced> {
        let produce = Produce {
            transactional_id: id.map(str::to_owned),
            acks: Acks::All,
            timeout: Duration::from_secs(30),
            batches: vec![ProduceBatch { to, bytes }],
        };
        self.topics.produce(&client("producer"), produce).await?.results.remove(0)
    }

    /// The values that a reader sees, as a client would: markers and what was aborted are passed over.
    pub async fn values(&self, of: TopicPartition, isolation: Isolation) -> Vec<String> {
        let mut fetch = fetch(of, 0);
        fetch.isolation = isolation;
        let mut values = Vec::new();
        loop {
            let mut answer = self.topics.fetch(&client("reader"), &fetch).await.unwrap();
            let fetched = answer.results.remove(0).unwrap();
            let next = read_batches(&fetched.batches, &fetched.aborted, &mut values);
            match next {
                Some(next) => fetch.partitions[0].offset = next,
                None => return values,
            }
        }
    }

    pub async fn init(&self, id: &str) -> TopicResult<Producer> {
        let init =
            InitProducer { transactional_id: Some(id.to_owned()), timeout: Duration::from_secs(60), current: None };
        self.topics.init_producer(&client("producer"), init).await
    }

    pub async fn add(&self, id: &str, producer: Producer, of: TopicPartition) -> Result<(), TopicError> {
        let added = self.topics.add_to_transaction(&client("producer"), id, producer, vec![of]).await;
        added.and_then(|mut results| results.remove(0)).map_err(|failure| failure.error)
    }

    pub async fn end(&self, id: &str, producer: Producer, commit: bool) -> Result<(), TopicError> {
        let ended = self.topics.end_transaction(&client("producer"), id, producer, commit).await;
        ended.map_err(|failure| failure.error)
    }

    pub async fn commit(&self, commit: CommitOffsets) -> Result<(), TopicError> {
        let committed = self.topics.commit_offsets(&client("member"), commit).await;
        committed.and_then(|mut results| results.remove(0)).map_err(|failure| failure.error)
    }

    pub async fn committed(&self, group: &str, of: TopicPartition) -> Option<i64> {
        let fetch = FetchOffsets { group: group.to_owned(), member: None, partitions: Some(vec![of]), stable: false };
        let mut fetched = self.topics.fetch_offsets(&client("member"), fetch).await.unwrap();
        fetched.remove(0).result.unwrap().map(|entry| entry.offset)
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().into(), std::fs::read(path).unwrap())).collect()
}

pub fn client(name: &str) -> TopicClient {
    TopicClient { caller: Caller::new(name, "kafka"), client_id: name.into(), host: "127.0.0.1".into() }
}

pub fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicRef::named(topic), partition }
}

pub fn fetch(from: TopicPartition, offset: i64) -> Fetch {
    Fetch {
        wait_max: Duration::ZERO,
        bytes_min: 1,
        bytes_max: 1 << 20,
        isolation: Isolation::Uncommitted,
        partitions: vec![FetchPartition { from, offset, bytes_max: 1 << 20, leader_epoch: None }],
    }
}

pub fn offsets(group: &str, generation: i32, member: &str, of: TopicPartition, offset: i64) -> CommitOffsets {
    let entry = OffsetEntry { of, offset, leader_epoch: None, metadata: String::new() };
    let member = MemberId { id: member.to_owned(), instance: None };
    CommitOffsets { group: group.to_owned(), generation, member, offsets: vec![entry] }
}

fn varint(bytes: &mut BytesMut, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        bytes.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.put_u8(left as u8);
}

fn read_varint(bytes: &mut &[u8]) -> i64 {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        }
    }
}

/// A batch as a client sends it. `producer`: with its sequence number and whether it is of a transaction.
pub fn batch(values: &[String], producer: Option<(Producer, i32, bool)>) -> Bytes {
    let (identity, sequence, transactional) = producer.unwrap_or((Producer { id: -1, epoch: -1 }, -1, false));
    let mut body = BytesMut::new();
    body.put_i16(if transactional { 0x10 } else { 0 });
    body.put_i32(values.len() as i32 - 1);
    body.put_i64(START_MS);
    body.put_i64(START_MS);
    body.put_i64(identity.id);
    body.put_i16(identity.epoch);
    body.put_i32(sequence);
    body.put_i32(values.len() as i32);
    for (number, value) in values.iter().enumerate() {
        let mut record = BytesMut::new();
        record.put_u8(0);
        varint(&mut record, 0);
        varint(&mut record, number as i64);
        varint(&mut record, -1);
        varint(&mut record, value.len() as i64);
        record.put_slice(value.as_bytes());
        varint(&mut record, 0);
        varint(&mut body, record.len() as i64);
        body.put_slice(&record);
    }
    let mut bytes = BytesMut::new();
    bytes.put_i64(0);
    bytes.put_i32((4 + 1 + 4 + body.len()) as i32);
    bytes.put_i32(-1);
    bytes.put_u8(2);
    bytes.put_u32(crc32c::crc32c(&body));
    bytes.put_slice(&body);
    bytes.freeze()
}

pub fn plain(value: &str) -> Bytes {
    batch(&[value.to_owned()], None)
}

pub fn within(value: &str, producer: Producer, sequence: i32) -> Bytes {
    batch(&[value.to_owned()], Some((producer, sequence, true)))
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().unwrap()
}

/// Takes values out of batches as a client does; the offset to go on from, unless there was nothing.
fn read_batches(
    batches: &[Bytes],
    aborted: &[polder_capability::topics::AbortedTransaction],
    values: &mut Vec<String>,
) -> Option<i64> {
    let (mut next, mut skipped) = (None, std::collections::HashSet::new());
    let mut aborted = aborted.to_vec();
    aborted.sort_by_key(|one| one.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    for bytes in batches {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = 12 + i32::from_be_bytes(number(rest, 8)) as usize;
            let (batch, after) = rest.split_at(length);
            rest = after;
            let base = i64::from_be_bytes(number(batch, 0));
            let last = base + i64::from(i32::from_be_bytes(number(batch, 23)));
            let attributes = i16::from_be_bytes(number(batch, 21));
            let producer = i64::from_be_bytes(number(batch, 43));
            next = Some(last + 1);
            while let Some(one) = aborted.next_if(|one| one.first_offset <= last) {
                skipped.insert(one.producer_id);
            }
            if attributes & 0x20 != 0 {
                skipped.remove(&producer);
                continue;
            }
            if attributes & 0x10 != 0 && skipped.contains(&producer) {
                continue;
            }
            let mut records = &batch[61..];
            for _ in 0..i32::from_be_bytes(number(batch, 57)) {
                let length = read_varint(&mut records) as usize;
                let (mut record, after) = records.split_at(length);
                records = after;
                record = &record[1..];
                read_varint(&mut record);
                read_varint(&mut record);
                assert_eq!(read_varint(&mut record), -1);
                let length = read_varint(&mut record) as usize;
                values.push(String::from_utf8(record[..length].to_vec()).unwrap());
            }
        }
    }
    next
}
