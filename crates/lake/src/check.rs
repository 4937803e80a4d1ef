//! Files read whole and compared with what was written, and the catalog with itself.

pub(crate) mod catalog;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use polder_runtime::is_unreadable;
use polder_types::{Error, ErrorKind, Result};

use crate::error::{RESTORE, from_io, from_store};
use crate::lake::Lake;
use crate::model::{Snapshot, TableState};
use crate::names::TableName;
use crate::store::Located;

/// Files looked at together.
const TOGETHER: usize = 2;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A file of a table that is not as it was written, or a row of the catalog that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `None` for the metastore itself.
    pub table: Option<TableName>,
    /// The file's full name; for the metastore its file, or its database without the password.
    pub file: String,
    pub kind: ProblemKind,
}

/// What a check looked at, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub files: u64,
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    Missing,
    WrongSize {
        expected_bytes: u64,
        found_bytes: u64,
    },
    /// The bytes are not the ones that were written.
    WrongChecksum {
        expected: String,
        found: String,
    },
    /// The disk cannot read it; or another program wrote it, so there is no checksum, and it does not read as Parquet.
    Unreadable(String),
    /// The database says so of itself.
    Metastore(String),
    /// Rows of the catalog contradict each other.
    Catalog(String),
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::WrongSize { expected_bytes, found_bytes } => {
                write!(f, "it has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::WrongChecksum { expected, found } => write!(f, "its checksum is {found} instead of {expected}"),
            Self::Unreadable(reason) | Self::Metastore(reason) | Self::Catalog(reason) => f.write_str(reason),
        }
    }
}

impl Problem {
    pub(crate) fn into_error(self) -> Error {
        let of = self.table.map_or_else(|| "the metastore".to_owned(), |table| table.to_string());
        let message = format!("cannot read {}, a file of {of}: {}", self.file, self.kind);
        Error::new(ErrorKind::Corrupt, message).with_hint(RESTORE)
    }
}

/// One file to be looked at, with what the catalog says of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub id: i64,
    pub table: TableName,
    pub located: Located,
    pub size_bytes: u64,
    pub rows: Option<i64>,
    pub footer_bytes: Option<u64>,
    pub checksum: Option<String>,
}

/// How closely files are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Whether they are there, with the right size.
    Size,
    /// Every byte.
    Whole,
}

impl Lake {
    /// Reads every data file and delete file that any kept version names, whole, and has the metastore check itself
    /// and the catalog. Names what is missing, not as it was written, or contradicts itself.
    ///
    /// # Errors
    /// When the metastore or the store cannot be asked at all.
    pub fn check(self: &Arc<Self>) -> BoxFuture<'_, Result<CheckReport>> {
        Box::pin(self.check_all())
    }

    async fn check_all(self: &Arc<Self>) -> Result<CheckReport> {
        // Files that go meanwhile are no fault.
        let _hold = self.hold().await?;
        let mut report = CheckReport { problems: catalog::problems(self).await?, ..CheckReport::default() };
        let targets = catalog::targets(self, &mut report.problems).await?;
        report.files = targets.len() as u64;
        report.bytes = targets.iter().map(|target| target.size_bytes).sum();
        let looked = stream::iter(targets).map(|target| look(self, target, Depth::Whole)).buffered(TOGETHER);
        let found: Vec<Problem> = looked.try_filter_map(|problem| async { Ok(problem) }).try_collect().await?;
        report.problems.extend(found);
        Ok(report)
    }
}

/// The first file of a table that is not as it was written, the cheapest to find first.
pub(crate) async fn first_broken(lake: &Lake, snapshot: &Snapshot, table: &TableState) -> Result<Option<Problem>> {
    for depth in [Depth::Size, Depth::Whole] {
        let mut targets = targets_of(lake, snapshot, table)?;
        if depth == Depth::Whole {
            add_checksums(lake, &mut targets).await?;
        }
        for target in targets {
            if let Some(problem) = look(lake, target, depth).await? {
                return Ok(Some(problem));
            }
        }
    }
    Ok(None)
}

fn targets_of(lake: &Lake, snapshot: &Snapshot, table: &TableState) -> Result<Vec<Target>> {
    let name = snapshot.name_of(table);
    let target = |id: i64, path: &str, relative: bool, size: i64| -> Result<Target> {
        let located = lake.store().locate(snapshot, table, path, relative)?;
        let (size_bytes, table) = (size.unsigned_abs(), name.clone());
        Ok(Target { id, table, located, size_bytes, rows: None, footer_bytes: None, checksum: None })
    };
    let mut targets = Vec::new();
    for file in table.files.iter() {
        targets.push(target(file.id, &file.path, file.path_is_relative, file.file_size_bytes)?);
        if let Some(delete) = &file.delete {
            targets.push(target(delete.id, &delete.path, delete.path_is_relative, delete.file_size_bytes)?);
        }
    }
    Ok(targets)
}

async fn add_checksums(lake: &Lake, targets: &mut [Target]) -> Result<()> {
    let known = lake.metastore().data_files().checksums().await?;
    let known: HashMap<i64, String> = known.into_iter().map(|file| (file.data_file_id, file.checksum)).collect();
    for target in targets {
        target.checksum = known.get(&target.id).cloned();
    }
    Ok(())
}

pub(crate) async fn look(lake: &Lake, target: Target, depth: Depth) -> Result<Option<Problem>> {
    let kind = match problem_of(lake, &target, depth).await {
        Ok(kind) => kind,
        Err(error) => Some(of_disk(error)?),
    };
    Ok(kind.map(|kind| Problem { table: Some(target.table), file: target.located.shown, kind }))
}

/// What a disk cannot read is a problem of one file, behind which the others are looked at.
fn of_disk(error: Error) -> Result<ProblemKind> {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match cause.filter(|cause| is_unreadable(cause)) {
        Some(cause) => Ok(ProblemKind::Unreadable(format!("it cannot be read: {cause}"))),
        None => Err(error),
    }
}

async fn problem_of(lake: &Lake, target: &Target, depth: Depth) -> Result<Option<ProblemKind>> {
    Ok(match size_of(lake, &target.located).await? {
        None => Some(ProblemKind::Missing),
        Some(found_bytes) if found_bytes != target.size_bytes => {
            Some(ProblemKind::WrongSize { expected_bytes: target.size_bytes, found_bytes })
        }
        Some(_) if depth == Depth::Size => None,
        Some(_) => match &target.checksum {
            Some(expected) => {
                let found = crc_text(lake, &target.located).await?;
                (found != *expected).then(|| ProblemKind::WrongChecksum { expected: expected.clone(), found })
            }
            None => unreadable(lake, target).await?.map(ProblemKind::Unreadable),
        },
    })
}

async fn size_of(lake: &Lake, located: &Located) -> Result<Option<u64>> {
    if let Some(local) = &located.local {
        return match tokio::fs::metadata(local).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(from_io("read", &located.shown, error)),
        };
    }
    match lake.store().store.head(&located.object).await {
        Ok(meta) => Ok(Some(meta.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(from_store(&format!("read {}", located.shown), error)),
    }
}

/// A file's checksum as it is recorded.
pub(crate) async fn crc_text(lake: &Lake, located: &Located) -> Result<String> {
    Ok(format!("crc32:{:08x}", crc(lake, located).await?))
}

async fn crc(lake: &Lake, located: &Located) -> Result<u32> {
    let shown = located.shown.clone();
    if let Some(local) = located.local.clone() {
        let summed = tokio::task::spawn_blocking(move || crc_of_file(&local)).await;
        let summed = summed.map_err(|error| Error::internal(format!("reading {shown} failed: {error}")))?;
        return summed.map_err(|error| from_io("read", &shown, error));
    }
    let failed = |error| from_store(&format!("read {shown}"), error);
    let mut chunks = lake.store().store.get(&located.object).await.map_err(failed)?.into_stream();
    let mut crc = crc32fast::Hasher::new();
    while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
        crc.update(&chunk);
    }
    Ok(crc.finalize())
}

fn crc_of_file(path: &Path) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(crc.finalize()),
            read => crc.update(&buffer[..read]),
        }
    }
}

/// Why a file of another program does not read to its end, if so.
async fn unreadable(lake: &Lake, target: &Target) -> Result<Option<String>> {
    let located = &target.located;
    let shown = &located.shown;
    let (rows, footer) = (target.rows, target.footer_bytes);
    let read = if let Some(local) = located.local.clone() {
        let file = File::open(&local).map_err(|error| from_io("read", shown, error))?;
        tokio::task::spawn_blocking(move || read_through(file, rows, footer)).await
    } else {
        let failed = |error| from_store(&format!("read {shown}"), error);
        let object = lake.store().store.get(&located.object).await.map_err(failed)?;
        let bytes: Bytes = object.bytes().await.map_err(failed)?;
        tokio::task::spawn_blocking(move || read_through(bytes, rows, footer)).await
    };
    read.map_err(|error| Error::internal(format!("reading {shown} failed: {error}"))).map(Result::err)
}

fn read_through(file: impl ChunkReader + 'static, rows: Option<i64>, footer: Option<u64>) -> Result<(), String> {
    if let Some(expected) = footer {
        let end = file.get_bytes(file.len().saturating_sub(8), 8).map_err(|error| error.to_string())?;
        let length = end.get(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        if length.is_none_or(|length| u64::from(length) != expected) {
            return Err(format!("its footer is not of {expected} bytes"));
        }
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let mut read = 0;
    for batch in builder.build().map_err(|error| error.to_string())? {
        read += batch.map_err(|error| error.to_string())?.num_rows();
    }
    match rows {
        Some(expected) if i64::try_from(read) != Ok(expected) => {
            Err(format!("it has {read} rows instead of {expected}"))
        }
        _ => Ok(()),
    }
}
