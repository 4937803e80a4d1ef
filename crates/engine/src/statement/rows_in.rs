//! Rows that a driver sends for a table: `COPY … FROM STDIN`.

mod filter;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Insert, ObjectName, Statement, TableObject};
use futures::StreamExt;
use parking_lot::Mutex;
use polder_capability::{BatchStream, RowsIn, copied_columns, place_of_value};
use polder_lake::{Snapshot, TransactionCell};
use polder_types::{Error, Result};

use super::names::parts;
use super::resolve::check_is_no_topic;
use super::target::{Target, quoted};
use super::{Context, ended};
use crate::catalog::INPUT_CATALOG;
use crate::error::{from_datafusion, into_datafusion};
use crate::functions::casts;
use crate::parse::{ParsedStatement, parse};
use crate::semantics::Zone;
use crate::session::Outcome;

impl Context<'_> {
    /// Inserts them in a transaction of their own. It is not run again after a conflict: the rows come only once.
    pub(crate) async fn rows_alone(&self, rows: RowsIn) -> Result<Outcome> {
        let mut transaction = self.engine.lake.begin().await?;
        self.describe(&mut transaction, &format!("COPY {} FROM STDIN", rows.table));
        let cell = TransactionCell::new(transaction);
        let mut outcome = self.rows(&cell, rows).await?;
        let transaction = cell.take().await.ok_or_else(ended)?;
        self.running.start_commit()?;
        outcome.snapshot = transaction.commit().await?.snapshot.id;
        Ok(outcome)
    }

    /// Inserts them in a transaction that is open; all of them or none.
    pub(crate) async fn rows_within(&self, cell: &TransactionCell, rows: RowsIn) -> Result<Outcome> {
        let point = {
            let mut guard = cell.lock().await;
            guard.as_mut().ok_or_else(ended)?.savepoint()
        };
        let result = self.rows(cell, rows).await;
        if result.is_err()
            && let Some(transaction) = cell.lock().await.as_mut()
        {
            transaction.rollback_to(&point);
        }
        result
    }

    async fn rows(&self, cell: &TransactionCell, rows: RowsIn) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let (target, fields) = self.filled_columns(&scope.snapshot, &rows.table, &rows.columns)?;
        let target = target.seen_by(self.rights(&scope.snapshot));
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let zone = Zone::known(self.settings.zone())?;
        let stream = Typed { table: target.name.table.clone(), fields: fields.clone(), zone, rows_before: 0 };
        let input = Input::new(&fields, stream, rows.rows);
        let schema = Arc::clone(input.schema());
        let table = StreamingTable::try_new(schema, vec![Arc::new(input)]).map_err(from_datafusion)?;
        let provider = MemorySchemaProvider::new();
        provider.register_table("copy".into(), Arc::new(table)).map_err(from_datafusion)?;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("input", Arc::new(provider)).map_err(from_datafusion)?;
        scope.state.catalog_list().register_catalog(INPUT_CATALOG.into(), Arc::new(catalog));
        let filter = rows.filter.as_deref().map(|text| filter::of(text, &target, &fields)).transpose()?;
        let insert = insert_of(&target, &names, filter.as_deref())?;
        let plan = self.insert_plan(&scope, &target, &insert).await?;
        let outcome = match target.has_policies {
            true => self.carry_out(cell, self.plan_rows(scope, target, plan, None)?).await?,
            false => self.insert_all(cell, &scope, &target, plan).await?,
        };
        Ok(Outcome::done("COPY", outcome.tag.rows, outcome.snapshot))
    }

    /// The table, and the columns of it that rows fill.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a column that is named twice or is computed.
    pub(crate) fn filled_columns(
        &self,
        snapshot: &Snapshot,
        table: &str,
        columns: &[String],
    ) -> Result<(Target, Vec<FieldRef>)> {
        let (mut name, listed) = names_of(table, columns)?;
        self.settings.temporary.meant(&mut name);
        let called = name;
        let name = self.existing_name(&called, snapshot)?;
        if snapshot.table(&name).is_none() {
            check_is_no_topic(&called, self.settings, snapshot, &self.engine.topics_named(self.settings))?;
        }
        self.rights(snapshot).use_schema(&name.schema)?;
        let target = Target::named(name, None, snapshot)?;
        let computed = |column: &str| target.column_id(column).map(|id| target.table.rules.generated_of(id).is_some());
        let mut names: Vec<String> = Vec::with_capacity(listed.len());
        for column in listed {
            if computed(&column)? {
                return Err(Error::invalid(format!("column {column:?} is a generated column"))
                    .with_code("42P10")
                    .with_hint("leave it out: it is computed"));
            }
            if names.contains(&column) {
                return Err(Error::invalid(format!("column {column:?} specified more than once")).with_code("42701"));
            }
            names.push(column);
        }
        if names.is_empty() {
            for column in target.columns() {
                if !computed(column)? {
                    names.push(column.to_owned());
                }
            }
        }
        let filled = names.iter().map(|name| target.column_id(name)).collect::<Result<_>>()?;
        self.may_fill(snapshot, &target.name, &target.table, &filled)?;
        let schema = target.table.schema();
        let field = |name: &String| schema.field_with_name(name).cloned().map(Arc::new);
        let fields = names.iter().map(field).collect::<Result<Vec<_>, _>>();
        Ok((target, fields.map_err(|error| Error::internal(error.to_string()))?))
    }
}

/// The names of a table and of columns, as they are read in a statement.
fn names_of(table: &str, columns: &[String]) -> Result<(ObjectName, Vec<String>)> {
    let listed = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let wrong = || Error::invalid(format!("{table}{listed} names no table")).with_code("42601");
    let statement = parse(&format!("INSERT INTO {table}{listed} SELECT 1"))?.pop();
    let Some(ParsedStatement::Standard(Parsed::Statement(statement))) = statement else { return Err(wrong()) };
    let Statement::Insert(Insert { table: TableObject::TableName(name), columns, .. }) = *statement else {
        return Err(wrong());
    };
    let column = |name: &ObjectName| Ok(parts(name)?.pop().unwrap_or_default());
    Ok((name, columns.iter().map(column).collect::<Result<_>>()?))
}

/// `filter`: what rows are taken from instead of all of them, with the condition of those that are.
fn insert_of(target: &Target, names: &[String], filter: Option<&str>) -> Result<Insert> {
    let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO {}.{} ({list}) SELECT {list} FROM {}",
        quoted(&target.name.schema),
        quoted(&target.name.table),
        filter.map_or_else(filter::input, str::to_owned)
    );
    match parse(&sql)?.pop() {
        Some(ParsedStatement::Standard(Parsed::Statement(statement))) => match *statement {
            Statement::Insert(insert) => Ok(insert),
            _ => Err(Error::internal("the INSERT of a COPY is another statement")),
        },
        _ => Err(Error::internal("the INSERT of a COPY is none")),
    }
}

/// Texts read as a column's type. Values of that type are let through.
pub(crate) fn read_texts(texts: &ArrayRef, field: &Field, zone: &Zone) -> Result<ArrayRef> {
    if texts.data_type() == field.data_type() {
        return Ok(Arc::clone(texts));
    }
    if let DataType::Timestamp(TimeUnit::Microsecond, Some(name)) = field.data_type() {
        let texts = arrow::compute::cast(texts, &DataType::Utf8).map_err(internal)?;
        let texts = arrow::array::AsArray::as_string::<i32>(&texts).clone();
        let read = |text: Option<&str>| text.map(|text| zone.read(text)).transpose();
        let values = texts.iter().map(read).collect::<Result<arrow::array::TimestampMicrosecondArray>>()?;
        return Ok(Arc::new(values.with_timezone(Arc::clone(name))));
    }
    casts::as_type(texts, field.data_type()).map_err(from_datafusion)
}

/// Reads texts as the columns' types.
struct Typed {
    table: String,
    fields: Vec<FieldRef>,
    zone: Zone,
    rows_before: usize,
}

impl Typed {
    /// What comes, or its error with the table in it.
    fn read(&mut self, batch: Result<RecordBatch>, schema: &SchemaRef) -> Result<RecordBatch> {
        batch.and_then(|batch| self.batch(&batch, schema)).map_err(|error| match error.place() {
            Some(place) => {
                let place = format!("COPY {}, {place}", self.table);
                error.in_place(place)
            }
            None => error,
        })
    }

    fn batch(&mut self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = batch.columns().iter().take(copied_columns(batch)).zip(&self.fields);
        let columns = columns.map(|(texts, field)| self.column(batch, texts, field)).collect::<Result<Vec<_>>>()?;
        if columns.len() < self.fields.len() {
            return Ok(RecordBatch::new_empty(Arc::clone(schema)));
        }
        self.rows_before += batch.num_rows();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
            .map_err(|error| Error::internal(error.to_string()))
    }

    fn column(&self, batch: &RecordBatch, texts: &ArrayRef, field: &Field) -> Result<ArrayRef> {
        match read_texts(texts, field, &self.zone) {
            Ok(column) => Ok(column),
            Err(whole) => Err(self.first_wrong(batch, texts, field, whole)),
        }
    }

    /// The error with the place of the value that it is about: by its line, or by its row if there are no lines.
    fn first_wrong(&self, batch: &RecordBatch, texts: &ArrayRef, field: &Field, whole: Error) -> Error {
        let wrong =
            (0..texts.len()).find_map(|row| Some((row, read_texts(&texts.slice(row, 1), field, &self.zone).err()?)));
        match wrong {
            Some((row, error)) => match place_of_value(batch, row, field.name(), texts) {
                Some(place) => crate::error::copy(&error).in_place(place),
                None => {
                    let place = format!("row {} of COPY, column {}", self.rows_before + row + 1, field.name());
                    crate::error::copy(&error).context(place)
                }
            },
            None => whole,
        }
    }
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// The rows as a table that can be read once.
struct Input {
    schema: SchemaRef,
    rows: Mutex<Option<(Typed, BatchStream)>>,
}

impl Input {
    fn new(fields: &[FieldRef], typed: Typed, rows: BatchStream) -> Self {
        let nullable = |field: &FieldRef| field.as_ref().clone().with_nullable(true);
        let schema = Arc::new(Schema::new(fields.iter().map(nullable).collect::<Vec<_>>()));
        Self { schema, rows: Mutex::new(Some((typed, rows))) }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl PartitionStream for Input {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let Some((mut typed, rows)) = self.rows.lock().take() else {
            let again = Error::internal("the rows of a COPY are read twice");
            let once = futures::stream::once(async move { Err(into_datafusion(again)) });
            return Box::pin(RecordBatchStreamAdapter::new(schema, once));
        };
        let own = Arc::clone(&schema);
        let batches = rows.map(move |batch| typed.read(batch, &own).map_err(into_datafusion));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}
