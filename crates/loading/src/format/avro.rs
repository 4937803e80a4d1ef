//! Apache Avro object container files.

use std::io::BufReader;

use arrow::datatypes::SchemaRef;
use arrow_avro::reader::ReaderBuilder;
use polder_types::Result;

use super::typed::{self, broken};
use super::{Content, Format, GuessedColumn, Opened, Output, Reader, Target};
use crate::progress::Job;
use crate::source::spool::{Body, BodyReader};

const NAME: &str = "avro";
const BATCH_ROWS: usize = 8 << 10;

struct AvroReader {
    label: String,
    body: Body,
    schema: SchemaRef,
}

type Records = arrow_avro::reader::Reader<BufReader<BodyReader>>;

fn records(label: &str, body: &Body) -> Result<Records> {
    let reader = BufReader::with_capacity(1 << 20, body.reader()?);
    ReaderBuilder::new().with_batch_size(BATCH_ROWS).build(reader).map_err(|error| broken(label, NAME, &error))
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let schema = records(content.label, content.body)?.schema();
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: NAME,
        reader: Box::new(AvroReader { label: content.label.into(), body: content.body.clone(), schema }),
        options: content.found(NAME),
        remarks: vec![],
        sure: true,
        section: String::new(),
    }])
}

impl Reader for AvroReader {
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn infer(&mut self, _given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>> {
        job.progress.add_bytes(self.body.len());
        Ok(typed::columns(&self.schema))
    }

    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()> {
        let mut row = 1;
        for batch in records(&self.label, &self.body)? {
            job.check()?;
            let batch = batch.map_err(|error| broken(&self.label, NAME, &error))?;
            typed::pass_on(&self.label, &batch, row, targets, 0, output)?;
            row += batch.num_rows() as u64;
        }
        job.progress.add_bytes(self.body.len());
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.body.len()
    }
}

pub(crate) const FORMAT: Format = Format {
    name: NAME,
    aliases: &[],
    is_text: false,
    options: &[],
    recognise: |content| content.head.starts_with(b"Obj\x01"),
    open,
};
