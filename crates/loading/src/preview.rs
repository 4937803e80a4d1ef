//! What a load would make, from the beginning of a source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parking_lot::Mutex;
use polder_capability::{ColumnPreview, LoadOptions, LoadSource, Preview, TablePreview};
use polder_types::{Error, ErrorKind, Result};

use crate::format::{Opened, Output};
use crate::infer::types::{TEXT, to_sql};
use crate::load::blocking;
use crate::names;
use crate::parted::with_folders;
use crate::plan::{TablePlan, plan, wanted_type};
use crate::progress::Job;
use crate::rejects::Reject;
use crate::sniff;
use crate::source::unpack::{Part, unpack};
use crate::source::{Found, find};

/// What is looked at of text.
const HEAD_BYTES: u64 = 1 << 20;

/// What is fetched of a remote file that can only be read whole.
const REMOTE_BYTES_MAX: u64 = 64 << 20;

/// Rows that are looked at.
const ROWS_MAX: u64 = 10_000;

/// Rows that are shown, and letters of one cell.
const ROWS_SHOWN: usize = 50;
const CELL_LETTERS_MAX: usize = 1000;

/// Tables that are shown, of a directory or an archive.
const TABLES_MAX: usize = 20;

/// Looks at the beginning of a source. Nothing is kept.
pub(crate) async fn preview(source: &LoadSource, options: &LoadOptions, job: Arc<Job>) -> Result<Preview> {
    for choice in &options.columns {
        choice.data_type.as_deref().map(wanted_type).transpose()?;
    }
    let found = find(source, Some(HEAD_BYTES), &job).await?;
    let is_cut = found.iter().any(|file| file.cut);
    match look_at(found, options, &job).await {
        // Some formats say what is in them at their end.
        Err(error) if is_cut && error.kind() != ErrorKind::Cancelled => {
            let whole = find(source, Some(REMOTE_BYTES_MAX), &job).await?;
            if whole.iter().any(|file| file.cut) {
                return Err(error.context("a preview from the beginning alone is not possible"));
            }
            look_at(whole, options, &job).await
        }
        looked => looked,
    }
}

async fn look_at(found: Vec<Found>, options: &LoadOptions, job: &Arc<Job>) -> Result<Preview> {
    let (options, job) = (options.clone(), job.clone());
    blocking(move || {
        let mut preview = Preview::default();
        let mut failure = None;
        for file in found {
            let by_chance = file.listing.is_some();
            match look_at_file(&file, &options, &job) {
                Ok(tables) => preview.tables.extend(tables),
                Err(error) if by_chance && error.kind() == ErrorKind::Unsupported => failure = Some(error),
                Err(error) => return Err(error),
            }
            if preview.tables.len() >= TABLES_MAX {
                preview.tables.truncate(TABLES_MAX);
                break;
            }
        }
        match failure {
            Some(error) if preview.tables.is_empty() => Err(error),
            _ => Ok(preview),
        }
    })
    .await
}

fn look_at_file(file: &Found, options: &LoadOptions, job: &Job) -> Result<Vec<TablePreview>> {
    let mut tables = Vec::new();
    let parts = unpack(&file.label, &file.name, &file.body, Some(HEAD_BYTES), job)?;
    let needs_whole = parts.iter().any(|part| part.cut && sniff::is_binary(part, options, job));
    let parts = if needs_whole { unpack(&file.label, &file.name, &file.body, None, job)? } else { parts };
    let folders = file.listing.as_ref().map_or(&[][..], |listing| listing.folders.as_slice());
    for mut part in parts.into_iter().take(TABLES_MAX) {
        part.cut |= file.cut;
        if !sniff::is_binary(&part, options, job) && part.body.len() > HEAD_BYTES {
            part = Part { body: part.body.take(HEAD_BYTES), cut: true, ..part };
        }
        for opened in sniff::open(&part, options, job)? {
            tables.push(table(with_folders(opened, folders), options, job)?);
        }
    }
    Ok(tables)
}

fn table(mut opened: Opened, options: &LoadOptions, job: &Job) -> Result<TablePreview> {
    let chosen =
        |source: &str| options.columns.iter().any(|choice| choice.source == source && choice.data_type.is_some());
    let guessed = opened.reader.infer(&chosen, job)?;
    let plan = plan(&[guessed], options, None, std::slice::from_ref(&opened.label))?;
    let output = Shown {
        schema: plan.schema.clone(),
        rows: Mutex::default(),
        seen: AtomicU64::new(0),
        enough: AtomicBool::new(false),
    };
    match opened.reader.read(&plan.targets(0), &output, job) {
        Err(_) if output.enough.load(Ordering::Relaxed) => {}
        read => read?,
    }
    let mut remarks = std::mem::take(&mut opened.remarks);
    remarks.extend(plan.remarks.clone());
    Ok(TablePreview {
        table: names::TableRef::public(names::table(names::stem(&opened.name))).to_string(),
        source: opened.label,
        format: opened.format.into(),
        options: opened.options,
        columns: columns(&plan),
        rows: output.rows.into_inner(),
        rows_seen: output.seen.into_inner(),
        remarks,
    })
}

fn columns(plan: &TablePlan) -> Vec<ColumnPreview> {
    plan.columns
        .iter()
        .map(|column| {
            let about: Vec<&str> = plan
                .column_remarks
                .iter()
                .filter(|(name, _)| *name == column.name)
                .map(|(_, remark)| remark.as_str())
                .collect();
            ColumnPreview {
                source: column.source.clone(),
                name: column.name.clone(),
                data_type: to_sql(&column.data_type),
                remark: (!about.is_empty()).then(|| about.join("; ")),
            }
        })
        .collect()
}

/// Keeps the first rows as text.
struct Shown {
    schema: SchemaRef,
    rows: Mutex<Vec<Vec<Option<String>>>>,
    seen: AtomicU64,
    enough: AtomicBool,
}

impl Output for Shown {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// One, so that the rows come in order.
    fn lanes(&self) -> usize {
        1
    }

    fn batch(&self, _lane: usize, batch: RecordBatch) -> Result<()> {
        let seen = self.seen.fetch_add(batch.num_rows() as u64, Ordering::Relaxed) + batch.num_rows() as u64;
        let mut rows = self.rows.lock();
        let wanted = ROWS_SHOWN.saturating_sub(rows.len()).min(batch.num_rows());
        let options = FormatOptions::default();
        let columns: Result<Vec<_>> = batch.columns().iter().map(|column| formatter(column, &options)).collect();
        let columns = columns?;
        for row in 0..wanted {
            let cell = |(column, formatter): (&ArrayRef, &ArrayFormatter<'_>)| {
                column.is_valid(row).then(|| formatter.value(row).to_string().chars().take(CELL_LETTERS_MAX).collect())
            };
            rows.push(batch.columns().iter().zip(&columns).map(cell).collect());
        }
        if seen >= ROWS_MAX {
            self.enough.store(true, Ordering::Relaxed);
            return Err(Error::cancelled());
        }
        Ok(())
    }

    fn reject(&self, _lane: usize, _reject: Reject) -> Result<()> {
        Ok(())
    }
}

fn formatter<'a>(column: &'a ArrayRef, options: &'a FormatOptions<'_>) -> Result<ArrayFormatter<'a>> {
    ArrayFormatter::try_new(column.as_ref(), options)
        .map_err(|error| Error::internal(format!("a value cannot be shown as {}", to_sql(&TEXT))).with_source(error))
}
