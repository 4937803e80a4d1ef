//! A copy of the log, while it goes on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use polder_types::{Error, Result};

use crate::checkpoint;
use crate::disk::Disk;
use crate::failure::failed;
use crate::log::Log;
use crate::segment;

const CHUNK_BYTES: usize = 1 << 20;

impl Log {
    /// Copies the log into a folder that is not there yet, as it is at one moment behind the call: all that was acknowledged
    /// before is in it. A log opens there as it would after a crash. Gives the bytes that were written.
    ///
    /// # Errors
    /// A disk failed, or something was in the folder already; what was copied by then stays.
    pub async fn copy_to(&self, directory: &Path) -> Result<u64> {
        // Files go with housekeeping only.
        let _one = self.0.housekeeping.lock().await;
        let (inner, directory) = (Arc::clone(&self.0), directory.to_owned());
        let work = move || copy(&*inner.reader.ground.disk, &directory);
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))?
    }
}

fn copy(from: &dyn Disk, into: &Path) -> Result<u64> {
    let shown = into.display().to_string();
    std::fs::create_dir(into).map_err(|error| failed("making", &shown, error))?;
    // First: what it names is there still when the rest is listed, and what came later is replayed.
    let mut bytes = copy_file(from, checkpoint::NAME, into)?;
    let mut names = from.list().map_err(|error| failed("listing", &from.path_of(""), error))?;
    names.retain(|name| segment::number_of(name).is_some());
    // The older before the newer, which tell what of the older was durable.
    names.sort_unstable();
    for name in names {
        bytes += copy_file(from, &name, into)?;
    }
    File::open(into).and_then(|directory| directory.sync_all()).map_err(|error| failed("syncing", &shown, error))?;
    Ok(bytes)
}

/// Copies one file; long runs of zeros, as behind the end of what is written, become a hole.
fn copy_file(from: &dyn Disk, name: &str, into: &Path) -> Result<u64> {
    let source = match from.open(name) {
        Ok(source) => source,
        // A log that is so young has no checkpoint.
        Err(error) if error.kind() == io::ErrorKind::NotFound && name == checkpoint::NAME => return Ok(0),
        Err(error) => return Err(failed("opening", &from.path_of(name), error)),
    };
    let target = into.join(name);
    let reading = |error| failed("reading", &from.path_of(name), error);
    let mut length = source.bytes().map_err(reading)?;
    let (mut written, mut position) = (0, 0);
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    let file = create(&target)?;
    while position < length {
        let size = usize::try_from(length - position).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let Some(part) = chunk.get_mut(..size) else { break };
        match source.read_exact_at(part, position) {
            Ok(()) => {}
            // The room behind what is written goes when a segment is full.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let shorter = source.bytes().map_err(reading)?;
                if shorter >= length {
                    return Err(reading(error));
                }
                length = shorter;
                continue;
            }
            Err(error) => return Err(reading(error)),
        }
        if part.iter().any(|byte| *byte != 0) {
            let put = file.write_all_at(part, position);
            put.map_err(|error| failed("writing", &target.display().to_string(), error))?;
            written += size as u64;
        }
        position += size as u64;
    }
    let ended = file.set_len(length).and_then(|()| file.sync_all());
    ended.map_err(|error| failed("syncing", &target.display().to_string(), error))?;
    Ok(written)
}

fn create(path: &Path) -> Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| failed("making", &path.display().to_string(), error))
}
