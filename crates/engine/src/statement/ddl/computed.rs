//! Defaults that are computed for each row, in ALTER TABLE: arrays, and what is no constant. The catalog's own defaults are texts
//! of single values; these are rules of the table.

use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, ColumnOption, DataType, Expr,
};
use polder_lake::{AlterColumn, ComputedDefault, Keys, TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::changes::{self, Again, Changes};
use super::super::target::Target;
use super::super::{Context, ended};
use super::column;
use super::constants::declared;
use super::create::check_column;
use super::retype::cast;
use super::rules::{check_default, column_id};
use crate::functions::types;
use crate::parse::parse_expr;
use crate::policies::Purpose;

impl Context<'_> {
    /// A change of columns, of which one may get such a default, or lose it.
    pub(super) async fn change_columns_or_defaults(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<()> {
        if self.computed_default(cell, name, operation).await? {
            return Ok(());
        }
        self.change_columns(cell, name, operation).await
    }

    /// Carries out a change of a column that sets such a default; false if there is more to be done, or it is not about one.
    async fn computed_default(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<bool> {
        match operation {
            AlterTableOperation::AddColumn { column_def, .. } => {
                let Some((plain, default)) = apart(column_def) else { return Ok(false) };
                match self.column_spec(cell, column_def).await {
                    Err(error) if error.kind() == ErrorKind::Unsupported => {}
                    _ => return Ok(false),
                }
                check_column(column_def)?;
                check_default(self.engine, &default)?;
                self.add_filled(cell, name, operation, plain, default).await?;
                Ok(true)
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                let column = column(column_name);
                match op {
                    AlterColumnOperation::DropDefault => self.set_rule(cell, name, &column, None).await?,
                    AlterColumnOperation::SetDefault { value } => {
                        let default = self.of_rule(cell, name, &column, value).await?;
                        let computed = default.is_some();
                        self.set_rule(cell, name, &column, default).await?;
                        return Ok(computed);
                    }
                    _ => {}
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// A default as a rule, if it is not one that the catalog's texts can say.
    async fn of_rule(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        value: &Expr,
    ) -> Result<Option<Expr>> {
        let field = {
            let guard = cell.lock().await;
            let table = guard.as_ref().ok_or_else(ended)?.table(name);
            table.and_then(|table| table.schema().field_with_name(column).ok().cloned())
        };
        // A column that is not there is told of by whoever sets the default.
        let Some(field) = field else { return Ok(None) };
        let planned = self.constant(cell, value).await?;
        match self.literal(&planned, column, field.data_type(), declared(&field)) {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                match parse_expr(&format!("NULL::{}", types::field_name(&field)))? {
                    Expr::Cast { data_type: data_type @ (DataType::Array(_) | DataType::Uuid), .. } => {
                        Ok(Some(cast(value.clone(), &data_type)))
                    }
                    _ => Ok(Some(value.clone())),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the rule that computes a column's default, in the place of the catalog's own, or takes it away.
    async fn set_rule(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        default: Option<Expr>,
    ) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let Some(table) = transaction.table(name) else { return Ok(()) };
        let Some(id) = table.top_columns().find(|known| known.name == column).map(|known| known.id) else {
            return Ok(());
        };
        let mut rules = table.rules.as_ref().clone();
        rules.defaults.retain(|known| known.column != id);
        if let Some(default) = default {
            check_default(self.engine, &default)?;
            if rules.identity_of(id).is_some() || rules.generated_of(id).is_some() {
                return Err(Error::invalid(format!(
                    "column {column:?} of relation {:?} computes its values itself",
                    table.name
                ))
                .with_code("42601"));
            }
            rules.defaults.push(ComputedDefault { column: id, sql: default.to_string() });
            transaction.alter_column(name, AlterColumn::SetDefault { name: column.to_owned(), default: None }).await?;
        }
        if rules == *table.rules {
            return Ok(());
        }
        transaction.set_rules(name, rules)
    }

    /// A new column with a default that is computed, which each row that is there gets too.
    async fn add_filled(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
        plain: ColumnDef,
        default: Expr,
    ) -> Result<()> {
        let AlterTableOperation::AddColumn { column_keyword, if_not_exists, column_position, .. } = operation else {
            return Err(Error::internal("no column is added"));
        };
        // Refused for what no default may hold, such as a column, which is there for the rows that are filled.
        self.constant(cell, &default).await?;
        let column = column(&plain.name);
        let nullable = !plain.options.iter().any(|option| option.option == ColumnOption::NotNull);
        let expr = cast(default, &plain.data_type);
        let added = ColumnDef { options: Vec::new(), ..plain };
        let add = AlterTableOperation::AddColumn {
            column_keyword: *column_keyword,
            if_not_exists: *if_not_exists,
            column_def: added,
            column_position: column_position.clone(),
        };
        let known = cell.lock().await.as_ref().ok_or_else(ended)?.table(name).map(|table| table.columns.len());
        self.change_columns(cell, name, &add).await?;
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let Some(table) = transaction.table(name).filter(|table| Some(table.columns.len()) != known) else {
                // IF NOT EXISTS found it there, and adds nothing.
                return Ok(());
            };
            let mut rules = table.rules.as_ref().clone();
            rules.defaults.push(ComputedDefault { column: column_id(&table, &column)?, sql: expr.to_string() });
            transaction.set_rules(name, rules)?;
        }
        self.fill_column(cell, name, &column, expr).await?;
        if !nullable {
            self.check_no_nulls(cell, name, &column).await?;
            let mut guard = cell.lock().await;
            let change = AlterColumn::SetNullable { name: column, nullable: false };
            guard.as_mut().ok_or_else(ended)?.alter_column(name, change).await?;
        }
        Ok(())
    }

    /// Gives every row a value in a column; how many there are.
    pub(super) async fn fill_column(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        value: Expr,
    ) -> Result<usize> {
        let scope = self.writing_scope(cell).await?;
        let target = Target::named(name.clone(), None, &scope.snapshot)?;
        let values = target.columns().map(|known| if known == column { value.clone() } else { target.own(known) });
        let query = target.query(values.collect())?;
        let rows = self.query_rows(&scope, &target, Purpose::Rewrite, query).await?;
        let changes = Changes {
            target,
            action: Some(changes::UPDATE),
            values: true,
            row_ids: true,
            again: Again::Ignore,
            distinct: None,
            keys: Keys::MayChange,
            returning: false,
            checks: None,
        };
        self.apply_rows(cell, &changes, &rows).await.map(|applied| applied.total() as usize)
    }
}

/// A column's definition without its default, and the default.
fn apart(definition: &ColumnDef) -> Option<(ColumnDef, Expr)> {
    let mut plain = definition.clone();
    let place = plain.options.iter().position(|option| matches!(option.option, ColumnOption::Default(_)))?;
    match plain.options.remove(place).option {
        ColumnOption::Default(default) => Some((plain, default)),
        _ => None,
    }
}
