//! Small inserts as rows of the metastore, in the form that DuckLake gives them.
//!
//! A table that DuckDB made for the purpose and one that we made have the same columns and the same text forms, so
//! either side reads the other's rows.

mod read;
mod reshape;
mod text;

pub(crate) use read::{StoredCache, StoredRows};

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion_ducklake::stats_encode::{encode_scalar, is_numeric_ducklake_type};
use polder_metastore::{Backend, Value, Write};
use polder_types::{Error, Result};

use crate::apply::{Statement, merge_range};
use crate::model::{ColumnRange, TableState};

/// Rows up to which an insert is kept in the metastore: DuckLake's own default for such a table.
pub(crate) const ROWS_MAX: usize = 10;

/// The table of the metastore that holds this table's small inserts.
pub(crate) fn holder_name(table: &TableState) -> String {
    format!("ducklake_inlined_data_{}_{}", table.id, table.schema_version)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The column type that DuckDB gives an inlined value, or `None` when ours go to Parquet instead.
fn column_type(data_type: &DataType, backend: Backend) -> Option<&'static str> {
    use DataType as D;
    let (sqlite, postgres) = match data_type {
        D::Boolean => ("BIGINT", "BOOLEAN"),
        D::Int8 | D::Int16 => ("BIGINT", "SMALLINT"),
        D::Int32 => ("BIGINT", "INTEGER"),
        D::Int64 => ("BIGINT", "BIGINT"),
        D::Float64 => ("VARCHAR", "DOUBLE PRECISION"),
        D::Utf8 | D::Utf8View => ("VARCHAR", "BYTEA"),
        D::Date32 | D::Timestamp(TimeUnit::Microsecond, _) => ("VARCHAR", "VARCHAR"),
        _ => return None,
    };
    Some(match backend {
        Backend::Sqlite => sqlite,
        Backend::Postgres => postgres,
    })
}

/// Whether rows of these columns can be kept in the metastore, each value exactly.
pub(crate) fn fits(table: &TableState, batches: &[RecordBatch], backend: Backend) -> bool {
    let schema = &table.arrow_schema;
    let reserved = |name: &str| ["row_id", "begin_snapshot", "end_snapshot"].iter().any(|r| name.eq_ignore_ascii_case(r));
    schema.fields().iter().all(|field| column_type(field.data_type(), backend).is_some() && !reserved(field.name()))
        && batches.iter().all(|batch| {
            (0..batch.num_columns()).all(|column| {
                (0..batch.num_rows()).all(|row| value(batch, column, row, backend).is_some())
            })
        })
}

pub(crate) fn create_sql(holder: &str, table: &TableState, backend: Backend) -> Result<String> {
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {holder} (row_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT"
    );
    for field in table.arrow_schema.fields() {
        let kind = column_type(field.data_type(), backend)
            .ok_or_else(|| Error::internal(format!("column {} cannot be kept in the metastore", field.name())))?;
        let _ = write!(sql, ", {} {kind}", quoted(field.name()));
    }
    sql.push(')');
    Ok(sql)
}

/// One value in the metastore's form; `None` when it has none.
fn value(batch: &RecordBatch, column: usize, row: usize, backend: Backend) -> Option<Value> {
    let array = batch.column(column);
    if array.is_null(row) {
        return Some(Value::Null);
    }
    let scalar = ScalarValue::try_from_array(array, row).ok()?;
    Some(match (&scalar, backend) {
        (ScalarValue::Boolean(Some(v)), _) => Value::Bool(*v),
        (ScalarValue::Int8(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::Int16(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::Int32(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::Int64(Some(v)), _) => Value::Int(*v),
        (ScalarValue::Float64(Some(v)), Backend::Postgres) => Value::Float(*v),
        (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), Backend::Postgres) => {
            Value::Bytes(text.clone().into_bytes())
        }
        (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), Backend::Sqlite) => {
            if text.contains('\0') {
                return None;
            }
            Value::Text(text.clone())
        }
        _ => Value::Text(encode_scalar(&scalar)?),
    })
}

/// The rows of a batch, numbered from `first_row_id`.
pub(crate) fn row_statements(
    holder: &str,
    batch: &RecordBatch,
    first_row_id: i64,
    snapshot: i64,
    backend: Backend,
) -> Result<Vec<Statement>> {
    let names = batch.schema().fields().iter().map(|field| quoted(field.name())).collect::<Vec<_>>().join(", ");
    let into = format!("{holder} (row_id, begin_snapshot, {names})");
    let mut rows = Vec::with_capacity(batch.num_rows());
    for (row, id) in (0..batch.num_rows()).zip(first_row_id..) {
        let mut values = vec![Value::Int(id), Value::Int(snapshot)];
        for column in 0..batch.num_columns() {
            let value = value(batch, column, row, backend).ok_or_else(|| {
                Error::internal(format!("a value of column {column} cannot be kept in the metastore"))
            })?;
            values.push(value);
        }
        rows.push(Statement::Row { into: into.clone().into(), values });
    }
    Ok(rows)
}

/// The statements that end rows, each of which must still be live.
pub(crate) fn end_writes(rows: &[(String, i64)], snapshot: i64) -> Vec<Write> {
    rows.iter()
        .map(|(holder, row)| {
            Write::new(
                format!("UPDATE {} SET end_snapshot = $1 WHERE row_id = $2 AND end_snapshot IS NULL", quoted(holder)),
                vec![Value::Int(snapshot), Value::Int(*row)],
            )
            .affecting(1)
        })
        .collect()
}

/// Widens the table's bounds by the values of a batch.
pub(crate) fn merge_ranges(table: &mut TableState, batch: &RecordBatch) -> Result<()> {
    let first = table.record_count == 0;
    let columns: Vec<(i64, String)> =
        table.top_columns().map(|column| (column.id, column.ducklake_type.clone())).collect();
    for (index, (id, ducklake_type)) in columns.into_iter().enumerate() {
        let array = batch.column(index);
        let nulls = array.null_count();
        let (mut min, mut max): (Option<ScalarValue>, Option<ScalarValue>) = (None, None);
        for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
            let value = ScalarValue::try_from_array(array, row).map_err(|error| Error::internal(error.to_string()))?;
            if min.as_ref().is_none_or(|min| value.partial_cmp(min) == Some(std::cmp::Ordering::Less)) {
                min = Some(value.clone());
            }
            if max.as_ref().is_none_or(|max| value.partial_cmp(max) == Some(std::cmp::Ordering::Greater)) {
                max = Some(value);
            }
        }
        let nan = array.as_primitive_opt::<arrow::datatypes::Float64Type>().map(|values| {
            values.iter().flatten().any(f64::is_nan)
        });
        let known = nan != Some(true);
        let new = ColumnRange {
            contains_null: Some(nulls > 0),
            contains_nan: nan,
            min: min.as_ref().filter(|_| known).and_then(encode_scalar),
            max: max.as_ref().filter(|_| known).and_then(encode_scalar),
        };
        let numeric = is_numeric_ducklake_type(&ducklake_type);
        merge_range(table.column_stats.entry(id), new, numeric, first, nulls == array.len());
    }
    Ok(())
}
