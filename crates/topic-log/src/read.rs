//! Reading: out of memory where the newest groups are held, by position from the segments otherwise.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use polder_runtime::is_unreadable;
use polder_types::{ErrorKind, Result};

use crate::batch::batches;
use crate::failure::{RESTORE_ALL, damaged, failed, unread};
use crate::frame::{self, HEADER_BYTES, Kind, Place, frame_bytes};
use crate::index::{Index, IndexEntry, Stored, find};
use crate::records::{AbortedTransaction, Bounds, Isolation, ReadError, Records};
use crate::rewrite::Rewriting;
use crate::segment;
use crate::view::{Aborted, PartitionView, View};
use crate::writer::Ground;

mod files;
pub(crate) mod time;

pub(crate) use files::Files;

/// Read at once from the disk.
const READ_BYTES_MAX: u64 = 4 << 20;
/// Other partitions' bytes that are read along sooner than asking the disk twice.
const GAP_BYTES_MAX: u64 = 32 << 10;
/// Extents that one read looks into.
const EXTENTS_MAX: usize = 64;

/// What readers work with.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) ground: Ground,
    pub(crate) identity: u64,
    pub(crate) files: Files,
    pub(crate) rewriting: Rewriting,
}

/// A frame that is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) segment: u64,
    pub(crate) entry: IndexEntry,
}

impl Piece {
    fn end(&self) -> u64 {
        u64::from(self.entry.position) + frame_bytes(self.entry.payload_bytes as usize) as u64
    }
}

/// A stretch whose index may have to be read first.
#[derive(Debug)]
enum Part {
    Known(u64, Vec<IndexEntry>),
    Stored(u64, Stored),
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) offset: i64,
    pub(crate) bytes_max: usize,
    pub(crate) isolation: Isolation,
}

impl Ask {
    fn end(&self, bounds: &Bounds) -> i64 {
        match self.isolation {
            Isolation::Uncommitted => bounds.high_watermark,
            Isolation::Committed => bounds.last_stable_offset,
        }
    }
}

/// What memory says of a read.
struct Plan {
    bounds: Bounds,
    parts: Vec<Part>,
    /// Aborted transactions that the parts may touch, for a reader who is to know. They are of the same moment as the
    /// rest: what is deleted meanwhile takes them along.
    aborted: Vec<Aborted>,
}

impl Plan {
    fn of(view: &View, ask: &Ask) -> Result<Self, ReadError> {
        let bounds = view.bounds;
        if ask.offset < bounds.log_start_offset || ask.offset > bounds.high_watermark {
            return Err(ReadError::OffsetOutOfRange(bounds));
        }
        let mut parts = Vec::new();
        let mut bytes = 0_u64;
        let wanted = ask.bytes_max as u64;
        let first = view.extents.partition_point(|extent| extent.next <= ask.offset);
        let end = ask.end(&bounds);
        let mut reach = ask.offset;
        for extent in view.extents.iter().skip(first).take(EXTENTS_MAX) {
            if extent.base >= end || (bytes >= wanted && !parts.is_empty()) {
                break;
            }
            reach = extent.next;
            match &extent.index {
                Index::Memory(entries, _) => {
                    let from = find(entries, ask.offset);
                    let mut taken = Vec::new();
                    for entry in entries.iter().skip(from) {
                        // One more than needed: the first one may be wholly below the offset.
                        if entry.base_offset >= end || (bytes >= wanted && taken.len() > 1) {
                            break;
                        }
                        bytes += u64::from(entry.payload_bytes);
                        taken.push(*entry);
                    }
                    parts.push(Part::Known(extent.segment, taken));
                }
                Index::Stored(stored) => {
                    // How much of the first one lies behind the offset is not known here.
                    if extent.base >= ask.offset {
                        bytes += extent.bytes;
                    }
                    parts.push(Part::Stored(extent.segment, *stored));
                }
            }
        }
        let mut aborted = Vec::new();
        if ask.isolation == Isolation::Committed {
            let from = view.aborted.partition_point(|one| one.last_offset < ask.offset);
            aborted.extend(view.aborted.iter().skip(from).filter(|one| one.first_offset < reach));
        }
        Ok(Self { bounds, parts, aborted })
    }
}

impl Reader {
    /// Reads if memory has all of it; `None` if the disk must be asked.
    pub(crate) fn read_from_memory(&self, partition: &PartitionView, ask: &Ask) -> Result<Option<Records>, ReadError> {
        let plan = Plan::of(&partition.view.read(), ask)?;
        let mut taking = Taking::new(ask, plan.bounds);
        for part in &plan.parts {
            let Part::Known(segment, entries) = part else { return Ok(None) };
            for entry in entries {
                if taking.is_full(entry.payload_bytes as usize) {
                    break;
                }
                let held = self.ground.cache.payload(*segment, entry.position, entry.payload_bytes);
                let Some(payload) = held else { return Ok(None) };
                taking.add(&payload);
            }
        }
        let records = taking.finish(&plan.aborted);
        self.ground.metrics.read(records.bytes(), 0);
        Ok(Some(records))
    }

    /// Reads, by position where memory does not hold it. Blocks.
    pub(crate) fn read(&self, partition: &PartitionView, ask: &Ask) -> Result<Records, ReadError> {
        let mut attempts = 0;
        loop {
            match self.read_once(partition, ask) {
                // Between the look at the index and the reading, the segment was rewritten and removed.
                Err(Trouble::Gone(_)) if attempts < 3 => attempts += 1,
                Err(trouble) => return Err(trouble.into_error()),
                Ok(records) => return Ok(records),
            }
        }
    }

    fn read_once(&self, partition: &PartitionView, ask: &Ask) -> Result<Records, Trouble> {
        let plan = Plan::of(&partition.view.read(), ask).map_err(Trouble::Read)?;
        let end = ask.end(&plan.bounds);
        let mut taking = Taking::new(ask, plan.bounds);
        let mut pieces = Vec::new();
        let mut bytes = 0;
        // What is before a segment of which it cannot be found out what is in it.
        let mut ended = None;
        for part in plan.parts {
            let (segment, entries) = match part {
                Part::Known(segment, entries) => (segment, Arc::new(entries)),
                Part::Stored(segment, stored) => match self.index(partition, segment, stored) {
                    Err(trouble) if !pieces.is_empty() => {
                        ended = Some(trouble);
                        break;
                    }
                    entries => (segment, entries?),
                },
            };
            for entry in entries.iter().skip(find(&entries, ask.offset)) {
                if entry.base_offset >= end || (bytes >= ask.bytes_max && pieces.len() > 1) {
                    break;
                }
                bytes += entry.payload_bytes as usize;
                pieces.push(Piece { segment, entry: *entry });
            }
        }
        let read = self.payloads(partition, &pieces, &mut |payload| {
            let go_on = !taking.is_full(payload.len());
            if go_on {
                taking.add(&payload);
            }
            go_on
        });
        let from_disk = match read {
            // Who goes on behind what is whole is told.
            Err(Trouble::Read(ReadError::Failed(error))) if error.kind() == ErrorKind::Corrupt && taking.bytes > 0 => {
                taking.bytes
            }
            other => other?,
        };
        if let Some(trouble) = ended.filter(|_| taking.bytes == 0) {
            return Err(trouble);
        }
        let records = taking.finish(&plan.aborted);
        self.ground.metrics.read(records.bytes().saturating_sub(from_disk), from_disk);
        Ok(records)
    }

    /// Gives the payloads of frames in order until `give` has enough; says how many bytes came from the disk. Damage is an error
    /// once what is before it was given.
    pub(crate) fn payloads(
        &self,
        partition: &PartitionView,
        pieces: &[Piece],
        give: &mut dyn FnMut(Bytes) -> bool,
    ) -> Result<usize, Trouble> {
        let mut from_disk = 0;
        let mut rest = pieces;
        while let Some((first, behind)) = rest.split_first() {
            let entry = first.entry;
            if let Some(payload) = self.ground.cache.payload(first.segment, entry.position, entry.payload_bytes) {
                if !give(payload) {
                    break;
                }
                rest = behind;
                continue;
            }
            let together = 1 + behind.iter().zip(rest).take_while(|(next, last)| fits(first, last, next)).count();
            let payloads = self.run(partition, rest.get(..together).unwrap_or_default())?;
            rest = rest.get(payloads.len()..).unwrap_or_default();
            for payload in payloads {
                from_disk += payload.len();
                if !give(payload) {
                    return Ok(from_disk);
                }
            }
        }
        Ok(from_disk)
    }

    /// Frames near each other, read at once and checked: those before the first that is damaged, and an error if there are none.
    fn run(&self, partition: &PartitionView, run: &[Piece]) -> Result<Vec<Bytes>, Trouble> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Vec::new()) };
        let start = u64::from(first.entry.position);
        let file = self
            .files
            .open(&*self.ground.disk, first.segment)
            .map_err(|error| self.trouble(first.segment, start, error))?;
        let mut bytes = vec![0; usize::try_from(last.end() - start).unwrap_or(usize::MAX)];
        if let Err(error) = file.read_exact_at(&mut bytes, start) {
            let is_damage = is_unreadable(&error) || error.kind() == io::ErrorKind::UnexpectedEof;
            if is_damage && run.len() > 1 {
                // Those before the place that cannot be read are.
                return self.run(partition, run.get(..run.len() / 2).unwrap_or_default());
            }
            return Err(self.trouble(first.segment, start, error));
        }
        let bytes = Bytes::from(bytes);
        let mut payloads = Vec::with_capacity(run.len());
        for piece in run {
            let from = usize::try_from(u64::from(piece.entry.position) - start).unwrap_or(usize::MAX);
            let payload_bytes = piece.entry.payload_bytes as usize;
            let frame = bytes.get(from..from + frame_bytes(payload_bytes)).unwrap_or_default();
            let position = u64::from(piece.entry.position);
            let place = Place { identity: self.identity, segment: piece.segment, position };
            let header = frame::read_header(frame, place).filter(|header| {
                header.kind == Kind::Batch
                    && (header.topic, header.partition) == (partition.topic, partition.partition)
                    && header.payload_bytes == piece.entry.payload_bytes
            });
            if header.is_none() || !frame::is_whole(frame, place) {
                if !payloads.is_empty() {
                    break;
                }
                let path = self.path(piece.segment);
                return Err(Trouble::Read(damaged(&path, position, "records are not as they were written").into()));
            }
            payloads.push(bytes.slice(from + HEADER_BYTES..from + HEADER_BYTES + payload_bytes));
        }
        Ok(payloads)
    }

    pub(crate) fn path(&self, segment: u64) -> String {
        self.ground.disk.path_of(&segment::file_name(segment))
    }

    /// Why a segment was not read at a place.
    pub(crate) fn trouble(&self, segment: u64, position: u64, error: io::Error) -> Trouble {
        let path = self.path(segment);
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Trouble::Read(damaged(&path, position, "it is shorter than its records").into());
        }
        if error.kind() == io::ErrorKind::NotFound {
            return Trouble::Gone(failed("reading", &path, error).with_hint(RESTORE_ALL));
        }
        Trouble::Read(unread(&path, position, error).into())
    }
}

fn fits(first: &Piece, last: &Piece, next: &Piece) -> bool {
    let position = u64::from(next.entry.position);
    next.segment == first.segment
        && position >= last.end()
        && position - last.end() <= GAP_BYTES_MAX
        && next.end() - u64::from(first.entry.position) <= READ_BYTES_MAX
}

/// Why a reading ended early.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A file is not there. It may have been rewritten.
    Gone(polder_types::Error),
    Read(ReadError),
}

impl Trouble {
    pub(crate) fn into_error(self) -> ReadError {
        match self {
            Self::Gone(error) => ReadError::Failed(error),
            Self::Read(error) => error,
        }
    }
}

/// An answer that is put together.
struct Taking<'a> {
    ask: &'a Ask,
    bounds: Bounds,
    batches: Vec<Bytes>,
    bytes: usize,
    /// One above the last offset that was taken.
    next: i64,
}

impl<'a> Taking<'a> {
    fn new(ask: &'a Ask, bounds: Bounds) -> Self {
        Self { ask, bounds, batches: Vec::new(), bytes: 0, next: ask.offset }
    }

    fn is_full(&self, more: usize) -> bool {
        self.bytes > 0 && self.bytes + more > self.ask.bytes_max
    }

    /// Takes of a frame what lies behind the offset, and before what may not be seen.
    fn add(&mut self, payload: &Bytes) {
        let end = self.ask.end(&self.bounds);
        let (mut from, mut to) = (0, 0);
        for (header, batch) in batches(payload) {
            if header.base_offset >= end {
                break;
            }
            to += batch.len();
            if header.last_offset() < self.ask.offset {
                from = to;
            } else {
                self.next = header.last_offset() + 1;
            }
        }
        if from < to {
            self.bytes += to - from;
            self.batches.push(payload.slice(from..to));
        }
    }

    fn finish(self, aborted: &[Aborted]) -> Records {
        let mut touched = Vec::new();
        if !self.batches.is_empty() {
            let those = aborted.iter().filter(|one| one.first_offset < self.next);
            touched.extend(
                those.map(|one| AbortedTransaction { producer_id: one.producer_id, first_offset: one.first_offset }),
            );
        }
        Records { batches: self.batches, bounds: self.bounds, aborted: touched }
    }
}
