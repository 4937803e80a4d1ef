//! Compaction as a job: what `OPTIMIZE` does when asked, done by itself where it pays.

use std::sync::Arc;

use polder_capability::{JobKind, JobRun};
use polder_lake::{Compacted, Compaction, TableName};
use polder_types::{Error, ErrorKind, Result};
use serde_json::Value;

use super::fields;
use crate::engine::Engine;

/// Merges small files, and moves rows out of the metastore, of all tables or of the one in `{"table": "schema.table"}`.
/// Less is worth rewriting than when a person asks by `OPTIMIZE`, so that it may run often.
pub struct CompactionKind {
    engine: Arc<Engine>,
}

impl CompactionKind {
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The tables that can be compacted.
    async fn tables(&self) -> Result<Vec<TableName>> {
        let newest = self.engine.lake.newest().await?;
        let tables = newest.tables.values().filter(|table| table.is_rewritable());
        Ok(tables.map(|table| newest.name_of(table)).collect())
    }

    async fn compact(&self, run: &JobRun, name: &TableName) -> Result<()> {
        // What is cut off in the middle leaves files that nobody names, which a clean-up removes.
        let wanted = Compaction::background();
        let compacted = tokio::select! {
            compacted = self.engine.lake.compact(name, &wanted, Some(&*self.engine.template)) => compacted?,
            () = run.stop.cancelled() => return Err(Error::cancelled()),
        };
        if compacted != Compacted::default() {
            let Compacted { files_removed, files_added, stored_rows, .. } = compacted;
            run.log.line(format!(
                "{name}: {files_removed} files into {files_added}, {stored_rows} rows out of the metastore"
            ));
        }
        Ok(())
    }
}

/// The one table that the payload names, if it does.
fn table(payload: &Value) -> Result<Option<TableName>> {
    let Some(name) = fields("compaction", payload, &["table"])?.get("table") else { return Ok(None) };
    match name.as_str().and_then(|name| name.split_once('.')) {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => Ok(Some(TableName::new(schema, table))),
        _ => Err(Error::invalid("`table` must be written as \"schema.table\"")),
    }
}

#[async_trait::async_trait]
impl JobKind for CompactionKind {
    fn name(&self) -> &'static str {
        "compaction"
    }

    fn check(&self, payload: &Value) -> Result<()> {
        table(payload).map(drop)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        if let Some(name) = table(&run.payload)? {
            return self.compact(run, &name).await;
        }
        let mut failed: Option<Error> = None;
        for name in self.tables().await? {
            match self.compact(run, &name).await {
                Ok(()) => {}
                // Dropped since the list was made.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    // One table's trouble is none of the others'.
                    run.log.line(format!("{name}: {error}"));
                    failed.get_or_insert(error.context(name));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
