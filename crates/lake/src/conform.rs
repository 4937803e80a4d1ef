//! Batches as their table stores them: types, lengths, generated columns, NOT NULL, checks; and as Parquet does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float32Type, Float64Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use polder_types::{Error, Result};

use crate::declared::fit_all;
use crate::logical;
use crate::rules::{RowRule, enforce, generate, refused_row};

/// The batch with exactly the schema's types and lengths, its generated columns computed, NOT NULL and the table's checks
/// checked.
///
/// # Errors
/// `InvalidInput` for a missing value in a NOT NULL column, a value that does not fit, or a check that is false.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef, table: &str, rules: &[RowRule]) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::internal(format!(
            "{table} takes {} columns, but {} were given",
            schema.fields().len(),
            batch.num_columns()
        )));
    }
    let mut columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(array, field)| stored(array, field, table))
        .collect::<Result<Vec<_>>>()?;
    generate(rules, schema, &mut columns, table)?;
    for (array, field) in columns.iter().zip(schema.fields()) {
        if !field.is_nullable() && array.logical_null_count() > 0 {
            let missing = array.logical_nulls().and_then(|nulls| (0..nulls.len()).find(|row| nulls.is_null(*row)));
            return Err(Error::invalid(format!(
                "null value in column {:?} of relation {table:?} violates not-null constraint",
                field.name()
            ))
            .with_code("23502")
            .with_detail(refused_row(&nullable(schema, &columns, table)?, missing.unwrap_or(0)))
            .of_column(field.name()));
        }
    }
    let batch = RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Error::internal(format!("{table}: {error}")))?;
    enforce(rules, &batch, table)?;
    Ok(batch)
}

/// The columns as a batch, whatever is missing in them.
pub(crate) fn nullable(schema: &SchemaRef, columns: &[ArrayRef], table: &str) -> Result<RecordBatch> {
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let given = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&given), columns.to_vec())
        .map_err(|error| Error::internal(format!("{table}: {error}")))?;
    logical::logical_batch(&batch, &logical::logical_schema(&given))
}

/// One column with its type and its length.
pub(crate) fn stored(array: &ArrayRef, field: &Field, table: &str) -> Result<ArrayRef> {
    if let Some(kept) = logical::stored(array, field, table) {
        return kept;
    }
    let cast = if array.data_type() == field.data_type() {
        Arc::clone(array)
    } else {
        // A value that does not fit is an error, never a silent NULL.
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let whole = match field.data_type() {
            DataType::List(item) if item.data_type().is_integer() => rounded_elements(array),
            data_type if data_type.is_integer() => rounded(array),
            _ => Ok(Arc::clone(array)),
        };
        whole
            .and_then(|array| cast_with_options(&array, field.data_type(), &strict))
            .map_err(|error| misfit(array, field, table, &error))?
    };
    fit_all(&cast, field)
}

/// Numbers as the nearest whole ones, as in PostgreSQL: a cast would cut their fractions off.
fn rounded(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Float32 => {
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))
        }
        DataType::Float64 => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
        }
        // To fewer digits decimals are rounded; to whole numbers they would be cut.
        DataType::Decimal128(precision, scale) if *scale > 0 => {
            arrow::compute::cast(array, &DataType::Decimal128((*precision).saturating_add(1).min(38), 0))?
        }
        _ => Arc::clone(array),
    })
}

fn rounded_elements(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(lists) = array.as_list_opt::<i32>() else { return Ok(Arc::clone(array)) };
    let values = rounded(lists.values())?;
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(item, lists.offsets().clone(), values, lists.nulls().cloned())?))
}

fn misfit(array: &ArrayRef, field: &Field, table: &str, error: &ArrowError) -> Error {
    let error = error.to_string();
    // A number is well formed, so it can only be too large.
    let code = if array.data_type().is_numeric() || is_overflow(&error) { "22003" } else { "22P02" };
    Error::invalid(format!("column {:?} of {table}: {error}", field.name())).with_code(code)
}

/// Whether the words of an error say that a number is too large for its type.
pub(crate) fn is_overflow(error: &str) -> bool {
    ["too large to store", "too small to store", "Can't cast value", "verflow"]
        .iter()
        .any(|words| error.contains(words))
}

/// The schema that a Parquet file gets. Parquet knows no seconds, and readers other than Arrow's would find plain whole
/// numbers: such columns are written as milliseconds, and read back by the type in the catalog.
pub(crate) fn in_file(schema: &SchemaRef) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(field_in_file).collect();
    if fields == *schema.fields() {
        return Arc::clone(schema);
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn field_in_file(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::List(item) => DataType::List(field_in_file(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field_in_file).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field_in_file(entries), *sorted),
        _ => return Arc::clone(field),
    };
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// A batch with the schema of its file.
pub(crate) fn for_file(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        if array.data_type() == field.data_type() {
            return Ok(Arc::clone(array));
        }
        cast_with_options(array, field.data_type(), &strict)
    });
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns));
    batch.map_err(|error| Error::invalid(format!("a time is too far away to be stored: {error}")).with_code("22008"))
}
