//! ALTER TABLE … RENAME CONSTRAINT.

use datafusion::sql::sqlparser::ast::Ident;
use polder_lake::{TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::names::fold;
use super::super::{Context, ended};
use super::rules::existing;

impl Context<'_> {
    /// Gives a key, a foreign key or a check another name.
    pub(super) async fn rename_constraint(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        old: &Ident,
        new: &Ident,
    ) -> Result<()> {
        let (old, new) = (fold(old), fold(new));
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut rules = existing(transaction, table)?.rules.as_ref().clone();
        let taken = rules.has_name(&new);
        let keys = rules.keys.iter_mut().filter(|key| !key.index).map(|key| &mut key.name);
        let foreign = rules.foreign_keys.iter_mut().map(|key| &mut key.name);
        let checks = rules.checks.iter_mut().map(|check| &mut check.name);
        let Some(known) = keys.chain(foreign).chain(checks).find(|known| **known == old) else {
            let message = format!("constraint {old:?} of {table} does not exist");
            return Err(Error::not_found(message).with_code("42704"));
        };
        if taken {
            let message = format!("constraint {new:?} of {table} exists already");
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_code("42710"));
        }
        *known = new;
        transaction.set_rules(table, rules)
    }
}
