//! Writing batches.

use bytes::Bytes;
use polder_types::{Error, ErrorKind, Result};

use super::Codec;
use crate::batch::{HEADER_BYTES, TRANSACTIONAL, UNCOUNTED_BYTES, put, seal};
use crate::codec::{self, BYTES_MAX};
use crate::varint;

/// A record to be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// An idempotent producer, and which of its records the first one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchProducer {
    pub id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
}

/// A batch that is put together, record by record. Its offsets begin at 0: the log gives it others.
#[derive(Debug, Clone, Default)]
pub struct BatchBuilder {
    records: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: Option<BatchProducer>,
}

impl BatchBuilder {
    /// One of no producer, without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, of a producer.
    #[must_use]
    pub const fn of(mut self, producer: BatchProducer) -> Self {
        self.producer = Some(producer);
        self
    }

    /// Bytes of the batch as it is, not compressed.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Records by now.
    #[must_use]
    pub const fn count(&self) -> i32 {
        self.count
    }

    /// Adds a record.
    ///
    /// # Errors
    /// `TooLarge`: the records are more than a reader unpacks (64 MiB). The builder is as before.
    pub fn push(&mut self, record: &NewRecord<'_>) -> Result<()> {
        let base = if self.count == 0 { record.timestamp } else { self.base_timestamp };
        let (since, number) = (record.timestamp.wrapping_sub(base), i64::from(self.count));
        let headers = i64::try_from(record.headers.len()).unwrap_or(i64::MAX);
        let of_headers: usize = record
            .headers
            .iter()
            .map(|(name, value)| varint::bytes_of_bytes(Some(name.as_bytes())) + varint::bytes_of_bytes(*value))
            .sum();
        let body = 1
            + varint::bytes_of(since)
            + varint::bytes_of(number)
            + varint::bytes_of_bytes(record.key)
            + varint::bytes_of_bytes(record.value)
            + varint::bytes_of(headers)
            + of_headers;
        if self.records.len() + body > BYTES_MAX - varint::BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("a batch has no room for {body} bytes more")));
        }
        let to = &mut self.records;
        varint::put(to, i64::try_from(body).unwrap_or(i64::MAX));
        to.push(0);
        varint::put(to, since);
        varint::put(to, number);
        varint::put_bytes(to, record.key);
        varint::put_bytes(to, record.value);
        varint::put(to, headers);
        for (name, value) in record.headers {
            varint::put_bytes(to, Some(name.as_bytes()));
            varint::put_bytes(to, *value);
        }
        self.max_timestamp = if self.count == 0 { record.timestamp } else { self.max_timestamp.max(record.timestamp) };
        self.base_timestamp = base;
        self.count += 1;
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    /// `InvalidInput`: there are no records. `Internal`: they cannot be compressed.
    pub fn finish(self, codec: Codec) -> Result<Bytes> {
        if self.count == 0 {
            return Err(Error::invalid("a batch has one record at least"));
        }
        let mut batch = vec![0_u8; HEADER_BYTES];
        if codec == Codec::None {
            batch.extend_from_slice(&self.records);
        } else {
            let packed = codec::compress(codec.number(), &self.records);
            batch.extend(packed.map_err(|error| Error::internal(format!("compressing records: {error}")))?);
        }
        let length = i32::try_from(batch.len() - UNCOUNTED_BYTES);
        let length = length.map_err(|_| Error::new(ErrorKind::TooLarge, "a batch is larger than 2 GiB"))?;
        let producer =
            self.producer.unwrap_or(BatchProducer { id: -1, epoch: -1, base_sequence: -1, is_transactional: false });
        let transactional = if producer.is_transactional { TRANSACTIONAL } else { 0 };
        put(&mut batch, 8, length.to_be_bytes());
        // No epoch of a leader is known before the log has it.
        put(&mut batch, 12, (-1_i32).to_be_bytes());
        put(&mut batch, 16, [2]);
        put(&mut batch, 21, (codec.number() | transactional).to_be_bytes());
        put(&mut batch, 23, (self.count - 1).to_be_bytes());
        put(&mut batch, 27, self.base_timestamp.to_be_bytes());
        put(&mut batch, 35, self.max_timestamp.to_be_bytes());
        put(&mut batch, 43, producer.id.to_be_bytes());
        put(&mut batch, 51, producer.epoch.to_be_bytes());
        put(&mut batch, 53, producer.base_sequence.to_be_bytes());
        put(&mut batch, 57, self.count.to_be_bytes());
        seal(&mut batch);
        Ok(batch.into())
    }
}
