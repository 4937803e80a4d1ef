//! The catalog's rows into a [`Snapshot`], in one consistent read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion_ducklake::ColumnStat;
use polder_metastore::{Backend, Metastore, Row, Value};
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use crate::access;
use crate::changes::{self, SnapshotInfo};
use crate::declared;
use crate::functions;
use crate::model::{
    COLUMN_COMMENT, ColumnRange, ColumnState, DataFile, DeleteFile, Named, PartitionState, SchemaState, Snapshot,
    SortState, TableState, ViewState,
};
use crate::rules::{self, TableRules};
use crate::schema::readable_schema;

/// Rows that are live at snapshot `$1`.
const LIVE: &str = "begin_snapshot <= $1 AND (end_snapshot IS NULL OR end_snapshot > $1)";

/// What [`column`] reads, less the snapshot that the column began with.
pub(crate) const COLUMN: &str = "table_id, column_id, column_order, column_name, column_type, initial_default, default_value, default_value_type, default_value_dialect, nulls_allowed, parent_column";

/// How often a read is begun again because a table of rows vanished in the middle.
const TRIES: usize = 5;

/// Reads one snapshot: `None` for the newest.
///
/// # Errors
/// `NotFound` for a version that does not exist or has expired, `Corrupt` for a catalog that contradicts itself.
pub(crate) async fn read_snapshot(metastore: &Metastore, version: Option<SnapshotId>) -> Result<Snapshot> {
    let mut tries = 0;
    loop {
        tries += 1;
        let read_at = metastore.head().await?;
        match read_version(metastore, version.unwrap_or(read_at), read_at).await {
            // DuckDB's clean-up drops the tables that hold deletes, once it has moved them to files.
            Err(error) if tries < TRIES && error.kind() == ErrorKind::Internal => {
                tracing::debug!(%error, "reading the catalog is begun again");
            }
            read => return read,
        }
    }
}

/// The tables that hold positions of deleted rows: (table id, name).
pub(crate) async fn delete_holders(metastore: &Metastore) -> Result<Vec<(i64, String)>> {
    let sql = match metastore.backend() {
        Backend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ducklake_inlined_delete_%'"
        }
        Backend::Postgres => {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'ducklake_inlined_delete_%'"
        }
    };
    let rows = metastore.query(sql, &[]).await?;
    let names = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>>>()?;
    let table = |name: &str| Some((name.strip_prefix("ducklake_inlined_delete_")?.parse().ok()?, name.to_owned()));
    Ok(names.into_iter().filter_map(table).collect())
}

async fn read_version(metastore: &Metastore, newest: SnapshotId, read_at: SnapshotId) -> Result<Snapshot> {
    // One that is made after this holds nothing that the snapshot sees.
    let delete_holders = delete_holders(metastore).await?;
    // Rows at a given snapshot never change once it is committed, so reading "as of" is consistent whatever
    // commits meanwhile; only the running totals are those of the newest.
    let at = [Value::Int(newest)];
    let mut queries: Vec<String> = vec![
        "SELECT snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot WHERE snapshot_id = $1".into(),
        format!("SELECT schema_id, schema_uuid, schema_name, path, path_is_relative, begin_snapshot FROM ducklake_schema WHERE {LIVE}"),
        format!("SELECT table_id, table_uuid, schema_id, table_name, path, path_is_relative, begin_snapshot FROM ducklake_table WHERE {LIVE}"),
        format!("SELECT view_id, view_uuid, schema_id, view_name, dialect, sql, column_aliases, begin_snapshot FROM ducklake_view WHERE {LIVE}"),
        format!("SELECT {COLUMN}, begin_snapshot FROM ducklake_column WHERE {LIVE} ORDER BY table_id, column_order, column_id"),
        format!("SELECT data_file_id, table_id, begin_snapshot, path, path_is_relative, record_count, file_size_bytes, footer_size, row_id_start, partition_id, encryption_key, mapping_id, partial_max FROM ducklake_data_file WHERE {LIVE} ORDER BY data_file_id"),
        format!("SELECT delete_file_id, data_file_id, path, path_is_relative, delete_count, file_size_bytes, footer_size, encryption_key FROM ducklake_delete_file WHERE {LIVE}"),
        "SELECT s.data_file_id, s.column_id, s.column_size_bytes, s.value_count, s.null_count, s.min_value, s.max_value, s.contains_nan FROM ducklake_file_column_stats s JOIN ducklake_data_file f ON f.data_file_id = s.data_file_id WHERE f.begin_snapshot <= $1 AND (f.end_snapshot IS NULL OR f.end_snapshot > $1)".into(),
        "SELECT table_id, record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE $1 >= 0".into(),
        "SELECT table_id, column_id, contains_null, contains_nan, min_value, max_value FROM ducklake_table_column_stats WHERE $1 >= 0".into(),
        "SELECT table_id, table_name, schema_version FROM ducklake_inlined_data_tables WHERE $1 >= 0 ORDER BY schema_version".into(),
        "SELECT table_id, max(schema_version) FROM ducklake_schema_versions WHERE begin_snapshot <= $1 AND table_id IS NOT NULL GROUP BY table_id".into(),
        format!("SELECT object_id, value, key FROM ducklake_tag WHERE (key = 'comment' OR key LIKE '{COLUMN_COMMENT}%') AND {LIVE}"),
        format!("SELECT object_id, value FROM ducklake_tag WHERE key = '{}' AND {LIVE}", rules::TAG),
        format!("SELECT table_id, column_id, value FROM ducklake_column_tag WHERE key = 'comment' AND {LIVE}"),
        format!("SELECT object_id, key, value FROM ducklake_tag WHERE key LIKE '{}%' AND {LIVE}", declared::TAG),
        "SELECT i.table_id, i.partition_id, c.partition_key_index, c.column_id, c.transform FROM ducklake_partition_info i JOIN ducklake_partition_column c ON c.partition_id = i.partition_id WHERE i.begin_snapshot <= $1 AND (i.end_snapshot IS NULL OR i.end_snapshot > $1) ORDER BY c.partition_key_index".into(),
        "SELECT i.table_id, i.sort_id, e.sort_key_index, e.expression, e.dialect, e.sort_direction, e.null_order FROM ducklake_sort_info i JOIN ducklake_sort_expression e ON e.sort_id = i.sort_id WHERE i.begin_snapshot <= $1 AND (i.end_snapshot IS NULL OR i.end_snapshot > $1) ORDER BY e.sort_key_index".into(),
        "SELECT v.data_file_id, v.partition_key_index, v.partition_value FROM ducklake_file_partition_value v JOIN ducklake_data_file f ON f.data_file_id = v.data_file_id WHERE f.begin_snapshot <= $1 AND (f.end_snapshot IS NULL OR f.end_snapshot > $1)".into(),
        "SELECT table_id, max(column_id) FROM ducklake_column WHERE $1 >= 0 GROUP BY table_id".into(),
        format!("SELECT schema_id, macro_id, macro_name FROM ducklake_macro WHERE {LIVE}"),
        functions::IMPLEMENTATIONS.into(),
        functions::PARAMETERS.into(),
        format!("SELECT object_id, value FROM ducklake_tag WHERE key = '{}' AND {LIVE}", functions::TAG),
        format!("SELECT object_id, value FROM ducklake_tag WHERE key = '{}' AND {LIVE}", access::TAG),
    ];
    let fixed = queries.len();
    queries.extend(delete_holders.iter().map(|(_, holder)| {
        format!("SELECT file_id, row_id FROM {holder} WHERE begin_snapshot <= $1 ORDER BY file_id, row_id")
    }));
    let asked: Vec<(&str, &[Value])> = queries.iter().map(|sql| (sql.as_str(), &at[..])).collect();
    let mut answers = metastore.read_together(&asked).await?;
    let inlined_deletes = delete_holders.iter().map(|(table, _)| *table).zip(answers.split_off(fixed));
    let [
        head,
        schemas,
        tables,
        views,
        columns,
        files,
        deletes,
        file_stats,
        stats,
        ranges,
        inlined,
        versions,
        tags,
        rules,
        column_tags,
        declared,
        partitions,
        sorts,
        partition_values,
        last_columns,
        macros,
        macro_bodies,
        macro_parameters,
        definitions,
        accesses,
    ]: [Vec<Row>; 25] =
        answers.try_into().map_err(|_| Error::internal("the metastore answered another number of queries"))?;
    let Some(head) = head.first() else {
        return Err(Error::not_found(format!("the lake has no version {newest}"))
            .with_code("42704")
            .with_hint("SELECT * FROM polder.snapshots lists the versions that are kept"));
    };
    let (tags, of_views): (Vec<Row>, Vec<Row>) =
        tags.into_iter().partition(|row| row.text(2).is_ok_and(|key| key == "comment"));
    let mut parts = Parts {
        columns: grouped(columns, |row| Ok((row.int(0)?, column(row)?)))?,
        files: BTreeMap::new(),
        ranges: grouped(ranges, |row| Ok((row.int(0)?, (row.int(1)?, range(row)?))))?,
        inlined: grouped(inlined, |row| Ok((row.int(0)?, row.text(1)?.to_owned())))?,
        totals: keyed(stats, |row| Ok((row.int(0)?, (row.int(1)?, row.int(2)?, row.int(3)?))))?,
        versions: keyed(versions, |row| Ok((row.int(0)?, row.int(1)?)))?,
        comments: keyed(tags, |row| Ok((row.int(0)?, row.opt_text(1)?.map(str::to_owned))))?,
        view_columns: grouped(of_views, |row| Ok((row.int(0)?, view_column(row)?)))?,
        rules: keyed(rules, |row| {
            let rules = row.opt_text(1)?.map(TableRules::from_tag).transpose()?.unwrap_or_default();
            Ok((row.int(0)?, Arc::new(rules)))
        })?,
        column_comments: keyed(column_tags, |row| {
            Ok(((row.int(0)?, row.int(1)?), row.opt_text(2)?.map(str::to_owned)))
        })?,
        declared: keyed(declared, |row| {
            Ok(((row.int(0)?, declared::column_of(row.text(1)?)?), row.opt_text(2)?.map(str::to_owned)))
        })?,
        partitions: grouped(partitions, |row| {
            Ok((row.int(0)?, (row.int(1)?, (row.int(2)?, row.int(3)?, row.text(4)?.to_owned()))))
        })?,
        sorts: grouped(sorts, |row| {
            let text = |at| row.opt_text(at).map(|text| text.unwrap_or_default().to_owned());
            Ok((row.int(0)?, (row.int(1)?, (row.int(2)?, text(3)?, text(4)?, text(5)?, text(6)?))))
        })?,
        inlined_deletes: HashMap::new(),
        last_columns: keyed(last_columns, |row| Ok((row.int(0)?, row.int(1)?)))?,
    };
    for (table, rows) in inlined_deletes {
        let mut of_files: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for row in &rows {
            of_files.entry(row.int(0)?).or_default().push(row.int(1)?);
        }
        parts.inlined_deletes.insert(table, of_files);
    }
    parts.files = data_files(files, deletes, file_stats, partition_values)?;
    let mut snapshot = build(head, read_at, schemas, tables, views, parts)?;
    snapshot.functions = functions::read(&macros, &macro_bodies, &macro_parameters, &definitions)?;
    snapshot.access = access::read(&accesses)?;
    Ok(snapshot)
}

/// The pieces of tables, by table id.
struct Parts {
    columns: HashMap<i64, Vec<ColumnState>>,
    files: BTreeMap<i64, Vec<Arc<DataFile>>>,
    ranges: HashMap<i64, Vec<(i64, ColumnRange)>>,
    inlined: HashMap<i64, Vec<String>>,
    totals: HashMap<i64, (i64, i64, i64)>,
    versions: HashMap<i64, i64>,
    comments: HashMap<i64, Option<String>>,
    /// Words about columns of views, by the column's place.
    view_columns: HashMap<i64, Vec<(i64, String)>>,
    rules: HashMap<i64, Arc<TableRules>>,
    column_comments: HashMap<(i64, i64), Option<String>>,
    declared: HashMap<(i64, i64), Option<String>>,
    partitions: HashMap<i64, Vec<(i64, (i64, i64, String))>>,
    sorts: HashMap<i64, Vec<(i64, (i64, String, String, String, String))>>,
    inlined_deletes: HashMap<i64, BTreeMap<i64, Vec<i64>>>,
    last_columns: HashMap<i64, i64>,
}

/// The place of a view's column and the words about it.
fn view_column(row: &Row) -> Result<(i64, String)> {
    let key = row.text(2)?;
    let place = key.strip_prefix(COLUMN_COMMENT).and_then(|place| place.parse().ok());
    let place = place.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the tag {key:?} is of no column")))?;
    Ok((place, row.opt_text(1)?.unwrap_or_default().to_owned()))
}

fn grouped<V>(rows: Vec<Row>, read: impl Fn(&Row) -> Result<(i64, V)>) -> Result<HashMap<i64, Vec<V>>> {
    let mut groups: HashMap<i64, Vec<V>> = HashMap::new();
    for row in &rows {
        let (key, value) = read(row)?;
        groups.entry(key).or_default().push(value);
    }
    Ok(groups)
}

fn keyed<K: std::hash::Hash + Eq, V>(rows: Vec<Row>, read: impl Fn(&Row) -> Result<(K, V)>) -> Result<HashMap<K, V>> {
    rows.iter().map(read).collect()
}

fn owned(row: &Row, at: usize) -> Result<Option<String>> {
    Ok(row.opt_text(at)?.map(str::to_owned))
}

/// The columns that were live at a snapshot, out of a table's whole history of (column, end snapshot).
pub(crate) fn columns_at(history: &[(ColumnState, Option<i64>)], snapshot: i64) -> Vec<ColumnState> {
    let live = |(column, end): &&(ColumnState, Option<i64>)| {
        column.begin_snapshot <= snapshot && end.is_none_or(|end| end > snapshot)
    };
    history.iter().filter(live).map(|(column, _)| column.clone()).collect()
}

pub(crate) fn column(row: &Row) -> Result<ColumnState> {
    Ok(ColumnState {
        id: row.int(1)?,
        order: row.int(2)?,
        name: row.text(3)?.to_owned(),
        ducklake_type: row.text(4)?.to_owned(),
        initial_default: owned(row, 5)?,
        default_value: owned(row, 6)?,
        default_value_type: owned(row, 7)?,
        default_value_dialect: owned(row, 8)?,
        nullable: row.opt_bool(9)?.unwrap_or(true),
        parent: row.opt_int(10)?,
        begin_snapshot: row.int(11)?,
        comment: None,
        declared: None,
    })
}

fn range(row: &Row) -> Result<ColumnRange> {
    Ok(ColumnRange {
        contains_null: row.opt_bool(2)?,
        contains_nan: row.opt_bool(3)?,
        min: owned(row, 4)?,
        max: owned(row, 5)?,
    })
}

fn data_files(
    files: Vec<Row>,
    deletes: Vec<Row>,
    stats: Vec<Row>,
    partition_values: Vec<Row>,
) -> Result<BTreeMap<i64, Vec<Arc<DataFile>>>> {
    let mut delete_of = keyed(deletes, |row| {
        let delete = DeleteFile {
            id: row.int(0)?,
            path: row.text(2)?.to_owned(),
            path_is_relative: row.bool(3)?,
            delete_count: row.int(4)?,
            file_size_bytes: row.int(5)?,
            footer_size: row.opt_int(6)?,
            encryption_key: owned(row, 7)?,
        };
        Ok((row.int(1)?, Arc::new(delete)))
    })?;
    let mut stats_of = grouped(stats, |row| {
        let stat = ColumnStat {
            column_id: row.int(1)?,
            column_size_bytes: row.opt_int(2)?,
            value_count: row.opt_int(3)?,
            null_count: row.opt_int(4)?,
            min_value: owned(row, 5)?,
            max_value: owned(row, 6)?,
            contains_nan: row.opt_bool(7)?,
        };
        Ok((row.int(0)?, stat))
    })?;
    let mut values_of = grouped(partition_values, |row| {
        let index =
            i32::try_from(row.int(1)?).map_err(|_| Error::new(ErrorKind::Corrupt, "a partition key without end"))?;
        Ok((row.int(0)?, (index, owned(row, 2)?)))
    })?;
    let mut by_table: BTreeMap<i64, Vec<Arc<DataFile>>> = BTreeMap::new();
    for row in &files {
        let id = row.int(0)?;
        by_table.entry(row.int(1)?).or_default().push(Arc::new(DataFile {
            id,
            begin_snapshot: row.int(2)?,
            path: row.text(3)?.to_owned(),
            path_is_relative: row.bool(4)?,
            record_count: row.opt_int(5)?.unwrap_or(0),
            file_size_bytes: row.opt_int(6)?.unwrap_or(0),
            footer_size: row.opt_int(7)?,
            row_id_start: row.opt_int(8)?,
            partition_id: row.opt_int(9)?,
            encryption_key: owned(row, 10)?,
            mapping_id: row.opt_int(11)?,
            partial_max: row.opt_int(12)?,
            partition_values: values_of.remove(&id).unwrap_or_default(),
            column_stats: stats_of.remove(&id).unwrap_or_default(),
            delete: delete_of.remove(&id),
        }));
    }
    Ok(by_table)
}

fn build(
    head: &Row,
    read_at: SnapshotId,
    schemas: Vec<Row>,
    tables: Vec<Row>,
    views: Vec<Row>,
    mut parts: Parts,
) -> Result<Snapshot> {
    let mut snapshot = Snapshot {
        id: head.int(0)?,
        committed_at: head.time(1)?,
        schema_version: head.int(2)?,
        next_catalog_id: head.int(3)?,
        next_file_id: head.int(4)?,
        read_at,
        lease: Arc::default(),
        schemas: BTreeMap::new(),
        tables: BTreeMap::new(),
        views: BTreeMap::new(),
        names: BTreeMap::new(),
        functions: Arc::default(),
        access: Arc::default(),
    };
    for row in &schemas {
        let id = row.int(0)?;
        let state = SchemaState {
            id,
            uuid: row.uuid(1)?,
            name: row.text(2)?.to_owned(),
            path: row.opt_text(3)?.unwrap_or_default().to_owned(),
            path_is_relative: row.opt_bool(4)?.unwrap_or(true),
            begin_snapshot: row.int(5)?,
            comment: parts.comments.remove(&id).flatten(),
        };
        snapshot.schemas.insert(id, Arc::new(state));
    }
    for row in &tables {
        let state = table(row, &snapshot, &mut parts)?;
        snapshot.names.insert((state.schema_id, state.name.clone()), Named::Table(state.id));
        snapshot.tables.insert(state.id, Arc::new(state));
    }
    for row in &views {
        let id = row.int(0)?;
        let state = ViewState {
            id,
            uuid: row.uuid(1)?,
            schema_id: row.int(2)?,
            name: row.text(3)?.to_owned(),
            dialect: row.opt_text(4)?.unwrap_or("duckdb").to_owned(),
            sql: row.text(5)?.to_owned(),
            column_aliases: row.opt_text(6)?.unwrap_or_default().to_owned(),
            begin_snapshot: row.int(7)?,
            comment: parts.comments.remove(&id).flatten(),
            column_comments: parts.view_columns.remove(&id).unwrap_or_default().into_iter().collect(),
        };
        snapshot.names.insert((state.schema_id, state.name.clone()), Named::View(id));
        snapshot.views.insert(id, Arc::new(state));
    }
    Ok(snapshot)
}

fn table(row: &Row, snapshot: &Snapshot, parts: &mut Parts) -> Result<TableState> {
    let id = row.int(0)?;
    let mut columns = parts.columns.remove(&id).unwrap_or_default();
    for column in &mut columns {
        column.comment = parts.column_comments.remove(&(id, column.id)).flatten();
        column.declared = parts.declared.remove(&(id, column.id)).flatten();
    }
    let files = parts.files.remove(&id).unwrap_or_default();
    let totals = parts.totals.remove(&id);
    let has_totals = totals.is_some();
    let (record_count, next_row_id, file_size_bytes) = totals.unwrap_or((0, 0, 0));
    let name = row.text(3)?.to_owned();
    let (arrow_schema, unreadable) =
        readable_schema(&columns).map_err(|error| error.context(format!("table {name}")))?;
    let column_stats: BTreeMap<i64, ColumnRange> = parts.ranges.remove(&id).unwrap_or_default().into_iter().collect();
    // Files may still carry columns that the catalog has forgotten.
    let in_files = files.iter().flat_map(|file| file.column_stats.iter().map(|stat| stat.column_id));
    let last_column = in_files.chain(column_stats.keys().copied()).chain(parts.last_columns.remove(&id)).max();
    let partition = parts.partitions.remove(&id).and_then(|rows| {
        let id = rows.first()?.0;
        Some(Arc::new(PartitionState { id, columns: rows.into_iter().map(|(_, column)| column).collect() }))
    });
    let sort = parts.sorts.remove(&id).and_then(|rows| {
        let id = rows.first()?.0;
        Some(Arc::new(SortState { id, keys: rows.into_iter().map(|(_, key)| key).collect() }))
    });
    Ok(TableState {
        id,
        uuid: row.uuid(1)?,
        schema_id: row.int(2)?,
        name,
        path: row.opt_text(4)?.unwrap_or_default().to_owned(),
        path_is_relative: row.opt_bool(5)?.unwrap_or(true),
        begin_snapshot: row.int(6)?,
        schema_version: parts.versions.remove(&id).unwrap_or(0),
        comment: parts.comments.remove(&id).flatten(),
        columns,
        arrow_schema,
        files: Arc::new(files),
        record_count,
        next_row_id,
        file_size_bytes,
        column_stats,
        inlined_tables: parts.inlined.remove(&id).unwrap_or_default(),
        inlined_version: snapshot.id,
        inlined_read_at: snapshot.read_at,
        inlined_ended: Arc::default(),
        inlined_deletes: Arc::new(parts.inlined_deletes.remove(&id).unwrap_or_default()),
        has_totals,
        next_column_id: last_column.unwrap_or(0) + 1,
        unreadable,
        partition,
        sort,
        rules: parts.rules.remove(&id).unwrap_or_default(),
    })
}

/// What the snapshots after `after` changed, oldest first, at most `limit` of them; with `newest_first` the newest.
pub(crate) async fn read_history(
    metastore: &Metastore,
    after: SnapshotId,
    limit: u32,
    newest_first: bool,
) -> Result<Vec<SnapshotInfo>> {
    let order = if newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT s.snapshot_id, s.snapshot_time, c.author, c.commit_message, c.changes_made FROM ducklake_snapshot s LEFT JOIN ducklake_snapshot_changes c ON c.snapshot_id = s.snapshot_id WHERE s.snapshot_id > $1 ORDER BY s.snapshot_id {order} LIMIT {limit}"
    );
    let rows = metastore.query(&sql, &[Value::Int(after)]).await?;
    rows.iter()
        .map(|row| {
            Ok(SnapshotInfo {
                id: row.int(0)?,
                committed_at: row.time(1)?,
                author: owned(row, 2)?,
                message: owned(row, 3)?,
                changes: changes::parse(row.opt_text(4)?.unwrap_or_default()),
            })
        })
        .collect()
}
