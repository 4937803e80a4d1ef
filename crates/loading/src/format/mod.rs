//! The formats that can be loaded. Adding one takes a file and a line in [`FORMATS`].

pub(crate) mod avro;
pub(crate) mod blanks;
pub(crate) mod csv;
pub(crate) mod dialect;
pub(crate) mod json;
pub(crate) mod parquet;
#[cfg(test)]
mod tests;
pub(crate) mod typed;
pub(crate) mod weblog;
pub(crate) mod workbook;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use polder_capability::LoadOptions;
use polder_types::Result;

use crate::infer::evidence::Evidence;
use crate::progress::Job;
use crate::rejects::Reject;
use crate::source::spool::Body;
use crate::text::column::ColumnPlan;
use crate::text::layout::Sample;

use self::json::evidence::JsonEvidence;

/// A way to write tables into files.
pub(crate) struct Format {
    pub name: &'static str,
    /// Other names that a user may say.
    pub aliases: &'static [&'static str],
    /// It is text: its encoding is found out and undone first.
    pub is_text: bool,
    /// Options that mean something for it, beside `format` and `columns`.
    pub options: &'static [&'static str],
    /// True if the content looks like it. Formats are asked in the order of the list.
    pub recognise: fn(&Content<'_>) -> bool,
    pub open: fn(&Content<'_>) -> Result<Vec<Opened>>,
}

/// All formats: the ones that are known by their first bytes, then text from the strictest to the loosest.
pub(crate) const FORMATS: &[Format] = &[
    parquet::FORMAT,
    avro::FORMAT,
    workbook::EXCEL,
    workbook::ODS,
    json::FORMAT,
    weblog::FORMAT,
    csv::FORMAT,
    blanks::FORMAT,
];

/// What a format is asked about.
pub(crate) struct Content<'a> {
    pub label: &'a str,
    /// The file's own name.
    pub name: &'a str,
    /// Text formats get UTF-8 without a byte-order mark.
    pub body: &'a Body,
    /// The first [`SAMPLE_BYTES`] of it.
    pub head: &'a Bytes,
    pub options: &'a LoadOptions,
    /// The WHATWG name of the encoding that a text was in.
    pub encoding: Option<&'static str>,
    pub job: &'a Job,
}

/// What is looked at to tell formats, separators and headers.
pub(crate) const SAMPLE_BYTES: usize = 1 << 20;

impl Content<'_> {
    /// True if the sample is everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.head.len() as u64 == self.body.len()
    }

    /// The sample, for who looks where the rows begin.
    pub(crate) fn sample(&self) -> Sample<'_> {
        Sample { bytes: self.head, is_whole: self.is_whole(), header: self.options.header, label: self.label }
    }

    /// What was found out, to be sent back with corrections.
    pub(crate) fn found(&self, format: &str) -> LoadOptions {
        LoadOptions {
            format: Some(format.to_owned()),
            encoding: self.encoding.map(str::to_ascii_lowercase),
            nulls: self.options.nulls.clone(),
            columns: self.options.columns.clone(),
            ..LoadOptions::default()
        }
    }
}

/// One table's worth of content, ready to be read.
pub(crate) struct Opened {
    /// Shown: the file, and the sheet if there are several.
    pub label: String,
    /// To make a table name of.
    pub name: String,
    pub format: &'static str,
    pub reader: Box<dyn Reader>,
    pub options: LoadOptions,
    pub remarks: Vec<String>,
    /// False for text that only might be a table of one column.
    pub sure: bool,
    /// Sets sheets of one file apart where contents are compared.
    pub section: String,
}

/// What a column has shown.
#[derive(Debug, Clone)]
pub(crate) enum ColumnEvidence {
    /// Cells of text.
    Cells(Box<Evidence>),
    Json(Box<JsonEvidence>),
    /// The format says it.
    Known(DataType),
}

#[derive(Debug, Clone)]
pub(crate) struct GuessedColumn {
    /// The name in the file.
    pub source: String,
    pub evidence: ColumnEvidence,
    /// The type that the format gives this column, whatever the cells show.
    pub usual: Option<DataType>,
    pub origin: Origin,
}

/// Where a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    /// In the file and in the name of a folder that it is in, whose value counts.
    FileAndFolder,
    /// In the name of a folder that the file is in. Such columns stand behind the file's own.
    Folder,
    /// There, too, and not wanted.
    LeftOut,
}

/// A column of the table, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub plan: ColumnPlan,
    /// The column of the file, by the order of [`Reader::infer`]'s answer. `None`: the file has none.
    pub place: Option<usize>,
}

/// Where batches and rejects go. Lanes may be used at the same time.
pub(crate) trait Output: Sync {
    fn schema(&self) -> SchemaRef;

    fn lanes(&self) -> usize;

    /// # Errors
    /// Ends the reading: the load was cancelled, or a writer failed.
    fn batch(&self, lane: usize, batch: RecordBatch) -> Result<()>;

    /// # Errors
    /// Ends the reading: the load is strict.
    fn reject(&self, lane: usize, reject: Reject) -> Result<()>;
}

/// Reads one table's worth of content, in two passes.
pub(crate) trait Reader: Send + Sync {
    /// Names as in the file, as far as they are known before the first pass.
    fn columns(&self) -> Vec<String>;

    /// The first pass: looks at everything. `given`: true for columns whose type is given from outside.
    fn infer(&mut self, given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>>;

    /// The second pass: every row goes to a batch or to the rejects.
    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()>;

    /// Bytes that one pass goes over, for progress.
    fn bytes(&self) -> u64;
}
