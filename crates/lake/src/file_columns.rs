//! Single columns of whole numbers out of a Parquet file: row ids, deleted positions, versions.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, Schema};
use datafusion_ducklake::row_id::ROW_ID_PARQUET_FIELD_ID;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::file::reader::ChunkReader;
use polder_types::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;

use crate::error::RESTORE;
use crate::lake::Lake;
use crate::model::{Snapshot, TableState};
use crate::store::Located;

/// A column of whole numbers, none of them missing.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// The positions in a delete file.
    Position,
    /// Since which version a row is there, in a data file that was merged; since which a position is gone, in a delete
    /// file that was.
    Since,
    /// The ids that the rows of a rewritten file carry.
    RowId,
}

impl Column {
    fn find(self, schema: &Schema) -> Option<usize> {
        schema.fields().iter().position(|field| match self {
            Self::Position => field.name() == "pos",
            Self::Since => field.name() == "_ducklake_internal_snapshot_id",
            Self::RowId => {
                let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
                id.is_some_and(|id| *id == ROW_ID_PARQUET_FIELD_ID.to_string())
            }
        })
    }
}

/// A file as the catalog names it.
pub(crate) struct Named<'a> {
    pub snapshot: &'a Snapshot,
    pub table: &'a TableState,
    pub path: &'a str,
    pub relative: bool,
}

/// Reads `column` and, where the file has it, `beside`; gives what `keep` makes of (place in the file, value, value
/// beside it). `None` if the file has no such column.
///
/// # Errors
/// `Corrupt`, naming the file, when it cannot be read.
pub(crate) async fn read_numbers(
    lake: &Lake,
    file: Named<'_>,
    column: Column,
    beside: Option<Column>,
    keep: impl Fn(u64, i64, Option<i64>) -> Option<u64> + Send + 'static,
) -> Result<Option<RoaringTreemap>> {
    let store = lake.store();
    let Located { local, object, shown } = store.locate(file.snapshot, file.table, file.path, file.relative)?;
    let broken = move |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Corrupt, format!("cannot read {shown}: {error}")).with_hint(RESTORE)
    };
    let read = if let Some(local) = local {
        tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(local).map_err(|error| error.to_string())?;
            numbers(file, column, beside, keep)
        })
    } else {
        let object = store.store.get(&object).await.map_err(|error| broken(&error))?;
        let bytes = object.bytes().await.map_err(|error| broken(&error))?;
        tokio::task::spawn_blocking(move || numbers(bytes, column, beside, keep))
    };
    read.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
}

fn numbers(
    file: impl ChunkReader + 'static,
    column: Column,
    beside: Option<Column>,
    keep: impl Fn(u64, i64, Option<i64>) -> Option<u64>,
) -> Result<Option<RoaringTreemap>, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let schema = std::sync::Arc::clone(builder.schema());
    let Some(first) = column.find(&schema) else { return Ok(None) };
    let second = beside.and_then(|column| column.find(&schema));
    let mask = ProjectionMask::roots(builder.parquet_schema(), [first].into_iter().chain(second));
    let batches = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
    let mut kept = RoaringTreemap::new();
    let mut at = 0_u64;
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        let values = |index: usize| {
            let name = schema.field(index).name();
            let values = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            let values = values.ok_or_else(|| format!("its column {name} has no whole numbers"))?;
            if values.null_count() > 0 {
                return Err(format!("its column {name} has gaps"));
            }
            Ok(values.values())
        };
        let firsts = values(first)?;
        let seconds = second.map(values).transpose()?;
        for (row, value) in firsts.iter().enumerate() {
            kept.extend(keep(at, *value, seconds.and_then(|seconds| seconds.get(row).copied())));
            at += 1;
        }
    }
    Ok(Some(kept))
}
