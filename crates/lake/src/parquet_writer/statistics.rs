//! What the catalog is told of a new file's columns.

use std::sync::Arc;

use datafusion_ducklake::ColumnStat;
use datafusion_ducklake::stats_collect::compute_column_stats;
use parquet::file::metadata::ParquetMetaData;

use super::Target;

/// Bounds, values and NULLs of each column, from the file's footer. `nan`: whether a column of floats has one.
pub(super) fn stats(target: &Target, metadata: &ParquetMetaData, rows: i64, nan: &[Option<bool>]) -> Vec<ColumnStat> {
    let descriptor = metadata.file_metadata().schema_descr();
    let arrow = parquet::arrow::parquet_to_arrow_schema(descriptor, metadata.file_metadata().key_value_metadata());
    match arrow {
        Ok(schema) => {
            let schema = Arc::new(schema);
            let mut stats = compute_column_stats(&schema, metadata, &target.column_ids, rows, nan);
            // Of a list, struct or map Parquet counts what is in it, not how often it is there itself.
            let columns = schema.fields().iter().zip(&target.column_ids);
            for (_, id) in columns.filter(|(field, _)| field.data_type().is_nested()) {
                for stat in stats.iter_mut().filter(|stat| stat.column_id == *id) {
                    (stat.value_count, stat.null_count) = (None, None);
                }
            }
            stats
        }
        // Without bounds a file is read where it might have been skipped: slower, never wrong.
        Err(error) => {
            tracing::warn!(table = target.table, %error, "no statistics for a new file");
            Vec::new()
        }
    }
}
