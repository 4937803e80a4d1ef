//! One transaction that carries a delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::FieldRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use futures::StreamExt;
use polder_capability::RowsIn;
use polder_capability::topics::topic_schema;
use polder_kernels::fields::Fields;
use polder_lake::{TableName, TableState};
use polder_metastore::Write;
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::MutexGuard;

use super::plain;
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::functions::types;
use crate::parse::parse;
use crate::policies::is_refused_row;
use crate::record::Running;
use crate::semantics::Zone;
use crate::session::{Inner, Session};
use crate::statement::quoted;

/// Records that stand for a topic while they are delivered: the topic's name means them.
#[derive(Debug, Clone)]
pub(crate) struct Brought {
    pub topic: String,
    pub table: Arc<dyn TableProvider>,
}

/// Where records go.
pub(super) struct Into<'a> {
    pub table: &'a TableName,
    /// For a table that is made.
    pub partition_by: &'a [String],
    /// `SELECT … FROM topic`; `None`: the fields of the records' objects are the columns.
    pub transform: Option<&'a str>,
    pub topic: &'a str,
}

/// What became of records.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub rows: u64,
    /// By the record's place, with the reason.
    pub refused: BTreeMap<usize, String>,
    /// Whether the table was made.
    pub table: bool,
    /// Columns that the table got.
    pub columns: Vec<String>,
}

/// The one transaction.
pub(super) struct Attempt<'a> {
    engine: Arc<Engine>,
    session: &'a Session,
    inner: MutexGuard<'a, Inner>,
    running: &'a Arc<Running>,
}

/// The point to which a try goes back.
const POINT: &str = "delivered";

/// Whether an error is about values, not about the statement or the server.
fn is_about_values(error: &Error) -> bool {
    let code = error.code();
    let is_wrong = code.starts_with("22") || code.starts_with("23") || is_refused_row(error);
    error.kind() != ErrorKind::Conflict && is_wrong
}

pub(super) fn full(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.schema), quoted(&name.table))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

impl<'a> Attempt<'a> {
    pub async fn begin(engine: &Arc<Engine>, session: &'a Session, running: &'a Arc<Running>) -> Result<Self> {
        let inner = session.alone().await;
        let mut attempt = Self { engine: Arc::clone(engine), session, inner, running };
        attempt.run("BEGIN").await?;
        Ok(attempt)
    }

    /// Runs a statement of ours; gives the rows that it changed.
    pub async fn run(&mut self, sql: &str) -> Result<u64> {
        let mut changed = 0;
        for statement in parse(sql)? {
            let outcome = self.engine.statement(self.session.caller(), &mut self.inner, statement, self.running);
            let outcome = Box::pin(outcome).await?;
            if let Some((_, mut rows)) = outcome.rows {
                while let Some(batch) = rows.next().await {
                    batch.map_err(from_datafusion)?;
                }
            }
            changed += outcome.tag.rows.unwrap_or_default();
        }
        Ok(changed)
    }

    /// Runs a query of ours.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut found = Vec::new();
        for statement in parse(sql)? {
            let outcome = self.engine.statement(self.session.caller(), &mut self.inner, statement, self.running);
            let outcome = Box::pin(outcome).await?;
            if let Some((_, mut rows)) = outcome.rows {
                while let Some(batch) = rows.next().await {
                    found.push(batch.map_err(from_datafusion)?);
                }
            }
        }
        Ok(found)
    }

    /// Rows of the metastore that the transaction carries.
    pub async fn attach(&mut self, writes: Vec<Write>) -> Result<()> {
        let open = self.inner.open.as_ref().ok_or_else(|| Error::internal("a delivery without a transaction"))?;
        let mut guard = open.cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(|| Error::internal("a delivery's transaction has ended"))?;
        writes.into_iter().for_each(|write| transaction.attach(write));
        Ok(())
    }

    pub(super) async fn table(&self, name: &TableName) -> Result<Option<Arc<TableState>>> {
        let open = self.inner.open.as_ref().ok_or_else(|| Error::internal("a delivery without a transaction"))?;
        let guard = open.cell.lock().await;
        Ok(guard.as_ref().and_then(|transaction| transaction.table(name)))
    }

    pub(super) async fn columns(&mut self, name: &TableName) -> Result<Vec<FieldRef>> {
        let (caller, running) = (self.session.caller(), self.running);
        self.engine.columns_in(caller, &mut self.inner, &full(name), &[], None, running).await
    }

    /// Inserts typed rows, all or none. `names`: of the columns.
    pub async fn insert(&mut self, table: &TableName, batch: RecordBatch) -> Result<u64> {
        let columns = batch.schema().fields().iter().map(|field| quoted(field.name())).collect();
        let rows =
            RowsIn { table: full(table), columns, filter: None, rows: futures::stream::iter([Ok(batch)]).boxed() };
        let (caller, running) = (self.session.caller(), self.running);
        let outcome = self.engine.rows_in(caller, &mut self.inner, rows, running).await?;
        Ok(outcome.tag.rows.unwrap_or_default())
    }

    /// Brings the records into the table, which is made, or gets further columns, as they need it.
    pub async fn deliver(&mut self, into: &Into<'_>, records: &RecordBatch) -> Result<Made> {
        match into.transform {
            Some(transform) => self.transformed(into, transform, records).await,
            None => self.plain(into, records).await,
        }
    }

    async fn plain(&mut self, into: &Into<'_>, records: &RecordBatch) -> Result<Made> {
        let values = plain::values(records)?;
        let mut fields = Fields::of(&values, plain::FIELDS_MAX);
        plain::explain(&mut fields, &values, records)?;
        let fields = fields;
        let table = self.table(into.table).await?;
        let has = |name: &str| match &table {
            Some(table) => table.top_columns().any(|column| column.name.eq_ignore_ascii_case(name)),
            None => false,
        };
        let new = plain::new_columns(&fields, has);
        let declarations = new.iter().map(plain::NewColumn::declaration);
        if table.is_none() && new.is_empty() {
            // Nothing is known of a table yet; what was refused is kept.
            let refused: BTreeMap<usize, String> = fields.refused().iter().cloned().collect();
            let empty = (0..records.num_rows()).filter(|row| !refused.contains_key(row));
            let empty: Vec<(usize, String)> =
                empty.map(|row| (row, "the object has no field with a value".to_owned())).collect();
            return Ok(Made { refused: refused.into_iter().chain(empty).collect(), ..Made::default() });
        }
        let declarations: Vec<String> = declarations.collect();
        let mut made = self.shape(into, table.is_some(), &declarations).await?;
        if !made.table {
            made.columns = new.into_iter().map(|column| column.name).collect();
        }
        let columns = self.columns(into.table).await?;
        let zone = Zone::known(self.inner.settings.zone())?;
        let rows = plain::rows(&fields, records.num_rows(), &columns, &zone)?;
        made.refused = rows.refused;
        if rows.places.is_empty() {
            return Ok(made);
        }
        let try_some = Try { table: into.table, of: Of::Rows(&rows.batch) };
        let (count, refused) = self.as_many(&try_some, rows.places.len()).await?;
        made.rows = count;
        made.refused.extend(refused.into_iter().map(|(row, reason)| (rows.places[row], reason)));
        Ok(made)
    }

    /// Makes the table, or gives it further columns.
    async fn shape(&mut self, into: &Into<'_>, is_there: bool, declarations: &[String]) -> Result<Made> {
        match is_there {
            false => self.create(into, declarations).await?,
            true => self.add(into.table, declarations).await?,
        }
        Ok(Made { table: !is_there, ..Made::default() })
    }

    pub(super) async fn create(&mut self, into: &Into<'_>, declarations: &[String]) -> Result<()> {
        let partitioned = match into.partition_by {
            [] => String::new(),
            columns => format!(" PARTITIONED BY ({})", columns.join(", ")),
        };
        self.run(&format!("CREATE TABLE {} ({}){partitioned}", full(into.table), declarations.join(", "))).await?;
        Ok(())
    }

    async fn add(&mut self, table: &TableName, declarations: &[String]) -> Result<()> {
        for declaration in declarations {
            self.run(&format!("ALTER TABLE {} ADD COLUMN {declaration}", full(table))).await?;
        }
        Ok(())
    }

    async fn transformed(&mut self, into: &Into<'_>, transform: &str, records: &RecordBatch) -> Result<Made> {
        self.bring(into.topic, records)?;
        let made = self.transform(into, transform, records).await;
        self.inner.settings.brought = None;
        made
    }

    fn bring(&mut self, topic: &str, records: &RecordBatch) -> Result<()> {
        let records = &crate::topics::laid_out(records)?;
        let table = MemTable::try_new(records.schema(), vec![vec![records.clone()]]).map_err(from_datafusion)?;
        self.inner.settings.brought = Some(Brought { topic: topic.to_owned(), table: Arc::new(table) });
        Ok(())
    }

    async fn transform(&mut self, into: &Into<'_>, transform: &str, records: &RecordBatch) -> Result<Made> {
        let given = self.described(transform).await?;
        let table = self.table(into.table).await?;
        let is_new = |field: &&FieldRef| match &table {
            Some(table) => !table.top_columns().any(|column| column.name.eq_ignore_ascii_case(field.name())),
            None => true,
        };
        let new: Vec<&FieldRef> = given.iter().filter(is_new).collect();
        let declared = |field: &&FieldRef| format!("{} {}", quoted(field.name()), types::field_name(field));
        let declarations: Vec<String> = new.iter().map(declared).collect();
        let mut made = self.shape(into, table.is_some(), &declarations).await?;
        if !made.table {
            made.columns = new.iter().map(|field| field.name().clone()).collect();
        }
        let names = listed(given.iter().map(|field| field.name().as_str()));
        // The line ends before the bracket does: the query may end in a comment.
        let insert =
            format!("INSERT INTO {} ({names}) SELECT {names} FROM ({transform}\n) AS transformed", full(into.table));
        let of = Of::Records { records, topic: into.topic, insert: &insert };
        let (rows, refused) = self.as_many(&Try { table: into.table, of }, records.num_rows()).await?;
        Ok(Made { rows, refused: refused.into_iter().collect(), ..made })
    }

    /// The columns that a transform gives, of the records that are brought.
    async fn described(&mut self, transform: &str) -> Result<Vec<FieldRef>> {
        let (caller, running) = (self.session.caller(), self.running);
        let described = self.engine.describe(caller, &mut self.inner, transform, &[], running).await?;
        let schema = described.schema.filter(|schema| !schema.fields().is_empty());
        let schema = schema.ok_or_else(|| {
            Error::invalid("a transform is a query that gives columns")
                .with_code("42601")
                .with_hint("SELECT … FROM the topic")
        })?;
        Ok(schema.fields().to_vec())
    }

    /// Whether records could be delivered so. What it makes on the way must be rolled back.
    pub async fn check(&mut self, into: &Into<'_>) -> Result<()> {
        if let Some(transform) = into.transform {
            let empty = RecordBatch::new_empty(topic_schema());
            return self.transformed(into, transform, &empty).await.map(|_| ());
        }
        match self.table(into.table).await? {
            Some(_) => self.columns(into.table).await.map(|_| ()),
            // Its columns come with the first records, and what it is partitioned by with them.
            None => {
                let plain = Into { partition_by: &[], ..*into };
                self.create(&plain, &["checked boolean".to_owned()]).await
            }
        }
    }

    /// The names of the columns that a transform gives of a topic's records.
    pub async fn check_transform(&mut self, topic: &str, transform: &str) -> Result<Vec<String>> {
        self.bring(topic, &RecordBatch::new_empty(topic_schema()))?;
        let given = self.described(transform).await?;
        Ok(given.iter().map(|field| field.name().clone()).collect())
    }

    /// What a transform makes of records.
    pub async fn transform_only(
        &mut self,
        topic: &str,
        transform: &str,
        records: &RecordBatch,
    ) -> Result<Vec<RecordBatch>> {
        self.bring(topic, records)?;
        self.query(transform).await
    }

    /// Inserts as many of `count` rows as the table takes; gives how many rows there are now, and which were refused.
    async fn as_many(&mut self, tried: &Try<'_>, count: usize) -> Result<(u64, Vec<(usize, String)>)> {
        match self.some(tried, None).await {
            Ok(rows) => return Ok((rows, Vec::new())),
            Err(error) if !is_about_values(&error) => return Err(error),
            Err(_) => {}
        }
        self.run(&format!("SAVEPOINT {POINT}")).await?;
        let mut refused = Vec::new();
        // What is to be tried next is at the end. Those before stay inserted, as rows may break a rule only together.
        let mut left = vec![0..count];
        while let Some(range) = left.pop() {
            let places: Vec<u32> = range.clone().filter_map(|place| u32::try_from(place).ok()).collect();
            match self.some(tried, Some(places)).await {
                Ok(_) => {}
                Err(error) if !is_about_values(&error) => return Err(error),
                Err(error) if range.len() <= 1 => refused.push((range.start, error.message().to_owned())),
                Err(_) => {
                    let middle = range.start + range.len() / 2;
                    left.extend([middle..range.end, range.start..middle]);
                }
            }
        }
        // All that is right at once: the pieces would be files of their own.
        self.run(&format!("ROLLBACK TO {POINT}")).await?;
        let wrong: BTreeSet<usize> = refused.iter().map(|(place, _)| *place).collect();
        let right = (0..count).filter(|place| !wrong.contains(place));
        let right: Vec<u32> = right.filter_map(|place| u32::try_from(place).ok()).collect();
        let rows = if right.is_empty() { 0 } else { self.some(tried, Some(right)).await? };
        Ok((rows, refused))
    }

    /// Inserts some rows, all or none.
    async fn some(&mut self, tried: &Try<'_>, places: Option<Vec<u32>>) -> Result<u64> {
        let chosen = |batch: &RecordBatch| match &places {
            None => Ok(batch.clone()),
            Some(places) => take_record_batch(batch, &UInt32Array::from(places.clone()))
                .map_err(|error| Error::internal(error.to_string())),
        };
        match &tried.of {
            Of::Rows(rows) => {
                let chosen = chosen(rows)?;
                self.insert(tried.table, chosen).await
            }
            Of::Records { records, topic, insert } => {
                let chosen = chosen(records)?;
                self.bring(topic, &chosen)?;
                self.run(insert).await
            }
        }
    }
}

/// What is inserted, as a whole or in parts.
struct Try<'a> {
    table: &'a TableName,
    of: Of<'a>,
}

enum Of<'a> {
    Rows(&'a RecordBatch),
    /// By a statement that reads them as the topic.
    Records {
        records: &'a RecordBatch,
        topic: &'a str,
        insert: &'a str,
    },
}

/// A column of one value.
pub(super) fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(arrow::array::StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
}
