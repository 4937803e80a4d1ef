//! A value as text: times as SQL writes them, nested values as JSON.

use std::fmt::Write;

use ::arrow::array::{Array, RecordBatch};
use ::arrow::datatypes::{DataType, FieldRef};
use ::arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use ::arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use polder_capability::json::in_full;

use super::unwritable;
use crate::failure::Failure;

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(true)
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_duration_format(DurationFormat::Pretty);

/// How nested values are encoded; made once a batch and borrowed by its cells.
pub struct Encoding {
    fields: Vec<FieldRef>,
    options: EncoderOptions,
}

impl Encoding {
    #[must_use]
    pub fn of(batch: &RecordBatch) -> Self {
        Self { fields: batch.schema().fields().iter().cloned().collect(), options: in_full() }
    }

    /// One a column.
    ///
    /// # Errors
    /// For a type that has no text.
    pub fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Cells<'a>>, Failure> {
        let columns = batch.columns().iter().zip(&self.fields);
        columns.map(|(array, field)| Cells::new(array.as_ref(), field, &self.options)).collect()
    }
}

/// The values of one column.
pub struct Cells<'a> {
    array: &'a dyn Array,
    text: Text<'a>,
}

enum Text<'a> {
    Plain(ArrayFormatter<'a>),
    Nested(NullableEncoder<'a>),
}

impl<'a> Cells<'a> {
    fn new(array: &'a dyn Array, field: &'a FieldRef, options: &'a EncoderOptions) -> Result<Self, Failure> {
        let text = if array.data_type().is_nested() {
            Text::Nested(make_encoder(field, array, options).map_err(unwritable)?)
        } else {
            Text::Plain(ArrayFormatter::try_new(array, &OPTIONS).map_err(unwritable)?)
        };
        Ok(Self { array, text })
    }

    /// Writes the value over `out`. False, and nothing, for a missing one.
    pub fn write(&mut self, row: usize, out: &mut String) -> Result<bool, Failure> {
        out.clear();
        if self.array.is_null(row) || self.array.data_type() == &DataType::Null {
            return Ok(false);
        }
        match &mut self.text {
            Text::Plain(formatter) => write!(out, "{}", formatter.value(row)).map_err(unwritable)?,
            Text::Nested(encoder) => {
                let mut bytes = std::mem::take(out).into_bytes();
                encoder.encode(row, &mut bytes);
                *out = String::from_utf8(bytes).map_err(unwritable)?;
            }
        }
        Ok(true)
    }
}

/// Numbers stand right.
#[must_use]
pub fn is_right_aligned(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_right_aligned(value),
        other => other.is_numeric(),
    }
}
