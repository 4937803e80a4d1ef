//! Comma-separated values as RFC 4180 writes them, with a header; a missing value is an empty field, an empty text `""`.

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;

use super::cell::Encoding;
use super::{AnswerWriter, Out, Outcome};
use crate::failure::Failure;

pub struct CsvWriter {
    out: Out,
}

impl CsvWriter {
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out }
    }
}

impl AnswerWriter for CsvWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let mut line = String::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                line.push(',');
            }
            push_field(field.name(), &mut line);
        }
        line.push('\n');
        self.out.write_all(line.as_bytes()).map_err(Failure::output)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let encoding = Encoding::of(batch);
        let mut cells = encoding.cells(batch)?;
        let (mut line, mut text) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, cell) in cells.iter_mut().enumerate() {
                if index > 0 {
                    line.push(',');
                }
                if cell.write(row, &mut text)? {
                    push_field(&text, &mut line);
                }
            }
            line.push('\n');
            self.out.write_all(line.as_bytes()).map_err(Failure::output)?;
        }
        Ok(())
    }

    fn end(&mut self, _: &Outcome) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }
}

fn push_field(text: &str, line: &mut String) {
    if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        line.push_str(text);
        return;
    }
    line.push('"');
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}
