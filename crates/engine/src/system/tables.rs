//! `polder.tables`, `polder.columns`, `polder.queries`, `polder.snapshots`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use polder_capability::QueryState;
use polder_lake::{Snapshot, TableState};
use polder_metastore::Value;
use polder_types::{Error, Result};

use super::{Views, int, text, time};
use crate::authz::{READ_ALL_STATS, Rights, Who};
use crate::engine::Engine;

/// Rows of `polder.queries` and `polder.snapshots`: more is no list any more.
const ROWS_MAX: u32 = 10_000;

fn micros(times: Vec<Option<DateTime<Utc>>>) -> ArrayRef {
    let values: TimestampMicrosecondArray =
        times.into_iter().map(|time| time.map(|time| time.timestamp_micros())).collect();
    Arc::new(values.with_timezone("UTC"))
}

pub(super) fn tables_schema() -> Schema {
    Schema::new(vec![
        text("schema_name", false),
        text("table_name", false),
        text("kind", false),
        int("row_count", true),
        int("byte_count", true),
        int("file_count", true),
        text("comment", true),
        time("created_at", true),
        time("updated_at", true),
        text("view_sql", true),
    ])
}

/// The newest snapshot that changed a table's rows or columns.
fn last_change(table: &TableState) -> i64 {
    let files = table.files.iter().map(|file| file.begin_snapshot);
    let columns = table.columns.iter().map(|column| column.begin_snapshot);
    files.chain(columns).chain([table.begin_snapshot]).max().unwrap_or(table.begin_snapshot)
}

/// When snapshots were committed.
async fn commit_times(engine: &Engine, ids: &BTreeSet<i64>) -> Result<HashMap<i64, DateTime<Utc>>> {
    let mut times = HashMap::new();
    let ids: Vec<i64> = ids.iter().copied().collect();
    for some in ids.chunks(500) {
        let list = some.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let sql = format!("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot WHERE snapshot_id IN ({list})");
        for row in engine.metastore.query(&sql, &[]).await? {
            times.insert(row.int(0)?, row.time(1)?);
        }
    }
    Ok(times)
}

/// Rows of a table that are kept in the metastore, live at a snapshot.
async fn stored_rows(engine: &Engine, table: &TableState, snapshot: i64) -> Result<i64> {
    let mut count = 0;
    for holder in &table.inlined_tables {
        if !holder.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Error::new(
                polder_types::ErrorKind::Corrupt,
                format!("{holder:?} is no table of small inserts"),
            ));
        }
        let sql = format!(
            "SELECT count(*) FROM {holder} WHERE begin_snapshot <= $1 AND (end_snapshot IS NULL OR end_snapshot > $1)"
        );
        let rows = engine.metastore.query(&sql, &[Value::Int(snapshot)]).await?;
        count += rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0);
    }
    Ok(count)
}

/// Rows that DuckDB has deleted by rows of the catalog, from files that are live.
async fn stored_deletes(engine: &Engine, table: &TableState, snapshot: i64) -> Result<i64> {
    if table.files.is_empty() {
        return Ok(0);
    }
    let holder = format!("ducklake_inlined_delete_{}", table.id);
    let sql = format!("SELECT file_id, count(*) FROM {holder} WHERE begin_snapshot <= $1 GROUP BY file_id");
    // The table is there only once DuckDB has deleted so.
    let Ok(rows) = engine.metastore.query(&sql, &[Value::Int(snapshot)]).await else { return Ok(0) };
    let mut count = 0;
    for row in rows {
        if table.file(row.int(0)?).is_some() {
            count += row.int(1)?;
        }
    }
    Ok(count)
}

pub(super) async fn tables(engine: &Engine, snapshot: &Snapshot, rights: &Rights<'_>) -> Result<Vec<ArrayRef>> {
    let mut ids: BTreeSet<i64> =
        snapshot.tables.values().flat_map(|table| [table.begin_snapshot, last_change(table)]).collect();
    ids.extend(snapshot.views.values().map(|view| view.begin_snapshot));
    let times = commit_times(engine, &ids).await?;
    let (mut schemas, mut names, mut kinds) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut rows, mut bytes, mut files) = (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
    let (mut comments, mut views) = (StringBuilder::new(), StringBuilder::new());
    let (mut created, mut updated) = (Vec::new(), Vec::new());
    for table in snapshot.tables.values() {
        let name = snapshot.name_of(table);
        schemas.append_value(&name.schema);
        names.append_value(&name.table);
        kinds.append_value("table");
        let stored =
            stored_rows(engine, table, snapshot.id).await? - stored_deletes(engine, table, snapshot.id).await?;
        let told = |count: i64| rights.counts(table.id).then_some(count);
        rows.append_option(told(table.file_rows() + stored));
        bytes.append_option(told(table.files.iter().map(|file| file.file_size_bytes).sum()));
        files.append_option(told(i64::try_from(table.files.len()).unwrap_or(i64::MAX)));
        comments.append_option(table.comment.as_deref());
        created.push(times.get(&table.begin_snapshot).copied());
        updated.push(times.get(&last_change(table)).copied());
        views.append_null();
    }
    for view in snapshot.views.values() {
        let schema = snapshot.schemas.get(&view.schema_id).map_or("", |schema| schema.name.as_str());
        schemas.append_value(schema);
        names.append_value(&view.name);
        kinds.append_value("view");
        rows.append_null();
        bytes.append_null();
        files.append_null();
        comments.append_option(view.comment.as_deref());
        created.push(times.get(&view.begin_snapshot).copied());
        updated.push(times.get(&view.begin_snapshot).copied());
        views.append_value(&view.sql);
    }
    Ok(vec![
        Arc::new(schemas.finish()),
        Arc::new(names.finish()),
        Arc::new(kinds.finish()),
        Arc::new(rows.finish()),
        Arc::new(bytes.finish()),
        Arc::new(files.finish()),
        Arc::new(comments.finish()),
        micros(created),
        micros(updated),
        Arc::new(views.finish()),
    ])
}

pub(super) fn columns_schema() -> Schema {
    Schema::new(vec![
        text("schema_name", false),
        text("table_name", false),
        text("column_name", false),
        text("data_type", false),
        Field::new("is_nullable", DataType::Boolean, false),
        text("column_default", true),
        text("comment", true),
        int("ordinal_position", false),
    ])
}

/// A type as PostgreSQL's users write it.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 => "smallint".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            format!("{} unsigned", type_name(&signed(data_type)))
        }
        DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea".into(),
        DataType::FixedSizeBinary(16) => "uuid".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("numeric({precision},{scale})")
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("{}[]", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let inner: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
            format!("struct({})", inner.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("map({}, {})", type_name(pair[0].data_type()), type_name(pair[1].data_type()))
            }
            _ => "map".into(),
        },
        other => other.to_string().to_lowercase(),
    }
}

/// The type as a column's declaration says it, with its length.
pub(crate) fn declared_name(field: &Field) -> String {
    field.metadata().get(polder_lake::DECLARED).cloned().unwrap_or_else(|| type_name(field.data_type()))
}

fn signed(unsigned: &DataType) -> DataType {
    match unsigned {
        DataType::UInt8 | DataType::UInt16 => DataType::Int16,
        DataType::UInt32 => DataType::Int32,
        _ => DataType::Int64,
    }
}

pub(super) async fn columns(snapshot: &Snapshot, views: Option<&dyn Views>) -> Vec<ArrayRef> {
    let (mut schemas, mut tables, mut names, mut types) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut nullable, mut defaults, mut comments, mut positions) =
        (BooleanBuilder::new(), StringBuilder::new(), StringBuilder::new(), Int64Builder::new());
    for table in snapshot.tables.values() {
        let name = snapshot.name_of(table);
        for (at, field) in table.schema().fields().iter().take(table.shown_columns()).enumerate() {
            let column = table.top_columns().find(|column| column.name == *field.name());
            schemas.append_value(&name.schema);
            tables.append_value(&name.table);
            names.append_value(field.name());
            types.append_value(declared_name(field));
            nullable.append_value(field.is_nullable());
            let default =
                column.and_then(|column| column.default_value.as_deref()).filter(|default| *default != "NULL");
            defaults.append_option(default);
            comments.append_option(column.and_then(|column| column.comment.as_deref()));
            positions.append_value(i64::try_from(at + 1).unwrap_or(i64::MAX));
        }
    }
    for view in snapshot.views.values() {
        let schema = snapshot.schemas.get(&view.schema_id).map_or("", |schema| schema.name.as_str());
        let Some(views) = views else { break };
        let Some(columns) = views.columns(schema, &view.name).await else { continue };
        for (at, field) in columns.fields().iter().enumerate() {
            schemas.append_value(schema);
            tables.append_value(&view.name);
            names.append_value(field.name());
            types.append_value(declared_name(field));
            nullable.append_value(true);
            defaults.append_null();
            comments.append_null();
            positions.append_value(i64::try_from(at + 1).unwrap_or(i64::MAX));
        }
    }
    vec![
        Arc::new(schemas.finish()),
        Arc::new(tables.finish()),
        Arc::new(names.finish()),
        Arc::new(types.finish()),
        Arc::new(nullable.finish()),
        Arc::new(defaults.finish()),
        Arc::new(comments.finish()),
        Arc::new(positions.finish()),
    ]
}

pub(super) fn queries_schema() -> Schema {
    Schema::new(vec![
        text("query_id", false),
        text("user_name", false),
        text("via", false),
        text("sql", false),
        text("state", false),
        time("started_at", false),
        int("elapsed_ms", false),
        int("rows_returned", false),
        int("rows_changed", false),
        int("rows_scanned", false),
        int("bytes_scanned", false),
        int("snapshot", true),
        text("error_code", true),
        text("error_message", true),
    ])
}

/// Whether somebody may see what others have run: statements hold what is in tables.
fn sees_all(who: &Who) -> bool {
    who.superuser || who.has(READ_ALL_STATS)
}

pub(super) async fn queries(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let mut records = engine.recorder.all(u64::from(ROWS_MAX)).await?;
    if !sees_all(who) {
        records.retain(|record| record.user == who.user_name());
    }
    let mut texts: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    let mut counts: [Int64Builder; 5] = std::array::from_fn(|_| Int64Builder::new());
    let mut started = TimestampMicrosecondBuilder::new();
    let (mut snapshots, mut codes, mut messages) = (Int64Builder::new(), StringBuilder::new(), StringBuilder::new());
    for record in &records {
        let state = match record.state {
            QueryState::Running => "running",
            QueryState::Done => "done",
            QueryState::Failed => "failed",
            QueryState::Cancelled => "cancelled",
        };
        let id = record.query_id.to_string();
        for (builder, value) in texts.iter_mut().zip([&id, &record.user, &record.via, &record.sql, state]) {
            builder.append_value(value);
        }
        started.append_value(record.started_at.timestamp_micros());
        let numbers =
            [record.elapsed_ms, record.rows_returned, record.rows_changed, record.rows_scanned, record.bytes_scanned];
        for (builder, value) in counts.iter_mut().zip(numbers) {
            builder.append_value(i64::try_from(value).unwrap_or(i64::MAX));
        }
        snapshots.append_option(record.snapshot);
        codes.append_option(record.error.as_ref().map(|error| error.code.as_str()));
        messages.append_option(record.error.as_ref().map(|error| error.message.as_str()));
    }
    let mut columns: Vec<ArrayRef> = texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
    columns.push(Arc::new(started.finish().with_timezone("UTC")));
    columns.extend(counts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns.push(Arc::new(snapshots.finish()));
    columns.push(Arc::new(codes.finish()));
    columns.push(Arc::new(messages.finish()));
    Ok(columns)
}

pub(super) fn snapshots_schema() -> Schema {
    Schema::new(vec![
        int("snapshot", false),
        time("committed_at", false),
        text("author", true),
        text("message", true),
        text("changes", false),
    ])
}

/// Whether somebody is told the message of a commit: it is the beginning of a statement, which holds values.
pub(super) fn is_told_of(who: &Who, author: Option<&str>) -> bool {
    sees_all(who) || author == Some(who.user_name())
}

pub(super) async fn snapshots(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let history = engine.lake.history(ROWS_MAX).await?;
    let mut ids = Int64Builder::new();
    let (mut authors, mut messages, mut changes) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let mut times = Vec::new();
    for info in &history {
        ids.append_value(info.id);
        times.push(Some(info.committed_at));
        authors.append_option(info.author.as_deref());
        messages.append_option(info.message.as_deref().filter(|_| is_told_of(who, info.author.as_deref())));
        changes.append_value(info.told().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(vec![
        Arc::new(ids.finish()),
        micros(times),
        Arc::new(authors.finish()),
        Arc::new(messages.finish()),
        Arc::new(changes.finish()),
    ])
}
