//! The whole lake as files in a directory, at one moment, while others write; and back.
//!
//! ```text
//! backup.json              what is in it; written last, so that its absence says that a backup is not whole
//! metastore.sqlite         or metastore/ for PostgreSQL
//! tables/…                 every file that a kept version names
//! log/…                    what stands beside the lake, as whoever keeps it has copied it
//! secret.key, credentials.toml
//! ```

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use polder_metastore::{RestoreTarget, restore_copy};
use polder_types::{Error, ErrorKind, Result, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::check::catalog::{CHECKSUMS, FILES, targets_of_rows};
use crate::check::{Problem, ProblemKind, Target};
use crate::directories::{make_directories, sync_directory};
use crate::error::{RESTORE, from_io, from_store};
use crate::lake::Lake;
use crate::places::{self, Places};
use crate::store::{TableStore, TablesLocation};

/// The list of what is in a backup.
const LIST: &str = "backup.json";

/// Where the tables' files are in a backup.
const TABLES: &str = "tables";

/// Files of the data directory without which the metastore's secrets are lost, and its owner locked out.
const PRIVATE: [&str; 2] = ["secret.key", "credentials.toml"];

/// The form of a backup that is written and read here.
const FORM: u32 = 1;

/// Files copied together.
const TOGETHER: usize = 2;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub form: u32,
    pub made_by: String,
    pub made_at: chrono::DateTime<chrono::Utc>,
    /// The newest version in it.
    pub snapshot: SnapshotId,
    pub files: Vec<BackupFile>,
    /// Files that other programs keep outside of the tables' place: they are named by the lake, and not in here.
    pub outside: Vec<String>,
}

/// A table's file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Below the tables' root.
    pub path: String,
    pub size_bytes: u64,
    /// `crc32:` and eight hex digits.
    pub checksum: String,
}

impl Backup {
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Reads the list of a backup.
    ///
    /// # Errors
    /// `NotFound` if the directory holds no whole backup; `Unsupported` for one of a newer program.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(LIST);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Error::not_found(format!("{} holds no whole backup: {error}", directory.display()))
                .with_hint("name the directory that `polder backup` has written")
        })?;
        let backup: Self = serde_json::from_str(&text)
            .map_err(|error| Error::new(ErrorKind::Corrupt, format!("{} cannot be read: {error}", path.display())))?;
        if backup.form > FORM {
            return Err(Error::unsupported(format!("{} is a backup of a newer program", directory.display())));
        }
        Ok(backup)
    }
}

impl Lake {
    /// Writes a backup into a directory that is empty or not there. Each file's checksum is verified as it is read.
    /// `beside` adds to it what is kept beside the lake, at a moment behind the lake's.
    ///
    /// # Errors
    /// `AlreadyExists` for a directory with something in it; `Corrupt`, naming the file, if one is not as it was
    /// written: then there is no backup.
    pub fn backup<'a>(
        self: &'a Arc<Self>,
        directory: &'a Path,
        beside: BoxFuture<'a, Result<()>>,
    ) -> BoxFuture<'a, Result<Backup>> {
        Box::pin(async move {
            empty(directory)?;
            let made = self.fill(directory, beside).await;
            if made.is_err()
                && let Err(error) = std::fs::remove_dir_all(directory)
            {
                tracing::warn!(%error, directory = %directory.display(), "a half-done backup could not be removed");
            }
            made
        })
    }

    async fn fill(self: &Arc<Self>, directory: &Path, beside: BoxFuture<'_, Result<()>>) -> Result<Backup> {
        // No clean-up of ours takes a file away, and no version expires, until all are copied.
        let _alone = self.maintenance.lock().await;
        let _hold = self.hold().await?;
        let newest = "SELECT max(snapshot_id) FROM ducklake_snapshot";
        let answers = self.metastore().copy_to(directory, &[newest, FILES, places::SQL, CHECKSUMS]).await?;
        let [newest, files, places, checksums] = &answers[..] else {
            return Err(Error::internal("the metastore answered another number of queries"));
        };
        let snapshot = newest.first().ok_or_else(|| Error::internal("a maximum gave no row"))?.int(0)?;
        let mut problems = Vec::new();
        let places = Places::of_rows(places)?;
        let targets = targets_of_rows(self, files, &places, checksums, &mut problems)?;
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem.into_error());
        }
        let root = directory.join(TABLES);
        let (inside, outside): (Vec<Target>, Vec<Target>) =
            targets.into_iter().partition(|target| below(self.store(), target).is_some());
        let copied = stream::iter(inside).map(|target| copy_out(self, target, &root)).buffered(TOGETHER);
        let files: Vec<BackupFile> = copied.try_collect().await?;
        copy_private(self.metastore().data_dir(), directory)?;
        beside.await?;
        let backup = Backup {
            form: FORM,
            made_by: concat!("Polder ", env!("CARGO_PKG_VERSION")).to_owned(),
            made_at: self.clock.now(),
            snapshot,
            files,
            outside: outside.into_iter().map(|target| target.located.shown).collect(),
        };
        write_list(directory, &backup)?;
        Ok(backup)
    }
}

/// Keys and passwords, which nobody else may read.
fn copy_private(from: &Path, to: &Path) -> Result<()> {
    for name in PRIVATE {
        let (source, target) = (from.join(name), to.join(name));
        let shown = source.to_string_lossy();
        let bytes = match std::fs::read(&source) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(from_io("read", &shown, error)),
        };
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&target).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        written.map_err(|error| from_io("write", &target.to_string_lossy(), error))?;
    }
    Ok(())
}

fn empty(directory: &Path) -> Result<()> {
    let shown = directory.to_string_lossy();
    make_directories(directory)?;
    // One that is there may have been made just now, and its name not be on disk. Its parent may be in a place that cannot be read.
    let _ = directory.parent().map(sync_directory);
    let mut entries = std::fs::read_dir(directory).map_err(|error| from_io("read", &shown, error))?;
    if entries.next().is_some() {
        return Err(
            Error::new(ErrorKind::AlreadyExists, format!("{shown} is not empty")).with_hint("name a new directory")
        );
    }
    #[cfg(unix)]
    {
        // It holds verifiers and keys, as the data directory does.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
            .map_err(|error| from_io("protect", &shown, error))?;
    }
    Ok(())
}

/// A file's path below the tables' root, if it is there.
fn below(store: &TableStore, target: &Target) -> Option<String> {
    let root = store.object_path("");
    let mut rest = target.located.object.prefix_match(&root)?.peekable();
    rest.peek()?;
    Some(rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
}

async fn copy_out(lake: &Lake, target: Target, root: &Path) -> Result<BackupFile> {
    let path = below(lake.store(), &target).unwrap_or_default();
    let to = root.join(&path);
    let shown = target.located.shown.clone();
    let sink = tokio::task::spawn_blocking({
        let to = to.clone();
        move || Sink::create(&to)
    });
    let mut sink = sink.await.map_err(|error| Error::internal(error.to_string()))??;
    let sink = if let Some(local) = target.located.local.clone() {
        let copied = tokio::task::spawn_blocking(move || copy_local(&local, sink)).await;
        copied.map_err(|error| Error::internal(format!("copying {shown} failed: {error}")))??
    } else {
        let failed = |error| from_store(&format!("read {shown}"), error);
        let mut chunks = lake.store().store.get(&target.located.object).await.map_err(failed)?.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            sink.write(&chunk)?;
        }
        sink
    };
    let (size_bytes, checksum) = sink.finish()?;
    let kind = match &target.checksum {
        _ if size_bytes != target.size_bytes => {
            Some(ProblemKind::WrongSize { expected_bytes: target.size_bytes, found_bytes: size_bytes })
        }
        Some(expected) if *expected != checksum => {
            Some(ProblemKind::WrongChecksum { expected: expected.clone(), found: checksum.clone() })
        }
        _ => None,
    };
    match kind {
        Some(kind) => Err(Problem { table: Some(target.table), file: target.located.shown, kind }.into_error()),
        None => Ok(BackupFile { path, size_bytes, checksum }),
    }
}

/// A file being written, counted and summed up.
struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Sink {
    fn create(path: &Path) -> Result<Self> {
        let shown = path.to_string_lossy().into_owned();
        if let Some(parent) = path.parent() {
            make_directories(parent)?;
        }
        let file = File::create_new(path).map_err(|error| from_io("create", &shown, error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), crc: crc32fast::Hasher::new(), bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| from_io("write", &self.path.to_string_lossy(), error))
    }

    /// Syncs; gives size and checksum.
    fn finish(mut self) -> Result<(u64, String)> {
        let shown = self.path.to_string_lossy().into_owned();
        self.file.flush().map_err(|error| from_io("write", &shown, error))?;
        self.file.get_ref().sync_all().map_err(|error| from_io("sync", &shown, error))?;
        if let Some(parent) = self.path.parent() {
            sync_directory(parent)?;
        }
        Ok((self.bytes, format!("crc32:{:08x}", self.crc.finalize())))
    }
}

fn copy_local(from: &Path, mut sink: Sink) -> Result<Sink> {
    let shown = from.to_string_lossy();
    let mut file = File::open(from).map_err(|error| from_io("read", &shown, error))?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer).map_err(|error| from_io("read", &shown, error))? {
            0 => return Ok(sink),
            read => sink.write(&buffer[..read])?,
        }
    }
}

fn write_list(directory: &Path, backup: &Backup) -> Result<()> {
    let text = serde_json::to_string_pretty(backup).map_err(|error| Error::internal(error.to_string()))?;
    let (path, half_done) = (directory.join(LIST), directory.join("backup.json.half-done"));
    let shown = path.to_string_lossy();
    let written = std::fs::write(&half_done, text)
        .and_then(|()| File::open(&half_done)?.sync_all())
        .and_then(|()| std::fs::rename(&half_done, &path));
    written.map_err(|error| from_io("write", &shown, error))?;
    sync_directory(directory)
}

/// Puts a backup's tables and metastore in place. The metastore comes last: without it there is no lake.
///
/// # Errors
/// `Corrupt`, naming the file, when a file of the backup is not as it was written; `AlreadyExists` if there is a
/// metastore in the target.
pub fn restore_backup<'a>(directory: &'a Path, target: &'a RestoreTarget) -> BoxFuture<'a, Result<Backup>> {
    Box::pin(restore(directory, target))
}

async fn restore(directory: &Path, target: &RestoreTarget) -> Result<Backup> {
    let backup = Backup::read(directory)?;
    let location = TablesLocation::parse(&target.tables_path)?;
    let store = TableStore::open(&location).await?;
    let root = directory.join(TABLES);
    let copied = stream::iter(backup.files.clone()).map(|file| copy_in(&store, file, &root)).buffered(TOGETHER);
    copied.try_collect::<Vec<()>>().await?;
    copy_private(directory, &target.data_dir)?;
    restore_copy(directory, target).await?;
    Ok(backup)
}

async fn copy_in(store: &TableStore, file: BackupFile, root: &Path) -> Result<()> {
    let from = root.join(&file.path);
    let shown = from.to_string_lossy().into_owned();
    let found = if let Some(to) = store.local_file(&file.path) {
        let copied = tokio::task::spawn_blocking(move || copy_local(&from, Sink::create(&to)?)?.finish()).await;
        copied.map_err(|error| Error::internal(format!("copying {shown} failed: {error}")))??
    } else {
        upload(store, &from, &file.path).await?
    };
    if found != (file.size_bytes, file.checksum.clone()) {
        let message = format!("cannot read {shown}: it is {} instead of {}", found.1, file.checksum);
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(RESTORE));
    }
    Ok(())
}

async fn upload(store: &TableStore, from: &Path, path: &str) -> Result<(u64, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let shown = store.display(path);
    let failed = |error| from_io("upload", &shown, error);
    let mut reader = tokio::fs::File::open(from).await.map_err(failed)?;
    let mut writer = object_store::buffered::BufWriter::new(Arc::clone(&store.store), store.object_path(path));
    let (mut crc, mut bytes, mut buffer) = (crc32fast::Hasher::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = reader.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            break;
        }
        crc.update(&buffer[..read]);
        bytes += read as u64;
        writer.write_all(&buffer[..read]).await.map_err(failed)?;
    }
    writer.shutdown().await.map_err(failed)?;
    Ok((bytes, format!("crc32:{:08x}", crc.finalize())))
}
