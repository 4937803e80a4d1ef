//! An Arrow IPC stream.

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use ::arrow::ipc::writer::StreamWriter;

use super::{AnswerWriter, Out, Outcome, unwritable};
use crate::failure::Failure;

pub struct ArrowWriter {
    out: Option<Out>,
    writer: Option<StreamWriter<Out>>,
}

impl ArrowWriter {
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out: Some(out), writer: None }
    }
}

impl AnswerWriter for ArrowWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let Some(out) = self.out.take() else { return Err(Failure::new("an Arrow stream holds one answer")) };
        self.writer = Some(StreamWriter::try_new(out, schema).map_err(failure)?);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(batch)).map_err(failure)
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        match self.writer.take() {
            Some(writer) => {
                // Writes the end marker first.
                let mut out = writer.into_inner().map_err(failure)?;
                out.flush().map_err(Failure::output)
            }
            None => Err(Failure::new(format!("{} gives no rows to make an Arrow stream of", outcome.verb))),
        }
    }
}

fn failure(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => Failure::output(error),
        other => unwritable(other),
    }
}
