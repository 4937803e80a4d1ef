//! The lake as the place where loads put their tables: the only file of this crate that knows it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use polder_lake::{Defaults, Lake, StagedFile, TableName, TableWriter};
use polder_metastore::LoadedContents;
use polder_runtime::Clock;
use polder_types::{Error, Result, SnapshotId};

use crate::names::TableRef;
use crate::store::{BatchWriter, Existing, Fill, LoadedContent, Store, Transaction};

/// Loads go into the lake.
pub(crate) struct LakeStore {
    pub lake: Arc<Lake>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl Store for LakeStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(LakeTransaction {
            inner: Some(self.lake.begin().await?),
            clock: self.clock.clone(),
            written: Vec::new(),
        }))
    }
}

/// The files that one writer has finished.
type Finished = Arc<Mutex<Vec<StagedFile>>>;

struct LakeTransaction {
    /// There until the commit takes it.
    inner: Option<polder_lake::Transaction>,
    clock: Arc<dyn Clock>,
    /// In the order in which the writers were asked for.
    written: Vec<(TableName, Finished)>,
}

fn name_of(table: &TableRef) -> TableName {
    TableName::new(&table.schema, &table.name)
}

impl LakeTransaction {
    fn inner(&mut self) -> Result<&mut polder_lake::Transaction> {
        self.inner.as_mut().ok_or_else(|| Error::internal("the load is committed already"))
    }

    /// Files become part of their tables.
    fn collect(&mut self) -> Result<()> {
        for (table, finished) in std::mem::take(&mut self.written) {
            let files = std::mem::take(&mut *finished.lock());
            self.inner()?.add_files(&table, files)?;
        }
        Ok(())
    }

    /// The content that was known to be in a table goes with its rows.
    fn forget(&mut self, table: &TableRef) -> Result<()> {
        let inner = self.inner()?;
        if let Some(state) = inner.table(&name_of(table)) {
            inner.attach(LoadedContents::forget_until_write(state.id, inner.base()));
        }
        Ok(())
    }
}

impl Drop for LakeTransaction {
    /// A transaction that is not committed removes the files that it knows of.
    fn drop(&mut self) {
        if self.inner.is_some()
            && let Err(error) = self.collect()
        {
            tracing::debug!(%error, "files of a load that failed stay until the clean-up");
        }
    }
}

#[async_trait::async_trait]
impl Transaction for LakeTransaction {
    async fn table(&mut self, table: &TableRef) -> Result<Option<Existing>> {
        let state = self.inner()?.table(&name_of(table));
        Ok(state.map(|state| {
            let generated = state.top_columns().filter(|column| state.rules.generated_of(column.id).is_some());
            let generated = generated.map(|column| column.name.clone()).collect();
            Existing { schema: state.arrow_schema.clone(), generated }
        }))
    }

    async fn loaded(&mut self, table: &TableRef, hashes: &HashSet<String>) -> Result<HashMap<String, String>> {
        let inner = self.inner()?;
        let Some(state) = inner.table(&name_of(table)) else { return Ok(HashMap::new()) };
        let (lake, view, base) = (Arc::clone(inner.lake()), Arc::clone(inner.view()), inner.base());
        let known = lake.metastore().loaded_contents().list(state.id).await?;
        // An empty table holds nothing, however its rows went: what had rows may be loaded again.
        let is_empty = !known.is_empty() && lake.row_count(&view, &state).await? == 0;
        if is_empty && known.iter().any(|content| content.rows > 0) {
            self.forget(table)?;
        }
        // What was loaded after this transaction began is not in its table, and yet there.
        let known = known.into_iter().filter(|content| !is_empty || content.rows == 0 || content.snapshot > base);
        let asked = known.filter(|content| hashes.contains(&content.content_hash));
        Ok(asked.map(|content| (content.content_hash, content.source)).collect())
    }

    async fn create(&mut self, table: &TableRef, schema: SchemaRef) -> Result<()> {
        self.inner()?.create_table(&name_of(table), &schema).map(|_| ())
    }

    async fn drop_table(&mut self, table: &TableRef) -> Result<()> {
        self.forget(table)?;
        self.inner()?.drop_table(&name_of(table))
    }

    async fn truncate(&mut self, table: &TableRef) -> Result<()> {
        self.forget(table)?;
        self.inner()?.truncate(&name_of(table)).await.map(|_| ())
    }

    async fn defaults(&mut self, table: &TableRef, places: &[usize]) -> Result<Option<Arc<dyn Fill>>> {
        let defaults = self.inner()?.defaults(&name_of(table), places)?;
        Ok(defaults.map(|defaults| Arc::new(LakeFill(defaults)) as Arc<dyn Fill>))
    }

    async fn writer(&mut self, table: &TableRef) -> Result<Box<dyn BatchWriter>> {
        let name = name_of(table);
        let writer = self.inner()?.append(&name)?;
        let finished = Finished::default();
        self.written.push((name, finished.clone()));
        Ok(Box::new(LakeWriter { writer, finished }))
    }

    async fn commit(
        mut self: Box<Self>,
        author: &str,
        message: &str,
        loaded: Vec<LoadedContent>,
    ) -> Result<SnapshotId> {
        self.collect()?;
        let loaded_at = self.clock.now();
        let mut inner = self.inner.take().ok_or_else(|| Error::internal("the load is committed already"))?;
        for content in loaded {
            let name = name_of(&content.table);
            inner.attach_about(&name, move |table_id, snapshot| {
                polder_metastore::LoadedContent {
                    table_id,
                    content_hash: content.content_hash.clone(),
                    source: content.source.clone(),
                    rows: content.rows,
                    snapshot,
                    loaded_at,
                }
                .write()
            })?;
        }
        inner.describe(author, message);
        Ok(inner.commit().await?.snapshot.id)
    }
}

struct LakeFill(Defaults);

impl Fill for LakeFill {
    fn counts(&self) -> bool {
        self.0.counts()
    }

    fn fill(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.0.fill(batch)
    }
}

struct LakeWriter {
    writer: TableWriter,
    finished: Finished,
}

#[async_trait::async_trait]
impl BatchWriter for LakeWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.writer.write(batch).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        let files = self.writer.finish().await?;
        self.finished.lock().extend(files);
        Ok(())
    }
}
