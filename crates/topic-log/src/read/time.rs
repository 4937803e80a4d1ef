//! Records by their time.

use std::sync::Arc;

use bytes::Bytes;
use polder_types::Result;

use super::{Piece, Reader, Trouble};
use crate::batch::{BatchHeader, batches};
use crate::compact::unpack;
use crate::index::{Extent, Index, IndexEntry};
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
            let found = match wanted {
                Wanted::AtLeast(least) => self.first_at_least(partition, least),
                Wanted::Greatest => self.greatest(partition),
            };
            match found {
                Err(Trouble::Gone(_)) if attempts < 3 => attempts += 1,
                outcome => return outcome.map_err(Trouble::into_error),
            }
        }
    }

    fn first_at_least(&self, partition: &PartitionView, least: i64) -> Result<Option<TimedOffset>, Trouble> {
        let start = partition.bounds().log_start_offset;
        // Any may fail: the record that gave it its time may be deleted, or compacted away.
        let mut from = start;
        while let Some(extent) = next_extent(partition, from, least) {
            from = extent.next;
            for entry in self.entries(partition, &extent)?.iter().filter(|entry| entry.max_timestamp >= least) {
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

    /// What a stretch says of its latest time may be that of a record that is gone, so it is where the search begins and not
    /// what it finds: the next ones are looked at as long as they may have a later one.
    fn greatest(&self, partition: &PartitionView) -> Result<Option<TimedOffset>, Trouble> {
        let (start, mut extents) = {
            let view = partition.view.read();
            (view.bounds.log_start_offset, view.extents.clone())
        };
        extents.sort_by_key(|extent| std::cmp::Reverse(extent.max_timestamp));
        let mut best: Option<TimedOffset> = None;
        let may_be = |time: i64, best: &Option<TimedOffset>| best.is_none_or(|best| time > best.timestamp);
        for extent in extents {
            if !may_be(extent.max_timestamp, &best) {
                break;
            }
            let mut entries = self.entries(partition, &extent)?.to_vec();
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.max_timestamp));
            for entry in entries {
                if !may_be(entry.max_timestamp, &best) {
                    break;
                }
                let piece = Piece { segment: extent.segment, entry };
                self.payloads(partition, &[piece], &mut |payload| {
                    let found = greatest_in(&payload, start).filter(|found| may_be(found.timestamp, &best));
                    best = found.or(best);
                    false
                })?;
            }
        }
        Ok(best)
    }

    fn entries(&self, partition: &PartitionView, extent: &Extent) -> Result<Arc<Vec<IndexEntry>>, Trouble> {
        match &extent.index {
            Index::Memory(entries, _) => Ok(Arc::new(entries.clone())),
            Index::Stored(stored) => self.index(partition, extent.segment, *stored),
        }
    }
}

/// The first of the records with the greatest time, from an offset on. The ends of transactions are no records.
fn greatest_in(payload: &Bytes, start: i64) -> Option<TimedOffset> {
    let mut best: Option<TimedOffset> = None;
    let found = batches(payload).filter(|(header, _)| !header.is_control() && header.last_offset() >= start);
    for (header, batch) in found {
        let of_batch = || TimedOffset { offset: header.base_offset.max(start), timestamp: header.max_timestamp };
        let all = unpack(&header, batch).and_then(|records| {
            let all = record::all(&records, header.count)?;
            let timed = all.map(|one| TimedOffset {
                offset: header.base_offset.saturating_add(i64::from(one.offset_delta)),
                timestamp: one.time(&header),
            });
            Some(timed.filter(|one| one.offset >= start).reduce(later))
        });
        best = best.into_iter().chain(all.unwrap_or_else(|| Some(of_batch()))).reduce(later);
    }
    best
}

/// The one of the later time; the first where that is the same.
fn later(one: TimedOffset, other: TimedOffset) -> TimedOffset {
    if other.timestamp > one.timestamp { other } else { one }
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
        let timestamp = record.time(header);
        let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
        (timestamp >= least && offset >= start).then_some(TimedOffset { offset, timestamp })
    })
}
