//! Rows of the catalog that have to begin earlier, because what came before them goes.
//!
//! A table that is renamed, swapped, or whose schema is renamed has a row for each of its names. DuckDB reads small rows, and
//! merges files, with the columns that the table had in the version that their `ducklake_schema_versions` row names, kept or
//! not, and so looks for the table, and its schema, in that version. Where a row has gone, the next one takes its place: no
//! kept version is there to see the difference.

use std::collections::HashMap;

use polder_metastore::{Metastore, Value, Write};
use polder_types::{Result, SnapshotId};

use super::is_unseen;

/// A row of `ducklake_table` that a kept version sees.
#[derive(Debug, Clone, Copy)]
struct TableRow {
    table: i64,
    schema: i64,
    begin: SnapshotId,
    end: Option<SnapshotId>,
}

/// A row of `ducklake_schema` that a kept version sees.
#[derive(Debug, Clone, Copy)]
struct SchemaRow {
    schema: i64,
    begin: SnapshotId,
    end: Option<SnapshotId>,
}

/// A row that begins too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late {
    /// The table of the catalog, and the column of its key.
    of: (&'static str, &'static str),
    id: i64,
    begin: SnapshotId,
    earlier: SnapshotId,
}

impl Late {
    pub(super) fn write(&self) -> Write {
        let (table, key) = self.of;
        let sql = format!("UPDATE {table} SET begin_snapshot = $1 WHERE {key} = $2 AND begin_snapshot = $3");
        Write::new(sql, vec![Value::Int(self.earlier), Value::Int(self.id), Value::Int(self.begin)])
    }
}

/// Finds them, those that an earlier run left behind too. `kept` are the kept versions, ascending.
pub(super) async fn late_rows(metastore: &Metastore, kept: &[SnapshotId]) -> Result<Vec<Late>> {
    let sql = "SELECT table_id, schema_id, begin_snapshot, end_snapshot FROM ducklake_table ORDER BY table_id, begin_snapshot";
    let mut tables = Vec::new();
    for row in metastore.query(sql, &[]).await? {
        let row = TableRow { table: row.int(0)?, schema: row.int(1)?, begin: row.int(2)?, end: row.opt_int(3)? };
        if !is_unseen(kept, row.begin, row.end) {
            tables.push(row);
        }
    }
    let sql = "SELECT table_id, min(begin_snapshot) FROM ducklake_schema_versions WHERE table_id IS NOT NULL GROUP BY table_id";
    let mut shapes = HashMap::new();
    for row in metastore.query(sql, &[]).await? {
        shapes.insert(row.int(0)?, row.int(1)?);
    }
    let mut schemas = Vec::new();
    let sql = "SELECT schema_id, begin_snapshot, end_snapshot FROM ducklake_schema ORDER BY schema_id, begin_snapshot";
    for row in metastore.query(sql, &[]).await? {
        let row = SchemaRow { schema: row.int(0)?, begin: row.int(1)?, end: row.opt_int(2)? };
        if !is_unseen(kept, row.begin, row.end) {
            schemas.push(row);
        }
    }
    Ok(late(&tables, &shapes, &schemas, kept))
}

/// `tables` and `schemas` are in the order of their ids and begins, `shapes` has the first shape of each table.
fn late(
    tables: &[TableRow],
    shapes: &HashMap<i64, SnapshotId>,
    schemas: &[SchemaRow],
    kept: &[SnapshotId],
) -> Vec<Late> {
    let mut found = Vec::new();
    let mut first_of_schemas: HashMap<i64, SnapshotId> = HashMap::new();
    let mut before: Option<&TableRow> = None;
    for row in tables {
        let gone_until = before.filter(|before| before.table == row.table).and_then(|before| before.end);
        let wanted = gone_until.or_else(|| shapes.get(&row.table).copied()).unwrap_or(row.begin);
        let is_late = wanted < row.begin && is_unseen(kept, wanted, Some(row.begin));
        if is_late {
            found.push(Late { of: ("ducklake_table", "table_id"), id: row.table, begin: row.begin, earlier: wanted });
        }
        let begin = if is_late { wanted } else { row.begin };
        let first = first_of_schemas.entry(row.schema).or_insert(begin);
        *first = begin.min(*first);
        before = Some(row);
    }
    let mut before: Option<&SchemaRow> = None;
    for row in schemas {
        let gone_until = before.filter(|before| before.schema == row.schema).and_then(|before| before.end);
        let wanted = gone_until.or_else(|| first_of_schemas.get(&row.schema).copied()).unwrap_or(row.begin);
        if wanted < row.begin && is_unseen(kept, wanted, Some(row.begin)) {
            let of = ("ducklake_schema", "schema_id");
            found.push(Late { of, id: row.schema, begin: row.begin, earlier: wanted });
        }
        before = Some(row);
    }
    found
}

#[cfg(test)]
mod tests;
