//! Comma-separated values, RFC 4180 with `\n`, UTF-8, a header line.
//!
//! A missing value and an empty text are both an empty field. Nested values are JSON text. An answer without columns
//! (an INSERT, say) has an empty body.

use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch};
use ::arrow::csv::WriterBuilder;
use ::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use ::arrow::error::ArrowError;
use polder_types::Result;

use super::{Encoder, failed, json};

const NAME: &str = "CSV";

pub(crate) struct Csv {
    schema: SchemaRef,
}

impl Csv {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

impl Encoder for Csv {
    fn start(&mut self) -> Result<Vec<u8>> {
        if self.schema.fields().is_empty() {
            return Ok(Vec::new());
        }
        write(&RecordBatch::new_empty(Arc::clone(&self.schema)), true).map_err(|error| failed(NAME, error))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        if batch.num_columns() == 0 {
            return Ok(Vec::new());
        }
        write(batch, false).map_err(|error| failed(NAME, error))
    }
}

fn write(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, ArrowError> {
    let batch = flat(batch)?;
    let mut writer = WriterBuilder::new().with_header(header).build(Vec::new());
    writer.write(&batch)?;
    Ok(writer.into_inner())
}

/// The batch with its nested columns as JSON text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|field| field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let text = json::column_as_text(field, column)?;
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(Arc::new(text));
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
