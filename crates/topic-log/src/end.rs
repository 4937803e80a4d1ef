//! Up to where the log is durable, in a file of its own.
//!
//! Each frame tells so of those before it, but nobody tells of the last ones. So it is written down when the log is closed, and
//! when nothing has come for a moment: what is not whole before it at a start was acknowledged and is damaged, and is no torn
//! end. The file has two places that are written in turn, so that one is whole whatever becomes of the other. A file that is
//! missing or damaged vouches for nothing.

use std::io;
use std::sync::Arc;

use polder_types::Result;
use xxhash_rust::xxh3::xxh3_64;

use crate::coding::{Put, Take};
use crate::disk::{Disk, DiskFile};
use crate::failure::failed;

pub(crate) const NAME: &str = "durable";
const MAGIC: &[u8; 8] = b"POLDEREN";
const VERSION: u32 = 1;
/// What is written at once: magic, version, identity, sequence, checksum.
const PLACE_BYTES: usize = 36;
/// From one place to the other: no block of a disk has both.
const STEP_BYTES: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct DurableEnd {
    file: Option<Arc<dyn DiskFile>>,
    identity: u64,
    sequence: u64,
    /// Where the next one goes.
    next_place: u64,
}

impl DurableEnd {
    /// Reads what was said. What was said of another log counts for nothing, and so does what cannot be read: it is written
    /// anew.
    pub(crate) fn read(disk: &dyn Disk, identity: u64) -> Self {
        Self::try_read(disk, identity).unwrap_or_else(|error| {
            // A log of before has none, and one that was killed at once.
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, path = disk.path_of(NAME), "up to where the log was durable cannot be read");
            }
            Self { file: None, identity, sequence: 0, next_place: 0 }
        })
    }

    fn try_read(disk: &dyn Disk, identity: u64) -> io::Result<Self> {
        let mut end = Self { file: None, identity, sequence: 0, next_place: 0 };
        let file = disk.open(NAME)?;
        let file_bytes = file.bytes()?;
        for place in 0..2 {
            let mut bytes = [0_u8; PLACE_BYTES];
            if place * STEP_BYTES + PLACE_BYTES as u64 > file_bytes {
                continue;
            }
            file.read_exact_at(&mut bytes, place * STEP_BYTES)?;
            if let Some(sequence) = said(&bytes, identity)
                && sequence > end.sequence
            {
                (end.sequence, end.next_place) = (sequence, 1 - place);
            }
        }
        end.file = Some(file);
        Ok(end)
    }

    /// The number of the last append that is known to be durable.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes down that the log is durable up to an append, which it must be by now.
    ///
    /// # Errors
    /// It could not be written. What was said before stands.
    pub(crate) fn say(&mut self, disk: &dyn Disk, sequence: u64) -> Result<()> {
        if sequence <= self.sequence {
            return Ok(());
        }
        self.write(disk, sequence).map_err(|error| failed("writing", &disk.path_of(NAME), error))?;
        self.sequence = sequence;
        self.next_place = 1 - self.next_place;
        Ok(())
    }

    fn write(&mut self, disk: &dyn Disk, sequence: u64) -> io::Result<()> {
        let (file, is_new) = match &self.file {
            Some(file) => (Arc::clone(file), false),
            None => (disk.create(NAME)?, true),
        };
        file.write_all_at(&saying(self.identity, sequence), self.next_place * STEP_BYTES)?;
        file.sync()?;
        if is_new {
            disk.sync_names()?;
        }
        self.file = Some(file);
        Ok(())
    }
}

/// The bytes of a place.
fn saying(identity: u64, sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PLACE_BYTES);
    bytes.put(MAGIC);
    bytes.put_u32(VERSION);
    bytes.put_u64(identity);
    bytes.put_u64(sequence);
    let sum = xxh3_64(&bytes);
    bytes.put_u64(sum);
    bytes
}

/// The number that a place says; `None` if it is not whole, or of another log or version.
fn said(bytes: &[u8], identity: u64) -> Option<u64> {
    let mut from = Take(bytes.strip_prefix(MAGIC)?);
    let (_version, _identity, sequence) = (from.u32()?, from.u64()?, from.u64()?);
    (bytes == saying(identity, sequence)).then_some(sequence)
}

/// A whole file that says so, for a copy of the log.
pub(crate) fn content(identity: u64, sequence: u64) -> Vec<u8> {
    saying(identity, sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::{Chance, SimulatedDisk};

    #[test]
    fn it_never_says_less_after_a_crash_and_never_more_than_it_was_told() {
        let disk = SimulatedDisk::default();
        let mut end = DurableEnd::read(&disk, 5);
        for sequence in 1..30 {
            end.say(&disk, sequence).unwrap();
            disk.fail_syncs(1);
            end.say(&disk, sequence + 100).unwrap_err();
            for seed in 1..20 {
                let crashed = disk.crashed(&mut Some(Chance(seed * 7919)));
                let found = DurableEnd::read(&crashed, 5).sequence();
                assert!(found == sequence || found == sequence + 100, "{sequence}: {found}");
                assert_eq!(DurableEnd::read(&crashed, 6).sequence(), 0);
            }
        }
    }

    #[test]
    fn a_flip_in_it_vouches_for_less() {
        let disk = SimulatedDisk::default();
        let mut end = DurableEnd::read(&disk, 5);
        end.say(&disk, 8).unwrap();
        end.say(&disk, 9).unwrap();
        for place in 0..disk.content(NAME).len() {
            let flipped = disk.with(NAME, |bytes| bytes[place] ^= 4);
            let found = DurableEnd::read(&flipped, 5).sequence();
            assert!(found == 9 || (found == 8 && place >= 4096), "{place}: {found}");
        }
    }
}
