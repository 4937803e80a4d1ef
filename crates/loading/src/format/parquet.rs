//! Apache Parquet.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::LogicalType;
use parquet::file::reader::ChunkReader;
use polder_types::{Error, Result};

use super::typed::{self, broken};
use super::{ColumnEvidence, Content, Format, GuessedColumn, Opened, Output, Reader, Target};
use crate::error;
use crate::infer::types::TEXT;
use crate::progress::Job;
use crate::source::spool::Body;
use crate::text::units::each_thread;

const NAME: &str = "parquet";
const BATCH_ROWS: usize = 16 << 10;

struct ParquetReader {
    label: String,
    body: Body,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
    /// Columns that are UUIDs, which Arrow hands out as bare bytes and people know as text.
    uuids: Vec<usize>,
}

fn uuids(metadata: &ArrowReaderMetadata) -> Vec<usize> {
    let root = metadata.metadata().file_metadata().schema_descr().root_schema().get_fields();
    let is_uuid =
        |field: &parquet::schema::types::TypePtr| field.get_basic_info().logical_type_ref() == Some(&LogicalType::Uuid);
    root.iter().enumerate().filter(|(_, field)| is_uuid(field)).map(|(place, _)| place).collect()
}

/// 16 bytes as `550e8400-e29b-41d4-a716-446655440000`.
fn as_text(uuids: &ArrayRef) -> ArrayRef {
    let Some(bytes) = uuids.as_fixed_size_binary_opt() else { return uuids.clone() };
    let show = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).map(|uuid| uuid.to_string()).ok();
    Arc::new(bytes.iter().map(|bytes| bytes.and_then(show)).collect::<StringViewArray>())
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let options = ArrowReaderOptions::new();
    let metadata = match content.body.in_memory() {
        Some(bytes) => ArrowReaderMetadata::load(&bytes, options),
        None => ArrowReaderMetadata::load(&file(content.body)?, options),
    };
    let metadata = metadata.map_err(|error| broken(content.label, NAME, &error))?;
    let schema = metadata.schema().clone();
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: NAME,
        reader: Box::new(ParquetReader {
            label: content.label.into(),
            body: content.body.clone(),
            uuids: uuids(&metadata),
            metadata,
            schema,
        }),
        options: content.found(NAME),
        remarks: vec![],
        sure: true,
        section: String::new(),
    }])
}

fn file(body: &Body) -> Result<File> {
    let path = body.as_file().ok_or_else(|| Error::internal("a Parquet body is neither in memory nor a file"))?;
    File::open(path).map_err(|error| error::io(format!("cannot open {}", path.display()), error))
}

impl ParquetReader {
    /// With UUIDs as text.
    fn readable(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.uuids.is_empty() {
            return Ok(batch);
        }
        let named = batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .enumerate()
            .map(|(place, (field, column))| {
                let column = if self.uuids.contains(&place) { as_text(column) } else { column.clone() };
                (field.name().clone(), column, true)
            })
            .collect::<Vec<_>>();
        RecordBatch::try_from_iter_with_nullable(named)
            .map_err(|error| Error::internal("columns do not make a batch").with_source(error))
    }

    fn read_groups<R: ChunkReader + 'static>(
        &self,
        from: R,
        groups: Vec<usize>,
        lane: usize,
        (targets, output, job): (&[Target], &dyn Output, &Job),
    ) -> Result<()> {
        let metadata = self.metadata.metadata();
        let rows_of = |group: usize| u64::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
        let mut row = 1 + (0..groups.first().copied().unwrap_or(0)).map(rows_of).sum::<u64>();
        let rows_all: u64 = groups.iter().map(|group| rows_of(*group)).sum();
        let share = self.body.len() / (metadata.num_row_groups() as u64).max(1) * groups.len() as u64;
        let wrong = |error: &dyn std::fmt::Display| broken(&self.label, NAME, error);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(from, self.metadata.clone())
            .with_row_groups(groups)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| wrong(&error))?;
        for batch in reader {
            job.check()?;
            let batch = batch.map_err(|error| wrong(&error))?;
            let batch = self.readable(batch)?;
            typed::pass_on(&self.label, &batch, row, targets, lane, output)?;
            row += batch.num_rows() as u64;
            job.progress.add_bytes(share * batch.num_rows() as u64 / rows_all.max(1));
        }
        Ok(())
    }
}

impl Reader for ParquetReader {
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn infer(&mut self, _given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>> {
        job.progress.add_bytes(self.body.len());
        let mut columns = typed::columns(&self.schema);
        for place in &self.uuids {
            if let Some(column) = columns.get_mut(*place) {
                column.evidence = ColumnEvidence::Known(TEXT);
            }
        }
        Ok(columns)
    }

    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()> {
        let groups = self.metadata.metadata().num_row_groups();
        let lanes = output.lanes().clamp(1, groups.max(1));
        each_thread(lanes, |lane| {
            let mine: Vec<usize> = (groups * lane / lanes..groups * (lane + 1) / lanes).collect();
            let with = (targets, output, job);
            match self.body.in_memory() {
                Some(bytes) => self.read_groups::<Bytes>(bytes, mine, lane, with),
                None => self.read_groups::<File>(file(&self.body)?, mine, lane, with),
            }
        })?;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.body.len()
    }
}

pub(crate) const FORMAT: Format = Format {
    name: NAME,
    aliases: &["pq"],
    is_text: false,
    options: &[],
    recognise: |content| content.head.starts_with(b"PAR1"),
    open,
};
