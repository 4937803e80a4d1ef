//! Files read whole and compared with what was written.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
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

/// A file of a table that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub table: TableName,
    /// The file's full name.
    pub file: String,
    pub kind: ProblemKind,
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
    /// Another program wrote it, so there is no checksum, and it does not read as Parquet.
    Unreadable(String),
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::WrongSize { expected_bytes, found_bytes } => {
                write!(f, "it has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::WrongChecksum { expected, found } => write!(f, "its checksum is {found} instead of {expected}"),
            Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}

impl Problem {
    pub(crate) fn into_error(self) -> Error {
        let message = format!("cannot read {}, a file of {}: {}", self.file, self.table, self.kind);
        Error::new(ErrorKind::Corrupt, message).with_hint(RESTORE)
    }
}

/// One file to be looked at, with what the catalog says of it.
struct Target {
    id: i64,
    table: TableName,
    located: Located,
    size_bytes: u64,
    checksum: Option<String>,
}

/// How closely files are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Whether they are there, with the right size.
    Size,
    /// Every byte.
    Whole,
}

impl Lake {
    /// Reads every data file and delete file of the newest version whole, and names those that are missing or not as
    /// they were written.
    ///
    /// # Errors
    /// When the metastore or the store cannot be asked at all.
    pub async fn check(&self) -> Result<Vec<Problem>> {
        let snapshot = self.newest().await?;
        let mut targets = Vec::new();
        for table in snapshot.tables.values() {
            targets.extend(targets_of(self, &snapshot, table)?);
        }
        add_checksums(self, &mut targets).await?;
        let looked = stream::iter(targets).map(|target| look(self, target, Depth::Whole)).buffered(TOGETHER);
        looked.try_filter_map(|problem| async { Ok(problem) }).try_collect().await
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
        Ok(Target { id, table: name.clone(), located, size_bytes: size.unsigned_abs(), checksum: None })
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

async fn look(lake: &Lake, target: Target, depth: Depth) -> Result<Option<Problem>> {
    let kind = match size_of(lake, &target.located).await? {
        None => Some(ProblemKind::Missing),
        Some(found_bytes) if found_bytes != target.size_bytes => {
            Some(ProblemKind::WrongSize { expected_bytes: target.size_bytes, found_bytes })
        }
        Some(_) if depth == Depth::Size => None,
        Some(_) => match &target.checksum {
            Some(expected) => {
                let found = format!("crc32:{:08x}", crc(lake, &target.located).await?);
                (found != *expected).then(|| ProblemKind::WrongChecksum { expected: expected.clone(), found })
            }
            None => unreadable(lake, &target.located).await?.map(ProblemKind::Unreadable),
        },
    };
    Ok(kind.map(|kind| Problem { table: target.table, file: target.located.shown, kind }))
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
async fn unreadable(lake: &Lake, located: &Located) -> Result<Option<String>> {
    let shown = &located.shown;
    let read = if let Some(local) = located.local.clone() {
        let file = File::open(&local).map_err(|error| from_io("read", shown, error))?;
        tokio::task::spawn_blocking(move || read_through(file)).await
    } else {
        let failed = |error| from_store(&format!("read {shown}"), error);
        let object = lake.store().store.get(&located.object).await.map_err(failed)?;
        let bytes: Bytes = object.bytes().await.map_err(failed)?;
        tokio::task::spawn_blocking(move || read_through(bytes)).await
    };
    read.map_err(|error| Error::internal(format!("reading {shown} failed: {error}"))).map(Result::err)
}

fn read_through(file: impl ChunkReader + 'static) -> Result<(), String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    for batch in builder.build().map_err(|error| error.to_string())? {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(())
}
