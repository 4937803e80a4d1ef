//! An Arrow IPC stream, uncompressed, in the types that every reader knows.
//!
//! The engine likes newer types (views, run-end encoding, narrow decimals). Readers in browsers and older libraries do
//! not know them, and a view that was sliced would send the whole of its buffers. So they go out as their plain
//! counterparts: `Utf8`, `Binary`, `List`, `Decimal128`, the bare values.

use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use ::arrow::error::ArrowError;
use ::arrow::ipc::writer::StreamWriter;
use polder_types::{Error, Result};

use super::{Encoder, failed};

const NAME: &str = "Arrow";

pub(crate) struct Arrow {
    schema: SchemaRef,
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl Arrow {
    pub(crate) fn new(schema: &Schema) -> Self {
        let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
        Self { schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), writer: None }
    }

    fn writer(&mut self) -> Result<&mut StreamWriter<Vec<u8>>> {
        self.writer.as_mut().ok_or_else(|| Error::internal("the Arrow stream was not started"))
    }

    fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast(column, field.data_type())
            }
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

impl Encoder for Arrow {
    fn start(&mut self) -> Result<Vec<u8>> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(|error| failed(NAME, error))?;
        let bytes = std::mem::take(writer.get_mut());
        self.writer = Some(writer);
        Ok(bytes)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let batch = self.plain(batch).map_err(|error| failed(NAME, error))?;
        let writer = self.writer()?;
        writer.write(&batch).map_err(|error| failed(NAME, error))?;
        Ok(std::mem::take(writer.get_mut()))
    }

    fn finish(&mut self) -> Result<Vec<u8>> {
        let writer = self.writer()?;
        writer.finish().map_err(|error| failed(NAME, error))?;
        Ok(std::mem::take(writer.get_mut()))
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    if plain == *field.data_type() { Arc::clone(field) } else { Arc::new(Field::clone(field).with_data_type(plain)) }
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(plain_field(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        DataType::Dictionary(key, value) => DataType::Dictionary(key.clone(), Box::new(plain_type(value))),
        other => other.clone(),
    }
}
