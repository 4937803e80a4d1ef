//! The formats of an answer.

pub(crate) mod arrow;
pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod ndjson;

use ::arrow::array::RecordBatch;
use ::arrow::error::ArrowError;
use polder_types::{Error, Result};

/// Turns batches into the bytes of a body, piece by piece.
pub(crate) trait Encoder: Send {
    /// What stands before the first row.
    fn start(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>>;

    /// What stands after the last row.
    fn finish(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// A type that the format has no form for, nearly always.
fn failed(format: &str, error: ArrowError) -> Error {
    Error::unsupported(format!("the answer cannot be written as {format}: {error}"))
        .with_hint("ask for the format `arrow`, or CAST the column to text")
        .with_source(error)
}

#[cfg(test)]
mod tests;
