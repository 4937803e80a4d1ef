//! Files in folders that are named after values: these become columns behind the file's own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use polder_types::{Error, Result};

use crate::format::{ColumnEvidence, GuessedColumn, Opened, Origin, Output, Reader, Target};
use crate::infer::evidence::Evidence;
use crate::infer::types::to_sql;
use crate::names;
use crate::progress::Job;
use crate::rejects::{NO_VALUE, Reject};
use crate::source::folders::Folder;
use crate::text::column::ColumnBuilder;

/// The content with the values of its folders.
pub(crate) fn with_folders(opened: Opened, folders: &[Folder]) -> Opened {
    if folders.is_empty() {
        return opened;
    }
    let reader = PartedReader {
        label: opened.label.clone(),
        inner: opened.reader,
        folders: folders.to_vec(),
        instead: Vec::new(),
        width: 0,
    };
    Opened { reader: Box::new(reader), ..opened }
}

struct PartedReader {
    label: String,
    inner: Box<dyn Reader>,
    /// After the first pass without those that the file has a column for.
    folders: Vec<Folder>,
    /// Those, and the places of the columns that their values stand in for.
    instead: Vec<(usize, Folder)>,
    /// The file's own columns.
    width: usize,
}

impl Reader for PartedReader {
    /// The file's own: by them files are told to be of one kind.
    fn columns(&self) -> Vec<String> {
        self.inner.columns()
    }

    fn infer(&mut self, given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>> {
        let mut columns = self.inner.infer(given, job)?;
        self.width = columns.len();
        for folder in std::mem::take(&mut self.folders) {
            let exactly = columns.iter().position(|column| column.source == folder.name);
            let place = exactly.or_else(|| columns.iter().position(|column| names::same(&column.source, &folder.name)));
            match place.and_then(|place| Some((place, columns.get_mut(place)?))) {
                Some((place, column)) => {
                    *column = guessed(&folder, &column.source, Origin::FileAndFolder, given);
                    // Of two that mean the same column the inner one counts.
                    self.instead.retain(|(other, _)| *other != place);
                    self.instead.push((place, folder));
                }
                None => self.folders.push(folder),
            }
        }
        columns.extend(self.folders.iter().map(|folder| guessed(folder, &folder.name, Origin::Folder, given)));
        Ok(columns)
    }

    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()> {
        let schema = output.schema();
        let mut own = targets.to_vec();
        let mut values: Vec<Option<ArrayRef>> = Vec::with_capacity(own.len());
        for (target, field) in own.iter_mut().zip(schema.fields()) {
            let folder = target.place.and_then(|place| self.folder(place));
            if folder.is_some() {
                target.place = None;
            }
            values.push(folder.map(|folder| self.value(folder, field.data_type(), target)).transpose()?);
        }
        let optional = |(field, value): (&FieldRef, &Option<ArrayRef>)| match value {
            // It is missing until it is put in.
            Some(_) => Arc::new(field.as_ref().clone().with_nullable(true)),
            None => Arc::clone(field),
        };
        let fields: Vec<FieldRef> = schema.fields().iter().zip(&values).map(optional).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        self.inner.read(&own, &Parted { output, schema, values }, job)
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }
}

/// What the value of a folder shows of its column.
fn guessed(folder: &Folder, source: &str, origin: Origin, given: &dyn Fn(&str) -> bool) -> GuessedColumn {
    let mut evidence = Evidence::new(given(source));
    match &folder.value {
        Some(value) => evidence.observe(value.as_bytes(), || 1),
        None => evidence.observe_null(),
    }
    let evidence = ColumnEvidence::Cells(Box::new(evidence));
    GuessedColumn { source: source.to_owned(), evidence, usual: None, origin }
}

impl PartedReader {
    /// The folder whose value the column at this place has.
    fn folder(&self, place: usize) -> Option<&Folder> {
        match place.checked_sub(self.width) {
            Some(behind) => self.folders.get(behind),
            None => self.instead.iter().find(|(instead, _)| *instead == place).map(|(_, folder)| folder),
        }
    }

    /// One row of the column.
    fn value(&self, folder: &Folder, data_type: &DataType, target: &Target) -> Result<ArrayRef> {
        let wrong = |why: String, code: &'static str| {
            Err(Error::invalid(format!("{} has a value of its folder in column `{}`: {why}", self.label, folder.name))
                .with_code(code)
                .with_hint("load the other folders apart, or into a table whose column takes it"))
        };
        let value = match &folder.value {
            Some(value) => {
                let mut builder = ColumnBuilder::new(&target.plan, 1)?;
                // As if in quotes: a folder has its own name for what is missing.
                if builder.push(value.as_bytes(), true).is_err() {
                    return wrong(format!("{value:?} is no {}", to_sql(data_type)), "22P02");
                }
                builder.finish()?
            }
            None => new_null_array(data_type, 1),
        };
        if target.plan.required && value.is_null(0) {
            return wrong(NO_VALUE.to_owned(), "23502");
        }
        Ok(value)
    }
}

/// Puts the values of the folders into the batches of one file.
struct Parted<'a> {
    output: &'a dyn Output,
    schema: SchemaRef,
    values: Vec<Option<ArrayRef>>,
}

impl Output for Parted<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn lanes(&self) -> usize {
        self.output.lanes()
    }

    fn batch(&self, lane: usize, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let first = UInt32Array::from(vec![0; rows]);
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (column, value) in batch.columns().iter().zip(&self.values) {
            columns.push(match value {
                Some(value) => take(value.as_ref(), &first, None)
                    .map_err(|error| Error::internal("a value cannot be repeated").with_source(error))?,
                None => Arc::clone(column),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.output.schema(), columns, &options)
            .map_err(|error| Error::invalid(format!("the rows do not fit the table: {error}")))?;
        self.output.batch(lane, batch)
    }

    fn reject(&self, lane: usize, reject: Reject) -> Result<()> {
        self.output.reject(lane, reject)
    }
}
