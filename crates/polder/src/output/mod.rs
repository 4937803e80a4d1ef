//! Answers written out, one file a format.

mod arrow;
mod cell;
mod csv;
mod json;
mod markdown;
mod parquet;
mod sink;
mod table;

use std::io::Write;
use std::time::Duration;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;

use crate::cli::Format;
use crate::failure::Failure;

pub use sink::Sink;
pub use table::{TableStyle, seconds};

/// Where an answer goes.
pub type Out = Box<dyn Write + Send>;

/// What became of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `SELECT`, `INSERT`, …
    pub verb: String,
    /// There is a table of rows, if perhaps an empty one.
    pub gives_rows: bool,
    /// Rows written.
    pub rows: u64,
    /// There were more rows than were wanted.
    pub cut: bool,
    pub rows_changed: Option<u64>,
    pub elapsed: Duration,
}

/// Writes answers in one format. `begin` and `batch` are called for answers that have rows, `end` for all.
pub trait AnswerWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure>;

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure>;

    fn end(&mut self, outcome: &Outcome) -> Result<(), Failure>;
}

/// The writer of a format. Only tables have a style.
#[must_use]
pub fn writer(format: Format, out: Out, style: TableStyle) -> Box<dyn AnswerWriter> {
    match format {
        Format::Table => Box::new(table::TableWriter::new(out, style)),
        Format::Csv => Box::new(csv::CsvWriter::new(out)),
        Format::Json => Box::new(json::JsonWriter::array(out)),
        Format::Ndjson => Box::new(json::JsonWriter::lines(out)),
        Format::Markdown => Box::new(markdown::MarkdownWriter::new(out)),
        Format::Parquet => Box::new(parquet::ParquetWriter::new(out)),
        Format::Arrow => Box::new(arrow::ArrowWriter::new(out)),
    }
}

impl Format {
    /// Can show several answers one below the other.
    #[must_use]
    pub fn shows_all(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }

    /// Not for the eye.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot write the answer: {error}"))
}

#[cfg(test)]
mod tests;
