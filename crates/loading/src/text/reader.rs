//! The reader that all formats of cells share: infers every column over the whole body, then reads it in lanes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use polder_types::{Error, Result};

use super::block::{BadRow, Block, Records, Row};
use super::column::{ColumnBuilder, Misfit, missing};
use super::layout::Layout;
use super::split::{Fault, Field, Splitter};
use super::units::{Cut, Cutter, Unit, each_lane, survey};
use crate::format::{ColumnEvidence, GuessedColumn, Origin, Output, Reader, Target};
use crate::infer::cell::trim;
use crate::infer::evidence::Evidence;
use crate::infer::types;
use crate::progress::Job;
use crate::rejects::{NO_VALUE, Reject, raw_text};
use crate::source::spool::Body;

/// Rows of one batch: enough for the columns to be written well, few enough for memory to stay small.
const BATCH_ROWS: usize = 64 << 10;

/// Reads a body as records of cells.
pub(crate) struct CellReader<S> {
    splitter: S,
    label: String,
    body: Body,
    layout: Layout,
    /// Words that the user calls missing.
    own_nulls: Option<Arc<[Vec<u8>]>>,
    comma_is_free: bool,
    usual: Vec<Option<DataType>>,
    units: Vec<Unit>,
}

struct Cuts<'a, S>(&'a S);

impl<S: Splitter> Cut for Cuts<'_, S> {
    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        self.0.cut(buffer, least, last)
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        self.0.lines(bytes)
    }
}

impl<S: Splitter> CellReader<S> {
    pub(crate) fn new(splitter: S, label: &str, body: Body, layout: Layout, nulls: Option<&[String]>) -> Self {
        let own_nulls = nulls.map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect());
        Self {
            splitter,
            label: label.into(),
            body,
            layout,
            own_nulls,
            comma_is_free: false,
            usual: Vec::new(),
            units: Vec::new(),
        }
    }

    /// The comma separates nothing, so it may be a decimal sign.
    pub(crate) fn with_free_comma(self, comma_is_free: bool) -> Self {
        Self { comma_is_free, ..self }
    }

    /// Types that the format gives the columns, one each.
    pub(crate) fn with_usual_types(self, usual: Vec<Option<DataType>>) -> Self {
        Self { usual, ..self }
    }

    fn width(&self) -> usize {
        self.layout.columns.len()
    }

    fn observe(&self, unit: &Unit, bytes: &Bytes, columns: &mut [Evidence]) {
        if unit.oversized {
            return;
        }
        let mut records = Records::new(&self.splitter, bytes, self.width(), unit.line);
        let mut block = Block::default();
        let mut scratch = Vec::new();
        while records.next(&mut block) {
            for (place, evidence) in columns.iter_mut().enumerate() {
                let fields = block.fields.iter().skip(place).step_by(self.width());
                if self.own_nulls.is_none() {
                    for field in fields.clone().filter(|field| !field.quoted) {
                        evidence.count_word(field.bytes(bytes));
                    }
                }
                if evidence.settled() {
                    continue;
                }
                for (field, row) in fields.zip(&block.rows) {
                    let cell = self.cell(bytes, field, &mut scratch);
                    match &self.own_nulls {
                        Some(words) if words.iter().any(|word| word == trim(cell)) => evidence.observe_null(),
                        _ => evidence.observe(cell, || row.line),
                    }
                }
            }
        }
    }

    #[inline]
    fn cell<'a>(&self, bytes: &'a [u8], field: &Field, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let raw = field.bytes(bytes);
        if !field.escaped {
            return raw;
        }
        scratch.clear();
        self.splitter.unescape(raw, scratch);
        scratch
    }

    fn read_unit(
        &self,
        lane: usize,
        unit: &Unit,
        bytes: &Bytes,
        targets: &[Target],
        output: &dyn Output,
    ) -> Result<()> {
        if unit.oversized {
            let fault = Fault::RecordTooLong.to_string();
            return output.reject(lane, self.reject(unit.line, raw_text(bytes), None, fault));
        }
        let mut records = Records::new(&self.splitter, bytes, self.width(), unit.line);
        let mut block = Block::default();
        let mut batch = Batch::new(targets, output.schema())?;
        while records.next(&mut block) {
            for BadRow { row, fault } in &block.bad {
                output.reject(lane, self.reject(row.line, self.raw(bytes, *row), None, fault.to_string()))?;
            }
            let misfits = self.fill(bytes, &block, targets, &mut batch);
            for (row, reject) in misfits {
                batch.drop_row(row);
                output.reject(lane, reject)?;
            }
            if batch.rows >= BATCH_ROWS {
                let full = std::mem::replace(&mut batch, Batch::new(targets, output.schema())?);
                output.batch(lane, full.finish()?)?;
            }
        }
        if batch.rows > 0 {
            output.batch(lane, batch.finish()?)?;
        }
        Ok(())
    }

    /// Adds a block's cells, column by column. Gives the rows that have a cell that does not fit, each once.
    fn fill(&self, bytes: &[u8], block: &Block, targets: &[Target], batch: &mut Batch) -> Vec<(usize, Reject)> {
        let mut misfits: Vec<(usize, Reject)> = Vec::new();
        let mut refused = vec![false; block.rows.len()];
        let mut scratch = Vec::new();
        for (target, builder) in targets.iter().zip(&mut batch.builders) {
            let (Some(place), Some(builder)) = (target.place, builder) else { continue };
            let fields = block.fields.iter().skip(place).step_by(self.width());
            for (number, (field, row)) in fields.zip(&block.rows).enumerate() {
                let cell = self.cell(bytes, field, &mut scratch);
                let fits = builder.push(cell, field.quoted);
                let lacking = fits.is_ok() && target.plan.required && builder.last_is_missing();
                if fits == Err(Misfit) || lacking {
                    if !std::mem::replace(&mut refused[number], true) {
                        misfits.push((batch.rows + number, self.misfit(bytes, row, cell, target, lacking)));
                    }
                }
            }
        }
        batch.rows += block.rows.len();
        misfits.sort_by_key(|(number, _)| *number);
        misfits
    }

    fn misfit(&self, bytes: &[u8], row: &Row, cell: &[u8], target: &Target, lacking: bool) -> Reject {
        let value: String = String::from_utf8_lossy(cell).chars().take(100).collect();
        let reason = if lacking {
            NO_VALUE.into()
        } else {
            format!("{value:?} is no {}", types::to_sql(&target.plan.data_type))
        };
        self.reject(row.line, self.raw(bytes, *row), Some(&target.plan.source), reason)
    }

    /// A row as a person reads it: of a frame, its cells.
    fn raw(&self, bytes: &[u8], row: Row) -> String {
        let record = &bytes[row.start..row.end];
        if !self.splitter.is_framed() {
            return raw_text(record);
        }
        let mut fields = Vec::new();
        self.splitter.scan(record, 0, true, &mut fields);
        let cells: Vec<&[u8]> = fields.iter().map(|field| field.bytes(record)).collect();
        raw_text(&cells.join(&b'\t'))
    }

    fn reject(&self, line: u64, raw: String, column: Option<&str>, reason: String) -> Reject {
        Reject { source: self.label.clone(), line, column: column.map(str::to_owned), reason, raw }
    }
}

impl<S: Splitter> Reader for CellReader<S> {
    fn columns(&self) -> Vec<String> {
        self.layout.columns.clone()
    }

    fn infer(&mut self, given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>> {
        let cuts = Cuts(&self.splitter);
        let cutter = Cutter::new(&self.body, &cuts, self.layout.start, self.layout.line)?;
        let new = || -> Vec<Evidence> { self.layout.columns.iter().map(|name| Evidence::new(given(name))).collect() };
        // `given` is asked before the threads begin, so that it need not be shared.
        let empty = new();
        let (mut units, gathered) = survey(
            cutter,
            job,
            || empty.clone(),
            |unit, bytes, columns| {
                self.observe(unit, bytes, columns);
                Ok(())
            },
        )?;
        units.sort_by_key(|unit| unit.offset);
        self.units = units;
        let mut columns = empty;
        for part in gathered {
            for (column, evidence) in columns.iter_mut().zip(part) {
                column.merge(evidence);
            }
        }
        for column in &mut columns {
            column.comma_is_free = self.comma_is_free;
        }
        let guessed = self.layout.columns.iter().zip(columns).enumerate();
        Ok(guessed
            .map(|(place, (source, evidence))| GuessedColumn {
                source: source.clone(),
                evidence: ColumnEvidence::Cells(Box::new(evidence)),
                usual: self.usual.get(place).cloned().flatten(),
                origin: Origin::File,
            })
            .collect())
    }

    fn bytes(&self) -> u64 {
        self.body.len()
    }

    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()> {
        for (line, raw) in &self.layout.preamble {
            output.reject(0, self.reject(*line, raw_text(raw.as_bytes()), None, "stands before the header".into()))?;
        }
        each_lane(&self.body, &self.units, output.lanes(), job, |lane, unit, bytes| {
            self.read_unit(lane, unit, bytes, targets, output)
        })
    }
}

/// Columns under construction.
struct Batch {
    schema: SchemaRef,
    /// `None` where the file has no such column.
    builders: Vec<Option<ColumnBuilder>>,
    rows: usize,
    dropped: Vec<usize>,
}

impl Batch {
    fn new(targets: &[Target], schema: SchemaRef) -> Result<Self> {
        let builders: Result<Vec<_>> = targets
            .iter()
            .map(|target| target.place.map(|_| ColumnBuilder::new(&target.plan, 8192)).transpose())
            .collect();
        Ok(Self { schema, builders: builders?, rows: 0, dropped: Vec::new() })
    }

    fn drop_row(&mut self, row: usize) {
        self.dropped.push(row);
    }

    fn finish(self) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.builders.len());
        for (builder, field) in self.builders.into_iter().zip(self.schema.fields()) {
            arrays.push(match builder {
                Some(builder) => builder.finish()?,
                None => missing(field.data_type(), self.rows),
            });
        }
        finish_batch(self.schema, arrays, self.rows, &self.dropped)
    }
}

/// A batch without its dropped rows, which may lack what the schema requires.
pub(crate) fn finish_batch(
    schema: SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
    dropped: &[usize],
) -> Result<RecordBatch> {
    let mut keep = vec![true; if dropped.is_empty() { 0 } else { rows }];
    for row in dropped {
        if let Some(bit) = keep.get_mut(*row) {
            *bit = false;
        }
    }
    let (arrays, rows) = if dropped.is_empty() {
        (arrays, rows)
    } else {
        let keep = BooleanArray::from(keep);
        let kept: std::result::Result<Vec<ArrayRef>, _> =
            arrays.iter().map(|array| arrow::compute::filter(array, &keep)).collect();
        (kept.map_err(|error| Error::internal("rows cannot be left out").with_source(error))?, keep.true_count())
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|error| Error::invalid(format!("the rows do not fit the table: {error}")))
}
