//! A table as DataFusion sees it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result as DataFusionResult, Statistics};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use datafusion_ducklake::DuckLakeTable;
use datafusion_ducklake::path_resolver::resolve_path;
use futures::StreamExt;
use polder_types::{Error, Result, SnapshotId};
use tokio::sync::Mutex;

use crate::compact::with_table;
use crate::deleted_rows::{self, Deletes};
use crate::error::{from_ducklake, into_datafusion};
use crate::inlined;
use crate::lake::Lake;
use crate::logical::{self, LogicalExec};
use crate::model::{DataFile, Snapshot, TableState};
use crate::names::TableName;
use crate::scan::{TableFiles, TableScanExec};
use crate::transaction::Transaction;

/// A transaction shared between a session and the plans that write through it. `None` once it has ended.
#[derive(Debug, Clone, Default)]
pub struct TransactionCell(Arc<Mutex<Option<Transaction>>>);

impl TransactionCell {
    #[must_use]
    pub fn new(transaction: Transaction) -> Self {
        Self(Arc::new(Mutex::new(Some(transaction))))
    }

    pub async fn lock(&self) -> tokio::sync::MutexGuard<'_, Option<Transaction>> {
        self.0.lock().await
    }

    /// Ends the sharing: whoever comes later finds nothing.
    pub async fn take(&self) -> Option<Transaction> {
        self.0.lock().await.take()
    }
}

/// A table of one snapshot, or of a transaction's own view; in the latter case rows can be inserted.
pub struct LakeTable {
    name: TableName,
    schema: SchemaRef,
    files: DuckLakeTable,
    lake: Arc<Lake>,
    snapshot: Arc<Snapshot>,
    table: Arc<TableState>,
    /// A last column names each row.
    row_ids: bool,
    writer: Option<TransactionCell>,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable").field("name", &self.name).finish_non_exhaustive()
    }
}

fn reader(lake: &Arc<Lake>, snapshot: &Arc<Snapshot>, table: &TableState) -> Result<DuckLakeTable> {
    table.check_readable()?;
    let provider = lake.provider(Arc::clone(snapshot));
    let corrupt = || Error::new(polder_types::ErrorKind::Corrupt, format!("table {} is in no schema", table.name));
    let schema = snapshot.schemas.get(&table.schema_id).ok_or_else(corrupt)?;
    let base = &lake.store().base;
    let path = resolve_path(base, &schema.path, schema.path_is_relative)
        .and_then(|path| resolve_path(&path, &table.path, table.path_is_relative))
        .map_err(from_ducklake)?;
    let url = Arc::clone(&lake.store().url);
    DuckLakeTable::new(table.id, table.name.clone(), provider, snapshot.id, url, path).map_err(from_ducklake)
}

impl LakeTable {
    /// A table to be read, and to be inserted into when there is a transaction to do it in.
    ///
    /// # Errors
    /// `Unsupported` for columns that cannot be read.
    pub fn open(
        lake: &Arc<Lake>,
        snapshot: &Arc<Snapshot>,
        name: TableName,
        table: &TableState,
        writer: Option<TransactionCell>,
    ) -> Result<Self> {
        let files = reader(lake, snapshot, table)?;
        let known = snapshot.tables.get(&table.id);
        Ok(Self {
            name,
            schema: logical::scanned(&files.schema(), &table.arrow_schema),
            files,
            lake: Arc::clone(lake),
            snapshot: Arc::clone(snapshot),
            table: known.map_or_else(|| Arc::new(table.clone()), Arc::clone),
            row_ids: false,
            writer,
        })
    }

    /// A table to be changed: a last column `rowid` names each row, the same over its whole life.
    ///
    /// # Errors
    /// As [`LakeTable::open`].
    pub fn open_with_row_ids(
        lake: &Arc<Lake>,
        snapshot: &Arc<Snapshot>,
        name: TableName,
        table: &Arc<TableState>,
    ) -> Result<Self> {
        let files = reader(lake, snapshot, table)?.with_row_lineage(true);
        Ok(Self {
            name,
            schema: logical::scanned(&files.schema(), &table.arrow_schema),
            files,
            lake: Arc::clone(lake),
            snapshot: Arc::clone(snapshot),
            table: Arc::clone(table),
            row_ids: true,
            writer: None,
        })
    }

    /// The table as it is read here.
    #[must_use]
    pub fn state(&self) -> &Arc<TableState> {
        &self.table
    }

    /// The version that is read.
    #[must_use]
    pub fn version(&self) -> SnapshotId {
        self.snapshot.id
    }

    /// A reader of an old version of files that DuckDB merged, if there are any with deletes: the library reads such
    /// files, but plans none of their deletes, which our own node takes out.
    fn without_deletes(&self) -> Result<Option<DuckLakeTable>> {
        let merged_later = |file: &DataFile| file.partial_max.is_some_and(|newest| newest > self.snapshot.id);
        let needs = |file: &DataFile| file.delete.is_some() && merged_later(file);
        if !self.table.files.iter().any(|file| needs(file)) {
            return Ok(None);
        }
        let mut table = self.table.as_ref().clone();
        let mut files = table.files.as_ref().clone();
        for file in files.iter_mut().filter(|file| needs(file)) {
            let mut without = file.as_ref().clone();
            without.delete = None;
            *file = Arc::new(without);
        }
        table.files = Arc::new(files);
        let table = Arc::new(table);
        let snapshot = Arc::new(with_table(&self.snapshot, &table));
        Ok(Some(reader(&self.lake, &snapshot, &table)?.with_row_lineage(self.row_ids)))
    }

    /// The rows kept in the metastore as a plan, if there are any.
    async fn scan_stored(&self, projection: Option<&Vec<usize>>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let stored = self.lake.stored_rows(&self.snapshot, &self.table).await?;
        if stored.is_empty() {
            return Ok(None);
        }
        let internal = |error: &dyn fmt::Display| Error::internal(format!("rows of {}: {error}", self.name));
        let mut batches = Vec::with_capacity(stored.len());
        for rows in stored {
            let mut columns = rows.batch.columns().to_vec();
            if self.row_ids {
                columns.push(Arc::new(Int64Array::from(rows.row_ids)));
            }
            let columns = columns
                .iter()
                .zip(self.schema.fields())
                .map(|(array, field)| logical::read(array, field))
                .collect::<Result<Vec<_>>>()?;
            batches.push(RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| internal(&error))?);
        }
        let plan = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&self.schema), projection.cloned())
            .map_err(|error| internal(&error))?;
        Ok(Some(plan))
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.files.get_column_default(column)
    }

    /// Unknown as long as rows may be in the metastore: whoever has no plan yet does not know how many.
    fn statistics(&self) -> Option<Statistics> {
        if self.row_ids || !self.table.inlined_tables.is_empty() {
            return None;
        }
        self.files.statistics().map(|statistics| logical::without_texts(statistics, &self.schema))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let mut supported = self.files.supports_filters_pushdown(filters)?;
        // The files know an interval as a text.
        let is_text = |column: &Column| self.schema.field_with_name(&column.name).is_ok_and(logical::is_interval);
        for (supported, filter) in supported.iter_mut().zip(filters) {
            if filter.column_refs().into_iter().any(is_text) {
                *supported = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(supported)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = TableFiles::new(&self.lake, &self.snapshot, &self.table);
        let merged = self.without_deletes().map_err(into_datafusion)?;
        let source = merged.as_ref().unwrap_or(&self.files);
        let plan = match source.scan(state, projection, filters, limit).await {
            Ok(plan) => plan,
            Err(error) => return Err(files.explain(error).await),
        };
        let deletes = Deletes::new(&self.lake, &self.snapshot, &self.table);
        let plan = deleted_rows::replace(plan, &Arc::new(deletes))?;
        let plan: Arc<dyn ExecutionPlan> = Arc::new(TableScanExec::new(plan, self.name.clone(), files));
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        // Tables without such columns are scanned as they are.
        let plan = if self.schema == self.files.schema() { plan } else { LogicalExec::above(plan, schema) };
        match self.scan_stored(projection).await.map_err(into_datafusion)? {
            Some(stored) => UnionExec::try_new(vec![plan, stored]),
            None => Ok(plan),
        }
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let Some(transaction) = self.writer.clone() else {
            return Err(into_datafusion(Error::invalid(format!("{} is read-only here", self.name)).with_code("25006")));
        };
        if insert_op != InsertOp::Append {
            return Err(into_datafusion(Error::unsupported(format!("{insert_op} into {}", self.name))));
        }
        // NOT NULL is checked by the writer, whose words name the column.
        let fields: Vec<_> =
            self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let sink = InsertSink { name: self.name.clone(), schema, transaction };
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(sink), None)))
    }
}

/// Streams rows into a table of a transaction.
struct InsertSink {
    name: TableName,
    schema: SchemaRef,
    transaction: TransactionCell,
}

impl fmt::Debug for InsertSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InsertSink({})", self.name)
    }
}

impl DisplayAs for InsertSink {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insert into {}", self.name)
    }
}

impl InsertSink {
    async fn run(&self, mut data: SendableRecordBatchStream) -> DataFusionResult<u64> {
        let ended = || into_datafusion(Error::invalid("the transaction has ended").with_code("25P01"));
        let mut small: Vec<RecordBatch> = Vec::new();
        let mut small_rows = 0;
        // Few rows are held in memory, and may never become a file; more than that stream to disk.
        while small_rows <= inlined::ROWS_MAX {
            match data.next().await.transpose()? {
                Some(batch) => {
                    small_rows += batch.num_rows();
                    small.push(batch);
                }
                None => {
                    let mut guard = self.transaction.lock().await;
                    let transaction = guard.as_mut().ok_or_else(ended)?;
                    return transaction.insert(&self.name, small).await.map_err(into_datafusion);
                }
            }
        }
        let mut writer = {
            let guard = self.transaction.lock().await;
            guard.as_ref().ok_or_else(ended)?.append(&self.name).map_err(into_datafusion)?
        };
        for batch in small {
            writer.write(batch).await.map_err(into_datafusion)?;
        }
        while let Some(batch) = data.next().await.transpose()? {
            writer.write(batch).await.map_err(into_datafusion)?;
        }
        let files = writer.finish().await.map_err(into_datafusion)?;
        let mut guard = self.transaction.lock().await;
        guard.as_mut().ok_or_else(ended)?.add_files(&self.name, files).map_err(into_datafusion)
    }
}

#[async_trait]
impl DataSink for InsertSink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(&self, data: SendableRecordBatchStream, _context: &Arc<TaskContext>) -> DataFusionResult<u64> {
        self.run(data).await
    }
}
