//! The segments that a round writes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use polder_types::Result;

use crate::batch::batches;
use crate::disk::DiskFile;
use crate::failure::failed;
use crate::frame::{Kind, Place};
use crate::group::Group;
use crate::index::{ENTRY_BYTES, Extent, Index, IndexEntry, Stored, encode, kept_since};
use crate::read::Reader;
use crate::segment;
use crate::view::PartitionView;

/// Positions have 32 bits; a smaller file is sooner removed, and a tiny one is not worth its name.
const FILE_BYTES: std::ops::RangeInclusive<u64> = (if cfg!(test) { 8 << 10 } else { 1 << 20 })..=1 << 30;
/// Written and synced at once: a sync of the writer's that comes meanwhile waits for no more.
const WRITE_BYTES: usize = 256 << 10;
/// A disk that is slow already is not left alone for longer after each writing, and others are not let pass for longer before it.
const REST_MAX: Duration = Duration::from_millis(20);

struct Open {
    number: u64,
    file: Arc<dyn DiskFile>,
    /// Where the buffer will stand.
    position: u64,
    group: Group,
    index: Vec<u8>,
}

/// A stretch that is being written.
struct Stretch {
    segment: u64,
    entries: Vec<IndexEntry>,
    next: i64,
}

pub(super) struct Output<'a> {
    reader: &'a Reader,
    /// How many times as long as it took to write a piece the disk is left to others after it.
    rests: u32,
    /// Files that were begun.
    made: Vec<u64>,
    /// Bytes of frames so far.
    bytes: u64,
    open: Option<Open>,
    /// Bytes of a file of the topic.
    file_bytes: u64,
    partition: (u32, u32),
    /// The latest time that retention counts from of what the partition gives.
    kept_since: i64,
    stretch: Option<Stretch>,
    done: Vec<Extent>,
}

impl<'a> Output<'a> {
    pub(super) fn new(reader: &'a Reader, rests: u32) -> Self {
        Self {
            reader,
            rests,
            made: Vec::new(),
            bytes: 0,
            open: None,
            file_bytes: *FILE_BYTES.end(),
            partition: (0, 0),
            kept_since: 0,
            stretch: None,
            done: Vec::new(),
        }
    }

    /// `file_bytes`: those of a file, as far as they can be.
    pub(super) fn begin_topic(&mut self, file_bytes: u64) {
        self.file_bytes = file_bytes.clamp(*FILE_BYTES.start(), *FILE_BYTES.end());
    }

    pub(super) fn begin_partition(&mut self, partition: &PartitionView, extents: &[Extent]) {
        self.kept_since = extents.iter().map(|extent| extent.kept_since).max().unwrap_or(0);
        self.partition = (partition.topic, partition.partition);
    }

    /// What was added so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the batches of a frame.
    pub(super) fn add(&mut self, payload: &[u8]) -> Result<()> {
        let full = self.open.as_ref().is_some_and(|open| {
            open.position + (open.group.bytes.len() + payload.len() + 4096) as u64 > self.file_bytes
        });
        if full {
            self.end_stretch();
            self.close_file()?;
        }
        let mut headers = batches(payload).map(|(header, _)| header);
        let Some(first) = headers.next() else { return Ok(()) };
        self.bytes += payload.len() as u64;
        let (last, max_timestamp) = headers.fold((first.last_offset(), first.max_timestamp), |(_, time), header| {
            (header.last_offset(), time.max(header.max_timestamp))
        });
        let (topic, partition) = self.partition;
        let identity = self.reader.identity;
        let open = self.file()?;
        let start = open.group.begin();
        open.group.bytes.extend_from_slice(payload);
        open.group.end(start, Kind::Batch, topic, partition, first.base_offset);
        let entry = IndexEntry {
            base_offset: first.base_offset,
            position: u32::try_from(open.position + start as u64).unwrap_or(u32::MAX),
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            max_timestamp,
        };
        open.group.close(0, 0, Place { identity, segment: open.number, position: open.position });
        let segment = open.number;
        if open.group.bytes.len() >= WRITE_BYTES {
            self.write()?;
        }
        let stretch = self.stretch.get_or_insert(Stretch { segment, entries: Vec::new(), next: 0 });
        stretch.entries.push(entry);
        stretch.next = last + 1;
        Ok(())
    }

    fn file(&mut self) -> Result<&mut Open> {
        let reader = self.reader;
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                self.let_pass();
                let number = reader.rewriting.number(reader)?;
                self.made.push(number);
                let disk = &*reader.ground.disk;
                let file = segment::create(disk, number, reader.identity, segment::HEADER_BYTES)?;
                let position = segment::HEADER_BYTES;
                Open { number, file, position, group: Group::default(), index: Vec::new() }
            }
        };
        Ok(self.open.insert(open))
    }

    /// The writer syncs first. Where more waits than rests leave time for, only once.
    fn let_pass(&self) {
        self.reader.ground.turn.wait(if self.rests > 0 { REST_MAX } else { Duration::ZERO });
    }

    /// Onto the disk, piece by piece: one sync of a whole file at its end would hold up those that producers wait for.
    fn write(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        for piece in open.group.bytes.chunks(WRITE_BYTES) {
            self.let_pass();
            let begun = Instant::now();
            let written = open.file.write_all_at(piece, open.position).and_then(|()| open.file.sync());
            written.map_err(|error| failed("writing", &self.reader.path(open.number), error))?;
            open.position += piece.len() as u64;
            thread::sleep((begun.elapsed() * self.rests).min(REST_MAX));
        }
        open.group.bytes.clear();
        self.open = Some(open);
        Ok(())
    }

    fn end_stretch(&mut self) {
        let (Some(stretch), Some(open)) = (self.stretch.take(), &mut self.open) else { return };
        let first = u32::try_from(open.index.len() / ENTRY_BYTES).unwrap_or(u32::MAX);
        let checksum = encode(&stretch.entries, &mut open.index);
        let count = u32::try_from(stretch.entries.len()).unwrap_or(u32::MAX);
        let newest = stretch.entries.iter().map(|entry| entry.max_timestamp).max().unwrap_or(-1);
        self.done.push(Extent {
            segment: stretch.segment,
            base: stretch.entries.first().map_or(0, |entry| entry.base_offset),
            next: stretch.next,
            bytes: stretch.entries.iter().map(|entry| u64::from(entry.payload_bytes)).sum(),
            max_timestamp: newest,
            kept_since: kept_since(newest, self.kept_since),
            index: Index::Stored(Stored { first, count, checksum }),
        });
    }

    /// The new stretches of a partition. They reach from and to where the old ones did, though records may be gone.
    pub(super) fn end_partition(&mut self, base: i64, next: i64) -> Vec<Extent> {
        self.end_stretch();
        let mut done = std::mem::take(&mut self.done);
        if let Some(first) = done.first_mut() {
            first.base = first.base.min(base);
        }
        if let Some(last) = done.last_mut() {
            last.next = next;
        }
        done
    }

    /// Ends the file that is open, so that the next topic has one of its own.
    pub(super) fn close_file(&mut self) -> Result<()> {
        let identity = self.reader.identity;
        let Some(open) = &mut self.open else { return Ok(()) };
        let start = open.group.begin();
        open.group.end(start, Kind::Seal, 0, 0, 0);
        open.group.close(0, 0, Place { identity, segment: open.number, position: open.position });
        self.write()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        self.let_pass();
        let disk = &*self.reader.ground.disk;
        let written = (|| {
            open.file.sync()?;
            let index = disk.create(&segment::index_name(open.number))?;
            index.write_all_at(&open.index, 0)?;
            index.sync()?;
            disk.sync_names()
        })();
        written.map_err(|error| failed("writing", &self.reader.path(open.number), error))
    }

    /// Removes what was written, as nobody is to read it.
    pub(super) fn discard(self) {
        let disk = &*self.reader.ground.disk;
        for name in self.made.iter().flat_map(|number| [segment::file_name(*number), segment::index_name(*number)]) {
            match disk.remove(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, name, "what a failed rewriting left is removed later");
                }
                _ => {}
            }
        }
    }
}
