//! Reading everything again, to see that it is as it was written.

use polder_runtime::is_unreadable;
use polder_types::{Error, ErrorKind, Result};

use crate::failure::{damaged, failed, missing, unread};
use crate::frame::{Kind, frame_bytes};
use crate::read::Reader;
use crate::scan::Scan;
use crate::segment;

/// A segment that is not as it was written, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    /// Its file.
    pub path: String,
    /// The first damage in it, and where.
    pub problem: String,
}

/// What reading a log again came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogChecked {
    /// Bytes of sound segments.
    pub bytes: u64,
    pub damaged: Vec<DamagedSegment>,
}

impl LogChecked {
    pub(crate) fn sound(self) -> Result<u64> {
        let Some(first) = self.damaged.first() else { return Ok(self.bytes) };
        let more = self.damaged.len() - 1;
        let others = if more == 0 { String::new() } else { format!(", and {more} more segments are damaged") };
        Err(Error::new(ErrorKind::Corrupt, format!("{}{others}", first.problem)))
    }
}

impl Reader {
    /// Checks every frame of every segment, also behind one that cannot be read. `end`: the segment that is written, and up to where
    /// it was by then. Blocks.
    pub(crate) fn scrub(&self, end: Option<(u64, u64)>) -> Result<LogChecked> {
        let mut segments: Vec<u64> = Vec::new();
        for (_, partition) in self.ground.published.partitions() {
            segments.extend(partition.view.read().extents.iter().map(|extent| extent.segment));
        }
        segments.sort_unstable();
        segments.dedup();
        // The last one may have been begun since.
        let shared = segments.iter().filter(|segment| **segment & segment::REWRITTEN == 0).max().copied();
        let mut checked = LogChecked::default();
        let mut failure = None;
        for segment in segments {
            let open_from = match end {
                Some((written, position)) if segment == written => Some(position),
                _ if Some(segment) == shared && end.is_none_or(|(written, _)| segment > written) => Some(0),
                _ => None,
            };
            match self.scrub_segment(segment, open_from) {
                Ok(read) => {
                    checked.bytes += read;
                    self.rewriting.note_sound(segment);
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.rewriting.note_damage(segment);
                    tracing::error!(%error, "a segment of the log is damaged");
                    checked.damaged.push(DamagedSegment { path: self.path(segment), problem: error.to_string() });
                }
                // That says nothing of the segment, and is the answer once the others have been looked at.
                Err(error) => failure = failure.or(Some((segment, error))),
            }
        }
        // What was in the others has been deleted meanwhile.
        for segment in self.rewriting.damaged().into_iter().filter(|segment| !self.is_needed(*segment)) {
            self.rewriting.note_sound(segment);
        }
        // A file that was put in another's place is what readers are to see, too.
        self.files.forget();
        match failure {
            Some((_, error)) if checked.damaged.is_empty() => Err(error),
            Some((segment, error)) => {
                checked.damaged.push(DamagedSegment { path: self.path(segment), problem: error.to_string() });
                Ok(checked)
            }
            None => Ok(checked),
        }
    }

    /// `open_from`: a segment that is written may end there, or behind it.
    fn scrub_segment(&self, number: u64, open_from: Option<u64>) -> Result<u64> {
        let path = self.path(number);
        let file = match self.ground.disk.open(&segment::file_name(number)) {
            Ok(file) => file,
            // One that is rewritten goes while others are read.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return if self.is_needed(number) { Err(missing(&path)) } else { Ok(0) };
            }
            Err(error) if is_unreadable(&error) => return Err(unread(&path, 0, error)),
            Err(error) => return Err(failed("opening", &path, error)),
        };
        segment::check(&*self.ground.disk, &*file, number, self.identity)?;
        let reading = |position: u64| {
            let path = &path;
            move |error| unread(path, position, error)
        };
        let mut scan = Scan::new(file, self.identity, number).map_err(reading(0))?;
        let mut position = segment::HEADER_BYTES;
        loop {
            match scan.frame(position).map_err(reading(position))? {
                Some((header, _)) if header.kind == Kind::Seal => return Ok(position),
                Some((_, payload)) => position += frame_bytes(payload.len()) as u64,
                None if open_from.is_some_and(|from| position >= from) => return Ok(position),
                None => return Err(damaged(&path, position, "a frame is not as it was written")),
            }
        }
    }

    /// Whether somebody reads this segment still.
    fn is_needed(&self, number: u64) -> bool {
        let partitions = self.ground.published.partitions();
        partitions.iter().any(|(_, one)| one.view.read().extents.iter().any(|extent| extent.segment == number))
    }
}
