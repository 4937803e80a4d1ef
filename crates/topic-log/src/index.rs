//! Where a partition's batches are. A stretch of one partition in one segment is an *extent*; its entries are in memory
//! while the segment is written, and in a file beside the segment afterwards.

use xxhash_rust::xxh3::xxh3_64;

use crate::coding::{Put, Take};

/// One frame of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) base_offset: i64,
    pub(crate) position: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) max_timestamp: i64,
}

/// Bytes of an entry in a file.
pub(crate) const ENTRY_BYTES: usize = 24;

/// Entries in the index file of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) checksum: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Index {
    /// And where they will be in the file, once that is settled.
    Memory(Vec<IndexEntry>, Option<Stored>),
    Stored(Stored),
}

#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub(crate) segment: u64,
    /// The first offset.
    pub(crate) base: i64,
    /// One above the last offset.
    pub(crate) next: i64,
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: i64,
    /// The time that retention counts from, in milliseconds since 1970.
    pub(crate) kept_since: i64,
    pub(crate) index: Index,
}

/// The time that retention counts from: that of the newest record, unless it has none or one that is still to come. Then it
/// is when the record arrived, so that a wrong clock neither keeps records for ever nor deletes them at once.
pub(crate) fn kept_since(max_timestamp: i64, arrived: i64) -> i64 {
    if (0..=arrived).contains(&max_timestamp) { max_timestamp } else { arrived }
}

impl Extent {
    /// Adds a frame at the end of a partition. `arrived`: milliseconds since 1970.
    pub(crate) fn push(extents: &mut Vec<Self>, segment: u64, entry: IndexEntry, next: i64, arrived: i64) {
        let since = kept_since(entry.max_timestamp, arrived);
        if let Some(last) = extents.last_mut()
            && last.segment == segment
            && let Index::Memory(entries, _) = &mut last.index
        {
            entries.push(entry);
            last.next = next;
            last.bytes += u64::from(entry.payload_bytes);
            last.max_timestamp = last.max_timestamp.max(entry.max_timestamp);
            last.kept_since = last.kept_since.max(since);
            return;
        }
        extents.push(Self {
            segment,
            base: entry.base_offset,
            next,
            bytes: u64::from(entry.payload_bytes),
            max_timestamp: entry.max_timestamp,
            kept_since: since,
            index: Index::Memory(vec![entry], None),
        });
    }
}

/// Entries as they stand in a file.
pub(crate) fn encode(entries: &[IndexEntry], to: &mut Vec<u8>) -> u64 {
    let start = to.len();
    for entry in entries {
        to.put_i64(entry.base_offset);
        to.put_u32(entry.position);
        to.put_u32(entry.payload_bytes);
        to.put_i64(entry.max_timestamp);
    }
    xxh3_64(to.get(start..).unwrap_or_default())
}

/// The counterpart of [`encode`]; `None` if they are not as they were written.
pub(crate) fn decode(bytes: &[u8], checksum: u64) -> Option<Vec<IndexEntry>> {
    if xxh3_64(bytes) != checksum {
        return None;
    }
    let mut rest = Take(bytes);
    let mut entries = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    while !rest.0.is_empty() {
        entries.push(IndexEntry {
            base_offset: rest.i64()?,
            position: rest.u32()?,
            payload_bytes: rest.u32()?,
            max_timestamp: rest.i64()?,
        });
    }
    Some(entries)
}

/// The place of the frame that holds an offset, or of the first one behind it where the offset was compacted away.
pub(crate) fn find(entries: &[IndexEntry], offset: i64) -> usize {
    entries.partition_point(|entry| entry.base_offset <= offset).saturating_sub(1)
}
