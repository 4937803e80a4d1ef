//! What loading needs of the lake: one transaction with writers. `sink` fills it with the lake itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polder_types::{Result, SnapshotId};

use crate::names::TableRef;

/// A table as a transaction sees it.
#[derive(Debug, Clone)]
pub(crate) struct Existing {
    pub schema: SchemaRef,
    /// Columns that are computed from others.
    pub generated: Vec<String>,
}

/// A row of `loaded_content`: what was loaded, so that it can be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadedContent {
    pub table: TableRef,
    pub content_hash: String,
    pub source: String,
    pub rows: u64,
}

/// Where tables are kept.
#[async_trait::async_trait]
pub(crate) trait Store: Send + Sync {
    async fn begin(&self) -> Result<Box<dyn Transaction>>;
}

/// All of a load's changes. Dropping it undoes them.
#[async_trait::async_trait]
pub(crate) trait Transaction: Send {
    async fn table(&mut self, table: &TableRef) -> Result<Option<Existing>>;

    /// Which of these contents the table has already, and where each came from.
    async fn loaded(&mut self, table: &TableRef, hashes: &HashSet<String>) -> Result<HashMap<String, String>>;

    async fn create(&mut self, table: &TableRef, schema: SchemaRef) -> Result<()>;

    async fn drop_table(&mut self, table: &TableRef) -> Result<()>;

    async fn truncate(&mut self, table: &TableRef) -> Result<()>;

    /// What rows get that come without the columns at these places; `None` when that is nothing.
    async fn defaults(&mut self, table: &TableRef, places: &[usize]) -> Result<Option<Arc<dyn Fill>>>;

    /// A writer of new rows. Files come into the table in the order in which writers were asked for.
    async fn writer(&mut self, table: &TableRef) -> Result<Box<dyn BatchWriter>>;

    /// Makes everything visible at once. Gives the new version of the lake.
    async fn commit(self: Box<Self>, author: &str, message: &str, loaded: Vec<LoadedContent>) -> Result<SnapshotId>;
}

/// The defaults of some columns.
pub(crate) trait Fill: Send + Sync {
    /// Whether one of them counts itself up.
    fn counts(&self) -> bool;

    /// The batch, which has the table's columns in their order, with the defaults.
    fn fill(&self, batch: &RecordBatch) -> Result<RecordBatch>;
}

#[async_trait::async_trait]
pub(crate) trait BatchWriter: Send {
    /// `batch` has the table's columns in their order; those that were filled may still be of another type.
    async fn write(&mut self, batch: RecordBatch) -> Result<()>;

    async fn finish(self: Box<Self>) -> Result<()>;
}
