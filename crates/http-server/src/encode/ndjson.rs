//! JSON objects, one row a line. Values look as in [`super::json`].

use ::arrow::array::RecordBatch;
use ::arrow::json::LineDelimitedWriter;
use polder_types::Result;

use super::{Encoder, failed, json};

pub(crate) struct Ndjson(LineDelimitedWriter<Vec<u8>>);

impl Ndjson {
    pub(crate) fn new() -> Self {
        Self(json::builder().build(Vec::new()))
    }
}

impl Encoder for Ndjson {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        if batch.num_columns() == 0 {
            return Ok(Vec::new());
        }
        self.0.write(batch).map_err(|error| failed("JSON", error))?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}
