//! Indexes: what is made of them, and of those that become constraints.

use datafusion::sql::sqlparser::ast::{ConstraintUsingIndex, CreateIndex, Expr, IndexColumn, IndexType, ObjectName};
use polder_lake::{AlterColumn, Index, Key, TableName, Transaction, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::names::{fold, parts};
use super::super::{Context, ended};
use super::foreign;
use super::rules::{column_id, existing, free_name, key_ids, no_deferral};
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_index(&self, cell: &TransactionCell, create: &CreateIndex) -> Result<Outcome> {
        let plain = create.include.is_empty()
            && create.nulls_distinct.is_none()
            && create.with.is_empty()
            && create.predicate.is_none()
            && create.index_options.is_empty()
            && create.alter_options.is_empty();
        if !plain {
            return Err(Error::unsupported("CREATE INDEX with INCLUDE, WHERE or options is not supported")
                .with_hint("CREATE INDEX name ON table (columns)"));
        }
        if let Some(method @ (IndexType::GIN | IndexType::GiST | IndexType::SPGiST | IndexType::Custom(_))) =
            &create.using
        {
            return Err(Error::unsupported(format!("CREATE INDEX … USING {method} is not supported"))
                .with_hint("without USING, the columns get bloom filters, and OPTIMIZE sorts by them"));
        }
        let table = self.known(&create.table_name)?;
        let columns = plain_columns(&create.columns)?;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let state = existing(transaction, &table)?;
        let mut rules = state.rules.as_ref().clone();
        let given = match &create.name {
            Some(name) => Some(parts(name)?.pop().unwrap_or_default()),
            None => None,
        };
        let mut done = Outcome::done("CREATE INDEX", None, transaction.base());
        if let Some(notice) = not_kept(create) {
            done = done.notice(notice);
        }
        if let Some(name) = &given
            && let Some((owner, _)) = find_index(transaction, &table.schema, name)
        {
            if create.if_not_exists {
                return Ok(done.skips("42P07", "relation", name));
            }
            return Err(Error::new(ErrorKind::AlreadyExists, format!("index {name:?} exists already, on {owner}"))
                .with_code("42P07"));
        }
        let ids = if create.unique {
            key_ids(&state, &columns)?
        } else {
            columns.iter().map(|column| column_id(&state, column)).collect::<Result<Vec<_>>>()?
        };
        let name = free_name(&rules, given, &format!("{}_{}_idx", table.table, columns.join("_")), &table.table)?;
        if create.unique {
            let key = Key { name, columns: ids, primary: false, index: true, comment: None, index_comment: None };
            rules.keys.push(key);
            transaction.set_rules(&table, rules)?;
            transaction.recheck_keys(&table).await?;
            return Ok(done);
        }
        rules.indexes.push(Index { name, columns: ids, comment: None });
        transaction.set_rules(&table, rules)?;
        Ok(done.notice(
            "tables are read by their statistics: the columns get bloom filters in new files, and OPTIMIZE sorts by them",
        ))
    }

    pub(super) fn drop_index(&self, transaction: &mut Transaction, name: &ObjectName) -> Result<()> {
        let mut all = parts(name)?;
        let index = all.pop().unwrap_or_default();
        let schema = all.pop().unwrap_or_else(|| self.settings.schema.clone());
        let Some((table, _)) = find_index(transaction, &schema, &index) else {
            return Err(Error::not_found(format!("index {index:?} does not exist")).with_code("42704"));
        };
        let mut rules = existing(transaction, &table)?.rules.as_ref().clone();
        if rules.keys.iter().any(|key| !key.index && key.name == index) {
            let message = format!("cannot drop index {index} because constraint {index} on table {table} requires it");
            return Err(Error::invalid(message)
                .with_code("2BP01")
                .with_hint(format!("ALTER TABLE {table} DROP CONSTRAINT {index}")));
        }
        rules.indexes.retain(|known| known.name != index);
        let before = rules.keys.len();
        rules.keys.retain(|known| known.name != index);
        if rules.keys.len() < before {
            let state = existing(transaction, &table)?;
            foreign::release_keys(transaction, &state, &rules.keys, &format!("index {index}"), false)?;
        }
        transaction.set_rules(&table, rules)
    }

    /// `ADD CONSTRAINT name UNIQUE USING INDEX index`: the index becomes the constraint's, and goes by its name.
    pub(super) async fn use_index(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        using: &ConstraintUsingIndex,
        primary: bool,
    ) -> Result<()> {
        if using.characteristics.is_some() {
            return Err(no_deferral());
        }
        let index = fold(&using.index_name);
        let state = existing(cell.lock().await.as_mut().ok_or_else(ended)?, table)?;
        let mut rules = state.rules.as_ref().clone();
        let Some(place) = rules.keys.iter().position(|key| key.name == index) else {
            return Err(match rules.indexes.iter().any(|known| known.name == index) {
                true => Error::invalid(format!("\"{index}\" is not a unique index")).with_code("42809"),
                false => Error::not_found(format!("index \"{index}\" does not exist")).with_code("42704"),
            });
        };
        if !rules.keys[place].index {
            let message = format!("index \"{index}\" is already associated with a constraint");
            return Err(Error::invalid(message).with_code("55000"));
        }
        if primary && rules.primary_key().is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.table);
            return Err(Error::invalid(message).with_code("42P16"));
        }
        let key = rules.keys.remove(place);
        let name = free_name(&rules, using.name.as_ref().map(fold), &index, &table.table)?;
        let of_key = |id: &i64| state.top_columns().find(|column| column.id == *id).map(|column| column.name.clone());
        let columns: Vec<String> = key.columns.iter().filter_map(of_key).collect();
        rules.keys.insert(place, Key { name, primary, index: false, ..key });
        for column in columns.iter().filter(|_| primary) {
            self.check_no_nulls(cell, table, column).await?;
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        for column in columns.into_iter().filter(|_| primary) {
            transaction.alter_column(table, AlterColumn::SetNullable { name: column, nullable: false }).await?;
        }
        transaction.set_rules(table, rules)
    }
}

pub(super) fn find_index(transaction: &Transaction, schema: &str, name: &str) -> Option<(TableName, String)> {
    let view = transaction.view();
    view.tables.values().find_map(|table| {
        let full = view.name_of(table);
        let indexes = table.rules.indexes.iter().map(|index| &index.name);
        let keys = table.rules.keys.iter().map(|key| &key.name);
        let here = full.schema == schema && indexes.chain(keys).any(|known| known == name);
        here.then(|| (full, name.to_owned()))
    })
}

/// What of an index is of no consequence here, and is not recorded.
fn not_kept(create: &CreateIndex) -> Option<String> {
    let orders = create.columns.iter().any(|column| {
        let options = &column.column.options;
        options.asc == Some(false) || options.nulls_first.is_some()
    });
    let mut all = Vec::new();
    if orders {
        all.push("DESC and NULLS FIRST or LAST".to_owned());
    }
    if let Some(method) = create.using.as_ref().filter(|method| **method != IndexType::BTree) {
        all.push(format!("USING {method}"));
    }
    (!all.is_empty())
        .then(|| format!("{} is not kept: files are sorted upwards, and read in either direction", all.join(" and ")))
}

/// The columns of a key, which has no order.
pub(super) fn key_columns(columns: &[IndexColumn]) -> Result<Vec<String>> {
    let ordered =
        |column: &&IndexColumn| column.column.options.asc.is_some() || column.column.options.nulls_first.is_some();
    if let Some(column) = columns.iter().find(ordered) {
        return Err(Error::invalid(format!("{column}: a key has no order"))
            .with_code("42601")
            .with_hint("name the columns alone; CLUSTER BY orders a table's files"));
    }
    plain_columns(columns)
}

fn plain_columns(columns: &[IndexColumn]) -> Result<Vec<String>> {
    columns
        .iter()
        .map(|column| match (&column.column.expr, &column.operator_class) {
            (Expr::Identifier(ident), None) => Ok(fold(ident)),
            (other, _) => {
                Err(Error::unsupported(format!("{other} in a key or index is not supported")).with_hint("name columns"))
            }
        })
        .collect()
}
