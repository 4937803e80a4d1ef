//! Small inserts as rows of the metastore, in the form that DuckLake gives them.
//!
//! A table that DuckDB made for the purpose and one that we made have the same columns and the same text forms, so
//! either side reads the other's rows.

mod read;
mod reshape;
mod text;

pub(crate) use read::{StoredCache, StoredRows, check_holder, initial_default};
pub(crate) use text::interval;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use datafusion_ducklake::stats_encode::{encode_scalar, is_numeric_ducklake_type};
use polder_metastore::{Backend, Value, Write};
use polder_types::{Error, Result};

use crate::apply::{Statement, merge_range};
use crate::model::{ColumnRange, TableState};

/// Rows up to which an insert is kept in the metastore: DuckLake's own default for such a table.
pub(crate) const ROWS_MAX: usize = 10;

/// Names that a holder has for itself.
const RESERVED: [&str; 3] = ["row_id", "begin_snapshot", "end_snapshot"];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The type that DuckDB gives a column of a holder.
fn column_type(ducklake_type: &str, backend: Backend) -> String {
    let fixed = match (backend, ducklake_type) {
        (Backend::Sqlite, "boolean" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32") => "BIGINT",
        (Backend::Sqlite, "blob" | "geometry") => "BLOB",
        (Backend::Sqlite, _) => "VARCHAR",
        (Backend::Postgres, "boolean") => "BOOLEAN",
        (Backend::Postgres, "int8" | "int16") => "SMALLINT",
        (Backend::Postgres, "int32" | "uint8" | "uint16") => "INTEGER",
        (Backend::Postgres, "int64" | "uint32") => "BIGINT",
        (Backend::Postgres, "float32") => "REAL",
        (Backend::Postgres, "float64") => "DOUBLE PRECISION",
        (Backend::Postgres, "varchar" | "json" | "blob" | "geometry") => "BYTEA",
        (Backend::Postgres, "time") => "TIME",
        (Backend::Postgres, "timetz") => "TIMETZ",
        (Backend::Postgres, "uuid") => "UUID",
        (Backend::Postgres, "interval") => "INTERVAL",
        (Backend::Postgres, decimal) if decimal.starts_with("decimal(") => return decimal.to_ascii_uppercase(),
        (Backend::Postgres, _) => "VARCHAR",
    };
    fixed.to_owned()
}

/// Whether each value of these rows has a form in the metastore.
pub(crate) fn fits(batches: &[RecordBatch], backend: Backend) -> bool {
    batches.iter().all(|batch| {
        (0..batch.num_columns())
            .all(|column| (0..batch.num_rows()).all(|row| value(batch, column, row, backend).is_some()))
    })
}

/// A new holder for a table of this shape, as DuckDB makes one whenever a table gets its shape: its name, and the
/// statement. `None` if a column has a name that holders use themselves.
pub(crate) fn new_holder(table: &TableState, schema_version: i64, backend: Backend) -> Option<(String, String)> {
    let reserved = |name: &str| RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name));
    if table.top_columns().any(|column| reserved(&column.name)) {
        return None;
    }
    let holder = format!("ducklake_inlined_data_{}_{schema_version}", table.id);
    let mut sql = format!("CREATE TABLE {holder} (row_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT");
    for column in table.top_columns() {
        let _ = write!(sql, ", {} {}", quoted(&column.name), column_type(&column.ducklake_type, backend));
    }
    sql.push(')');
    Some((holder, sql))
}

fn is_negative_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
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
        (ScalarValue::UInt8(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::UInt16(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::UInt32(Some(v)), _) => Value::Int(i64::from(*v)),
        (ScalarValue::UInt64(Some(v)), _) => Value::Text(v.to_string()),
        (ScalarValue::Float32(Some(v)), Backend::Postgres) => Value::Float(f64::from(*v)),
        (ScalarValue::Float64(Some(v)), Backend::Postgres) => Value::Float(*v),
        // The bounds in the catalog have no form for these two, but values do.
        (ScalarValue::Float32(Some(v)), Backend::Sqlite) if v.is_nan() => Value::Text("nan".into()),
        (ScalarValue::Float64(Some(v)), Backend::Sqlite) if v.is_nan() => Value::Text("nan".into()),
        // They have no sign there either.
        (ScalarValue::Float32(Some(v)), Backend::Sqlite) if is_negative_zero(f64::from(*v)) => {
            Value::Text("-0.0".into())
        }
        (ScalarValue::Float64(Some(v)), Backend::Sqlite) if is_negative_zero(*v) => Value::Text("-0.0".into()),
        (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), Backend::Postgres) => {
            Value::Bytes(text.clone().into_bytes())
        }
        // SQLite's text ends for DuckDB where the first zero byte is.
        (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), Backend::Sqlite) if text.contains('\0') => {
            return None;
        }
        (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), Backend::Sqlite) => {
            Value::Text(text.clone())
        }
        (ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)), _) => Value::Bytes(bytes.clone()),
        (ScalarValue::FixedSizeBinary(16, Some(bytes)), _) => {
            Value::Text(uuid::Uuid::from_slice(bytes).ok()?.to_string())
        }
        (ScalarValue::Time64Microsecond(Some(_)), _) => Value::Text(array_value_to_string(array, row).ok()?),
        _ => Value::Text(
            encode_scalar(&scalar).filter(|text| text::parse(text, array.data_type()).as_ref() == Some(&scalar))?,
        ),
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

/// Rows ended by one statement: one, or up to this many, so that few texts stay prepared.
const ENDED_TOGETHER: usize = 64;

/// The statements that end rows, each of which must still be live and be the one that was seen in version `seen`: a row that
/// DuckDB updates has its id again, in the same holder.
pub(crate) fn end_writes(rows: &[(String, i64)], snapshot: i64, seen: i64) -> Vec<Write> {
    let mut of_holders: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (holder, row) in rows {
        of_holders.entry(holder).or_default().push(*row);
    }
    let mut writes = Vec::new();
    for (holder, ids) in of_holders {
        for some in ids.chunks(ENDED_TOGETHER) {
            let Some(last) = some.last() else { continue };
            let width = if some.len() == 1 { 1 } else { ENDED_TOGETHER };
            // A list that is too short repeats its last row: that ends it once all the same.
            let listed = (0..width).map(|at| Value::Int(*some.get(at).unwrap_or(last)));
            let places = (3..width + 3).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ");
            let sql = format!(
                "UPDATE {} SET end_snapshot = $1 WHERE begin_snapshot <= $2 AND row_id IN ({places}) AND end_snapshot IS NULL",
                quoted(holder)
            );
            let params = [Value::Int(snapshot), Value::Int(seen)].into_iter().chain(listed).collect();
            writes.push(Write::new(sql, params).affecting(some.len() as u64));
        }
    }
    writes
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
        let nan = array
            .as_primitive_opt::<arrow::datatypes::Float64Type>()
            .map(|values| values.iter().flatten().any(f64::is_nan));
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

#[cfg(test)]
mod tests;
