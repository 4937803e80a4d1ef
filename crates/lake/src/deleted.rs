//! The positions that a delete file takes out of its data file, as they are in some version.

use polder_types::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;

use crate::file_columns::{Column, Named, read_numbers};
use crate::lake::Lake;
use crate::model::{DataFile, DeleteFile, Snapshot, TableState};
use crate::parquet_writer::FILE_PREFIX;

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
) -> Result<RoaringTreemap> {
    let Some(delete) = &file.delete else { return Ok(RoaringTreemap::new()) };
    let named = Named { snapshot, table, path: &delete.path, relative: delete.path_is_relative };
    let until = snapshot.id;
    let gone_by_then = move |_, position, since: Option<i64>| {
        let gone = since.is_none_or(|since| since <= until);
        u64::try_from(position).ok().filter(|_| gone)
    };
    let positions = read_numbers(lake, named, Column::Position, Some(Column::Since), gone_by_then).await?;
    positions.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the delete file {} has no positions", delete.path)))
}
