//! `COMMENT ON INDEX` and `COMMENT ON CONSTRAINT`.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use polder_lake::{Transaction, TransactionCell};
use polder_types::{Error, Result};

use super::super::names::parts;
use super::super::{Context, ended};
use super::indexes::find_index;
use super::rules::existing;

impl Context<'_> {
    pub(super) fn comment_index(
        &self,
        transaction: &mut Transaction,
        name: &ObjectName,
        comment: Option<String>,
    ) -> Result<()> {
        let mut all = parts(name)?;
        let index = all.pop().unwrap_or_default();
        let schema = all.pop().unwrap_or_else(|| self.settings.schema.clone());
        let Some((table, _)) = find_index(transaction, &schema, &index) else {
            return Err(Error::not_found(format!("index {index:?} does not exist")).with_code("42P01"));
        };
        let mut rules = existing(transaction, &table)?.rules.as_ref().clone();
        let keys = rules.keys.iter_mut().filter(|key| key.name == index).map(|key| &mut key.index_comment);
        let indexes = rules.indexes.iter_mut().filter(|known| known.name == index).map(|known| &mut known.comment);
        keys.chain(indexes).for_each(|known| known.clone_from(&comment));
        transaction.set_rules(&table, rules)
    }

    /// `name`: that of the constraint behind that of its table.
    pub(super) async fn comment_constraint(
        &self,
        cell: &TransactionCell,
        name: &ObjectName,
        comment: Option<String>,
    ) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut all = parts(name)?;
        let constraint = all.pop().unwrap_or_default();
        let table = ObjectName::from(all.iter().map(|part| Ident::with_quote('"', part)).collect::<Vec<_>>());
        let table = self.existing_name(&table, transaction.view())?;
        let mut rules = existing(transaction, &table)?.rules.as_ref().clone();
        let keys = rules.keys.iter_mut().filter(|key| !key.index).map(|key| (&key.name, &mut key.comment));
        let checks = rules.checks.iter_mut().map(|check| (&check.name, &mut check.comment));
        let foreign = rules.foreign_keys.iter_mut().map(|key| (&key.name, &mut key.comment));
        let Some((_, known)) = keys.chain(checks).chain(foreign).find(|(name, _)| **name == constraint) else {
            let message = format!("constraint {constraint:?} for table {:?} does not exist", table.table);
            return Err(Error::not_found(message).with_code("42704"));
        };
        *known = comment;
        transaction.set_rules(&table, rules)
    }
}
