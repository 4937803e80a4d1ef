//! Rows that are kept in the metastore, read back into the shape that their table has now.
//!
//! Each holder has the columns that the table had when the holder was made, under the names of then. The catalog's
//! history says which column of today each of them is: a renamed column keeps its id.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use parking_lot::Mutex;
use polder_metastore::{Backend, Metastore, Row, Value};
use polder_types::{Error, ErrorKind, Result};

use super::quoted;
use super::reshape::reshape;
use super::text::{array, parse};
use crate::apply::AGAIN;
use crate::changes::{self, Change};
use crate::model::{ColumnState, PROVISIONAL, Snapshot, TableState};
use crate::read::{column, columns_at};
use crate::schema::{arrow_schema, with_children};

/// Rows of one holder, in the columns that the table has in some snapshot.
#[derive(Debug, Clone)]
pub(crate) struct StoredRows {
    pub holder: String,
    pub row_ids: Vec<i64>,
    /// The version that each row began with.
    pub begins: Vec<i64>,
    pub batch: RecordBatch,
}

/// A column of a holder: its name there, and everything nested in it as it was then.
#[derive(Debug)]
struct HeldColumn {
    name: String,
    tree: Vec<ColumnState>,
}

#[derive(Debug)]
struct Layout {
    columns: Vec<HeldColumn>,
}

/// Rows of one holder in its own columns.
#[derive(Debug)]
struct Held {
    holder: String,
    layout: Arc<Layout>,
    row_ids: Vec<i64>,
    begins: Vec<i64>,
    columns: Vec<ArrayRef>,
}

/// What was read lately: layouts for good, and each table's rows until they change.
#[derive(Debug, Default)]
pub(crate) struct StoredCache {
    layouts: Mutex<HashMap<String, Arc<Layout>>>,
    rows: Mutex<HashMap<i64, ((i64, i64), Arc<Vec<Held>>)>>,
}

/// Tables whose rows are kept in memory at once.
const TABLES_KEPT: usize = 256;

impl StoredCache {
    /// The rows of a table that are kept in the metastore, without those that the table's own transaction deleted.
    pub async fn rows(
        &self,
        metastore: &Metastore,
        snapshot: &Snapshot,
        table: &TableState,
    ) -> Result<Vec<StoredRows>> {
        if table.id >= PROVISIONAL || table.inlined_tables.is_empty() {
            return Ok(Vec::new());
        }
        table.check_readable()?;
        let held = self.held(metastore, snapshot, table).await?;
        let mut all = Vec::new();
        for held in held.iter().filter(|held| !held.row_ids.is_empty()) {
            let rows = in_shape(held, table).map_err(|error| error.context(format!("rows of {}", table.name)))?;
            all.push(strict(without_ended(rows, table)?, table)?);
        }
        all.retain(|rows| !rows.row_ids.is_empty());
        Ok(all)
    }

    /// The newest holder, if it has the columns that the table has now.
    pub async fn holder(&self, metastore: &Metastore, table: &TableState) -> Result<Option<String>> {
        let layouts = self.layouts(metastore, table).await?;
        let Some((holder, layout)) = layouts.last() else { return Ok(None) };
        let shape = |columns: &[ColumnState]| -> Vec<(i64, String, String)> {
            columns.iter().map(|column| (column.id, column.name.clone(), column.ducklake_type.clone())).collect()
        };
        let held: Vec<_> = layout.columns.iter().flat_map(|column| shape(&column.tree)).collect();
        Ok((held == shape(&table.columns)).then(|| holder.clone()))
    }

    async fn held(&self, metastore: &Metastore, snapshot: &Snapshot, table: &TableState) -> Result<Arc<Vec<Held>>> {
        let wanted = (table.inlined_version, table.inlined_read_at);
        if let Some((version, held)) = self.rows.lock().get(&table.id)
            && *version == wanted
        {
            return Ok(Arc::clone(held));
        }
        let layouts = self.layouts(metastore, table).await?;
        let held = Arc::new(read_rows(metastore, snapshot, table, layouts).await?);
        let mut rows = self.rows.lock();
        if rows.len() >= TABLES_KEPT {
            rows.clear();
        }
        // An old version, read for time travel, does not push the newest out.
        if rows.get(&table.id).is_none_or(|(version, _)| *version < wanted) {
            rows.insert(table.id, (wanted, Arc::clone(&held)));
        }
        Ok(held)
    }

    async fn layouts(&self, metastore: &Metastore, table: &TableState) -> Result<Vec<(String, Arc<Layout>)>> {
        let known = |holder: &String| self.layouts.lock().get(holder).cloned();
        if table.inlined_tables.iter().any(|holder| known(holder).is_none()) {
            let read = read_layouts(metastore, table).await?;
            self.layouts.lock().extend(read);
        }
        Ok(table.inlined_tables.iter().filter_map(|holder| Some((holder.clone(), known(holder)?))).collect())
    }
}

/// Names of holders come from the catalog and go into statements.
pub(crate) fn check_holder(holder: &str) -> Result<()> {
    let plain = holder.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && holder.starts_with("ducklake_inlined_data_") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Corrupt, format!("the catalog names {holder:?} as a place of rows")))
}

async fn read_layouts(metastore: &Metastore, table: &TableState) -> Result<HashMap<String, Arc<Layout>>> {
    let id = [Value::Int(table.id)];
    let mut queries: Vec<String> = vec![
        "SELECT v.schema_version, v.begin_snapshot FROM ducklake_schema_versions v WHERE v.table_id = $1".into(),
        "SELECT table_name, schema_version FROM ducklake_inlined_data_tables WHERE table_id = $1".into(),
        format!(
            "SELECT {}, begin_snapshot, end_snapshot FROM ducklake_column WHERE table_id = $1 ORDER BY column_order, column_id",
            crate::read::COLUMN
        ),
    ];
    for holder in &table.inlined_tables {
        check_holder(holder)?;
        queries.push(match metastore.backend() {
            Backend::Sqlite => format!("SELECT name FROM pragma_table_info('{holder}') WHERE $1 >= 0 ORDER BY cid"),
            Backend::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{holder}' AND $1::bigint >= 0 ORDER BY ordinal_position"
            ),
        });
    }
    let asked: Vec<(&str, &[Value])> = queries.iter().map(|sql| (sql.as_str(), &id[..])).collect();
    let mut answers = metastore.read_together(&asked).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (versions, holders, history) = (next(), next(), next());
    let history = history.iter().map(|row| Ok((column(row)?, row.opt_int(12)?))).collect::<Result<Vec<_>>>()?;
    let version_of: HashMap<&str, i64> =
        holders.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect::<Result<_>>()?;
    let begin_of: HashMap<i64, i64> =
        versions.iter().map(|row| Ok((row.int(0)?, row.int(1)?))).collect::<Result<_>>()?;
    let mut layouts = HashMap::new();
    for holder in &table.inlined_tables {
        let begin = version_of.get(holder.as_str()).and_then(|version| begin_of.get(version));
        // Without its version in the history, the names of today are the best there is.
        let columns = begin.map_or_else(|| table.columns.clone(), |begin| columns_at(&history, *begin));
        let names = next().iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
        layouts.insert(holder.clone(), Arc::new(layout(&columns, &names)));
    }
    Ok(layouts)
}

fn layout(columns: &[ColumnState], names: &[String]) -> Layout {
    let tree = |name: &String| {
        let top = columns.iter().find(|column| column.parent.is_none() && column.name == *name)?;
        let ids = with_children(columns, top.id);
        let tree: Vec<ColumnState> = columns.iter().filter(|column| ids.contains(&column.id)).cloned().collect();
        // A table with a column of an unknown type is not read, so one in a holder has been dropped since.
        arrow_schema(&tree).is_ok().then(|| HeldColumn { name: name.clone(), tree })
    };
    Layout { columns: names.iter().filter_map(tree).collect() }
}

async fn read_rows(
    metastore: &Metastore,
    snapshot: &Snapshot,
    table: &TableState,
    layouts: Vec<(String, Arc<Layout>)>,
) -> Result<Vec<Held>> {
    // What DuckDB flushes to files is gone from here, for old versions too; whoever reads those later finds it there.
    let mut queries =
        vec!["SELECT changes_made FROM ducklake_snapshot_changes WHERE snapshot_id > $1 AND changes_made LIKE '%inline_flush%'".to_owned()];
    queries.extend(layouts.iter().map(|(holder, layout)| select_sql(metastore.backend(), holder, layout)));
    let (read_at, at) = ([Value::Int(snapshot.read_at)], [Value::Int(snapshot.id)]);
    let params = |index: usize| if index == 0 { &read_at[..] } else { &at[..] };
    let asked: Vec<(&str, &[Value])> =
        queries.iter().enumerate().map(|(index, sql)| (sql.as_str(), params(index))).collect();
    let answers = metastore.read_together(&asked).await;
    let moved = || {
        Error::conflict(format!("rows of {} were moved to files by another program meanwhile", table.name))
            .with_hint(AGAIN)
    };
    let mut answers = match answers {
        Ok(answers) => answers.into_iter(),
        // A flush drops holders that it has emptied.
        Err(error) => return Err(if metastore.head().await? > snapshot.read_at { moved() } else { error }),
    };
    let flushes = answers.next().unwrap_or_default();
    for row in &flushes {
        if changes::parse(row.opt_text(0)?.unwrap_or_default()).contains(&Change::InlineFlush(table.id)) {
            return Err(moved());
        }
    }
    layouts.into_iter().zip(answers).map(|((holder, layout), rows)| decode(holder, layout, rows)).collect()
}

fn select_sql(backend: Backend, holder: &str, layout: &Layout) -> String {
    let select = |column: &HeldColumn| {
        let name = quoted(&column.name);
        let text = column
            .tree
            .first()
            .is_some_and(|top| matches!(top.ducklake_type.as_str(), "varchar" | "json" | "blob" | "geometry"));
        match backend {
            Backend::Postgres if !text => format!(", {name}::text"),
            _ => format!(", {name}"),
        }
    };
    let columns: String = layout.columns.iter().map(select).collect();
    format!(
        "SELECT row_id, begin_snapshot{columns} FROM {holder} WHERE begin_snapshot <= $1 AND (end_snapshot IS NULL OR end_snapshot > $1) ORDER BY row_id"
    )
}

fn decode(holder: String, layout: Arc<Layout>, rows: Vec<Row>) -> Result<Held> {
    let row_ids = rows.iter().map(|row| row.int(0)).collect::<Result<Vec<_>>>()?;
    let begins = rows.iter().map(|row| row.int(1)).collect::<Result<Vec<_>>>()?;
    let mut values: Vec<Vec<ScalarValue>> = layout.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    let schema = layout.columns.iter().map(|column| arrow_schema(&column.tree)).collect::<Result<Vec<_>>>()?;
    for row in rows {
        for (index, value) in row.into_values().into_iter().skip(2).enumerate() {
            let data_type = schema[index].field(0).data_type();
            let decoded = scalar(value, data_type).ok_or_else(|| {
                let name = &layout.columns[index].name;
                Error::unsupported(format!("a value of column {name} in {holder} cannot be read as {data_type}"))
                    .with_hint("move the rows to files with DuckDB: CALL ducklake_flush_inlined_data(…)")
            })?;
            values[index].push(decoded);
        }
    }
    let columns = values
        .into_iter()
        .zip(&schema)
        .map(|(values, schema)| {
            let data_type = schema.field(0).data_type();
            array(values, data_type)
                .ok_or_else(|| Error::internal(format!("values of {holder} do not make {data_type}")))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Held { holder, layout, row_ids, begins, columns })
}

/// A value of the metastore as one of a type, or `None` if it is none.
fn scalar(value: Value, data_type: &arrow::datatypes::DataType) -> Option<ScalarValue> {
    use arrow::datatypes::DataType as D;
    match (value, data_type) {
        (Value::Null, _) => ScalarValue::try_from(data_type).ok(),
        (Value::Text(text), D::Utf8View) => Some(ScalarValue::Utf8View(Some(text))),
        (Value::Text(text), _) => parse(&text, data_type),
        (Value::Bytes(bytes), D::Utf8View) => Some(ScalarValue::Utf8View(Some(String::from_utf8(bytes).ok()?))),
        (Value::Bytes(bytes), D::BinaryView) => Some(ScalarValue::BinaryView(Some(bytes))),
        (Value::Bytes(bytes), D::Binary) => Some(ScalarValue::Binary(Some(bytes))),
        (Value::Int(int), D::Boolean) => Some(ScalarValue::Boolean(Some(int != 0))),
        (Value::Bool(truth), D::Boolean) => Some(ScalarValue::Boolean(Some(truth))),
        (Value::Int(int), D::Int64) => Some(ScalarValue::Int64(Some(int))),
        (Value::Int(int), _) => parse(&int.to_string(), data_type),
        (Value::Float(float), D::Float64) => Some(ScalarValue::Float64(Some(float))),
        (Value::Float(float), _) => parse(&float.to_string(), data_type),
        (Value::Uuid(uuid), _) => parse(&uuid.to_string(), data_type),
        _ => None,
    }
}

/// A holder's rows in the columns that the table has now. Rows that are ended may have no value where there must be one now.
fn in_shape(held: &Held, table: &TableState) -> Result<StoredRows> {
    let rows = held.row_ids.len();
    let mut columns = Vec::with_capacity(table.arrow_schema.fields().len());
    let mut tops: Vec<&ColumnState> = table.top_columns().collect();
    tops.sort_by_key(|column| column.order);
    for (top, field) in tops.into_iter().zip(table.arrow_schema.fields()) {
        let old = held.layout.columns.iter().position(|column| column.tree.first().is_some_and(|old| old.id == top.id));
        columns.push(match old {
            Some(at) => reshape(&held.columns[at], &held.layout.columns[at].tree, &table.columns, top.id, field)?,
            None => initial_default(top, field.data_type(), rows)?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let fields: Vec<_> =
        table.arrow_schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let loose = Arc::new(Schema::new_with_metadata(fields, table.arrow_schema.metadata().clone()));
    let batch = RecordBatch::try_new_with_options(loose, columns, &options)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(StoredRows { holder: held.holder.clone(), row_ids: held.row_ids.clone(), begins: held.begins.clone(), batch })
}

/// The rows with the table's own schema.
fn strict(rows: StoredRows, table: &TableState) -> Result<StoredRows> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows.batch.num_rows()));
    let columns = rows.batch.columns().to_vec();
    let batch = RecordBatch::try_new_with_options(Arc::clone(&table.arrow_schema), columns, &options)
        .map_err(|error| Error::internal(format!("rows of {}: {error}", table.name)))?;
    Ok(StoredRows { batch, ..rows })
}

/// What rows have in a column that was added after them.
pub(crate) fn initial_default(
    column: &ColumnState,
    data_type: &arrow::datatypes::DataType,
    rows: usize,
) -> Result<ArrayRef> {
    let wrong = || Error::new(ErrorKind::Corrupt, format!("the default of column {} is no {data_type}", column.name));
    let value = match column.initial_default.as_deref() {
        None | Some("NULL") => ScalarValue::try_from(data_type).map_err(|_| wrong())?,
        Some(text) => parse(text, data_type).ok_or_else(wrong)?,
    };
    value.to_array_of_size(rows).map_err(|_| wrong())
}

fn without_ended(rows: StoredRows, table: &TableState) -> Result<StoredRows> {
    if table.inlined_ended.is_empty() {
        return Ok(rows);
    }
    let keep: Vec<bool> =
        rows.row_ids.iter().map(|row| !table.inlined_ended.contains(&(rows.holder.clone(), *row))).collect();
    rows.only(&keep)
}

impl StoredRows {
    /// Some of the rows.
    pub fn only(self, keep: &[bool]) -> Result<Self> {
        let some = |values: Vec<i64>| values.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(v, _)| v).collect();
        let batch = filter_record_batch(&self.batch, &BooleanArray::from(keep.to_vec()))
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { holder: self.holder, row_ids: some(self.row_ids), begins: some(self.begins), batch })
    }
}
