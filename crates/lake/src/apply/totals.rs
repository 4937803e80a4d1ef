//! The rows of totals and bounds of the tables that a group of commits touched: once for the group, and only what
//! changed.

use std::collections::BTreeSet;

use polder_metastore::{Value, Write};

use super::Statement;
use crate::model::{ColumnRange, Snapshot, TableState};

/// Bounds changed one by one up to this; beyond, all of a table's are written anew.
const CHANGES_MAX: usize = 4;

/// What makes the totals of `before` in the metastore those of `after`.
pub(crate) fn total_statements(before: &Snapshot, after: &Snapshot, tables: &BTreeSet<i64>) -> Vec<Statement> {
    let mut statements = Vec::new();
    for table in tables.iter().filter_map(|id| after.tables.get(id)) {
        let old = before.tables.get(&table.id).map(AsRef::as_ref);
        statements.push(totals(old, table));
        bounds(old, table, &mut statements);
    }
    statements
}

fn totals(old: Option<&TableState>, table: &TableState) -> Statement {
    let values =
        vec![table.record_count.into(), table.next_row_id.into(), table.file_size_bytes.into(), table.id.into()];
    if old.is_some_and(|old| old.has_totals) {
        let sql = "UPDATE ducklake_table_stats SET record_count = $1, next_row_id = $2, file_size_bytes = $3 WHERE table_id = $4";
        return Statement::Other(Write::new(sql, values));
    }
    Statement::Row {
        into: "ducklake_table_stats (record_count, next_row_id, file_size_bytes, table_id)".into(),
        values,
    }
}

fn bounds(old: Option<&TableState>, table: &TableState, statements: &mut Vec<Statement>) {
    let known = |column: &i64| old.and_then(|old| old.column_stats.get(column));
    let changed: Vec<(&i64, &ColumnRange)> =
        table.column_stats.iter().filter(|(column, range)| known(column) != Some(*range)).collect();
    if changed.len() <= CHANGES_MAX {
        for (column, range) in changed {
            if known(column).is_none() {
                statements.push(bounds_row(table.id, *column, range));
                continue;
            }
            let sql = "UPDATE ducklake_table_column_stats SET contains_null = $1, contains_nan = $2, min_value = $3, max_value = $4 WHERE table_id = $5 AND column_id = $6";
            statements.push(Statement::Other(Write::new(sql, bounds_values(table.id, *column, range))));
        }
        return;
    }
    if old.is_some_and(|old| !old.column_stats.is_empty()) {
        let sql = "DELETE FROM ducklake_table_column_stats WHERE table_id = $1";
        statements.push(Statement::Other(Write::new(sql, vec![table.id.into()])));
    }
    statements.extend(table.column_stats.iter().map(|(column, range)| bounds_row(table.id, *column, range)));
}

fn bounds_row(table: i64, column: i64, range: &ColumnRange) -> Statement {
    Statement::Row {
        into: "ducklake_table_column_stats (contains_null, contains_nan, min_value, max_value, table_id, column_id)"
            .into(),
        values: bounds_values(table, column, range),
    }
}

fn bounds_values(table: i64, column: i64, range: &ColumnRange) -> Vec<Value> {
    let flag = |value: Option<bool>| value.map_or(Value::Null, Value::Bool);
    vec![
        flag(range.contains_null),
        flag(range.contains_nan),
        range.min.clone().into(),
        range.max.clone().into(),
        table.into(),
        column.into(),
    ]
}
