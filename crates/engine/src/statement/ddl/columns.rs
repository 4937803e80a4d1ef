//! The column changes of ALTER TABLE.

use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef, DataType, Expr, Ident,
};
use futures::StreamExt;
use polder_capability::Notice;
use polder_lake::{AlterColumn, ColumnSpec, TableName, TableState, TransactionCell};
use polder_types::{Error, Result};

use super::super::target::quoted;
use super::super::{Context, ended};
use super::column;
use super::constants::declared;
use super::create::{check_column, name_text, spec_of};
use crate::error::from_datafusion;
use crate::parse::parse_kept;
use crate::rewrite::whole_numbers;

/// What of a change there is nothing to do for: IF EXISTS, and IF NOT EXISTS.
pub(super) fn passed_over(table: &TableState, operation: &AlterTableOperation) -> Vec<Notice> {
    use AlterTableOperation as O;
    let has = |name: &str| table.top_columns().any(|column| column.name == name);
    let notice = |what: &str, name: &str, words: &str| {
        Notice::new(format!("{what} {name:?} of relation {:?} {words}, skipping", table.name))
    };
    match operation {
        O::AddColumn { if_not_exists: true, column_def, .. } => {
            let name = Some(column(&column_def.name)).filter(|name| has(name));
            name.map(|name| notice("column", &name, "already exists").with_code("42701")).into_iter().collect()
        }
        O::DropColumn { column_names, if_exists: true, .. } => {
            let missing = column_names.iter().map(column).filter(|name| !has(name));
            missing.map(|name| notice("column", &name, "does not exist")).collect()
        }
        O::DropConstraint { if_exists: true, name, .. } => {
            let name = Some(column(name)).filter(|name| !table.rules.has_name(name));
            name.map(|name| notice("constraint", &name, "does not exist")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What is wrong with the only expression of a column's definition.
pub(super) fn of_default(error: Error) -> Error {
    match error.code() {
        // Whether there is such a column makes no difference.
        "42703" => Error::unsupported("cannot use column reference in DEFAULT expression")
            .with_hint("GENERATED ALWAYS AS (…) STORED computes a column from others of its row"),
        _ => error,
    }
}

impl Context<'_> {
    pub(super) async fn column_changes(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<Vec<AlterColumn>> {
        use AlterTableOperation as O;
        let known: Vec<String> = {
            let guard = cell.lock().await;
            let state = guard.as_ref().ok_or_else(ended)?.table(table);
            let Some(state) = state else {
                return Err(Error::invalid(format!("{table} is a view; only RENAME TO changes one")).with_code("42809"));
            };
            state.top_columns().map(|column| column.name.clone()).collect()
        };
        match operation {
            O::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
                if *if_not_exists && known.contains(&column(&column_def.name)) {
                    return Ok(Vec::new());
                }
                check_column(column_def)?;
                Ok(vec![AlterColumn::Add(self.column_spec(cell, column_def).await?)])
            }
            O::DropColumn { column_names, if_exists, .. } => Ok(column_names
                .iter()
                .map(column)
                .filter(|name| !*if_exists || known.contains(name))
                .map(|name| AlterColumn::Drop { name })
                .collect()),
            O::RenameColumn { old_column_name, new_column_name } => {
                Ok(vec![AlterColumn::Rename { name: column(old_column_name), to: column(new_column_name) }])
            }
            O::AlterColumn { column_name, op } => {
                self.alter_column(cell, table, column(column_name), op).await.map(|change| vec![change])
            }
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                Err(Error::unsupported(format!("ALTER TABLE … {} is not supported", words.join(" "))))
            }
        }
    }

    async fn alter_column(
        &self,
        cell: &TransactionCell,
        table: &TableName,
        name: String,
        operation: &AlterColumnOperation,
    ) -> Result<AlterColumn> {
        match operation {
            AlterColumnOperation::DropNotNull => Ok(AlterColumn::SetNullable { name, nullable: true }),
            AlterColumnOperation::SetNotNull => {
                self.check_no_nulls(cell, table, &name).await?;
                Ok(AlterColumn::SetNullable { name, nullable: false })
            }
            AlterColumnOperation::DropDefault => Ok(AlterColumn::SetDefault { name, default: None }),
            AlterColumnOperation::SetDefault { value } => {
                let field = {
                    let guard = cell.lock().await;
                    let state = guard.as_ref().ok_or_else(ended)?.table(table);
                    state.and_then(|state| state.schema().field_with_name(&name).ok().cloned())
                };
                let Some(field) = field else {
                    return Err(
                        Error::not_found(format!("column {name:?} of {table} does not exist")).with_code("42703")
                    );
                };
                let expr = self.constant(cell, value).await?;
                let default = self.literal(&expr, &name, field.data_type(), declared(&field))?;
                Ok(AlterColumn::SetDefault { name, default: Some(default).filter(|text| text != "NULL") })
            }
            other => Err(Error::unsupported(format!("ALTER COLUMN … {other} is not supported"))),
        }
    }

    /// A column as DataFusion understands its definition: planned as a table of one column.
    pub(super) async fn column_spec(&self, cell: &TransactionCell, definition: &ColumnDef) -> Result<ColumnSpec> {
        let mut statement = parse_kept("CREATE TABLE definition (one BIGINT)")?;
        if let Parsed::Statement(statement) = &mut statement
            && let datafusion::sql::sqlparser::ast::Statement::CreateTable(create) = statement.as_mut()
        {
            create.columns = vec![definition.clone()];
        }
        let scope = self.writing_scope(cell).await?;
        let plan =
            whole_numbers::plan(&scope.state, statement).await.map_err(|error| of_default(from_datafusion(error)))?;
        let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) = plan else {
            return Err(Error::internal("a column's definition planned as something else"));
        };
        let schema = table.input.schema();
        let field = schema.fields().first().ok_or_else(|| Error::internal("a definition without a column"))?;
        let mut spec = spec_of(field, field.is_nullable());
        name_text(&mut spec, &definition.data_type);
        if let Some((name, default)) = table.column_defaults.first() {
            // In a place of its own a column's name is not looked for.
            if default.any_column_refs() {
                return Err(of_default(Error::not_found("a column in a default").with_code("42703")));
            }
            let text = self.literal(default, name, &spec.data_type, spec.declared.as_deref())?;
            spec.default = Some(text).filter(|text| text != "NULL");
        }
        Ok(spec)
    }

    /// A constant expression, planned as a default.
    pub(super) async fn constant(
        &self,
        cell: &TransactionCell,
        value: &Expr,
    ) -> Result<datafusion::logical_expr::Expr> {
        let definition = ColumnDef {
            name: Ident::new("one"),
            data_type: DataType::Text,
            options: vec![ColumnOptionDef { name: None, option: ColumnOption::Default(value.clone()) }],
        };
        let mut statement = parse_kept("CREATE TABLE definition (one BIGINT)")?;
        if let Parsed::Statement(statement) = &mut statement
            && let datafusion::sql::sqlparser::ast::Statement::CreateTable(create) = statement.as_mut()
        {
            create.columns = vec![definition];
        }
        let scope = self.writing_scope(cell).await?;
        let plan =
            whole_numbers::plan(&scope.state, statement).await.map_err(|error| of_default(from_datafusion(error)))?;
        match plan {
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(mut table)) if !table.column_defaults.is_empty() => {
                let default = table.column_defaults.swap_remove(0).1;
                if default.any_column_refs() {
                    return Err(of_default(Error::not_found("a column in a default").with_code("42703")));
                }
                Ok(default)
            }
            _ => Err(Error::internal("a default planned as something else")),
        }
    }

    pub(super) async fn check_no_nulls(&self, cell: &TransactionCell, table: &TableName, name: &str) -> Result<()> {
        if self.any_row(cell, table, &format!("{} IS NULL", quoted(name))).await? {
            let message = format!("column {name:?} of relation {:?} contains null values", table.table);
            return Err(Error::invalid(message)
                .with_code("23502")
                .with_hint("UPDATE them first")
                .of_table(&table.schema, &table.table)
                .of_column(name));
        }
        Ok(())
    }

    /// Whether a condition is true for any row of a table.
    pub(super) async fn any_row(&self, cell: &TransactionCell, table: &TableName, condition: &str) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {}.{} WHERE {condition} LIMIT 1", quoted(&table.schema), quoted(&table.table));
        let scope = self.writing_scope(cell).await?;
        let plan = whole_numbers::plan(&scope.state, parse_kept(&sql)?).await.map_err(from_datafusion)?;
        let mut rows = self.execute(&scope, plan).await?;
        while let Some(batch) = rows.next().await {
            if batch.map_err(from_datafusion)?.num_rows() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
