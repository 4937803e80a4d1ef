//! The positions that a delete file takes out of its data file, as they are in some version.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polder_types::{Error, ErrorKind, Result};

use crate::error::RESTORE;
use crate::lake::Lake;
use crate::model::{DataFile, DeleteFile, Snapshot, TableState};
use crate::parquet_writer::FILE_PREFIX;

/// The column of positions.
const POSITION: &str = "pos";

/// The column in which DuckDB keeps since when each position is gone, in a file that it made of several.
const SINCE: &str = "_ducklake_internal_snapshot_id";

/// Whether the positions of one delete file may be gone since different versions. Ours are all of one.
pub(crate) fn of_several_versions(delete: &DeleteFile) -> bool {
    let name = delete.path.rsplit('/').next().unwrap_or(&delete.path);
    !name.starts_with(FILE_PREFIX)
}

/// The deleted positions of a data file; none if it has no delete file.
///
/// # Errors
/// `Corrupt`, naming the file, when it cannot be read.
pub(crate) async fn deleted_positions(
    lake: &Lake,
    snapshot: &Snapshot,
    table: &TableState,
    file: &DataFile,
) -> Result<Vec<i64>> {
    let Some(delete) = &file.delete else { return Ok(Vec::new()) };
    let located = lake.store().locate(snapshot, table, &delete.path, delete.path_is_relative)?;
    let shown = located.shown;
    let broken = move |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Corrupt, format!("cannot read {shown}: {error}")).with_hint(RESTORE)
    };
    let bytes = match located.local {
        Some(local) => tokio::fs::read(local).await.map(Bytes::from).map_err(|error| broken(&error))?,
        None => {
            let object = lake.store().store.get(&located.object).await.map_err(|error| broken(&error))?;
            object.bytes().await.map_err(|error| broken(&error))?
        }
    };
    let until = snapshot.id;
    let read = tokio::task::spawn_blocking(move || positions(bytes, until)).await;
    read.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
}

/// The positions that are gone in version `until`.
fn positions(bytes: Bytes, until: i64) -> Result<Vec<i64>, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for batch in builder.build().map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        let numbers = |name: &str| {
            let column = batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
            (column.null_count() == 0).then_some(column.values())
        };
        let found = numbers(POSITION).ok_or("it has no positions")?;
        match numbers(SINCE) {
            Some(since) => {
                all.extend(
                    found.iter().zip(since).filter(|(_, since)| **since <= until).map(|(position, _)| *position),
                );
            }
            None => all.extend_from_slice(found),
        }
    }
    Ok(all)
}
