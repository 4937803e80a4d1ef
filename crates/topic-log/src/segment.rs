//! Files of a log: their names, and how a segment begins.

use std::io;
use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::coding::{Put, Take};
use crate::disk::{Disk, DiskFile};
use crate::failure::{damaged, failed, unread};

/// Bytes before the first frame.
pub(crate) const HEADER_BYTES: u64 = 64;
const MAGIC: &[u8; 8] = b"POLDERLG";
const VERSION: u32 = 1;
/// Segments whose frames were brought together by partition have this in their numbers.
pub(crate) const REWRITTEN: u64 = 1 << 63;
const SEGMENT_END: &str = ".segment";

/// The file of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    if segment & REWRITTEN == 0 {
        format!("{segment:020}{SEGMENT_END}")
    } else {
        format!("rewritten-{:020}{SEGMENT_END}", segment & !REWRITTEN)
    }
}

/// The file of a segment's index.
pub(crate) fn index_name(segment: u64) -> String {
    file_name(segment).replace(SEGMENT_END, ".index")
}

/// The number of a segment by the name of its file, or of its index.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(SEGMENT_END).or_else(|| name.strip_suffix(".index"))?;
    match stem.strip_prefix("rewritten-") {
        Some(digits) => Some(digits.parse::<u64>().ok()? | REWRITTEN),
        None => stem.parse().ok(),
    }
}

fn header(segment: u64, identity: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.put(MAGIC);
    bytes.put_u32(VERSION);
    bytes.put_u32(0);
    bytes.put_u64(segment);
    bytes.put_u64(identity);
    bytes.resize(56, 0);
    let sum = xxh3_64(&bytes);
    bytes.put_u64(sum);
    bytes
}

/// Whether a file begins as this segment does.
pub(crate) fn check(disk: &dyn Disk, file: &dyn DiskFile, segment: u64, identity: u64) -> Result<()> {
    let name = disk.path_of(&file_name(segment));
    let mut found = [0_u8; 64];
    match file.read_exact_at(&mut found, 0) {
        // Its beginning is not there: found are zeros, or a part of it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => read.map_err(|error| unread(&name, 0, error))?,
    }
    if found.as_slice() == header(segment, identity) {
        return Ok(());
    }
    let mut rest = Take(found.get(8..).unwrap_or_default());
    let whole = found.get(56..) == Some(xxh3_64(found.get(..56).unwrap_or_default()).to_le_bytes().as_slice());
    if whole && found.starts_with(MAGIC) && rest.u32().is_some_and(|version| version > VERSION) {
        return Err(Error::new(ErrorKind::Unsupported, format!("{name} was written by a newer version")));
    }
    Err(damaged(&name, 0, "it does not begin as a segment of this log"))
}

/// A new segment with room for `bytes`, durable.
pub(crate) fn create(disk: &dyn Disk, segment: u64, identity: u64, bytes: u64) -> Result<Arc<dyn DiskFile>> {
    let name = file_name(segment);
    let made = (|| {
        let file = disk.create(&name)?;
        file.allocate(bytes)?;
        file.write_all_at(&header(segment, identity), 0)?;
        file.sync()?;
        disk.sync_names()?;
        Ok(file)
    })();
    made.map_err(|error| {
        // What was begun only takes room. It is emptied when it is made again.
        if disk.remove(&name).is_err() {
            tracing::warn!(name, "a segment that could not be made is left behind");
        }
        failed("making", &disk.path_of(&name), error)
    })
}

/// Replaces a file as a whole: after any crash it is the old one or the new one.
pub(crate) fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<()> {
    let new = format!("{name}.new");
    let written = (|| {
        let file = disk.create(&new)?;
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&new, name)?;
        disk.sync_names()
    })();
    written.map_err(|error| failed("writing", &disk.path_of(name), error))
}
