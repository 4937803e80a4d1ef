//! What stands on what: views and materialized views on the tables and views that their queries name.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::ObjectName;
use polder_lake::{Materialized, Snapshot, TableName, Transaction};
use polder_sql_tree::visit_relations_mut;
use polder_types::{Error, Result};

use super::super::names::table_name;
use super::super::target::quoted_ident;
use crate::parse::parse_kept;

/// Whether a query names a table or view. One that cannot be read here (DuckDB's, perhaps) names nothing.
fn names(sql: &str, own_schema: &str, wanted: &TableName) -> bool {
    let Ok(statement) = parse_kept(sql) else { return false };
    let Ok((tables, _)) = resolve_table_references(&statement, true) else { return false };
    tables.iter().any(|table| table.table() == wanted.table && table.schema().unwrap_or(own_schema) == wanted.schema)
}

/// The views and materialized views whose queries name something.
pub(super) fn dependents(snapshot: &Snapshot, wanted: &TableName) -> Vec<TableName> {
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

/// Writes new names into the queries of views and materialized views.
///
/// # Errors
/// As the changes of the views.
pub(super) fn follow(transaction: &mut Transaction, renamed: &dyn Fn(&TableName) -> Option<TableName>) -> Result<()> {
    let snapshot = std::sync::Arc::clone(transaction.view());
    let schema_of = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
    for view in snapshot.views.values() {
        let schema = schema_of(view.schema_id);
        let Some(sql) = renamed_sql(&view.sql, schema, renamed) else { continue };
        let name = TableName::new(schema, &view.name);
        transaction.drop_view(&name)?;
        transaction.create_view(&name, &sql, view.comment.clone())?;
    }
    for table in snapshot.tables.values() {
        let Some(materialized) = &table.rules.materialized else { continue };
        let Some(sql) = renamed_sql(&materialized.sql, schema_of(table.schema_id), renamed) else { continue };
        let mut rules = table.rules.as_ref().clone();
        rules.materialized = Some(Materialized { sql, ..materialized.clone() });
        transaction.set_rules(&snapshot.name_of(table), rules)?;
    }
    Ok(())
}

/// A query with other names; `None` when it names nothing that has one.
fn renamed_sql(sql: &str, own_schema: &str, renamed: &dyn Fn(&TableName) -> Option<TableName>) -> Option<String> {
    let mut statement = parse_kept(sql).ok()?;
    let (tables, _) = resolve_table_references(&statement, true).ok()?;
    let known: std::collections::HashSet<String> = tables.iter().map(|table| table.table().to_owned()).collect();
    let Parsed::Statement(inner) = &mut statement else { return None };
    let mut changed = false;
    let _ = visit_relations_mut(inner.as_mut(), |relation: &mut ObjectName| {
        if let Ok(old) = table_name(relation, own_schema)
            && known.contains(&old.table)
            && let Some(new) = renamed(&old)
        {
            *relation = ObjectName::from(vec![quoted_ident(&new.schema), quoted_ident(&new.table)]);
            changed = true;
        }
        ControlFlow::<()>::Continue(())
    });
    changed.then(|| inner.to_string())
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
