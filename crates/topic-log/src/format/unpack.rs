//! Reading the records of a batch.

use std::borrow::Cow;

use bytes::Bytes;
use polder_types::{Error, ErrorKind, Result};

use super::Batch;
use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::record;
use crate::room::{self, Opened};
use crate::varint::Varints;

impl<'a> Batch<'a> {
    /// Unpacks the records, up to 64 MiB of them. Blocks while others unpack much: at a time they have twice that together.
    ///
    /// # Errors
    /// `Corrupt`: they cannot be unpacked, or are more. The message names the offsets.
    pub fn unpack(&self) -> Result<Unpacked<'a>> {
        let packed = self.bytes.get(HEADER_BYTES..).unwrap_or_default();
        let records = room::open(self.header.compression(), packed)
            .map(Opened::into_bytes)
            .map_err(|error| damaged(&self.header, &error.to_string()))?;
        Ok(Unpacked { header: self.header, records })
    }
}

/// A batch's records, not packed any more.
#[derive(Debug, Clone)]
pub struct Unpacked<'a> {
    header: BatchHeader,
    records: Cow<'a, [u8]>,
}

impl Unpacked<'_> {
    /// The records in the order of their offsets. A damaged one is an error, and the last item.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordPlace::first(&self.header).iter(self.header, &self.records)
    }

    /// The same, for longer than the batch is borrowed. `source`: the bytes that the batch was found in, which what was not
    /// packed goes on sharing.
    #[must_use]
    pub fn share(self, source: &Bytes) -> SharedRecords {
        let records = match self.records {
            Cow::Owned(records) => Bytes::from(records),
            Cow::Borrowed(records) => within(source, records).unwrap_or_else(|| Bytes::copy_from_slice(records)),
        };
        SharedRecords { header: self.header, records, place: RecordPlace::first(&self.header) }
    }

    /// Bytes that the records take, their lengths included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.len()
    }
}

impl<'a> IntoIterator for &'a Unpacked<'_> {
    type Item = Result<Record<'a>>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// Those of the bytes that are these, wherever they lie.
fn within(source: &Bytes, part: &[u8]) -> Option<Bytes> {
    let from = part.as_ptr().addr().checked_sub(source.as_ptr().addr())?;
    let to = from.checked_add(part.len()).filter(|to| *to <= source.len())?;
    Some(source.slice(from..to))
}

/// A batch's records, to be read in several goes.
#[derive(Debug, Clone)]
pub struct SharedRecords {
    header: BatchHeader,
    records: Bytes,
    place: RecordPlace,
}

impl SharedRecords {
    /// The batch that they are of.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// What all records borrow from.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.records
    }

    /// The records from where the last go has ended.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        self.place.iter(self.header, &self.records)
    }

    /// Ends a go.
    pub const fn go_on_at(&mut self, place: RecordPlace) {
        self.place = place;
    }
}

/// Where the reading of a batch's records is, see [`RecordIter::place`].
#[derive(Debug, Clone, Copy)]
pub struct RecordPlace {
    /// Bytes that are still to be read.
    rest: usize,
    left: i32,
    last: i32,
}

impl RecordPlace {
    const fn first(header: &BatchHeader) -> Self {
        Self { rest: usize::MAX, left: header.count, last: -1 }
    }

    fn iter<'a>(&self, header: BatchHeader, records: &'a [u8]) -> RecordIter<'a> {
        let read = records.len().saturating_sub(self.rest);
        RecordIter { header, rest: records.get(read..).unwrap_or_default(), left: self.left, last: self.last }
    }
}

/// See [`Unpacked::iter`].
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    left: i32,
    /// The last record's difference from the base offset.
    last: i32,
}

impl<'a> RecordIter<'a> {
    /// Where it is now.
    #[must_use]
    pub const fn place(&self) -> RecordPlace {
        RecordPlace { rest: self.rest.len(), left: self.left, last: self.last }
    }

    fn take(&mut self) -> Result<Record<'a>> {
        let header = self.header;
        let record =
            record::take(&mut self.rest).ok_or_else(|| damaged(&header, "a record is not as long as it says"))?;
        if record.offset_delta <= self.last || record.offset_delta > header.last_offset_delta {
            return Err(damaged(&header, "the offsets of its records do not count up"));
        }
        self.last = record.offset_delta;
        self.left -= 1;
        if self.left <= 0 && !self.rest.is_empty() {
            return Err(damaged(&header, "there are more records than it says"));
        }
        Ok(Record {
            offset: header.base_offset.saturating_add(i64::from(record.offset_delta)),
            timestamp: if header.is_log_append_time() {
                header.max_timestamp
            } else {
                header.base_timestamp.saturating_add(record.timestamp_delta)
            },
            key: record.key,
            value: record.value,
            headers: Headers(record.headers),
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        let record = self.take();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A damaged record ends it early.
        (0, usize::try_from(self.left).ok())
    }
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub offset: i64,
    /// Milliseconds since 1970; negative if the producer gave none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone, which deletes what is known of the key.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A record's headers, which are looked at only when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// From what [`Headers::bytes`] gave.
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// As they lie in the record.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A name and a value that a record carries besides its own. Names may come more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a str,
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0]
    }

    /// All of them, in their order.
    ///
    /// # Errors
    /// `Corrupt`: they do not end where the record does, or a name is no UTF-8.
    pub fn to_vec(&self) -> Result<Vec<Header<'a>>> {
        self.read().ok_or_else(|| Error::new(ErrorKind::Corrupt, "the headers of a record are damaged"))
    }

    fn read(&self) -> Option<Vec<Header<'a>>> {
        let mut rest = Varints(self.0);
        let count = rest.int()?;
        let mut headers = Vec::new();
        // Each takes two bytes at least: what is announced costs nothing before it is there.
        for _ in 0..count {
            let name = std::str::from_utf8(rest.bytes()??).ok()?;
            headers.push(Header { name, value: rest.bytes()? });
        }
        (count >= 0 && rest.0.is_empty()).then_some(headers)
    }
}

fn damaged(header: &BatchHeader, why: &str) -> Error {
    let (first, last) = (header.base_offset, header.last_offset());
    Error::new(ErrorKind::Corrupt, format!("the records with the offsets {first} to {last} cannot be read: {why}"))
}
