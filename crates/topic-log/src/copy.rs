//! A copy of the log, while it goes on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use polder_types::{Error, Result};
use tokio::sync::oneshot;

use crate::checkpoint;
use crate::disk::Disk;
use crate::end;
use crate::failure::failed;
use crate::keeper::closed;
use crate::log::Log;
use crate::request::{Order, Request};
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
        let (inner, into) = (Arc::clone(&self.0), directory.to_owned());
        // First: what the checkpoint names is there still when the rest is listed, and what came later is replayed.
        let work = move || begin(&*inner.reader.ground.disk, &into);
        let bytes = tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))??;
        // Beyond this moment nothing is copied: a later frame would vouch for one that was not there yet when its part of
        // the file was read.
        let (end, said) = self.position().await?;
        let (inner, into) = (Arc::clone(&self.0), directory.to_owned());
        let work = move || {
            let bytes = copy(&*inner.reader.ground.disk, &into, end)?;
            // Last: by now all of it is there.
            write(&into, end::NAME, &end::content(inner.reader.identity, said))?;
            Ok::<_, Error>(bytes)
        };
        let rest = tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))??;
        Ok(bytes + rest)
    }

    /// The segment that is written, and how far it is; and the number of the last append in it.
    pub(crate) async fn position(&self) -> Result<((u64, u64), u64)> {
        let (done, answer) = oneshot::channel();
        if !self.0.queue.put([Request::Order(Order::Position(done))]) {
            return Err(closed());
        }
        answer.await.map_err(|_| closed())
    }
}

fn begin(from: &dyn Disk, into: &Path) -> Result<u64> {
    let shown = into.display().to_string();
    std::fs::create_dir(into).map_err(|error| failed("making", &shown, error))?;
    copy_file(from, checkpoint::NAME, into, u64::MAX)
}

fn copy(from: &dyn Disk, into: &Path, (segment, position): (u64, u64)) -> Result<u64> {
    let names = from.list().map_err(|error| failed("listing", &from.path_of(""), error))?;
    let mut bytes = 0;
    for name in names {
        let Some(number) = segment::number_of(&name) else { continue };
        let is_shared = number & segment::REWRITTEN == 0;
        if is_shared && number > segment {
            continue;
        }
        let end = if is_shared && number == segment { position } else { u64::MAX };
        bytes += copy_file(from, &name, into, end)?;
    }
    sync_names(into)?;
    Ok(bytes)
}

fn sync_names(of: &Path) -> Result<()> {
    let synced = File::open(of).and_then(|directory| directory.sync_all());
    synced.map_err(|error| failed("syncing", &of.display().to_string(), error))
}

/// Writes a small file, durable.
fn write(into: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let target = into.join(name);
    let file = create(&target)?;
    let written = file.write_all_at(bytes, 0).and_then(|()| file.sync_all());
    written.map_err(|error| failed("writing", &target.display().to_string(), error))?;
    sync_names(into)
}

/// Copies one file; long runs of zeros, as behind the end of what is written, become a hole.
fn copy_file(from: &dyn Disk, name: &str, into: &Path, end: u64) -> Result<u64> {
    let source = match from.open(name) {
        Ok(source) => source,
        // A log that is so young has no checkpoint.
        Err(error) if error.kind() == io::ErrorKind::NotFound && name == checkpoint::NAME => return Ok(0),
        Err(error) => return Err(failed("opening", &from.path_of(name), error)),
    };
    let target = into.join(name);
    let reading = |error| failed("reading", &from.path_of(name), error);
    let mut length = source.bytes().map_err(reading)?.min(end);
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
