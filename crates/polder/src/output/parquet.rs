//! A Parquet file.

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;

use super::{AnswerWriter, Out, Outcome, unwritable};
use crate::failure::Failure;

pub struct ParquetWriter {
    out: Option<Out>,
    writer: Option<ArrowWriter<Out>>,
}

impl ParquetWriter {
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out: Some(out), writer: None }
    }
}

impl AnswerWriter for ParquetWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let Some(out) = self.out.take() else { return Err(Failure::new("a Parquet file holds one answer")) };
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        self.writer = Some(ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(failure)?);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(batch)).map_err(failure)
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
