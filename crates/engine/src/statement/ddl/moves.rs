//! New names: for tables and views, also in other schemas, and for schemas and indexes. Views follow what they read.

use std::sync::Arc;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{AlterIndexOperation, AlterSchema, AlterSchemaOperation, ObjectName, Statement};
use polder_lake::{Access, PROVISIONAL, TableName, TableRules, Transaction, TransactionCell};
use polder_metastore::OWNER_OID;
use polder_types::{Error, ErrorKind, Result};

use super::super::names::{parts, schema_name};
use super::super::target::parse_query;
use super::super::{Context, ended};
use super::depend;
use crate::error::from_datafusion;
use crate::rewrite::whole_numbers;
use crate::session::Outcome;

/// Gives a table or view another name, perhaps in another schema.
pub(super) async fn rename(transaction: &mut Transaction, name: &TableName, to: &TableName) -> Result<()> {
    if name == to {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("{name} has that name already")).with_code("42P07"));
    }
    let view = transaction.view().view(name).is_some();
    match (view, name.schema == to.schema) {
        (true, true) => transaction.rename_view(name, to)?,
        (false, true) => transaction.rename_table(name, to)?,
        // A view's query names all schemas, so it means the same there.
        (true, false) => transaction.rename_view(name, to)?,
        (false, false) => move_table(transaction, name, to).await?,
    }
    depend::keep_policies(transaction, name, to)?;
    let (name, to) = (name.clone(), to.clone());
    let renamed: Arc<depend::Renamed> = Arc::new(move |known: &TableName| (*known == name).then(|| to.clone()));
    depend::follow(transaction, &renamed)
}

/// A table's files are named below its schema's directory: they are shared with a clone there.
async fn move_table(transaction: &mut Transaction, name: &TableName, to: &TableName) -> Result<()> {
    transaction.settle().await?;
    let view = Arc::clone(transaction.view());
    let table = transaction.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
    if view.table(to).is_some() || view.view(to).is_some() {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("{to} exists already")).with_code("42P07"));
    }
    transaction.clone_table(to, name, &view).await?;
    if let Some(moved) = transaction.table(to) {
        let usual = || Access { owner: Some(OWNER_OID), ..Access::default() };
        let access = view.access(table.id).map_or_else(usual, |access| access.as_ref().clone());
        transaction.set_access(moved.id, access)?;
    }
    // What this transaction has made itself, nobody else has seen.
    let known_as = Some(table.known_id()).filter(|id| *id < PROVISIONAL);
    transaction.set_rules(to, TableRules { known_as, ..table.rules.as_ref().clone() })?;
    refer_to_copy(transaction, name, to)?;
    transaction.drop_table(name)
}

/// Foreign keys that refer to a table refer to the one that takes its place.
fn refer_to_copy(transaction: &mut Transaction, name: &TableName, to: &TableName) -> Result<()> {
    let (Some(old), Some(new)) = (transaction.table(name), transaction.table(to)) else { return Ok(()) };
    let children = transaction.view().references_to(&old).into_iter().map(|reference| reference.child);
    let mut children: Vec<_> = children.filter(|child| child.id != old.id).collect();
    children.push(new.clone());
    children.dedup_by_key(|child| child.id);
    for child in children {
        let mut rules = child.rules.as_ref().clone();
        for key in rules.foreign_keys.iter_mut().filter(|key| key.table == old.uuid) {
            key.table = new.uuid;
        }
        if rules != *child.rules {
            let child = transaction.view().name_of(&child);
            transaction.set_rules(&child, rules)?;
        }
    }
    Ok(())
}

impl Context<'_> {
    pub(super) async fn alter_schema(&self, cell: &TransactionCell, alter: &AlterSchema) -> Result<Outcome> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("ALTER SCHEMA", None, transaction.base());
        let name = schema_name(&alter.name)?;
        for operation in &alter.operations {
            let AlterSchemaOperation::Rename { name: to } = operation else {
                return Err(Error::unsupported(format!("ALTER SCHEMA … {operation} is not supported"))
                    .with_hint("RENAME TO is"));
            };
            let to = schema_name(to)?;
            if name == "public" {
                return Err(Error::new(
                    ErrorKind::Forbidden,
                    "schema public keeps its name, since names without a schema mean it",
                ));
            }
            match transaction.rename_schema(&name, &to) {
                Err(error) if alter.if_exists && error.kind() == ErrorKind::NotFound => {
                    return Ok(done.notice(format!("{}, skipping", error.message())));
                }
                other => other?,
            }
            let old = name.clone();
            let renamed: Arc<depend::Renamed> = Arc::new(move |known: &TableName| {
                (known.schema == old).then(|| TableName::new(to.as_str(), known.table.as_str()))
            });
            depend::follow(transaction, &renamed)?;
        }
        Ok(done)
    }

    pub(super) async fn alter_index(
        &self,
        cell: &TransactionCell,
        name: &ObjectName,
        operation: &AlterIndexOperation,
    ) -> Result<Outcome> {
        let AlterIndexOperation::RenameIndex { index_name: to } = operation;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("ALTER INDEX", None, transaction.base());
        let mut all = parts(name)?;
        let index = all.pop().unwrap_or_default();
        let schema = all.pop().unwrap_or_else(|| self.settings.schema.clone());
        let to = parts(to)?.pop().unwrap_or_default();
        let missing = || Error::not_found(format!("index {index:?} does not exist")).with_code("42704");
        let (table, _) = super::indexes::find_index(transaction, &schema, &index).ok_or_else(missing)?;
        if let Some((owner, _)) = super::indexes::find_index(transaction, &schema, &to) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("index {to:?} exists already, on {owner}"))
                .with_code("42P07"));
        }
        let state = transaction.table(&table).ok_or_else(missing)?;
        let mut rules = state.rules.as_ref().clone();
        for known in rules.indexes.iter_mut().filter(|known| known.name == index) {
            known.name.clone_from(&to);
        }
        for known in rules.keys.iter_mut().filter(|known| known.name == index) {
            known.name.clone_from(&to);
        }
        transaction.set_rules(&table, rules)?;
        Ok(done)
    }

    /// After a column went or got another name, or the table another shape: the views on it must still be planned, or
    /// go too.
    pub(in super::super) async fn check_views(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        cascade: bool,
        hint: &str,
    ) -> Result<()> {
        let above = {
            let guard = cell.lock().await;
            depend::dependents(guard.as_ref().ok_or_else(ended)?.view(), name)
        };
        for dependent in above {
            let scope = self.trusted_scope(cell).await?;
            let sql = match scope.snapshot.table(&dependent).and_then(|table| table.rules.materialized.clone()) {
                Some(materialized) => materialized.sql,
                None if scope.snapshot.view(&dependent).is_some() => format!(
                    "SELECT * FROM {}.{}",
                    super::super::target::quoted(&dependent.schema),
                    super::super::target::quoted(&dependent.table)
                ),
                None => continue,
            };
            let query = Statement::Query(Box::new(parse_query(&sql)?));
            let planned = whole_numbers::plan(&scope.state, Parsed::Statement(Box::new(query))).await;
            let Err(error) = planned else { continue };
            if !cascade {
                let reason = from_datafusion(error);
                return Err(Error::invalid(format!("{dependent} stands on the column: {}", reason.message()))
                    .with_code("2BP01")
                    .with_hint(hint));
            }
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            depend::release(transaction, &dependent, true)?;
            transaction.drop_along(&dependent)?;
        }
        Ok(())
    }
}
