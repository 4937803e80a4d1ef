//! A Parquet file. It has no form for intervals, which are texts there.

use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use ::arrow::error::ArrowError;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;

use super::{AnswerWriter, Out, Outcome, unwritable};
use crate::failure::Failure;

pub struct ParquetWriter {
    out: Option<Out>,
    writer: Option<ArrowWriter<Out>>,
    schema: SchemaRef,
}

impl ParquetWriter {
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out: Some(out), writer: None, schema: Arc::new(Schema::empty()) }
    }
}

impl AnswerWriter for ParquetWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let Some(out) = self.out.take() else { return Err(Failure::new("a Parquet file holds one answer")) };
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let fields: Vec<FieldRef> = schema.fields().iter().map(in_file).collect();
        self.schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let writer = ArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties));
        self.writer = Some(writer.map_err(failure)?);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let batch = with_types(batch, &self.schema).map_err(unwritable)?;
        writer.write(&batch).map_err(failure)
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        match self.writer.take() {
            Some(writer) => {
                let mut out = writer.into_inner().map_err(failure)?;
                out.flush().map_err(Failure::output)
            }
            None => Err(Failure::new(format!("{} gives no rows to make a Parquet file of", outcome.verb))),
        }
    }
}

fn in_file(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Interval(_) => DataType::Utf8,
        DataType::List(item) => DataType::List(in_file(item)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn with_types(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// A reader that went away is found again in the library's error.
fn failure(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => Failure::output(*error),
            Err(source) => unwritable(source),
        },
        other => unwritable(other),
    }
}
