//! One JSON array of row objects.
//!
//! Numbers are written with all their digits, also integers beyond 2⁵³ (a reader that keeps numbers as doubles rounds
//! them: ask for `arrow` there). Decimals are strings, so that no reader rounds them. Dates and times are ISO 8601,
//! timestamps with a time zone end in its offset; binary values are hexadecimal; NaN and infinities are the strings `NaN`,
//! `Infinity` and `-Infinity`, because JSON has no number for them. A missing value is an explicit `null`, so every row has
//! every key.

use std::fmt::Write as _;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StringBuilder};
use ::arrow::datatypes::{DataType, FieldRef};
use ::arrow::error::ArrowError;
use ::arrow::json::writer::{
    Encoder as ValueEncoder, EncoderFactory, EncoderOptions, JsonArray, NullableEncoder, Writer, WriterBuilder,
    make_encoder,
};
use ::arrow::util::display::{ArrayFormatter, FormatOptions};
use polder_capability::json::FloatsInFull;
use polder_types::Result;

use super::{Encoder, failed};

const NAME: &str = "JSON";

pub(crate) struct Json(Writer<Vec<u8>, JsonArray>);

impl Json {
    pub(crate) fn new() -> Self {
        Self(builder().build(Vec::new()))
    }
}

impl Encoder for Json {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        if batch.num_columns() == 0 {
            return Ok(Vec::new());
        }
        self.0.write(batch).map_err(|error| failed(NAME, error))?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn finish(&mut self) -> Result<Vec<u8>> {
        self.0.finish().map_err(|error| failed(NAME, error))?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}

/// How values look, the same for every format that holds JSON.
pub(super) fn builder() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(NothingLost))
}

/// A column of nested values as a column of JSON text.
pub(super) fn column_as_text(field: &FieldRef, column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(NothingLost));
    let mut encoder = make_encoder(field, column, &options)?;
    let mut texts = StringBuilder::new();
    let mut buffer = Vec::new();
    for row in 0..column.len() {
        if encoder.is_null(row) {
            texts.append_null();
            continue;
        }
        buffer.clear();
        encoder.encode(row, &mut buffer);
        texts.append_value(String::from_utf8_lossy(&buffer));
    }
    Ok(texts.finish())
}

/// Decimals and floats that are no numbers, as texts.
#[derive(Debug)]
struct NothingLost;

impl EncoderFactory for NothingLost {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let is_decimal = matches!(
            array.data_type(),
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
        );
        if !is_decimal {
            return FloatsInFull.make_default_encoder(field, array, options);
        }
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new().with_display_error(true))?;
        let encoder = QuotedDecimal { formatter, text: String::new() };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct QuotedDecimal<'a> {
    formatter: ArrayFormatter<'a>,
    text: String,
}

impl ValueEncoder for QuotedDecimal<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "\"{}\"", self.formatter.value(row));
        out.extend_from_slice(self.text.as_bytes());
    }
}
