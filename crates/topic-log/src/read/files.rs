//! Segments that are open for reading, and indexes of sealed ones.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use polder_types::Result;

use super::{Reader, Trouble};
use crate::batch::batches;
use crate::disk::{Disk, DiskFile};
use crate::failure::damaged;
use crate::frame::{Kind, frame_bytes};
use crate::index::{ENTRY_BYTES, IndexEntry, Stored, decode};
use crate::scan::Scan;
use crate::segment;
use crate::view::PartitionView;

/// Files that are kept open.
const OPEN_MAX: usize = 128;

#[derive(Debug)]
pub(crate) struct Files {
    open: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    indexes: Mutex<Indexes>,
    index_bytes_max: usize,
}

/// By segment and the place of the first entry.
#[derive(Debug, Default)]
struct Indexes {
    held: HashMap<(u64, u32), Arc<Vec<IndexEntry>>>,
    bytes: usize,
}

impl Files {
    pub(crate) fn new(index_bytes_max: usize) -> Self {
        Self { open: Mutex::default(), indexes: Mutex::default(), index_bytes_max }
    }

    pub(crate) fn open(&self, disk: &dyn Disk, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.lock().get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = disk.open(&segment::file_name(segment))?;
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            // Which one goes does not matter much: opening costs microseconds.
            let some = open.keys().next().copied();
            some.and_then(|some| open.remove(&some));
        }
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Closes all, as some may have been removed: an open file keeps its room.
    pub(crate) fn forget(&self) {
        self.open.lock().clear();
        *self.indexes.lock() = Indexes::default();
    }

    fn index(&self, segment: u64, first: u32) -> Option<Arc<Vec<IndexEntry>>> {
        self.indexes.lock().held.get(&(segment, first)).map(Arc::clone)
    }

    fn keep(&self, segment: u64, first: u32, entries: &Arc<Vec<IndexEntry>>) {
        let mut indexes = self.indexes.lock();
        let bytes = entries.len() * ENTRY_BYTES;
        if indexes.bytes + bytes > self.index_bytes_max {
            *indexes = Indexes::default();
        }
        if bytes <= self.index_bytes_max {
            indexes.bytes += bytes;
            indexes.held.insert((segment, first), Arc::clone(entries));
        }
    }
}

impl Reader {
    /// The entries of a partition in a sealed segment. Blocks.
    pub(crate) fn index(
        &self,
        partition: &PartitionView,
        segment: u64,
        stored: Stored,
    ) -> Result<Arc<Vec<IndexEntry>>, Trouble> {
        if let Some(entries) = self.files.index(segment, stored.first) {
            return Ok(entries);
        }
        let entries = match self.read_index(segment, stored) {
            Some(entries) => entries,
            // The segment knows itself what is in it.
            None => self.rebuild_index(partition, segment)?,
        };
        let entries = Arc::new(entries);
        self.files.keep(segment, stored.first, &entries);
        Ok(entries)
    }

    fn read_index(&self, segment: u64, stored: Stored) -> Option<Vec<IndexEntry>> {
        let name = segment::index_name(segment);
        let mut bytes = vec![0; stored.count as usize * ENTRY_BYTES];
        let read = self
            .ground
            .disk
            .open(&name)
            .and_then(|file| file.read_exact_at(&mut bytes, u64::from(stored.first) * ENTRY_BYTES as u64));
        let entries = read.ok().and_then(|()| decode(&bytes, stored.checksum));
        if entries.is_none() {
            tracing::warn!(name, "the index of a segment cannot be read; the segment is read instead");
        }
        entries
    }

    fn rebuild_index(&self, partition: &PartitionView, segment: u64) -> Result<Vec<IndexEntry>, Trouble> {
        let trouble = |position: u64| move |error| self.trouble(segment, position, error);
        let file = self.ground.disk.open(&segment::file_name(segment)).map_err(trouble(0))?;
        let mut scan = Scan::new(file, self.identity, segment).map_err(trouble(0))?;
        let mut entries = Vec::new();
        let mut position = segment::HEADER_BYTES;
        loop {
            let frame = scan.frame(position).map_err(trouble(position))?;
            let Some((header, payload)) = frame else {
                let error = damaged(&self.path(segment), position, "a frame is not as it was written");
                return Err(Trouble::Read(error.into()));
            };
            match header.kind {
                Kind::Seal => return Ok(entries),
                Kind::Batch if (header.topic, header.partition) == (partition.topic, partition.partition) => {
                    let times = batches(payload).map(|(batch, _)| batch.max_timestamp);
                    entries.push(IndexEntry {
                        base_offset: header.offset,
                        position: u32::try_from(position).unwrap_or(u32::MAX),
                        payload_bytes: header.payload_bytes,
                        max_timestamp: times.max().unwrap_or(-1),
                    });
                }
                _ => {}
            }
            position += frame_bytes(payload.len()) as u64;
        }
    }
}
