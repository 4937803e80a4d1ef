//! CREATE TABLE (LIKE another).

use datafusion::sql::sqlparser::ast::ObjectName;
use polder_lake::{ColumnSpec, TableName, TableRules, TableState, TransactionCell};
use polder_types::{Error, Result};

use super::super::{Context, ended};
use super::create::spec_of;
use crate::error::from_datafusion;

/// What can be included.
const WORDS: &[&str] = &[
    "ALL",
    "COMMENTS",
    "COMPRESSION",
    "CONSTRAINTS",
    "DEFAULTS",
    "GENERATED",
    "IDENTITY",
    "INDEXES",
    "STATISTICS",
    "STORAGE",
];

impl Context<'_> {
    /// Makes a table with the columns of another table or view, and with what INCLUDING names.
    pub(super) async fn create_like(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        source: &ObjectName,
        including: &[String],
    ) -> Result<()> {
        if let Some(unknown) = including.iter().find(|word| !WORDS.contains(&word.as_str())) {
            return Err(Error::invalid(format!("INCLUDING {unknown} is not known"))
                .with_code("42601")
                .with_hint(format!("there is {}", WORDS.join(", "))));
        }
        let included = |word: &str| including.iter().any(|known| known == word || known == "ALL");
        let scope = self.writing_scope(cell).await?;
        let source = self.existing_name(source, &scope.snapshot)?;
        let table = scope.snapshot.table(&source).cloned();
        if table.is_none() && scope.snapshot.view(&source).is_none() {
            return Err(Error::not_found(format!("table {source} does not exist")).with_code("42P01"));
        }
        let specs: Vec<ColumnSpec> = match &table {
            Some(table) => {
                let state = |name: &str| table.top_columns().find(|column| column.name == name);
                let schema = table.schema();
                let fields = schema.fields().iter().take(table.shown_columns()).map(|field| {
                    let mut spec = spec_of(field, field.is_nullable());
                    if let Some(state) = state(field.name()) {
                        let default = state.default_value.clone().filter(|text| text != "NULL");
                        spec.default = default.filter(|_| included("DEFAULTS"));
                        spec.comment = state.comment.clone().filter(|_| included("COMMENTS"));
                    }
                    spec
                });
                fields.collect()
            }
            None => {
                let reference =
                    datafusion::common::TableReference::full("polder", source.schema.as_str(), source.table.as_str());
                let frame = scope.context().table(reference).await.map_err(from_datafusion)?;
                frame.schema().fields().iter().map(|field| spec_of(field, true)).collect()
            }
        };
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let comment = table.as_ref().and_then(|table| table.comment.clone()).filter(|_| included("COMMENTS"));
        let new = transaction.create_table_with(name, &specs, comment)?;
        let Some(table) = table else { return Ok(()) };
        let rules = copied(&table, &new, &included);
        if rules == TableRules::default() { Ok(()) } else { transaction.set_rules(name, rules) }
    }
}

/// The rules that are included, with the new table's columns and names.
fn copied(old: &TableState, new: &TableState, included: &dyn Fn(&str) -> bool) -> TableRules {
    let same = |id: i64| {
        let name = old.top_columns().find(|column| column.id == id).map(|column| &column.name);
        new.top_columns().find(|column| Some(&column.name) == name).map_or(id, |column| column.id)
    };
    let renamed = |name: &str| match name.strip_prefix(old.name.as_str()) {
        Some(rest) => format!("{}{rest}", new.name),
        None => format!("{}_{name}", new.name),
    };
    let mut rules = TableRules::default();
    if included("INDEXES") {
        rules.keys = old.rules.keys.clone();
        rules.indexes = old.rules.indexes.clone();
        for key in &mut rules.keys {
            key.name = renamed(&key.name);
            key.columns = key.columns.iter().map(|id| same(*id)).collect();
        }
        for index in &mut rules.indexes {
            index.name = renamed(&index.name);
            index.columns = index.columns.iter().map(|id| same(*id)).collect();
        }
    }
    if included("CONSTRAINTS") {
        rules.checks = old.rules.checks.clone();
    }
    if included("IDENTITY") {
        rules.identities = old.rules.identities.clone();
        rules.identities.iter_mut().for_each(|identity| identity.column = same(identity.column));
    }
    if included("DEFAULTS") {
        rules.defaults = old.rules.defaults.clone();
        rules.defaults.iter_mut().for_each(|default| default.column = same(default.column));
    }
    if included("GENERATED") {
        rules.generated = old.rules.generated.clone();
        rules.generated.iter_mut().for_each(|generated| generated.column = same(generated.column));
    }
    if !included("COMMENTS") {
        rules.keys.iter_mut().for_each(|key| (key.comment, key.index_comment) = (None, None));
        rules.indexes.iter_mut().for_each(|index| index.comment = None);
        rules.checks.iter_mut().for_each(|check| check.comment = None);
    }
    rules
}
