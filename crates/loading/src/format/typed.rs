//! What formats that know their types share: from a file's batches to the table's.

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use polder_types::{Error, Result};

use super::{ColumnEvidence, GuessedColumn, Origin, Output, Target};
use crate::infer::types;
use crate::rejects::{NO_VALUE, Reject, raw_text};
use crate::text::cells::instants;
use crate::text::column::from_texts;
use crate::text::reader::finish_batch;

/// The columns of a file's schema under the types that the lake keeps. A type that it has not stays as it is, and is
/// refused when the column is not left out.
pub(crate) fn columns(schema: &Schema) -> Vec<GuessedColumn> {
    let guess = |field: &FieldRef| {
        let kept = types::kept_as(field.data_type()).unwrap_or_else(|| field.data_type().clone());
        GuessedColumn {
            source: field.name().clone(),
            evidence: ColumnEvidence::Known(kept),
            usual: None,
            origin: Origin::File,
        }
    };
    schema.fields().iter().map(guess).collect()
}

/// Gives a file's batch to the output as the table wants it. `first_row` counts from 1.
pub(crate) fn pass_on(
    label: &str,
    batch: &RecordBatch,
    first_row: u64,
    targets: &[Target],
    lane: usize,
    output: &dyn Output,
) -> Result<()> {
    let rows = batch.num_rows();
    let schema: SchemaRef = output.schema();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(targets.len());
    let mut dropped = vec![false; rows];
    for (target, field) in targets.iter().zip(schema.fields()) {
        let Some(column) = target.place.and_then(|place| batch.columns().get(place)) else {
            arrays.push(new_null_array(field.data_type(), rows));
            continue;
        };
        let fitted = fit(label, column, field.data_type(), target)?;
        for row in lost(column, &fitted, target.plan.required) {
            if !std::mem::replace(&mut dropped[row], true) {
                output.reject(lane, reject(label, batch, row, first_row, column, target))?;
            }
        }
        arrays.push(fitted);
    }
    let dropped: Vec<usize> = dropped.iter().enumerate().filter(|(_, bad)| **bad).map(|(row, _)| row).collect();
    output.batch(lane, finish_batch(schema, arrays, rows, &dropped)?)
}

fn fit(label: &str, column: &ArrayRef, data_type: &DataType, target: &Target) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(column.clone());
    }
    let is_text = types::kept_as(column.data_type()).is_some_and(|kept| types::is_text(&kept));
    if is_text && types::is_binary(data_type) {
        return from_texts(column, &target.plan);
    }
    let placed = match target.plan.zone {
        Some(zone) if types::is_instant(data_type) => instants(column, zone, target.plan.form),
        _ => Ok(column.clone()),
    };
    placed.and_then(|placed| cast_with_options(&placed, data_type, &CastOptions::default())).map_err(|error| {
        Error::invalid(format!(
            "column `{}` of {label} is {} and cannot become {}: {error}",
            target.plan.source,
            types::to_sql(column.data_type()),
            types::to_sql(data_type)
        ))
    })
}

/// Rows that had a value and have none any more, or have none though one is required.
fn lost(before: &ArrayRef, after: &ArrayRef, required: bool) -> Vec<usize> {
    if before.logical_null_count() == after.null_count() && !(required && after.null_count() > 0) {
        return Vec::new();
    }
    let had = before.logical_nulls().filter(|_| !required);
    (0..after.len())
        .filter(|row| after.is_null(*row) && had.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
        .collect()
}

fn reject(label: &str, batch: &RecordBatch, row: usize, first_row: u64, column: &ArrayRef, target: &Target) -> Reject {
    let options = FormatOptions::default().with_null("");
    let show = |array: &ArrayRef| {
        ArrayFormatter::try_new(array, &options).map(|formatter| formatter.value(row).to_string()).unwrap_or_default()
    };
    let raw: Vec<String> = batch.columns().iter().map(show).collect();
    let reason = match column.is_null(row) {
        true => NO_VALUE.to_owned(),
        false => format!("{:?} is no {}", show(column), types::to_sql(&target.plan.data_type)),
    };
    Reject {
        source: label.into(),
        line: first_row + row as u64,
        column: Some(target.plan.source.clone()),
        reason,
        raw: raw_text(raw.join(",").as_bytes()),
    }
}

/// An error of a reader that knows its format.
pub(crate) fn broken(label: &str, format: &str, error: &dyn std::fmt::Display) -> Error {
    crate::error::broken(label, format, error)
}
