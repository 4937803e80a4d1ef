//! Markdown tables, as GitHub reads them.

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;

use super::cell::{Encoding, is_right_aligned};
use super::{AnswerWriter, Out, Outcome};
use crate::failure::Failure;
use crate::terminal;

pub struct MarkdownWriter {
    out: Out,
    tables: u64,
}

impl MarkdownWriter {
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out, tables: 0 }
    }
}

impl AnswerWriter for MarkdownWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        // A blank line ends the table before.
        let mut text = String::from(if self.tables > 0 { "\n|" } else { "|" });
        self.tables += 1;
        for field in schema.fields() {
            push_cell(field.name(), &mut text);
        }
        text.push_str("\n|");
        for field in schema.fields() {
            text.push_str(if is_right_aligned(field.data_type()) { " --: |" } else { " --- |" });
        }
        text.push('\n');
        self.out.write_all(text.as_bytes()).map_err(Failure::output)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let encoding = Encoding::of(batch);
        let mut cells = encoding.cells(batch)?;
        let (mut line, mut text) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            line.push('|');
            for cell in &mut cells {
                cell.write(row, &mut text)?;
                push_cell(&text, &mut line);
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

fn push_cell(text: &str, line: &mut String) {
    line.push(' ');
    let text = text.replace('\\', "\\\\").replace('|', "\\|").replace("\r\n", "<br>").replace('\n', "<br>");
    line.push_str(&terminal::printable(&text, false));
    line.push_str(" |");
}
