//! A part of a topic, read batch by batch.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use polder_capability::BatchStream;
use polder_capability::schemas::ValueSchemas;
use polder_capability::topics::{TopicPart, columns};
use polder_topic_log::format::{self, BatchHeader, Passed, SharedRecords};
use polder_topic_log::{Isolation, Log, ReadError, Records};
use polder_types::{Error, ErrorKind, Result};

use super::gather::{Decoders, Gathered};
use super::{of_read, unknown};

/// Bytes of the log that are read at once.
pub const READ_BYTES: usize = 1 << 20;
/// How often a partition may be cut off at its beginning between a look at its bounds and the read, before it is an error.
const CUTS_MAX: usize = 10;
/// Schemas that are remembered.
const DECODERS_MAX: usize = 1024;

pub fn stream(
    log: Log,
    schemas: Option<Arc<dyn ValueSchemas>>,
    part: TopicPart,
    wanted: Vec<usize>,
    schema: SchemaRef,
) -> BatchStream {
    let reading = Reading {
        next: part.from,
        log,
        schemas,
        part,
        wanted,
        schema,
        decoders: Decoders::default(),
        chunk: None,
        open: None,
    };
    futures::stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.batch().await?.map(|batch| (batch, reading)))
    })
    .boxed()
}

struct Reading {
    log: Log,
    schemas: Option<Arc<dyn ValueSchemas>>,
    part: TopicPart,
    wanted: Vec<usize>,
    schema: SchemaRef,
    decoders: Decoders,
    /// Batches that have been read from the log.
    chunk: Option<Chunk>,
    /// The batch that is looked into.
    open: Option<Open>,
    /// The first offset that has not been read.
    next: i64,
}

/// Batches of the log.
struct Chunk {
    items: std::vec::IntoIter<Bytes>,
    item: Bytes,
    passed: Passed,
}

/// What is left of a batch.
enum Open {
    Records(SharedRecords),
    /// Offsets of records that nothing else is wanted of than that, and the time of all of them.
    Bare(Range<i64>, i64),
}

impl Reading {
    /// The next rows; `None` at the end.
    async fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut gathered = Gathered::new(self.part.spelled);
        while !gathered.is_full() {
            if self.take(&mut gathered).map_err(|error| self.placed(error))? {
                continue;
            }
            match self.more(gathered.is_empty()).await? {
                Some(chunk) => {
                    self.chunk = Some(chunk);
                    // What comes out of memory, and of which nothing is wanted, would keep others from their work.
                    tokio::task::yield_now().await;
                }
                None => break,
            }
        }
        if gathered.is_empty() {
            return Ok(None);
        }
        self.find_decoders(&gathered).await?;
        gathered.into_batch(self.part.partition, &self.wanted, &self.schema, &self.decoders).map(Some)
    }

    /// What cannot be read, with the partition that it is in and what can be done.
    fn placed(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Corrupt {
            return error;
        }
        let (topic, partition) = (&self.part.topic, self.part.partition);
        Error::new(error.kind(), format!("topic {topic:?}, partition {partition}: {}", error.message()))
            .with_hint("conditions on partition and \"offset\" read around them; DeleteRecords deletes up to them")
    }

    /// Takes of what is in memory; false if there is nothing.
    fn take(&mut self, gathered: &mut Gathered) -> Result<bool> {
        if let Some(open) = self.open.take() {
            self.open = self.take_of(open, gathered)?;
            return Ok(true);
        }
        let Some(chunk) = &mut self.chunk else { return Ok(false) };
        let Some(batch) = chunk.take() else {
            self.chunk = None;
            return Ok(false);
        };
        let Some(found) = format::batches(&batch).next() else { return Ok(true) };
        let (header, is_passed) = (*found.header(), chunk.passed.over(&found));
        self.next = header.last_offset().saturating_add(1).max(self.next);
        let is_early = self.part.from_ms.is_some_and(|least| header.max_timestamp < least);
        if is_passed || is_early || header.last_offset() < self.part.from {
            return Ok(true);
        }
        if self.part.to.is_some_and(|to| header.base_offset >= to) {
            self.chunk = None;
            return Ok(true);
        }
        match self.bare(&header) {
            Some(offsets) if self.wanted.is_empty() => {
                gathered.count(usize::try_from(offsets.end - offsets.start).unwrap_or(0));
            }
            Some(offsets) => self.open = Some(Open::Bare(offsets, header.max_timestamp)),
            None => self.open = Some(Open::Records(found.unpack()?.share(&batch))),
        }
        Ok(true)
    }

    /// The offsets of the batch's records that are wanted, if nothing has to be looked at for it.
    fn bare(&self, header: &BatchHeader) -> Option<Range<i64>> {
        // Compaction makes gaps.
        let is_dense = header.count > 0 && header.count.checked_sub(1) == Some(header.last_offset_delta);
        let with_time = self.part.from_ms.is_some() || self.part.to_ms.is_some();
        let with_time = with_time || self.wanted.contains(&columns::TIMESTAMP);
        let known = [columns::PARTITION, columns::OFFSET, columns::TIMESTAMP];
        let is_known = self.wanted.iter().all(|column| known.contains(column));
        if !is_dense || !is_known || (with_time && !header.is_log_append_time()) {
            return None;
        }
        if !self.is_in_time(header.max_timestamp) {
            return Some(0..0);
        }
        let from = header.base_offset.max(self.part.from);
        let to = header.last_offset().saturating_add(1).min(self.part.to.unwrap_or(i64::MAX));
        Some(from..to.max(from))
    }

    fn is_in_time(&self, timestamp: i64) -> bool {
        let TopicPart { from_ms, to_ms, .. } = self.part;
        let with_time = from_ms.is_some() || to_ms.is_some();
        (timestamp >= 0 || !with_time)
            && from_ms.is_none_or(|least| timestamp >= least)
            && to_ms.is_none_or(|end| timestamp < end)
    }

    /// Takes what there is room for. Gives the rest.
    fn take_of(&self, open: Open, gathered: &mut Gathered) -> Result<Option<Open>> {
        let mut records = match open {
            Open::Bare(offsets, timestamp) => {
                let next = gathered.push_bare(offsets.clone(), timestamp);
                return Ok((next < offsets.end).then_some(Open::Bare(next..offsets.end, timestamp)));
            }
            Open::Records(records) => records,
        };
        let (from, to) = (self.part.from, self.part.to.unwrap_or(i64::MAX));
        gathered.begin(records.bytes());
        let mut go = records.iter();
        while !gathered.is_full() {
            let Some(record) = go.next() else { return Ok(None) };
            let record = record?;
            if record.offset >= to {
                return Ok(None);
            }
            if record.offset >= from && self.is_in_time(record.timestamp) {
                if self.wanted.is_empty() {
                    gathered.count(1);
                } else {
                    gathered.push(&record);
                }
            }
        }
        let place = go.place();
        records.go_on_at(place);
        Ok(Some(Open::Records(records)))
    }

    /// Reads on. `None` at the end, and where `waits` is false also when there is nothing now.
    async fn more(&mut self, waits: bool) -> Result<Option<Chunk>> {
        let TopicPart { id, partition, to, .. } = self.part;
        let gone = || unknown(&self.part.topic);
        let number = u32::try_from(partition).map_err(|_| gone())?;
        let mut cuts = 0;
        while to.is_none_or(|to| self.next < to) {
            // Before the look, so that what comes behind it is not missed.
            let growth = self.log.appended(&[(id, number)]);
            let bounds = self.log.bounds(id, number).ok_or_else(gone)?;
            self.next = self.next.max(bounds.log_start_offset);
            let is_behind = self.next < bounds.last_stable_offset;
            let read = if is_behind {
                self.log.read(id, number, self.next, READ_BYTES, Isolation::Committed).await
            } else {
                Ok(Records::default())
            };
            match read {
                Ok(records) if !records.batches.is_empty() => return Ok(Some(Chunk::of(records))),
                // What was there at the beginning was deleted, or the part goes on.
                Ok(_) if to.is_some_and(|to| to <= bounds.last_stable_offset) || !waits => return Ok(None),
                Ok(_) => growth.wait().await,
                Err(ReadError::OffsetOutOfRange(_)) if cuts < CUTS_MAX => cuts += 1,
                Err(error) => return Err(of_read(&self.part.topic, error)),
            }
        }
        Ok(None)
    }

    async fn find_decoders(&mut self, gathered: &Gathered) -> Result<()> {
        let Some(schemas) = &self.schemas else { return Ok(()) };
        let mut missing: Vec<i32> = gathered.schema_ids(&self.wanted).collect();
        missing.sort_unstable();
        missing.dedup();
        if self.decoders.len() + missing.len() > DECODERS_MAX {
            self.decoders.clear();
        }
        for id in missing {
            if !self.decoders.contains_key(&id) {
                let decoder = schemas.decoder(id).await.map_err(|error| {
                    Error::new(error.kind(), format!("the schema {id} of values in {:?}: {error}", self.part.topic))
                })?;
                self.decoders.insert(id, decoder);
            }
        }
        Ok(())
    }
}

impl Chunk {
    fn of(records: Records) -> Self {
        let passed = Passed::new(&records.aborted);
        Self { items: records.batches.into_iter(), item: Bytes::new(), passed }
    }

    fn take(&mut self) -> Option<Bytes> {
        if self.item.is_empty() {
            self.item = self.items.next()?;
        }
        let length = format::batches(&self.item).next().map(|batch| batch.bytes().len());
        // What is no batch is passed over, as a whole.
        let length = length.unwrap_or(self.item.len());
        Some(self.item.split_to(length))
    }
}
