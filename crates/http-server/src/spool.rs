//! Files that users have uploaded and not yet loaded.
//!
//! An upload is written to `<id>.part`, synced, described in `<id>.json`, and then renamed to `<id>`. So a file without an
//! extension is complete, and everything else is the rest of a cut-off upload, deleted when the connection ends or, after
//! a crash, at the next start.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use polder_capability::LoadSource;
use polder_runtime::{Clock, fault};
use polder_types::limits::UPLOAD_BYTES_MAX;
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufWriter};
use uuid::Uuid;

use crate::error::UNDEFINED_OBJECT;

/// An upload that nobody has loaded goes away after this.
const KEPT_MAX: TimeDelta = TimeDelta::days(1);

/// Uploads that may wait for a load, of all users.
const UPLOADS_MAX: usize = 1000;

/// Silence after which an upload counts as cut off.
const CHUNK_WAIT_MAX: Duration = Duration::from_secs(60);

const WRITE_BYTES: usize = 1 << 20;

const NAME_CHARS_MAX: usize = 255;

/// What is known of an upload; also the content of `<id>.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub user: String,
    /// The user's name for it: shown, and made into a table name; never a path.
    pub name: String,
    pub bytes: u64,
    pub uploaded_at: DateTime<Utc>,
}

struct Entry {
    upload: Upload,
    /// Loads and previews that read it now.
    readers: usize,
}

/// The folder of uploads.
pub(crate) struct Spool {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    entries: Mutex<HashMap<Uuid, Entry>>,
}

/// An upload that is being read, and therefore stays.
pub(crate) struct Claim {
    spool: Arc<Spool>,
    id: Uuid,
    pub name: String,
}

impl Claim {
    pub(crate) fn source(&self) -> LoadSource {
        LoadSource::Spooled { path: self.spool.folder.join(self.id.to_string()), name: self.name.clone() }
    }

    /// Deletes the upload, since its rows are in a table now.
    pub(crate) fn consume(self) {
        self.spool.remove(self.id);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(entry) = self.spool.entries.lock().get_mut(&self.id) {
            entry.readers = entry.readers.saturating_sub(1);
        }
    }
}

/// Deletes the unfinished file, unless the upload was completed.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            delete(&path);
        }
    }
}

impl Spool {
    /// Opens the folder, makes it if need be, and clears what cut-off uploads left behind.
    pub(crate) fn open(folder: PathBuf, clock: Arc<dyn Clock>) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot use the upload folder {}: {error}", folder.display()))
                .with_hint("check that it can be written to")
                .with_source(error)
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        // Its name must be on disk before an upload in it is acknowledged.
        if let Some(parent) = folder.parent() {
            std::fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        let mut entries = HashMap::new();
        for file in std::fs::read_dir(&folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            match read_upload(&path) {
                Some((id, upload)) => {
                    entries.insert(id, Entry { upload, readers: 0 });
                }
                None if is_leftover(&path) => delete(&path),
                None => {}
            }
        }
        let spool = Self { folder, clock, entries: Mutex::new(entries) };
        spool.sweep();
        Ok(spool)
    }

    /// Writes a body to disk as it comes. Nothing stays if it is cut off, too large, or does not fit on the disk.
    pub(crate) async fn receive<E: std::error::Error + Send + Sync + 'static>(
        self: &Arc<Self>,
        user: &str,
        name: &str,
        declared_bytes: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(Uuid, Upload)> {
        if declared_bytes.is_some_and(|bytes| bytes > UPLOAD_BYTES_MAX) {
            return Err(too_large());
        }
        if self.entries.lock().len() >= UPLOADS_MAX {
            return Err(Error::new(ErrorKind::Exhausted, format!("{UPLOADS_MAX} uploads wait for a load"))
                .with_hint("load some of them; what is not loaded goes away after a day"));
        }
        let id = Uuid::now_v7();
        let part = Unfinished(Some(self.folder.join(format!("{id}.part"))));
        let bytes = self.write(&self.folder.join(format!("{id}.part")), body).await?;
        let upload = Upload { user: user.to_owned(), name: file_name(name), bytes, uploaded_at: self.clock.now() };
        // In one piece, so that a connection that ends just now leaves either all of it or nothing.
        let (spool, described) = (Arc::clone(self), upload.clone());
        tokio::task::spawn_blocking(move || spool.complete(id, part, described).map_err(|error| spool.failed(error)))
            .await
            .map_err(|error| Error::internal("completing the upload failed").with_source(error))??;
        Ok((id, upload))
    }

    /// The bytes of a body, synced. Gives how many there were.
    async fn write<E: std::error::Error + Send + Sync + 'static>(
        &self,
        part: &Path,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64> {
        let file = new_file(part).map_err(|error| self.failed(error))?;
        let mut file = BufWriter::with_capacity(WRITE_BYTES, tokio::fs::File::from_std(file));
        let mut body = std::pin::pin!(body);
        let mut bytes = 0_u64;
        loop {
            let chunk = tokio::time::timeout(CHUNK_WAIT_MAX, body.next()).await.map_err(|_| {
                Error::invalid(format!("the upload stood still for {} s", CHUNK_WAIT_MAX.as_secs()))
                    .with_hint("upload the file again")
            })?;
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|error| {
                Error::invalid(format!("the upload was cut off after {bytes} bytes"))
                    .with_hint("upload the file again")
                    .with_source(error)
            })?;
            bytes += chunk.len() as u64;
            if bytes > UPLOAD_BYTES_MAX {
                return Err(too_large());
            }
            file.write_all(&chunk).await.map_err(|error| self.failed(error))?;
        }
        file.flush().await.map_err(|error| self.failed(error))?;
        file.get_ref().sync_all().await.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// Describes the upload, gives the file its final name, and lists it.
    fn complete(&self, id: Uuid, mut part: Unfinished, upload: Upload) -> io::Result<()> {
        let mut description = Unfinished(Some(self.folder.join(format!("{id}.json"))));
        let (Some(from), Some(json)) = (&part.0, &description.0) else { return Ok(()) };
        let mut file = new_file(json)?;
        serde_json::to_writer(&mut file, &upload)?;
        file.sync_all()?;
        fault::point("upload.rename");
        std::fs::rename(from, self.folder.join(id.to_string()))?;
        (part.0, description.0) = (None, None);
        std::fs::File::open(&self.folder)?.sync_all()?;
        self.entries.lock().insert(id, Entry { upload, readers: 0 });
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::new(ErrorKind::Exhausted, "the disk is full, the upload was dropped")
                    .with_code("53100")
                    .with_hint("free some space in the data directory and upload the file again")
            }
            _ => Error::internal(format!("cannot write the upload to {}: {error}", self.folder.display())),
        }
        .with_source(error)
    }

    /// Holds uploads of a user, so that they can be read.
    ///
    /// # Errors
    /// `NotFound` for an id that is none of the user's.
    pub(crate) fn claim(self: &Arc<Self>, user: &str, ids: &[Uuid]) -> Result<Vec<Claim>> {
        ids.iter()
            .map(|&id| {
                let mut entries = self.entries.lock();
                let entry = entries.get_mut(&id).filter(|entry| entry.upload.user == user).ok_or_else(|| {
                    Error::not_found(format!("no upload {id}"))
                        .with_code(UNDEFINED_OBJECT)
                        .with_hint("upload the file again; uploads go away after a load and after a day")
                })?;
                entry.readers += 1;
                Ok(Claim { spool: Arc::clone(self), id, name: entry.upload.name.clone() })
            })
            .collect()
    }

    fn remove(&self, id: Uuid) {
        self.entries.lock().remove(&id);
        self.delete_files(id);
    }

    /// The data first: a description without data is a leftover, data without a description would be a riddle.
    fn delete_files(&self, id: Uuid) {
        delete(&self.folder.join(id.to_string()));
        delete(&self.folder.join(format!("{id}.json")));
    }

    /// Deletes what has waited too long.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        let mut old = Vec::new();
        self.entries.lock().retain(|id, entry| {
            let expired = entry.readers == 0 && now - entry.upload.uploaded_at >= KEPT_MAX;
            if expired {
                old.push(*id);
            }
            !expired
        });
        for id in old {
            self.delete_files(id);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.lock().len()
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, format!("the upload is larger than {} GiB", UPLOAD_BYTES_MAX >> 30))
        .with_hint("put the file on the server's disk or in an object store, and load it from there")
}

/// A file that did not exist, readable for the server's user alone.
fn new_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn delete(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot delete an upload");
    }
}

/// A complete upload of an earlier run.
fn read_upload(path: &Path) -> Option<(Uuid, Upload)> {
    let id = Uuid::try_parse(path.file_name()?.to_str()?).ok()?;
    let description = std::fs::read(path.with_extension("json")).ok()?;
    serde_json::from_slice(&description).ok().map(|upload| (id, upload))
}

/// A file of ours that is no complete upload: an unfinished one, or a description that lost its data. Other files in the
/// folder are not touched.
fn is_leftover(path: &Path) -> bool {
    let is_ours = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| Uuid::try_parse(stem).is_ok());
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("part") => is_ours,
        Some("json") => is_ours && !path.with_extension("").exists(),
        Some(_) => false,
        None => is_ours,
    }
}

/// The last component of what the user calls a file, without anything that is no text.
fn file_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    match clean.trim() {
        "" | "." | ".." => "upload".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
