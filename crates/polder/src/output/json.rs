//! Row objects: one array of them, or one a line. Missing values are `null`, NaN and infinities are strings.

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::arrow::json::writer::make_encoder;
use polder_capability::json::in_full;

use super::{AnswerWriter, Out, Outcome, unwritable};
use crate::failure::Failure;

pub struct JsonWriter {
    out: Out,
    /// One array, with its commas and brackets; else lines.
    array: bool,
    rows: u64,
}

impl JsonWriter {
    #[must_use]
    pub fn array(out: Out) -> Self {
        Self { out, array: true, rows: 0 }
    }

    #[must_use]
    pub fn lines(out: Out) -> Self {
        Self { out, array: false, rows: 0 }
    }
}

impl AnswerWriter for JsonWriter {
    fn begin(&mut self, _: &SchemaRef) -> Result<(), Failure> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let options = in_full();
        let schema = batch.schema();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let name = serde_json::to_string(field.name()).map_err(unwritable)?;
            let encoder = make_encoder(field, array, &options).map_err(unwritable)?;
            columns.push((name, array, encoder));
        }
        let mut buffer = Vec::new();
        for row in 0..batch.num_rows() {
            if self.array {
                buffer.extend_from_slice(if self.rows == 0 { b"[\n" } else { b",\n" });
            }
            self.rows += 1;
            buffer.push(b'{');
            for (index, (name, array, encoder)) in columns.iter_mut().enumerate() {
                if index > 0 {
                    buffer.push(b',');
                }
                buffer.extend_from_slice(name.as_bytes());
                buffer.push(b':');
                if array.is_null(row) || encoder.is_null(row) {
                    buffer.extend_from_slice(b"null");
                } else {
                    encoder.encode(row, &mut buffer);
                }
            }
            buffer.push(b'}');
            if !self.array {
                buffer.push(b'\n');
            }
            if buffer.len() > 1 << 16 {
                self.out.write_all(&buffer).map_err(Failure::output)?;
                buffer.clear();
            }
        }
        self.out.write_all(&buffer).map_err(Failure::output)
    }

    fn end(&mut self, _: &Outcome) -> Result<(), Failure> {
        if self.array {
            let end: &[u8] = if self.rows == 0 { b"[]\n" } else { b"\n]\n" };
            self.out.write_all(end).map_err(Failure::output)?;
        }
        self.out.flush().map_err(Failure::output)
    }
}
