//! Records by their time.

use bytes::Bytes;
use polder_types::Result;

use super::{Piece, Reader, Trouble};
use crate::batch::{BatchHeader, batches};
use crate::compact::unpack;
use crate::index::{Extent, Index};
use crate::record;
use crate::records::{ReadError, TimedOffset};
use crate::view::PartitionView;

/// Which record is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// The first one of at least this time.
    AtLeast(i64),
    /// The first one of the greatest time.
    Greatest,
}

impl Reader {
    /// Looks for a record by its time. Blocks.
    pub(crate) fn by_time(&self, partition: &PartitionView, wanted: Wanted) -> Result<Option<TimedOffset>, ReadError> {
        let mut attempts = 0;
        loop {
            match self.by_time_once(partition, wanted) {
                Err(Trouble::Gone(_)) if attempts < 3 => attempts += 1,
                outcome => return outcome.map_err(Trouble::into_error),
            }
        }
    }

    fn by_time_once(&self, partition: &PartitionView, wanted: Wanted) -> Result<Option<TimedOffset>, Trouble> {
        let (start, mut least) = {
            let view = partition.view.read();
            let least = match wanted {
                Wanted::AtLeast(least) => least,
                Wanted::Greatest => view.extents.iter().map(|extent| extent.max_timestamp).max().unwrap_or(-1),
            };
            (view.bounds.log_start_offset, least)
        };
        // Any may fail: the record that gave it its time may be deleted, or compacted away.
        let (mut from, at_least) = (start, least);
        while let Some(extent) = next_extent(partition, from, at_least) {
            from = extent.next;
            let entries = match extent.index {
                Index::Memory(entries, _) => std::sync::Arc::new(entries),
                Index::Stored(stored) => self.index(partition, extent.segment, stored)?,
            };
            if let Wanted::Greatest = wanted {
                least = entries.iter().map(|entry| entry.max_timestamp).max().unwrap_or(least);
            }
            for entry in entries.iter().filter(|entry| entry.max_timestamp >= least) {
                let mut found = None;
                let piece = Piece { segment: extent.segment, entry: *entry };
                self.payloads(partition, &[piece], &mut |payload| {
                    found = first_in(&payload, least, start);
                    false
                })?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

/// The first stretch that reaches beyond an offset and may have a record of at least this time.
fn next_extent(partition: &PartitionView, from: i64, least: i64) -> Option<Extent> {
    let view = partition.view.read();
    view.extents.iter().find(|extent| extent.next > from && extent.max_timestamp >= least).cloned()
}

/// The first record of a frame with at least this time, from an offset on.
fn first_in(payload: &Bytes, least: i64, start: i64) -> Option<TimedOffset> {
    let mut candidates =
        batches(payload).filter(|(header, _)| header.max_timestamp >= least && header.last_offset() >= start);
    candidates.find_map(|(header, batch)| {
        if header.is_log_append_time() {
            return Some(TimedOffset { offset: header.base_offset.max(start), timestamp: header.max_timestamp });
        }
        first_record(&header, batch, least, start)
    })
}

fn first_record(header: &BatchHeader, batch: &[u8], least: i64, start: i64) -> Option<TimedOffset> {
    let Some(records) = unpack(header, batch) else {
        // What cannot be unpacked is found as a whole: it begins at or before the record that is looked for.
        return Some(TimedOffset { offset: header.base_offset.max(start), timestamp: header.max_timestamp });
    };
    let mut rest = &*records;
    (0..header.count).map_while(|_| record::take(&mut rest)).find_map(|record| {
        let timestamp = header.base_timestamp.saturating_add(record.timestamp_delta);
        let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
        (timestamp >= least && offset >= start).then_some(TimedOffset { offset, timestamp })
    })
}
