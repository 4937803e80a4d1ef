//! Delete files: the positions of a data file's rows that are gone.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use polder_types::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;

use crate::parquet_writer::{Content, StagedFile, TableWriter};
use crate::store::TableStore;

/// Positions that are made at a time.
const BATCH_ROWS: usize = 65_536;

/// Writes one delete file: the positions of the rows of `data_file` that are gone.
pub(crate) async fn write_delete_file(
    store: TableStore,
    directory: String,
    data_file: &str,
    positions: &RoaringTreemap,
) -> Result<StagedFile> {
    let schema = datafusion_ducklake::table::delete_file_schema();
    let content = Content {
        table: "a delete file",
        schema: Arc::clone(&schema),
        column_ids: Vec::new(),
        indexed: Vec::new(),
        partitioning: None,
    };
    let mut writer = TableWriter::with_content(store, directory, content, Arc::default(), false);
    let mut left = positions.iter().map(u64::cast_signed).peekable();
    while left.peek().is_some() {
        let positions: Vec<i64> = left.by_ref().take(BATCH_ROWS).collect();
        let paths = StringArray::from_iter_values(std::iter::repeat_n(data_file, positions.len()));
        let columns: Vec<ArrayRef> = vec![Arc::new(paths), Arc::new(Int64Array::from(positions))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        writer.write(batch.map_err(|error| Error::internal(error.to_string()))?).await?;
    }
    let mut files = writer.finish().await?;
    files.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "an empty delete file"))
}
