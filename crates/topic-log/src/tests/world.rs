//! A log without threads: what is appended is one group, and it is done when the call returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use parking_lot::Mutex;
use polder_runtime::ManualClock;
use polder_types::Result;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::batch;
use crate::cache::Cache;
use crate::disk::simulated::SimulatedDisk;
use crate::entry::{AppendError, Appended, BatchAppended, Entry};
use crate::keeper::{self, Durable, Keeper};
use crate::metrics::Metrics;
use crate::options::{LogOptions, Recovered};
use crate::read::{Ask, Files, Reader};
use crate::records::{Isolation, ReadError, Records};
use crate::recover;
use crate::request::{Append, Checked, Outcome, Request};
use crate::rewrite::Rewriting;
use crate::varint;
use crate::view::Published;
use crate::writer::{Ground, Writer};

pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) durable: Arc<Mutex<Durable>>,
    pub(crate) recovered: Recovered,
}

pub(crate) fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        cache_bytes: 8 << 10,
        hot_bytes: 20 << 10,
        identity: 77,
        ..LogOptions::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::open(&SimulatedDisk::default()).unwrap()
    }

    pub(crate) fn open(disk: &SimulatedDisk) -> Result<Self> {
        Self::open_with(disk, options())
    }

    pub(crate) fn open_with(disk: &SimulatedDisk, options: LogOptions) -> Result<Self> {
        let clock = ManualClock::at(DateTime::from_timestamp_millis(1_700_000_000_000).unwrap());
        let ground = Ground {
            disk: Arc::new(disk.clone()),
            clock: Arc::new(clock),
            published: Arc::new(Published::default()),
            cache: Arc::new(Cache::new(options.cache_bytes)),
            metrics: Arc::new(Metrics::default()),
            turn: Arc::default(),
            options,
        };
        let (mut writer, durable, recovered) = recover::open(ground.clone())?;
        let durable = Arc::new(Mutex::new(durable));
        let mut keeper = Keeper::new(&ground, Arc::clone(&durable));
        writer.keeper = Box::new(move |job| keeper.handle(job));
        let rewriting = Rewriting::default();
        let reader = Reader { identity: writer.identity, ground, files: Files::new(1 << 20), rewriting };
        Ok(Self { disk: disk.clone(), writer, reader, durable, recovered })
    }

    /// As after a kill: all that was written is there.
    pub(crate) fn reopened(&self) -> Self {
        Self::open(&self.disk.crashed(&mut None)).unwrap()
    }

    /// Removes what nobody needs, and gives how many files went.
    pub(crate) fn remove_unused(&self) -> usize {
        let names = keeper::unused(&self.disk, &self.reader.ground.published, &self.durable).unwrap();
        keeper::remove(&self.disk, &names).unwrap();
        names.len()
    }

    /// Appends some appends as one group.
    pub(crate) fn group(&mut self, appends: Vec<Vec<Entry>>) -> Vec<Outcome> {
        let mut answers = Vec::new();
        let mut requests = Vec::new();
        for entries in appends {
            let checked = entries
                .into_iter()
                .enumerate()
                .map(|(entry, what)| Checked::of(what).map_err(|refusal| AppendError::Refused { entry, refusal }));
            match checked.collect::<std::result::Result<Vec<_>, _>>() {
                Ok(entries) => {
                    let (reply, answer) = oneshot::channel();
                    let bytes = entries.iter().map(Checked::bytes).sum();
                    requests.push(Request::Append(Append { entries, bytes, reply }));
                    answers.push(Ok(answer));
                }
                Err(error) => answers.push(Err(error)),
            }
        }
        self.writer.commit(requests);
        answers.into_iter().map(|answer| answer.and_then(|mut answer| answer.try_recv().unwrap())).collect()
    }

    pub(crate) fn append(&mut self, entries: Vec<Entry>) -> Outcome {
        self.group(vec![entries]).remove(0)
    }

    pub(crate) fn create(&mut self, name: &str, partitions: u32, config: &[(&str, &str)]) -> Uuid {
        let id = Uuid::new_v4();
        self.append(vec![create(name, id, partitions, config)]).unwrap();
        id
    }

    pub(crate) fn batch(&mut self, topic: Uuid, partition: u32, batch: Vec<u8>) -> BatchAppended {
        match self.append(vec![entry(topic, partition, batch)]).unwrap()[0] {
            Appended::Batch(appended) => appended,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn read(
        &self,
        topic: Uuid,
        partition: u32,
        offset: i64,
        bytes_max: usize,
    ) -> std::result::Result<Records, ReadError> {
        self.read_as(topic, partition, Ask { offset, bytes_max, isolation: Isolation::Uncommitted })
    }

    pub(crate) fn read_as(&self, topic: Uuid, partition: u32, ask: Ask) -> std::result::Result<Records, ReadError> {
        let view = self.reader.ground.published.partition(topic, partition).ok_or(ReadError::UnknownTopic)?;
        let from_disk = self.reader.read(&view, &ask)?;
        // Both ways say the same.
        if let Some(from_memory) = self.reader.read_from_memory(&view, &ask)? {
            assert_eq!(from_memory, from_disk);
        }
        Ok(from_disk)
    }

    /// All of a partition, in reads of about `bytes_max`.
    pub(crate) fn read_all(&self, topic: Uuid, partition: u32, bytes_max: usize) -> Vec<Bytes> {
        let bounds = self.reader.ground.published.partition(topic, partition).unwrap().bounds();
        let mut offset = bounds.log_start_offset;
        let mut all = Vec::new();
        while offset < bounds.high_watermark {
            let records = self.read(topic, partition, offset, bytes_max).unwrap();
            assert!(!records.batches.is_empty(), "nothing at {offset} of {bounds:?}");
            for bytes in &records.batches {
                for (header, batch) in batch::batches(bytes) {
                    assert!(header.last_offset() >= offset);
                    offset = header.last_offset() + 1;
                    all.push(Bytes::copy_from_slice(batch));
                }
            }
        }
        all
    }
}

pub(crate) fn create(name: &str, id: Uuid, partitions: u32, config: &[(&str, &str)]) -> Entry {
    let config: BTreeMap<String, String> = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Entry::CreateTopic { name: name.to_owned(), id, partitions, config }
}

pub(crate) fn entry(topic: Uuid, partition: u32, batch: Vec<u8>) -> Entry {
    Entry::Batch { topic, partition, bytes: Bytes::from(batch) }
}

/// A batch as a client makes it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) records: Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
    pub(crate) producer: (i64, i16, i32),
    pub(crate) attributes: i16,
}

impl Client {
    pub(crate) fn of(values: &[&str]) -> Self {
        let records = values.iter().map(|value| (None, Some(value.as_bytes().to_vec()))).collect();
        Self { records, timestamp: 1000, producer: (-1, -1, -1), attributes: 0 }
    }

    pub(crate) fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = (id, epoch, sequence);
        self
    }

    pub(crate) fn transactional(mut self) -> Self {
        self.attributes |= 16;
        self
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Each record is a millisecond younger than the one before.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (number, (key, value)) in self.records.iter().enumerate() {
            let mut record = vec![0];
            varint::put(&mut record, number as i64);
            varint::put(&mut record, number as i64);
            for part in [key, value] {
                match part {
                    Some(bytes) => {
                        varint::put(&mut record, bytes.len() as i64);
                        record.extend_from_slice(bytes);
                    }
                    None => varint::put(&mut record, -1),
                }
            }
            varint::put(&mut record, 0);
            varint::put(&mut records, record.len() as i64);
            records.extend(record);
        }
        let count = self.records.len() as i32;
        let mut batch = Vec::new();
        batch.extend(0_i64.to_be_bytes());
        batch.extend((records.len() as i32 + 49).to_be_bytes());
        batch.extend((-1_i32).to_be_bytes());
        batch.push(2);
        batch.extend([0; 4]);
        batch.extend(self.attributes.to_be_bytes());
        batch.extend((count - 1).to_be_bytes());
        batch.extend(self.timestamp.to_be_bytes());
        batch.extend((self.timestamp + i64::from(count) - 1).to_be_bytes());
        batch.extend(self.producer.0.to_be_bytes());
        batch.extend(self.producer.1.to_be_bytes());
        batch.extend(self.producer.2.to_be_bytes());
        batch.extend(count.to_be_bytes());
        batch.extend(records);
        batch::seal(&mut batch);
        batch
    }
}
