//! What a table's columns get that a file lacks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use polder_types::{Error, Result};

use crate::format::Output;
use crate::names::TableRef;
use crate::plan::TablePlan;
use crate::rejects::Reject;
use crate::store::{Existing, Fill, Transaction};

/// The places of one file's missing columns, and what fills them; `None`: nothing does.
#[derive(Clone, Default)]
pub(crate) struct Missing {
    places: Vec<usize>,
    fill: Option<Arc<dyn Fill>>,
}

impl Missing {
    /// What each of the files lacks. Files that lack the same share it, so that `now()` is one moment.
    pub(crate) async fn of(
        transaction: &mut dyn Transaction,
        table: &TableRef,
        existing: &Existing,
        plan: &TablePlan,
        files: usize,
    ) -> Result<Vec<Self>> {
        let mut known: HashMap<Vec<usize>, Option<Arc<dyn Fill>>> = HashMap::new();
        let mut all = Vec::with_capacity(files);
        for file in 0..files {
            let places = plan.lacking(file);
            refuse_generated(table, existing, &places)?;
            let fill = match known.get(&places) {
                Some(fill) => fill.clone(),
                None if places.is_empty() => None,
                None => {
                    let fill = transaction.defaults(table, &places).await?;
                    known.insert(places.clone(), fill.clone());
                    fill
                }
            };
            all.push(Self { places, fill });
        }
        Ok(all)
    }

    /// Whether the order of the rows is seen in what they get.
    pub(crate) fn counts(&self) -> bool {
        self.fill.as_ref().is_some_and(|fill| fill.counts())
    }

    /// The output for a file that lacks these columns.
    pub(crate) fn filled<'a>(&'a self, output: &'a dyn Output) -> Filled<'a> {
        let schema = output.schema();
        let optional = |(place, field): (usize, &FieldRef)| match self.places.contains(&place) {
            // Only the table knows whether a value is still missing when the defaults are there.
            true => Arc::new(field.as_ref().clone().with_nullable(true)),
            false => Arc::clone(field),
        };
        let schema = match self.places.is_empty() {
            true => schema,
            false => {
                let fields: Vec<FieldRef> = schema.fields().iter().enumerate().map(optional).collect();
                Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
            }
        };
        Filled { output, schema, missing: self }
    }
}

/// A column that is computed from others takes no value: one that is given would be dropped without a word.
fn refuse_generated(table: &TableRef, existing: &Existing, lacking: &[usize]) -> Result<()> {
    let mut columns = existing.schema.fields().iter().enumerate();
    match columns.find(|(place, field)| existing.generated.contains(field.name()) && !lacking.contains(place)) {
        Some((_, field)) => Err(Error::invalid(format!(
            "the file has a column {:?}, which is generated in {table} and takes no value",
            field.name()
        ))
        .with_code("428C9")
        .with_hint("leave it out of the file; COPY (SELECT …) TO writes one without it")),
        None => Ok(()),
    }
}

/// Fills the batches of one file on their way.
pub(crate) struct Filled<'a> {
    output: &'a dyn Output,
    schema: SchemaRef,
    missing: &'a Missing,
}

impl Output for Filled<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn lanes(&self) -> usize {
        self.output.lanes()
    }

    fn batch(&self, lane: usize, batch: RecordBatch) -> Result<()> {
        match &self.missing.fill {
            Some(fill) if batch.num_rows() > 0 => self.output.batch(lane, fill.fill(&batch)?),
            _ => self.output.batch(lane, batch),
        }
    }

    fn reject(&self, lane: usize, reject: Reject) -> Result<()> {
        self.output.reject(lane, reject)
    }
}
