//! Reading everything again, to see that it is as it was written.

use polder_types::{Error, ErrorKind, Result};

use crate::failure::{damaged, failed};
use crate::frame::{Kind, frame_bytes};
use crate::read::Reader;
use crate::scan::Scan;
use crate::segment;

/// Damaged segments that are named.
const NAMED_MAX: usize = 100;

impl Reader {
    /// Checks every frame of every sealed segment; gives the bytes that were read. Blocks.
    pub(crate) fn scrub(&self) -> Result<u64> {
        let mut segments: Vec<u64> = Vec::new();
        for (_, partition) in self.ground.published.partitions() {
            segments.extend(partition.view.read().extents.iter().map(|extent| extent.segment));
        }
        segments.sort_unstable();
        segments.dedup();
        // The one that is written ends where the writing is.
        let shared = segments.iter().filter(|segment| **segment & segment::REWRITTEN == 0).max().copied();
        let (mut bytes, mut damages, mut more) = (0, Vec::new(), 0);
        for segment in segments {
            match self.scrub_segment(segment, Some(segment) == shared) {
                Ok(read) => bytes += read,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.rewriting.note_damage(segment);
                    if damages.len() < NAMED_MAX { damages.push(error.to_string()) } else { more += 1 }
                }
                Err(error) => return Err(error),
            }
        }
        if more > 0 {
            damages.push(format!("and {more} more segments"));
        }
        if damages.is_empty() { Ok(bytes) } else { Err(Error::new(ErrorKind::Corrupt, damages.join("; "))) }
    }

    fn scrub_segment(&self, number: u64, may_be_open: bool) -> Result<u64> {
        let path = self.path(number);
        let file = match self.ground.disk.open(&segment::file_name(number)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.is_needed(number) => return Ok(0),
            Err(error) => return Err(failed("opening", &path, error)),
        };
        segment::check(&*self.ground.disk, &*file, number, self.identity)?;
        let reading = |error| failed("reading", &path, error);
        let mut scan = Scan::new(file, self.identity, number).map_err(reading)?;
        let mut position = segment::HEADER_BYTES;
        loop {
            match scan.frame(position).map_err(reading)? {
                Some((header, _)) if header.kind == Kind::Seal => return Ok(position),
                Some((_, payload)) => position += frame_bytes(payload.len()) as u64,
                None if may_be_open => return Ok(position),
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
