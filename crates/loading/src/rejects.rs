//! Rows that could not be read, kept until they are written beside the table.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use polder_capability::RejectSample;
use polder_types::{Error, Result};
use tempfile::TempPath;

use crate::infer::types::TEXT;
use crate::progress::Job;
use crate::source::spool::temporary;
use crate::text::units::RAW_BYTES_MAX;

/// Rejects shown in a report; all of them are in the table.
const SAMPLES_MAX: usize = 20;

/// Text of a sample: enough to see what is wrong with it.
const SAMPLE_LETTERS_MAX: usize = 500;

/// Rejects of one batch, in rows and in bytes.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;

/// Batches kept in memory before they go to a temporary file.
const MEMORY_BATCHES: usize = 4;

/// Why a row is refused whose table wants a value where it has none.
pub(crate) const NO_VALUE: &str = "no value where one is required";

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    pub source: String,
    /// Counted from 1; of a workbook, the row; of a binary format, the number of the record.
    pub line: u64,
    pub column: Option<String>,
    pub reason: String,
    pub raw: String,
}

impl Reject {
    /// As the error of a strict load.
    pub(crate) fn into_error(self) -> Error {
        let code = match &self.column {
            Some(_) if self.reason == NO_VALUE => "23502",
            Some(_) => "22P02",
            // The row is none.
            None => "22P04",
        };
        let column = self.column.map(|column| format!(", column `{column}`")).unwrap_or_default();
        Error::invalid(format!("{} line {}{column}: {}", self.source, self.line, self.reason))
            .with_code(code)
            .with_hint("mend the row, or load without strict to keep such rows aside")
    }

    pub(crate) fn sample(&self) -> RejectSample {
        RejectSample {
            source: self.source.clone(),
            line: self.line,
            column: self.column.clone(),
            reason: self.reason.clone(),
            raw: self.raw.chars().take(SAMPLE_LETTERS_MAX).collect(),
        }
    }
}

/// A record's text for the table of rejects, at most [`RAW_BYTES_MAX`] bytes of it.
pub(crate) fn raw_text(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]).into_owned()
}

/// Columns of a `…__rejects` table.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, TEXT, true);
    Arc::new(Schema::new(vec![
        text("source_file"),
        Field::new("line", DataType::Int64, true),
        text("raw"),
        text("column_name"),
        text("reason"),
    ]))
}

/// All rejects of one table, in the order in which they came.
#[derive(Default)]
pub(crate) struct Rejects {
    pub count: u64,
    pub samples: Vec<RejectSample>,
    waiting: Vec<Reject>,
    waiting_bytes: usize,
    batches: Vec<RecordBatch>,
    spilled: Option<Spilled>,
}

struct Spilled {
    writer: StreamWriter<BufWriter<File>>,
    path: TempPath,
}

impl Rejects {
    pub(crate) fn push(&mut self, reject: Reject, job: &Job) -> Result<()> {
        self.count += 1;
        // The lanes bring them as they find them; the first by place are the ones worth showing.
        let sample = reject.sample();
        let place = self.samples.partition_point(|known| (&known.source, known.line) <= (&sample.source, sample.line));
        if place < SAMPLES_MAX {
            self.samples.insert(place, sample);
            self.samples.truncate(SAMPLES_MAX);
        }
        self.waiting_bytes += reject.raw.len();
        self.waiting.push(reject);
        if self.waiting.len() >= BATCH_ROWS || self.waiting_bytes >= BATCH_BYTES {
            self.pack(job)?;
        }
        Ok(())
    }

    fn pack(&mut self, job: &Job) -> Result<()> {
        let rejects = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if rejects.is_empty() {
            return Ok(());
        }
        self.batches.push(batch(&rejects)?);
        if self.batches.len() > MEMORY_BATCHES {
            self.spill(job)?;
        }
        Ok(())
    }

    fn spill(&mut self, job: &Job) -> Result<()> {
        let mut spilled = match self.spilled.take() {
            Some(spilled) => spilled,
            None => {
                let (file, path) = temporary(job)?;
                let writer = StreamWriter::try_new_buffered(file, &schema()).map_err(cannot_spill)?;
                Spilled { writer, path }
            }
        };
        for batch in self.batches.drain(..) {
            spilled.writer.write(&batch).map_err(cannot_spill)?;
        }
        self.spilled = Some(spilled);
        Ok(())
    }

    /// Everything as batches, one at a time, so that millions of rejects need no more memory than a few.
    pub(crate) fn into_batches(
        mut self,
        job: &Job,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        self.pack(job)?;
        let spilled = match self.spilled {
            Some(Spilled { writer, path }) => {
                writer
                    .into_inner()
                    .map_err(cannot_spill)?
                    .into_inner()
                    .map_err(|error| crate::error::io("cannot write a temporary file", error.into_error()))?;
                let file =
                    File::open(&path).map_err(|error| crate::error::io("cannot open a temporary file", error))?;
                let reader = StreamReader::try_new(BufReader::new(file), None).map_err(cannot_spill)?;
                Some((reader, path))
            }
            None => None,
        };
        let spilled = spilled.into_iter().flat_map(|(reader, path)| {
            reader.map(move |batch| {
                // The file must stay until its last batch is read.
                let _ = &path;
                batch.map_err(cannot_spill)
            })
        });
        Ok(spilled.chain(self.batches.into_iter().map(Ok)))
    }
}

fn cannot_spill(error: arrow::error::ArrowError) -> Error {
    Error::internal("rejected rows cannot be kept in a temporary file").with_source(error)
}

fn batch(rejects: &[Reject]) -> Result<RecordBatch> {
    let text =
        |of: fn(&Reject) -> Option<&str>| -> ArrayRef { Arc::new(rejects.iter().map(of).collect::<StringViewArray>()) };
    let lines: Int64Array = rejects.iter().map(|reject| i64::try_from(reject.line).ok()).collect();
    let columns = vec![
        text(|reject| Some(&reject.source)),
        Arc::new(lines),
        text(|reject| Some(&reject.raw)),
        text(|reject| reject.column.as_deref()),
        text(|reject| Some(&reject.reason)),
    ];
    RecordBatch::try_new(schema(), columns)
        .map_err(|error| Error::internal("rejected rows do not make a batch").with_source(error))
}
