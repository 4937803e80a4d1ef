//! Inserts of a few rows, held back until a read or the commit needs them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use polder_types::Result;

use super::{Transaction, writable};
use crate::apply::Op;
use crate::inlined;
use crate::model::PROVISIONAL;
use crate::names::TableName;
use crate::parquet_writer::TableWriter;
use crate::rules::with_subject;

/// Rows held back at most, so that a long transaction of small inserts stays small in memory.
const PENDING_ROWS_MAX: usize = 10_000;

impl Transaction {
    /// Inserts a few rows: kept in the metastore if they fit there, in a Parquet file otherwise.
    ///
    /// # Errors
    /// As [`TableWriter::write`].
    pub async fn insert(&mut self, name: &TableName, batches: Vec<RecordBatch>) -> Result<u64> {
        let table = self.existing(name)?;
        writable(&table)?;
        let rules = self.lake.row_rules(&table)?;
        let conformed = batches
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .map(|batch| {
                crate::conform::conform(batch, &table.arrow_schema, &table.name, &rules)
                    .map_err(|error| with_subject(error, &name.schema, &table.name))
            })
            .collect::<Result<Vec<_>>>()?;
        let rows: usize = conformed.iter().map(RecordBatch::num_rows).sum();
        let held = self.pending.entry(table.id).or_default();
        self.keys.held(&table, held.len());
        held.extend(conformed);
        let held: usize = self.pending.get(&table.id).map_or(0, |held| held.iter().map(RecordBatch::num_rows).sum());
        if held == 0 {
            self.pending.remove(&table.id);
        } else if held > PENDING_ROWS_MAX {
            self.settle_table(table.id).await?;
        }
        Ok(rows as u64)
    }

    /// Makes inserts that were held back visible to this transaction's own reads.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn settle(&mut self) -> Result<()> {
        for table in self.pending.keys().copied().collect::<Vec<_>>() {
            self.settle_table(table).await?;
        }
        Ok(())
    }

    pub(crate) async fn settle_table(&mut self, id: i64) -> Result<()> {
        let Some(batches) = self.pending.remove(&id) else { return Ok(()) };
        self.keys.settled(id);
        let Some(table) = self.view.tables.get(&id).cloned() else { return Ok(()) };
        // They were checked when they came.
        let mut writer = TableWriter::open(self.lake.store().clone(), self.directory(&table)?, &table, Arc::default())?;
        for batch in batches {
            writer.write(batch).await?;
        }
        let files = writer.finish().await?;
        self.add_files_to(id, files).map(|_| ())
    }

    /// Rows still held back: into the metastore if they are few and simple, into Parquet otherwise.
    pub(super) async fn place_pending(&mut self) -> Result<()> {
        for id in self.pending.keys().copied().collect::<Vec<_>>() {
            let Some(table) = self.view.tables.get(&id).cloned() else { continue };
            let batches = self.pending.get(&id).map(Vec::as_slice).unwrap_or_default();
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            let few = rows <= inlined::ROWS_MAX && inlined::fits(batches, self.lake.backend());
            // A table that this transaction makes or reshapes gets its holder with the commit.
            let holder = if few && table.partition.is_none() && id < PROVISIONAL && !self.reshaped(id) {
                self.lake.holder(&table).await?
            } else {
                None
            };
            match holder {
                Some(holder) => {
                    let batches = self.pending.remove(&id).unwrap_or_default();
                    // The transaction ends here: nobody looks at its own view any more.
                    self.ops.push(Op::InsertInlined { table: id, holder, batches });
                }
                None => self.settle_table(id).await?,
            }
        }
        Ok(())
    }

    /// A table whose shape this transaction changes has no holder for small rows yet.
    fn reshaped(&self, id: i64) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::AlterColumn { id: table, .. } if *table == id))
    }
}
