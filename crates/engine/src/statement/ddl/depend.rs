//! What stands on what: views and materialized views on the tables and views that their queries name.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, TableFactor, VisitorMut};
use polder_lake::{Materialized, Reword, Snapshot, TableName, Transaction};
use polder_sql_tree::{visit_expressions_mut, visit_mut, visit_relations_mut};
use polder_types::{Error, Result};

use super::super::names::{fold, table_name};
use super::super::target::{quoted, quoted_ident};
use super::readers;
use crate::error::from_datafusion;
use crate::parse::{parse_expr, parse_factor, parse_kept};

/// Whether a query names a table or view. One that cannot be read here (DuckDB's, perhaps) names nothing.
fn names(sql: &str, own_schema: &str, wanted: &TableName) -> bool {
    let Ok(statement) = parse_kept(sql) else { return false };
    let Ok((tables, _)) = resolve_table_references(&statement, true) else { return false };
    tables.iter().any(|table| table.table() == wanted.table && table.schema().unwrap_or(own_schema) == wanted.schema)
}

/// The tables and views that a query names.
pub(super) fn read_by(query: &Query, own_schema: &str) -> Result<Vec<TableName>> {
    let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
    let (tables, _) = resolve_table_references(&statement, true).map_err(from_datafusion)?;
    let name = |table: &TableReference| TableName::new(table.schema().unwrap_or(own_schema), table.table());
    Ok(tables.iter().map(name).collect())
}

/// The views and materialized views whose queries name something.
pub(super) fn dependents(snapshot: &Snapshot, wanted: &TableName) -> Vec<TableName> {
    let schema_of = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
    let views = snapshot.views.values().map(|view| (schema_of(view.schema_id), view.name.as_str(), view.sql.as_str()));
    views
        .chain(materialized_in(snapshot))
        .filter(|(schema, name, sql)| {
            !(*schema == wanted.schema && *name == wanted.table) && names(sql, schema, wanted)
        })
        .map(|(schema, name, _)| TableName::new(schema, name))
        .collect()
}

/// The schema, name and query of each materialized view.
fn materialized_in(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &str, &str)> {
    snapshot.tables.values().filter_map(|table| {
        let sql = table.rules.materialized.as_ref()?.sql.as_str();
        let schema = snapshot.schemas.get(&table.schema_id).map_or("", |schema| schema.name.as_str());
        Some((schema, table.name.as_str(), sql))
    })
}

/// What became of the name of a table or view, if it was renamed.
pub(super) type Renamed = dyn Fn(&TableName) -> Option<TableName> + Send + Sync;

/// Writes new names into the queries of views and materialized views.
///
/// # Errors
/// As the changes of the views.
pub(super) fn follow(transaction: &mut Transaction, renamed: &Arc<Renamed>) -> Result<()> {
    let snapshot = Arc::clone(transaction.view());
    let schema_of = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
    let views = snapshot.views.values().map(|view| (schema_of(view.schema_id), view.name.as_str(), view.sql.as_str()));
    for (schema, name, sql) in views.chain(materialized_in(&snapshot)) {
        if renamed_sql(sql, schema, renamed.as_ref()).is_some() {
            let renamed = Arc::clone(renamed);
            let reword = Reword::new(move |sql, schema| renamed_sql(sql, schema, renamed.as_ref()));
            transaction.reword(&TableName::new(schema, name), reword)?;
        }
    }
    for (id, access) in snapshot.all_access().iter().filter(|(_, access)| !access.policies.is_empty()) {
        let mut changed = access.as_ref().clone();
        for sql in changed.policies.expressions_mut() {
            renamed_in(sql, |expr| {
                let _ = visit_relations_mut(expr, |relation: &mut ObjectName| {
                    // What has no schema is of a query within.
                    if relation.0.len() > 1
                        && let Some(new) = table_name(relation, "").ok().and_then(|old| renamed(&old))
                    {
                        *relation = ObjectName::from(vec![quoted_ident(&new.schema), quoted_ident(&new.table)]);
                    }
                    ControlFlow::<()>::Continue(())
                });
            })?;
        }
        transaction.set_access(*id, changed)?;
    }
    Ok(())
}

/// Writes a table's new name into its own policies and masks, where they call its columns by it.
///
/// # Errors
/// As the change of what is granted on the table.
pub(super) fn keep_policies(transaction: &mut Transaction, old: &TableName, new: &TableName) -> Result<()> {
    let snapshot = Arc::clone(transaction.view());
    let Some(table) = snapshot.table(new).filter(|_| old.table != new.table) else { return Ok(()) };
    let Some(access) = snapshot.access(table.id).filter(|access| !access.policies.is_empty()) else { return Ok(()) };
    let mut changed = access.as_ref().clone();
    for sql in changed.policies.expressions_mut() {
        renamed_in(sql, |expr| {
            let _ = visit_expressions_mut(expr, |part| {
                if let Expr::CompoundIdentifier(parts) = part
                    && let Some(first) = parts.first_mut()
                    && fold(first) == old.table
                {
                    *first = quoted_ident(&new.table);
                }
                ControlFlow::<()>::Continue(())
            });
        })?;
    }
    transaction.set_access(table.id, changed)
}

/// Changes an expression that is kept as text; one that stays the same keeps its text.
fn renamed_in(sql: &mut String, change: impl FnOnce(&mut Expr)) -> Result<()> {
    let mut expr = parse_expr(sql)?;
    let before = expr.clone();
    change(&mut expr);
    if expr != before {
        *sql = expr.to_string();
    }
    Ok(())
}

/// A query with other names; `None` when it names nothing that has one.
fn renamed_sql(sql: &str, own_schema: &str, renamed: &Renamed) -> Option<String> {
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

/// After a column of a table got another name: the views on it go on to call it by the old one.
///
/// # Errors
/// As the changes of the views.
pub(super) fn keep_column(transaction: &mut Transaction, name: &TableName, old: &str, new: &str) -> Result<()> {
    let snapshot = Arc::clone(transaction.view());
    let Some(table) = snapshot.table(name) else { return Ok(()) };
    let columns = table.arrow_schema.fields().iter().map(|field| match field.name() == new {
        true => format!("{} AS {}", quoted(new), quoted(old)),
        false => quoted(field.name()),
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    for above in dependents(&snapshot, name) {
        if let Some(view) = snapshot.view(&above) {
            if !mentions(&view.sql, old) {
                continue;
            }
            let Some(sql) = renamed_column(&view.sql, &above.schema, name, &columns)? else { continue };
            transaction.replace_view(&above, &sql, view.comment.clone())?;
        } else if let Some(state) = snapshot.table(&above)
            && let Some(materialized) = &state.rules.materialized
            && let Some(sql) = renamed_column(&materialized.sql, &above.schema, name, &columns)?
        {
            let mut rules = state.rules.as_ref().clone();
            rules.materialized = Some(Materialized { sql, ..materialized.clone() });
            transaction.set_rules(&above, rules)?;
        }
    }
    Ok(())
}

/// Whether a query may read a column of this name.
fn mentions(sql: &str, column: &str) -> bool {
    let (sql, column) = (sql.to_lowercase(), column.to_lowercase());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    sql.contains('*')
        || sql.match_indices(&column).any(|(at, found)| {
            let before = sql[..at].chars().next_back().is_some_and(is_word);
            let after = sql[at + found.len()..].chars().next().is_some_and(is_word);
            !before && !after
        })
}

/// A query with `(SELECT columns FROM table) AS table` in the place of a table.
fn renamed_column(sql: &str, own_schema: &str, name: &TableName, columns: &str) -> Result<Option<String>> {
    let mut statement = parse_kept(sql)?;
    let Parsed::Statement(inner) = &mut statement else { return Ok(None) };
    let mut aliased = Aliased { own_schema, name, columns, changed: false };
    match visit_mut(inner.as_mut(), &mut aliased) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(aliased.changed.then(|| inner.to_string())),
    }
}

struct Aliased<'a> {
    own_schema: &'a str,
    name: &'a TableName,
    columns: &'a str,
    changed: bool,
}

impl VisitorMut for Aliased<'_> {
    type Break = Error;

    // After what is within, which would be put in its own place again and again.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, args: None, version: None, sample: None, .. } = &*factor else {
            return ControlFlow::Continue(());
        };
        // Queries that are kept name the schemas of their tables: what has none is of the query itself.
        if name.0.len() < 2 || !table_name(name, self.own_schema).is_ok_and(|known| known == *self.name) {
            return ControlFlow::Continue(());
        }
        let (schema, table) = (quoted(&self.name.schema), quoted(&self.name.table));
        let alias = alias.as_ref().map_or_else(|| format!("AS {table}"), ToString::to_string);
        match parse_factor(&format!("(SELECT {} FROM {schema}.{table}) {alias}", self.columns)) {
            Ok(derived) => {
                *factor = derived;
                self.changed = true;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    // A query within has a name, and no schema.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [schema, table, _] = parts.as_slice()
            && fold(schema) == self.name.schema
            && fold(table) == self.name.table
        {
            parts.remove(0);
        }
        ControlFlow::Continue(())
    }
}

/// Drops what stands on a table or view, or refuses when anything does.
pub(super) fn release(transaction: &mut Transaction, name: &TableName, cascade: bool) -> Result<Vec<TableName>> {
    let mut dropped = Vec::new();
    while let Some(first) = dependents(transaction.view(), name).into_iter().next() {
        if !cascade {
            return Err(Error::invalid(format!("{name} cannot be dropped: {first} stands on it"))
                .with_code("2BP01")
                .with_hint("DROP … CASCADE drops both"));
        }
        dropped.extend(release(transaction, &first, true)?);
        transaction.drop_along(&first)?;
        dropped.push(first);
    }
    readers::release(transaction, name, readers::Kind::Relation, cascade)?;
    Ok(dropped)
}
