//! The files of a COPY … TO: they get their names when all of them are written and on disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::logical_expr::dml::CopyTo;
use futures::StreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::error::from_datafusion;
use crate::scope::Scope;

/// Where a COPY writes while nobody knows yet whether it fails: the sink closes its files when its rows end, whether
/// they end in good order or not, and what it closes replaces what was there.
enum Place {
    /// On a disk: a file or folder beside the one that is wanted, to take its name in the end.
    Beside(Beside),
    /// One object of a bucket, with what was there before. A bucket has no other name to write under that would not
    /// cost a second copy.
    Object { store: Arc<dyn ObjectStore>, wanted: ObjectPath, before: Option<ObjectMeta> },
    /// Objects under names of their own in a bucket: those that are there stay as they are.
    Bucket,
}

struct Beside {
    written: PathBuf,
    wanted: PathBuf,
    /// Folders above it that are not there yet, the innermost first: the sink makes them.
    new: Vec<PathBuf>,
}

/// A COPY under way; what it has written goes with it, unless it is kept.
pub(super) struct Writing {
    place: Option<Place>,
}

impl Writing {
    /// The COPY as it is to be run, under a name that nobody else has.
    ///
    /// # Errors
    /// `InvalidInput` for a place that is none; `AlreadyExists` for a folder in which there is anything: whoever reads it
    /// would read the old rows beside the new ones.
    pub(super) async fn begin(scope: &Scope, copy: CopyTo) -> Result<(CopyTo, Self)> {
        let url = ListingTableUrl::parse(&copy.output_url).map_err(from_datafusion)?;
        // As the planner decides it.
        let is_file = match copy.options.get("single_file_output").map(|value| value.trim()) {
            Some("true") => true,
            Some("false") => false,
            _ => !url.is_collection() && url.file_extension().is_some(),
        };
        let wanted = url.prefix().clone();
        if url.scheme() != "file" {
            let store = scope.state.runtime_env().object_store(url.object_store()).map_err(from_datafusion)?;
            if !is_file && store.list(Some(&wanted)).next().await.is_some_and(|found| found.is_ok()) {
                return Err(not_empty(&copy.output_url));
            }
            let place = match is_file {
                true => Place::Object { before: store.head(&wanted).await.ok(), store, wanted },
                false => Place::Bucket,
            };
            return Ok((copy, Self { place: Some(place) }));
        }
        let output_url = beside(&copy.output_url, is_file);
        let written = on_disk(ListingTableUrl::parse(&output_url).map_err(from_datafusion)?.prefix());
        let wanted = on_disk(&wanted);
        if !is_file && fs::read_dir(&wanted).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(not_empty(&copy.output_url));
        }
        let new = wanted.ancestors().skip(1).take_while(|above| !above.is_dir()).map(Path::to_path_buf).collect();
        let place = Place::Beside(Beside { written, wanted, new });
        Ok((CopyTo { output_url, ..copy }, Self { place: Some(place) }))
    }

    /// Syncs what was written and gives it the names that it shall have; they are on disk, too, when this returns.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; what has its name by then keeps it.
    pub(super) async fn keep(&mut self) -> Result<()> {
        match self.place.take() {
            Some(Place::Beside(beside)) => off_thread(move || {
                let put = beside.put();
                beside.clear(put.is_ok());
                put
            })
            .await
            .and_then(|put| put),
            _ => Ok(()),
        }
    }

    /// Takes away what was written.
    pub(super) async fn discard(mut self) {
        if let Some(place) = self.place.take() {
            place.clear().await;
        }
    }
}

impl Drop for Writing {
    /// A caller who has gone away waits for nothing.
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(place.clear())),
            Err(error) => tracing::warn!(%error, "what a COPY has written stays"),
        }
    }
}

impl Place {
    /// What cannot be removed is told in the log: the statement's own error says more.
    async fn clear(self) {
        match self {
            Self::Beside(beside) => {
                if let Err(error) = off_thread(move || beside.clear(false)).await {
                    tracing::warn!(%error, "what a COPY has written stays");
                }
            }
            Self::Object { store, wanted, before } => {
                let Ok(now) = store.head(&wanted).await else { return };
                if before.as_ref() != Some(&now)
                    && let Err(error) = store.delete(&wanted).await
                {
                    tracing::warn!(%error, "what a COPY has written stays");
                }
            }
            Self::Bucket => {}
        }
    }
}

impl Beside {
    fn put(&self) -> Result<()> {
        // Their own names have to be on disk before anything in them is.
        let mut changed: BTreeSet<PathBuf> =
            self.new.iter().filter_map(|new| new.parent()).map(Path::to_path_buf).collect();
        // No rows in parts are no file.
        let put = if self.written.exists() { put(&self.written, &self.wanted, &mut changed) } else { Ok(()) };
        put.and_then(|()| changed.iter().filter(|folder| folder.is_dir()).try_for_each(|folder| sync(folder))).map_err(
            |error| {
                let text = format!("cannot put the copy at {}: {error}", self.wanted.display());
                Error::new(ErrorKind::Unavailable, text).with_source(error)
            },
        )
    }

    /// Removes what has not got its name, and the folders that were made for it.
    fn clear(&self, kept: bool) {
        let removed =
            if self.written.is_dir() { fs::remove_dir_all(&self.written) } else { fs::remove_file(&self.written) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.written.display(), %error, "what a COPY has written stays");
            }
            _ if kept => {}
            // One that others have put something into stays, as do those above it.
            _ => drop(self.new.iter().try_for_each(fs::remove_dir)),
        }
    }
}

/// Moves a file, or all files of a folder, and notes the folders in which names are new.
fn put(from: &Path, to: &Path, changed: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if from.is_dir() {
        if !to.is_dir() {
            fs::create_dir(to)?;
            changed.extend(to.parent().map(Path::to_path_buf));
        }
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            put(&entry.path(), &to.join(entry.file_name()), changed)?;
        }
        return Ok(());
    }
    sync(from)?;
    fs::rename(from, to)?;
    changed.extend(to.parent().map(Path::to_path_buf));
    Ok(())
}

fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(opened) => opened.sync_all(),
        // One may write into a directory that one may not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn on_disk(path: &ObjectPath) -> PathBuf {
    Path::new("/").join(path.as_ref())
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))
}

fn not_empty(url: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("the folder {url} is not empty"))
        .with_code("58P02")
        .with_hint("copy into a new folder, or remove what is in this one first")
}

/// A name of its own in the same folder.
fn beside(url: &str, is_file: bool) -> String {
    let url = url.trim_end_matches('/');
    let folder = match url.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        // The root of the disk, or a name by itself.
        None if url.is_empty() => "/".to_owned(),
        None => String::new(),
    };
    let ending = if is_file { ".tmp" } else { "/" };
    format!("{folder}.copy-{}{ending}", Uuid::new_v4().simple())
}
