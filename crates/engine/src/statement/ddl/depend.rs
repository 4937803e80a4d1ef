//! What stands on what: views and materialized views on the tables and views that their queries name.

use datafusion::sql::resolve::resolve_table_references;
use polder_lake::{Snapshot, TableName, Transaction};
use polder_types::{Error, Result};

use crate::parse::parse_kept;

/// Whether a query names a table or view. One that cannot be read here (DuckDB's, perhaps) names nothing.
fn names(sql: &str, own_schema: &str, wanted: &TableName) -> bool {
    let Ok(statement) = parse_kept(sql) else { return false };
    let Ok((tables, _)) = resolve_table_references(&statement, true) else { return false };
    tables.iter().any(|table| table.table() == wanted.table && table.schema().unwrap_or(own_schema) == wanted.schema)
}

/// The views and materialized views whose queries name something.
fn dependents(snapshot: &Snapshot, wanted: &TableName) -> Vec<TableName> {
    let schema_of = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
    let views = snapshot.views.values().map(|view| (schema_of(view.schema_id), view.name.as_str(), view.sql.as_str()));
    let materialized = snapshot.tables.values().filter_map(|table| {
        let sql = table.rules.materialized.as_ref()?.sql.as_str();
        Some((schema_of(table.schema_id), table.name.as_str(), sql))
    });
    views
        .chain(materialized)
        .filter(|(schema, name, sql)| {
            !(*schema == wanted.schema && *name == wanted.table) && names(sql, schema, wanted)
        })
        .map(|(schema, name, _)| TableName::new(schema, name))
        .collect()
}

/// Drops what stands on a table or view, or refuses when anything does.
pub(super) fn release(transaction: &mut Transaction, name: &TableName, cascade: bool) -> Result<Vec<TableName>> {
    let mut dropped = Vec::new();
    loop {
        let above = dependents(transaction.view(), name);
        let Some(first) = above.into_iter().next() else { return Ok(dropped) };
        if !cascade {
            return Err(Error::invalid(format!("{name} cannot be dropped: {first} stands on it"))
                .with_code("2BP01")
                .with_hint("DROP … CASCADE drops both"));
        }
        dropped.extend(release(transaction, &first, true)?);
        if transaction.view().view(&first).is_some() {
            transaction.drop_view(&first)?;
        } else {
            transaction.drop_table(&first)?;
        }
        dropped.push(first);
    }
}
