//! Rows found by a query become changes of a table: inserted, rewritten, deleted; and what RETURNING asks of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use polder_lake::{
    Keys, RowIds, RowRule, TableWriter, TransactionCell, conform, logical_batch, logical_schema, row_hashes,
};
use polder_types::{Error, ErrorKind, Result};

use super::dml::RowQuery;
use super::seen_keys::SeenKeys;
use super::target::Target;
use super::{Context, assign, ended, joins};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::limits::NAME_IN_ERRORS;
use crate::policies::RowChecks;

/// What RETURNING may hold in memory.
const RETURNED_BYTES_MAX: usize = 256 << 20;

/// Inserted rows up to this number may be kept in the metastore; more go to a file as they come.
const FEW_ROWS: usize = 100;

/// SQLSTATE of an operator that needs more memory than there is.
const OUT_OF_MEMORY: &str = "53200";

/// SQLSTATE of a statement that would change a row a second time, and of a key that is there twice.
const ROW_TWICE: &str = "21000";
const KEY_TWICE: &str = "23505";

pub(super) const INSERT: i32 = 1;
pub(super) const UPDATE: i32 = 2;
pub(super) const DELETE: i32 = 3;
/// A change of a row that no policy lets be changed.
pub(super) const REFUSED: i32 = 4;

/// What is to be done with a row that would be changed a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The first one counts, as in UPDATE … FROM.
    Ignore,
    Refuse(&'static str),
}

/// How the rows of a query are to be read.
///
/// Their columns are: the action (`None`: the same for all), one value for each column of the table (when `values`),
/// the row's id (missing for a row to be inserted, and the whole column missing from an INSERT), and then whatever
/// RETURNING needs of other tables.
pub(super) struct Changes {
    pub target: Target,
    /// The one action of all rows; `None`: the first column says.
    pub action: Option<i32>,
    pub values: bool,
    pub row_ids: bool,
    pub again: Again,
    /// Columns of a key: inserted rows that have the same ones are treated as `again` says.
    pub distinct: Option<Vec<usize>>,
    pub keys: Keys,
    pub returning: bool,
    /// What row policies ask of the rows that are written.
    pub checks: Option<RowChecks>,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    /// The table's columns and those of other tables, for RETURNING.
    pub returned: Vec<RecordBatch>,
    /// What found the rows, with its metrics.
    pub plan: Option<Arc<dyn ExecutionPlan>>,
}

impl Applied {
    pub fn total(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// The state of one run.
struct Work<'a> {
    changes: &'a Changes,
    cell: &'a TransactionCell,
    schema: SchemaRef,
    /// What computes the table's generated columns.
    generated: Arc<Vec<RowRule>>,
    few: Vec<RecordBatch>,
    few_rows: usize,
    inserter: Option<TableWriter>,
    rewriter: Option<TableWriter>,
    seen: RowIds,
    seen_keys: SeenKeys,
    applied: Applied,
    returned_bytes: usize,
}

impl Context<'_> {
    /// Carries out changes in a transaction, does what foreign keys ask for then, and checks all keys.
    pub(super) async fn apply(&self, cell: &TransactionCell, changes: &Changes, query: &RowQuery) -> Result<Applied> {
        let applied = self.applied(cell, changes, query).await;
        applied.map_err(|error| changes.target.without_values(error))
    }

    async fn applied(&self, cell: &TransactionCell, changes: &Changes, query: &RowQuery) -> Result<Applied> {
        let before = match changes.action {
            Some(INSERT) => None,
            _ => Some(self.settled_view(cell).await?),
        };
        let applied = self.apply_rows(cell, changes, query).await?;
        if let Some(before) = before
            && (changes.keys == Keys::MayChange || applied.deleted > 0)
        {
            self.follow(cell, &changes.target.name, before).await?;
        }
        let mut guard = cell.lock().await;
        guard.as_mut().ok_or_else(ended)?.verify_references().await?;
        Ok(applied)
    }

    /// Carries out changes in a transaction, and checks the table's keys, but for foreign ones.
    pub(super) async fn apply_rows(
        &self,
        cell: &TransactionCell,
        changes: &Changes,
        query: &RowQuery,
    ) -> Result<Applied> {
        let state = &query.state;
        let mut physical = joins::physical(state, &query.plan).await.map_err(from_datafusion)?;
        let holds_rows = joins::holds_rows(&physical).map_err(from_datafusion)?;
        let work = match self.gather(cell, changes, self.start(state, Arc::clone(&physical))?).await {
            // Joins that hold more than was expected. Nothing is in the transaction yet, so that others may try.
            Err(error) if holds_rows && is_out_of_memory(&error) => {
                physical = joins::sorted(state, &query.plan).await.map_err(from_datafusion)?.ok_or(error)?;
                self.gather(cell, changes, self.start(state, Arc::clone(&physical))?).await?
            }
            gathered => gathered?,
        };
        let applied = work.finish().await?;
        Ok(Applied { plan: Some(physical), ..applied })
    }

    /// Writes what the rows become to files that no snapshot names yet.
    async fn gather<'a>(
        &self,
        cell: &'a TransactionCell,
        changes: &'a Changes,
        mut rows: SendableRecordBatchStream,
    ) -> Result<Work<'a>> {
        let mut work = Work::new(self.engine, cell, changes)?;
        while let Some(batch) = rows.next().await {
            work.take(&batch.map_err(from_datafusion)?).await?;
        }
        Ok(work)
    }
}

impl<'a> Work<'a> {
    fn new(engine: &Engine, cell: &'a TransactionCell, changes: &'a Changes) -> Result<Self> {
        // NOT NULL is checked for rows that are written, and not for old ones that are deleted.
        let fields = changes.target.table.arrow_schema.fields();
        let fields: Vec<_> = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        // Checks are for rows that are written; the writer makes them.
        let mut generated = Arc::unwrap_or_clone(engine.lake.row_rules(&changes.target.table)?);
        generated.retain(|rule| matches!(rule, RowRule::Generate { .. }));
        Ok(Self {
            changes,
            cell,
            schema: Arc::new(Schema::new(fields)),
            generated: Arc::new(generated),
            few: Vec::new(),
            few_rows: 0,
            inserter: None,
            rewriter: None,
            seen: RowIds::default(),
            seen_keys: SeenKeys::new(
                &engine.template.runtime_env().memory_pool,
                matches!(changes.again, Again::Refuse(_)),
            ),
            applied: Applied::default(),
            returned_bytes: 0,
        })
    }

    async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = batch.columns().iter().cloned();
        let actions = match self.changes.action {
            Some(_) => None,
            None => columns.next(),
        };
        let width = if self.changes.values { self.schema.fields().len() } else { 0 };
        let values: Vec<ArrayRef> = columns.by_ref().take(width).collect();
        let ids = if self.changes.row_ids { columns.next() } else { None };
        let others: Vec<ArrayRef> = columns.collect();
        let others_schema =
            batch.schema().project(&((batch.num_columns() - others.len())..batch.num_columns()).collect::<Vec<_>>());
        let others_schema = others_schema.map_err(|error| Error::internal(error.to_string()))?;
        let values = match self.changes.values {
            true => Some(self.conformed(values)?),
            false => None,
        };
        let kinds = self.kinds(batch.num_rows(), actions.as_ref(), ids.as_ref(), values.as_ref())?;
        let mask = |wanted: i32| -> BooleanArray { kinds.iter().map(|kind| Some(*kind == wanted)).collect() };
        if let Some(values) = &values {
            let inserted = filter(values, &mask(INSERT))?;
            if let Some(checks) = &self.changes.checks {
                checks.check_inserted(&inserted).await?;
            }
            self.applied.inserted += inserted.num_rows() as u64;
            self.insert(inserted).await?;
            let mask = mask(UPDATE);
            if mask.true_count() > 0 {
                let ids = ids.as_ref().ok_or_else(|| Error::internal("rows to be changed have no ids"))?;
                if let Some(checks) = &self.changes.checks {
                    checks.check_updated(&filter(values, &mask)?).await?;
                }
                self.applied.updated += mask.true_count() as u64;
                self.rewrite(&filter(&with_column(values, ids)?, &mask)?).await?;
            }
            if self.changes.returning {
                let all: BooleanArray = kinds.iter().map(|kind| Some(*kind != 0)).collect();
                self.keep(values, &others_schema, others, &all)?;
            }
        }
        self.applied.deleted += kinds.iter().filter(|kind| **kind == DELETE).count() as u64;
        Ok(())
    }

    /// What is to be done with each row; 0 for nothing.
    fn kinds(
        &mut self,
        rows: usize,
        actions: Option<&ArrayRef>,
        ids: Option<&ArrayRef>,
        values: Option<&RecordBatch>,
    ) -> Result<Vec<i32>> {
        let mut kinds: Vec<i32> = match (self.changes.action, actions) {
            (Some(action), _) => vec![action; rows],
            (None, Some(actions)) => {
                let actions = arrow::compute::cast(actions, &arrow::datatypes::DataType::Int32);
                let actions = actions.map_err(|error| Error::internal(error.to_string()))?;
                let actions = actions.as_primitive::<Int32Type>();
                (0..rows).map(|row| if actions.is_valid(row) { actions.value(row) } else { 0 }).collect()
            }
            (None, None) => return Err(Error::internal("rows come without an action")),
        };
        let ids = match ids {
            Some(ids) => Some(ids.as_primitive_opt::<Int64Type>().ok_or_else(no_ids)?),
            None => None,
        };
        let keys = self.inserted_keys(values)?;
        if let Some(keys) = &keys {
            self.seen_keys.make_room(keys.len())?;
        }
        for (row, kind) in kinds.iter_mut().enumerate() {
            let again = match *kind {
                UPDATE | DELETE => {
                    let ids = ids.ok_or_else(no_ids)?;
                    if ids.is_null(row) {
                        return Err(no_ids());
                    }
                    !self.seen.insert(ids.value(row))
                }
                REFUSED => return Err(self.refused()),
                INSERT => keys.as_ref().and_then(|keys| keys[row]).is_some_and(|key| self.seen_keys.is_again(key)),
                _ => false,
            };
            if again {
                match self.changes.again {
                    Again::Ignore => *kind = 0,
                    Again::Refuse(message) => return Err(Error::invalid(message).with_code(ROW_TWICE)),
                }
            }
        }
        Ok(kinds)
    }

    /// The refusal of a change of a row.
    fn refused(&self) -> Error {
        let inserting = self.changes.distinct.is_some();
        match &self.changes.checks {
            Some(checks) => checks.refused_row(inserting),
            None => Error::internal("a row is refused without a policy"),
        }
    }

    fn inserted_keys(&self, values: Option<&RecordBatch>) -> Result<Option<Vec<Option<u128>>>> {
        let (Some(columns), Some(values), false) = (&self.changes.distinct, values, self.seen_keys.are_forgotten())
        else {
            return Ok(None);
        };
        let arrays: Vec<ArrayRef> = columns.iter().map(|at| Arc::clone(values.column(*at))).collect();
        row_hashes(&arrays, 0).map(Some)
    }

    /// The values with the table's types.
    fn conformed(&self, values: Vec<ArrayRef>) -> Result<RecordBatch> {
        for (array, field) in values.iter().zip(logical_schema(&self.schema).fields()) {
            assign::check(array.data_type(), field)?;
        }
        let fields: Vec<_> = self
            .schema
            .fields()
            .iter()
            .zip(&values)
            .map(|(field, array)| field.as_ref().clone().with_data_type(array.data_type().clone()))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), values);
        let batch = batch.map_err(|error| Error::internal(error.to_string()))?;
        conform(&batch, &self.schema, &self.changes.target.table.name, &self.generated)
    }

    async fn insert(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.inserter.is_none() && self.few_rows + batch.num_rows() <= FEW_ROWS {
            self.few_rows += batch.num_rows();
            self.few.push(batch);
            return Ok(());
        }
        if self.inserter.is_none() {
            let guard = self.cell.lock().await;
            self.inserter = Some(guard.as_ref().ok_or_else(ended)?.append(&self.changes.target.name)?);
        }
        let Some(writer) = &mut self.inserter else { return Err(Error::internal("no writer")) };
        for early in self.few.drain(..) {
            writer.write(early).await?;
        }
        writer.write(batch).await
    }

    async fn rewrite(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.rewriter.is_none() {
            let guard = self.cell.lock().await;
            self.rewriter = Some(guard.as_ref().ok_or_else(ended)?.rewrite(&self.changes.target.name)?);
        }
        match &mut self.rewriter {
            Some(writer) => writer.write(batch.clone()).await,
            None => Err(Error::internal("no writer")),
        }
    }

    fn keep(
        &mut self,
        values: &RecordBatch,
        schema: &Schema,
        others: Vec<ArrayRef>,
        mask: &BooleanArray,
    ) -> Result<()> {
        let values = logical_batch(values, &logical_schema(values.schema_ref()))?;
        let mut fields: Vec<_> = values.schema_ref().fields().iter().cloned().collect();
        fields.extend(schema.fields().iter().cloned());
        let mut columns = values.columns().to_vec();
        columns.extend(others);
        // Columns of several tables may share a name: their places tell them apart.
        let fields: Vec<_> = fields
            .iter()
            .enumerate()
            .map(|(at, field)| field.as_ref().clone().with_name(format!("c{at}")).with_nullable(true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        let batch = filter(&batch.map_err(|error| Error::internal(error.to_string()))?, mask)?;
        self.returned_bytes += batch.get_array_memory_size();
        if self.returned_bytes > RETURNED_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, "RETURNING gives more rows than fit into memory")
                .with_code("54000")
                .with_hint("change fewer rows at a time, or query them afterwards"));
        }
        self.applied.returned.push(batch);
        Ok(())
    }

    async fn finish(mut self) -> Result<Applied> {
        self.seen_keys.close();
        let inserted = match self.inserter.take() {
            Some(writer) => writer.finish().await?,
            None => Vec::new(),
        };
        let rewritten = match self.rewriter.take() {
            Some(writer) => writer.finish().await?,
            None => Vec::new(),
        };
        let mut guard = self.cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let name = &self.changes.target.name;
        let is_only_key = self.changes.target.table.rules.keys.len() == 1;
        if !self.seen.is_empty() {
            transaction.replace_rows(name, std::mem::take(&mut self.seen), rewritten, self.changes.keys).await?;
        }
        if !self.few.is_empty() {
            transaction.insert(name, std::mem::take(&mut self.few)).await?;
        }
        if !inserted.is_empty() {
            transaction.add_files(name, inserted)?;
        }
        // What was forgotten is found here, too, by another name.
        transaction.verify_unique().await.map_err(|error| match self.changes.again {
            Again::Refuse(message) if self.seen_keys.are_forgotten() && error.code() == KEY_TWICE && is_only_key => {
                Error::invalid(message).with_code(ROW_TWICE)
            }
            _ => error,
        })?;
        Ok(self.applied)
    }
}

fn is_out_of_memory(error: &Error) -> bool {
    error.code() == OUT_OF_MEMORY || error.message().contains(NAME_IN_ERRORS)
}

fn with_column(batch: &RecordBatch, column: &ArrayRef) -> Result<RecordBatch> {
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(arrow::datatypes::Field::new("row id", column.data_type().clone(), true)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::clone(column));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| Error::internal(error.to_string()))
}

fn filter(batch: &RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    if mask.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    filter_record_batch(batch, mask).map_err(|error| Error::internal(error.to_string()))
}

fn no_ids() -> Error {
    Error::unsupported("rows of this table have no ids")
        .with_hint("it was made by an old program; copy it with CREATE TABLE … AS SELECT")
}
