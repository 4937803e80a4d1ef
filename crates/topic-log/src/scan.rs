//! Reading a segment from front to back.

use std::io;
use std::sync::Arc;

use polder_runtime::is_unreadable;

use crate::disk::DiskFile;
use crate::frame::{self, FrameHeader, HEADER_BYTES, Place, frame_bytes};

/// Read at once, unless a frame is larger.
const WINDOW_BYTES: usize = 1 << 20;

/// Looked at in one step; a multiple of where frames begin.
const STEP_BYTES: usize = 64 << 10;

/// A write that is killed ends with a page.
const PAGE_BYTES: u64 = 4096;
/// So many zeros at its end are no frame's own: those that fill it up, and the record's that has no headers, are fewer.
const MISSING_BYTES_MIN: u64 = 16;
/// More zeros before the end of a page are none of a frame's, as a rule, and so the write did not end with that page.
const ZEROS_MAX: u64 = 64;

/// A window that moves over a file.
#[derive(Debug)]
pub(crate) struct Scan {
    file: Arc<dyn DiskFile>,
    identity: u64,
    segment: u64,
    pub(crate) file_bytes: u64,
    window: Vec<u8>,
    start: u64,
    /// Less than at first once there is something that the disk cannot read.
    window_bytes: usize,
}

impl Scan {
    pub(crate) fn new(file: Arc<dyn DiskFile>, identity: u64, segment: u64) -> io::Result<Self> {
        let file_bytes = file.bytes()?;
        Ok(Self { file, identity, segment, file_bytes, window: Vec::new(), start: 0, window_bytes: WINDOW_BYTES })
    }

    /// Bytes from a position on; `None` if the file ends before.
    fn bytes(&mut self, position: u64, count: usize) -> io::Result<Option<&[u8]>> {
        if position + count as u64 > self.file_bytes {
            return Ok(None);
        }
        let held = position >= self.start && position + count as u64 <= self.start + self.window.len() as u64;
        if !held {
            let left = usize::try_from(self.file_bytes - position).unwrap_or(usize::MAX);
            let wanted = count.max(self.window_bytes).min(left);
            self.window.resize(wanted, 0);
            self.start = position;
            if let Err(error) = self.file.read_exact_at(&mut self.window, position) {
                self.window.clear();
                if is_unreadable(&error) && wanted > count {
                    // What is before that is given, and the place of the frame that is not.
                    self.window_bytes = wanted / 2;
                    return self.bytes(position, count);
                }
                // A segment that is ended while it is read gives up the room that nobody has used.
                let file_bytes = self.file.bytes()?;
                if error.kind() != io::ErrorKind::UnexpectedEof || file_bytes >= self.file_bytes {
                    return Err(error);
                }
                self.file_bytes = file_bytes;
                return self.bytes(position, count);
            }
        }
        let from = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        Ok(self.window.get(from..from + count))
    }

    fn place(&self, position: u64) -> Place {
        Place { identity: self.identity, segment: self.segment, position }
    }

    /// The frame at a position and its payload; `None` if there is none, or not the whole of it.
    pub(crate) fn frame(&mut self, position: u64) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let Some((header, frame)) = self.whole(position)? else { return Ok(None) };
        let payload_bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX / 2);
        Ok(frame.get(HEADER_BYTES..HEADER_BYTES + payload_bytes).map(|payload| (header, payload)))
    }

    /// The same, with all of its bytes.
    pub(crate) fn whole(&mut self, position: u64) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let place = self.place(position);
        let Some(head) = self.bytes(position, HEADER_BYTES)? else { return Ok(None) };
        let Some(header) = frame::read_header(head, place) else { return Ok(None) };
        let payload_bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX / 2);
        let Some(frame) = self.bytes(position, frame_bytes(payload_bytes))? else { return Ok(None) };
        Ok(frame::is_whole(frame, place).then_some((header, frame)))
    }

    /// Whether what is at a position is the beginning of an append whose rest was not written: it ends with a page, nothing is behind
    /// `last_set`, and the frame there would go on in the next page, or have another one behind it. Frames before it may be whole.
    /// Somebody who cuts the file short may leave the same: see who calls it.
    pub(crate) fn is_unfinished(&mut self, mut position: u64, last_set: u64) -> io::Result<bool> {
        while position <= last_set {
            match self.frame(position)? {
                Some((_, payload)) => position += frame_bytes(payload.len()) as u64,
                None => break,
            }
        }
        let written = (last_set + 1).next_multiple_of(PAGE_BYTES);
        if written - last_set > ZEROS_MAX {
            return Ok(false);
        }
        let place = self.place(position);
        let header = self.bytes(position, HEADER_BYTES)?.and_then(|head| frame::read_header(head, place));
        let Some(header) = header else { return Ok(written < position + HEADER_BYTES as u64) };
        let payload_bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX / 2);
        let end = position + frame_bytes(payload_bytes) as u64;
        Ok(if header.last { written + MISSING_BYTES_MIN <= end } else { written < end })
    }

    /// Looks at every place where a frame may begin, from `position` on. Gives the first whole frame for which `is_it`
    /// holds, and where the last byte is that is not zero.
    pub(crate) fn search(
        &mut self,
        mut position: u64,
        is_it: impl Fn(&FrameHeader) -> bool,
    ) -> io::Result<(Option<u64>, Option<u64>)> {
        let mut last_set = None;
        while position < self.file_bytes {
            let count = usize::try_from(self.file_bytes - position).unwrap_or(usize::MAX).min(STEP_BYTES);
            let step = self.bytes(position, count)?.unwrap_or_default();
            // Most of it was never written. A frame begins with its checksum, which is not zero.
            let Some(set) = first_set(step) else {
                position += count as u64;
                continue;
            };
            position += (set - set % 8) as u64;
            last_set = Some((position + 7).min(self.file_bytes - 1));
            if let Some((header, _)) = self.frame(position)?
                && is_it(&header)
            {
                return Ok((Some(position), last_set));
            }
            position += 8;
        }
        Ok((None, last_set))
    }
}

/// Where the first byte is that is not zero.
fn first_set(bytes: &[u8]) -> Option<usize> {
    let blocks = bytes.chunks(64);
    let zeros = blocks.take_while(|block| block.iter().fold(0, |all, byte| all | byte) == 0).count() * 64;
    let rest = bytes.get(zeros..)?;
    Some(zeros + rest.iter().position(|byte| *byte != 0)?)
}
