//! Keys, checks, identities, computed defaults and indexes: from their definitions in SQL to the rules of a table.

mod counting;
mod naming;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CheckConstraint, ColumnDef, ColumnOption, CreateTable, DataType, Expr, GeneratedAs, GeneratedExpressionMode, Ident,
    Query, TableConstraint, Visitor,
};
use polder_lake::{
    AlterColumn, Check, ComputedDefault, Identity, Key, TableName, TableRules, TableState, Transaction, TransactionCell,
};
use polder_sql_tree::visit;
use polder_types::{Error, ErrorKind, Result};

use super::super::names::fold;
use super::super::{Context, ended};
use super::columns::of_default;
use super::foreign::{self, Foreign};
use super::indexes::key_columns;
use counting::{sequence, serial};
use naming::{mentions, unqualified};

use crate::keeper::{self, plan_condition, plan_generated};
use crate::parse::{parse_call, parse_expr};

/// Rules whose columns are known by name only, since their table is yet to be made.
#[derive(Debug, Default)]
pub(super) struct Draft {
    keys: Vec<(Option<String>, Vec<String>, bool)>,
    pub foreign: Vec<Foreign>,
    checks: Vec<(Option<String>, Expr)>,
    pub identities: Vec<(String, bool, i64, i64)>,
    pub defaults: Vec<(String, Expr)>,
    pub generated: Vec<(String, Expr)>,
}

impl Draft {
    /// Takes what is a rule out of a table's definition.
    pub fn take(create: &mut CreateTable) -> Result<Self> {
        let mut draft = Self::default();
        for column in &mut create.columns {
            draft.take_column(column)?;
        }
        for constraint in std::mem::take(&mut create.constraints) {
            draft.add(&constraint)?;
        }
        // A primary key has no missing values.
        let primary: Vec<String> =
            draft.keys.iter().filter(|(.., primary)| *primary).flat_map(|(_, columns, _)| columns.clone()).collect();
        for column in create.columns.iter_mut().filter(|column| primary.contains(&fold(&column.name))) {
            let stated = |option: &&datafusion::sql::sqlparser::ast::ColumnOptionDef| {
                matches!(option.option, ColumnOption::NotNull)
            };
            if column.options.iter().find(stated).is_none() {
                column.options.push(datafusion::sql::sqlparser::ast::ColumnOptionDef {
                    name: None,
                    option: ColumnOption::NotNull,
                });
            }
        }
        Ok(draft)
    }

    pub fn take_column(&mut self, column: &mut ColumnDef) -> Result<()> {
        let name = fold(&column.name);
        if let Some(data_type) = serial(&column.data_type) {
            column.data_type = data_type;
            self.identities.push((name.clone(), false, 1, 1));
        }
        let mut kept = Vec::new();
        for option in std::mem::take(&mut column.options) {
            let given = option.name.as_ref().map(fold);
            match &option.option {
                ColumnOption::PrimaryKey(key) if key.characteristics.is_none() => {
                    self.keys.push((given, vec![name.clone()], true));
                }
                ColumnOption::Unique(key) if key.characteristics.is_none() => {
                    self.keys.push((given, vec![name.clone()], false));
                }
                ColumnOption::Check(check) => self.add_check(given, check)?,
                ColumnOption::Generated { generated_as, sequence_options, generation_expr: None, .. } => {
                    let (start, step) = sequence(sequence_options.as_deref().unwrap_or_default())?;
                    let always = matches!(generated_as, GeneratedAs::Always);
                    self.identities.push((name.clone(), always, start, step));
                }
                ColumnOption::Generated { generation_expr: Some(expr), generation_expr_mode, .. } => {
                    if matches!(generation_expr_mode, Some(GeneratedExpressionMode::Virtual)) {
                        return Err(Error::unsupported(format!("column {name:?}: VIRTUAL columns are not supported"))
                            .with_hint("write STORED, or compute it in a view"));
                    }
                    self.generated.push((name.clone(), expr.clone()));
                }
                ColumnOption::ForeignKey(key) => {
                    self.foreign.push(Foreign::of(key, given, Some(name.clone()))?);
                }
                ColumnOption::PrimaryKey(_) | ColumnOption::Unique(_) => return Err(no_deferral()),
                _ => kept.push(option),
            }
        }
        let counts = self.identities.iter().any(|(column, ..)| *column == name);
        let stated =
            |option: &datafusion::sql::sqlparser::ast::ColumnOptionDef| matches!(option.option, ColumnOption::NotNull);
        if counts && !kept.iter().any(stated) {
            let option = ColumnOption::NotNull;
            kept.push(datafusion::sql::sqlparser::ast::ColumnOptionDef { name: None, option });
        }
        column.options = kept;
        Ok(())
    }

    pub fn add(&mut self, constraint: &TableConstraint) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                if key.characteristics.is_some() {
                    return Err(no_deferral());
                }
                self.keys.push((key.name.as_ref().map(fold), key_columns(&key.columns)?, true));
            }
            TableConstraint::Unique(key) => {
                if key.characteristics.is_some() {
                    return Err(no_deferral());
                }
                let distinct = datafusion::sql::sqlparser::ast::NullsDistinctOption::NotDistinct;
                if key.nulls_distinct == distinct {
                    return Err(Error::unsupported("UNIQUE NULLS NOT DISTINCT is not supported"));
                }
                self.keys.push((key.name.as_ref().map(fold), key_columns(&key.columns)?, false));
            }
            TableConstraint::Check(check) => self.add_check(check.name.as_ref().map(fold), check)?,
            TableConstraint::ForeignKey(key) => {
                self.foreign.push(Foreign::of(key, key.name.as_ref().map(fold), None)?);
            }
            other => return Err(Error::unsupported(format!("{other} is not supported"))),
        }
        Ok(())
    }

    fn add_check(&mut self, name: Option<String>, check: &CheckConstraint) -> Result<()> {
        if check.enforced == Some(false) {
            return Err(Error::unsupported("CHECK … NOT ENFORCED is not supported").with_hint("leave the check out"));
        }
        self.checks.push((name, check.expr.as_ref().clone()));
        Ok(())
    }

    /// A default that is no constant: kept as it was written.
    pub fn add_default(&mut self, column: &str, create: &CreateTable) -> Result<()> {
        let definition = create.columns.iter().find(|definition| fold(&definition.name) == column);
        let options = definition.map(|definition| definition.options.as_slice()).unwrap_or_default();
        let default = options.iter().find_map(|option| match &option.option {
            ColumnOption::Default(expr) => Some(expr.clone()),
            _ => None,
        });
        let mut expr = default.ok_or_else(|| Error::internal(format!("the default of column {column:?} is lost")))?;
        if let Some(data_type @ (DataType::Array(_) | DataType::Uuid)) =
            definition.map(|definition| &definition.data_type)
        {
            // A text is an array, or an identifier, only where it is known to be one.
            expr = super::retype::cast(expr, data_type);
        }
        self.defaults.push((column.to_owned(), expr));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.checks.is_empty()
            && self.identities.is_empty()
            && self.defaults.is_empty()
            && self.generated.is_empty()
    }

    /// The table's rules with these added. Names that were not given are PostgreSQL's.
    pub fn onto(self, engine: &crate::engine::Engine, table: &TableState) -> Result<TableRules> {
        let mut rules = table.rules.as_ref().clone();
        for (name, columns, primary) in self.keys {
            if primary && let Some(known) = rules.primary_key() {
                return Err(Error::invalid(format!(
                    "table {} has the primary key {:?} already",
                    table.name, known.name
                ))
                .with_code("42P16"));
            }
            let ids = key_ids(table, &columns)?;
            let default = if primary {
                format!("{}_pkey", table.name)
            } else {
                format!("{}_{}_key", table.name, columns.join("_"))
            };
            let name = free_name(&rules, name, &default, &table.name)?;
            let key = Key { name, columns: ids, primary, index: false, comment: None, index_comment: None };
            rules.keys.push(key);
        }
        for (name, expr) in self.checks {
            check_no_query(&expr, "check constraint")?;
            let sql = unqualified(expr, table).to_string();
            let (_, condition) = plan_condition(engine, table, &sql)?;
            let mut columns = condition.column_refs().into_iter();
            let default = match (columns.next(), columns.next()) {
                (Some(only), None) => format!("{}_{}_check", table.name, only.name),
                _ => format!("{}_check", table.name),
            };
            let name = free_name(&rules, name, &default, &table.name)?;
            rules.checks.push(Check { name, sql, comment: None });
        }
        for (column, always, start, step) in self.identities {
            let field = table.arrow_schema.field_with_name(&column);
            if !field.is_ok_and(|field| field.data_type().is_integer()) {
                return Err(Error::invalid(format!("column {column:?} counts itself up, and must be a whole number"))
                    .with_code("22023")
                    .with_hint("smallint, integer or bigint"));
            }
            rules.identities.push(Identity { column: column_id(table, &column)?, always, start, step });
        }
        for (column, expr) in self.defaults {
            check_default(engine, &expr)?;
            rules.defaults.push(ComputedDefault { column: column_id(table, &column)?, sql: expr.to_string() });
        }
        for (column, expr) in self.generated {
            check_no_query(&expr, "column generation expression")?;
            let sql = unqualified(expr, table).to_string();
            let id = column_id(table, &column)?;
            if rules.default_of(id).is_some() || rules.identity_of(id).is_some() {
                return Err(Error::invalid(format!("column {column:?} is generated, and can have no default"))
                    .with_code("42601"));
            }
            rules.generated.push(ComputedDefault { column: id, sql });
        }
        let mut with_generated = table.clone();
        with_generated.rules = std::sync::Arc::new(rules.clone());
        for generated in &rules.generated {
            let column = table.top_columns().find(|column| column.id == generated.column);
            let name = column.map(|column| column.name.as_str()).unwrap_or_default();
            plan_generated(engine, &with_generated, name, &generated.sql)?;
        }
        Ok(rules)
    }
}

/// Refuses a default that could not be computed for a row by itself.
pub(super) fn check_default(engine: &crate::engine::Engine, default: &Expr) -> Result<()> {
    check_no_query(default, "DEFAULT expression").map_err(|error| {
        error.with_hint("a default is made of constants and functions; INSERT … SELECT takes queries")
    })?;
    keeper::check_default(engine, &default.to_string()).map_err(of_default)
}

/// Refuses what reads more than the row that it is computed for.
fn check_no_query(expr: &Expr, place: &str) -> Result<()> {
    struct Queries;

    impl Visitor for Queries {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }

    match visit(expr, &mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::unsupported(format!("cannot use subquery in {place}"))
            .with_hint("it is computed from the columns of one row; FOREIGN KEY is about rows of another table")),
    }
}

pub(super) fn column_id(table: &TableState, name: &str) -> Result<i64> {
    table
        .top_columns()
        .find(|column| column.name == name)
        .map(|column| column.id)
        .ok_or_else(|| Error::not_found(format!("column {name:?} of {} does not exist", table.name)).with_code("42703"))
}

/// The columns of a key. What is stored of an interval is its spelling, of which equal ones have several.
pub(super) fn key_ids(table: &TableState, columns: &[String]) -> Result<Vec<i64>> {
    let is_span = |name: &str| {
        table.top_columns().any(|known| known.name == name && known.declared.as_deref() == Some("interval"))
    };
    if let Some(span) = columns.iter().find(|name| is_span(name)) {
        return Err(Error::unsupported(format!(
            "a key of intervals is not supported: column {span:?} of {}",
            table.name
        ))
        .with_hint("a number of seconds can be a key"));
    }
    columns.iter().map(|column| column_id(table, column)).collect()
}

pub(super) fn free_name(rules: &TableRules, given: Option<String>, default: &str, table: &str) -> Result<String> {
    match given {
        Some(name) if rules.has_name(&name) => {
            Err(Error::new(ErrorKind::AlreadyExists, format!("constraint {name:?} of {table} exists already"))
                .with_code("42710"))
        }
        Some(name) => Ok(name),
        None => {
            let mut name = default.to_owned();
            let mut number = 0;
            while rules.has_name(&name) {
                number += 1;
                name = format!("{default}{number}");
            }
            Ok(name)
        }
    }
}

pub(super) fn no_deferral() -> Error {
    Error::unsupported("DEFERRABLE constraints are not supported")
        .with_hint("keys are checked at the end of each statement")
}

impl Context<'_> {
    /// ALTER TABLE … ADD CONSTRAINT: rows that are there must keep it too.
    pub(super) async fn add_constraint(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        constraint: &TableConstraint,
    ) -> Result<()> {
        match constraint {
            TableConstraint::UniqueUsingIndex(using) => return self.use_index(cell, name, using, false).await,
            TableConstraint::PrimaryKeyUsingIndex(using) => return self.use_index(cell, name, using, true).await,
            _ => {}
        }
        let mut draft = Draft::default();
        draft.add(constraint)?;
        let not_null: Vec<String> =
            draft.keys.iter().filter(|(.., primary)| *primary).flat_map(|(_, columns, _)| columns.clone()).collect();
        for column in &not_null {
            self.check_no_nulls(cell, name, column).await?;
        }
        let table = existing(cell.lock().await.as_mut().ok_or_else(ended)?, name)?;
        let foreign = std::mem::take(&mut draft.foreign);
        let rules = draft.onto(self.engine, &table)?;
        for check in &rules.checks[table.rules.checks.len()..] {
            self.check_all(cell, name, check).await?;
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        for column in not_null {
            transaction.alter_column(name, AlterColumn::SetNullable { name: column, nullable: false }).await?;
        }
        if foreign.is_empty() {
            transaction.set_rules(name, rules)?;
        }
        self.declare_foreign(transaction, name, foreign)?;
        transaction.recheck_keys(name).await
    }

    pub(super) async fn drop_constraint(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        name: &Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let name = fold(name);
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let state = existing(transaction, table)?;
        let known = state.rules.keys.iter().filter(|key| !key.index).map(|key| &key.name);
        let known = known.chain(state.rules.foreign_keys.iter().map(|key| &key.name));
        if !known.chain(state.rules.checks.iter().map(|check| &check.name)).any(|known| *known == name) {
            if if_exists {
                return Ok(());
            }
            let error = Error::not_found(format!("constraint {name:?} of {table} does not exist")).with_code("42704");
            return Err(match state.rules.keys.iter().any(|key| key.name == name) {
                true => error.with_hint(format!("it is an index: DROP INDEX {name}")),
                false => error,
            });
        }
        let kept: Vec<Key> = state.rules.keys.iter().filter(|key| key.index || key.name != name).cloned().collect();
        if kept.len() < state.rules.keys.len() {
            let what = format!("constraint {name} on table {}", table.table);
            foreign::release_keys(transaction, &state, &kept, &what, cascade)?;
        }
        let mut rules = existing(transaction, table)?.rules.as_ref().clone();
        rules.keys = kept;
        rules.foreign_keys.retain(|key| key.name != name);
        rules.checks.retain(|check| check.name != name);
        transaction.set_rules(table, rules)
    }

    /// A condition that all rows of a table keep.
    async fn check_all(&self, cell: &TransactionCell, name: &TableName, check: &Check) -> Result<()> {
        let condition = &check.sql;
        if self.any_row(cell, name, &format!("NOT ({condition})")).await? {
            let message =
                format!("check constraint {:?} of relation {:?} is violated by some row", check.name, name.table);
            return Err(Error::invalid(message)
                .with_code("23514")
                .with_hint(format!("SELECT * FROM {name} WHERE NOT ({condition})"))
                .of_table(&name.schema, &name.table)
                .of_constraint(&check.name));
        }
        Ok(())
    }

    /// What becomes of the checks and the generated columns when a column is renamed (`to`) or dropped.
    pub(super) async fn checks_without(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        column: &str,
        to: Option<&str>,
    ) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let Some(state) = transaction.table(table) else { return Ok(()) };
        let mut rules = state.rules.as_ref().clone();
        let mut changed = Vec::new();
        for mut check in std::mem::take(&mut rules.checks) {
            let mut expr = parse_expr(&check.sql)?;
            if mentions(&mut expr, column, to) {
                let Some(_) = to else { continue };
                check.sql = expr.to_string();
            }
            changed.push(check);
        }
        rules.checks = changed;
        // What is computed from a column that is dropped goes first, by `with_generated`.
        if to.is_some() {
            for generated in &mut rules.generated {
                let mut expr = parse_call(&generated.sql)?;
                if mentions(&mut expr, column, to) {
                    generated.sql = expr.to_string();
                }
            }
        }
        if rules != *state.rules {
            transaction.set_rules(table, rules)?;
        }
        Ok(())
    }

    /// Changes of columns, with the generated columns in front that go along with what they are computed from.
    ///
    /// # Errors
    /// `InvalidInput` (2BP01) for such a column, unless `cascade`.
    pub(super) async fn with_generated(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        changes: Vec<AlterColumn>,
        cascade: bool,
    ) -> Result<Vec<AlterColumn>> {
        let state = cell.lock().await.as_ref().ok_or_else(ended)?.table(table);
        let Some(state) = state else { return Ok(changes) };
        let mut dropped = Vec::new();
        for change in &changes {
            if let AlterColumn::Drop { name } = change {
                dropped.push(name.clone());
            }
        }
        let mut all = Vec::new();
        for generated in &state.rules.generated {
            let known = state.top_columns().find(|known| known.id == generated.column);
            let Some(known) = known.filter(|known| !dropped.contains(&known.name)) else { continue };
            let mut expr = parse_call(&generated.sql)?;
            let Some(source) = dropped.iter().find(|source| mentions(&mut expr, source.as_str(), None)) else {
                continue;
            };
            if !cascade {
                let (name, of) = (&known.name, &table.table);
                let message = format!("cannot drop column {source} of table {of} because other objects depend on it");
                return Err(Error::invalid(message)
                    .with_code("2BP01")
                    .with_detail(format!("column {name} of table {of} depends on column {source} of table {of}"))
                    .with_hint("DROP COLUMN … CASCADE drops both"));
            }
            all.push(AlterColumn::Drop { name: known.name.clone() });
        }
        all.extend(changes);
        Ok(all)
    }
}

pub(super) fn existing(transaction: &Transaction, name: &TableName) -> Result<std::sync::Arc<TableState>> {
    transaction.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))
}
