//! DROP of schemas, tables and views, and what goes along with them, told in PostgreSQL's words.

use std::sync::Arc;

use polder_capability::Notice;
use polder_lake::{Snapshot, TableName, Transaction};
use polder_types::{Error, Result};

use super::{depend, foreign};
use crate::session::Outcome;

/// What each thing is and is called: `view v`, with its schema where no name without one means it. `before`: where they still are.
fn described(before: &Snapshot, path: &[String], things: &[TableName]) -> Vec<String> {
    let kind = |name: &TableName| match before.table(name) {
        Some(table) if table.rules.materialized.is_some() => Some("materialized view"),
        Some(_) => Some("table"),
        None => before.view(name).map(|_| "view"),
    };
    let shown = |name: &TableName| match path.contains(&name.schema) {
        true => name.table.clone(),
        false => name.to_string(),
    };
    things.iter().filter_map(|name| Some(format!("{} {}", kind(name)?, shown(name)))).collect()
}

/// An outcome with what went along: one thing by its name, several as their number, with their names beside it.
pub(super) fn told(outcome: Outcome, dropped: &[String]) -> Outcome {
    match dropped {
        [] => outcome,
        [only] => outcome.notice(format!("drop cascades to {only}")),
        several => {
            let each: Vec<String> = several.iter().map(|thing| format!("drop cascades to {thing}")).collect();
            let message = format!("drop cascades to {} other objects", several.len());
            outcome.told(Notice { detail: Some(each.join("\n")), ..Notice::new(message) })
        }
    }
}

/// What stands in other schemas on what is in this one goes too. As of the others, it gives words about what went along.
pub(in super::super) fn drop_schema(
    transaction: &mut Transaction,
    name: &str,
    cascade: bool,
    path: &[String],
) -> Result<Vec<String>> {
    let before = Arc::clone(transaction.view());
    let mut dropped = Vec::new();
    let mut freed = Vec::new();
    if cascade {
        dropped = before.names_in(name).into_iter().map(|inner| TableName::new(name, inner)).collect();
        for inner in dropped.clone() {
            let above = depend::release(transaction, &inner, true)?;
            freed.extend(foreign::release(transaction, &inner, true, &dropped)?);
            dropped.extend(above.into_iter().filter(|above| above.schema != name));
        }
    }
    transaction.drop_schema(name, cascade)?;
    let mut dropped = described(&before, path, &dropped);
    dropped.extend(freed);
    Ok(dropped)
}

/// Dropping a view by DROP TABLE, or the other way round, is a slip that is told.
///
/// `together`: what goes in the same statement.
pub(in super::super) fn drop_table(
    transaction: &mut Transaction,
    name: &TableName,
    cascade: bool,
    together: &[TableName],
    path: &[String],
) -> Result<Vec<String>> {
    if transaction.view().view(name).is_some() {
        return Err(wrong_kind(name, "a view", "DROP VIEW"));
    }
    if is_materialized(transaction, name) {
        return Err(wrong_kind(name, "a materialized view", "DROP MATERIALIZED VIEW"));
    }
    let before = Arc::clone(transaction.view());
    let mut dropped = described(&before, path, &depend::release(transaction, name, cascade)?);
    dropped.extend(foreign::release(transaction, name, cascade, together)?);
    transaction.drop_table(name)?;
    Ok(dropped)
}

pub(in super::super) fn drop_view(
    transaction: &mut Transaction,
    name: &TableName,
    cascade: bool,
    path: &[String],
) -> Result<Vec<String>> {
    if is_materialized(transaction, name) {
        return Err(wrong_kind(name, "a materialized view", "DROP MATERIALIZED VIEW"));
    }
    if transaction.view().table(name).is_some() {
        return Err(wrong_kind(name, "a table", "DROP TABLE"));
    }
    let before = Arc::clone(transaction.view());
    let dropped = depend::release(transaction, name, cascade)?;
    transaction.drop_view(name)?;
    Ok(described(&before, path, &dropped))
}

pub(in super::super) fn drop_materialized(
    transaction: &mut Transaction,
    name: &TableName,
    cascade: bool,
    path: &[String],
) -> Result<Vec<String>> {
    if transaction.view().view(name).is_some() {
        return Err(wrong_kind(name, "a view", "DROP VIEW"));
    }
    if transaction.table(name).is_some() && !is_materialized(transaction, name) {
        return Err(wrong_kind(name, "a table", "DROP TABLE"));
    }
    let before = Arc::clone(transaction.view());
    let dropped = depend::release(transaction, name, cascade)?;
    transaction.drop_table(name)?;
    Ok(described(&before, path, &dropped))
}

pub(super) fn is_materialized(transaction: &Transaction, name: &TableName) -> bool {
    transaction.table(name).is_some_and(|table| table.rules.materialized.is_some())
}

pub(super) fn wrong_kind(name: &TableName, kind: &str, hint: &str) -> Error {
    Error::invalid(format!("{name} is {kind}")).with_code("42809").with_hint(format!("use {hint}"))
}
