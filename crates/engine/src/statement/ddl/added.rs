//! ALTER TABLE … ADD COLUMN of a column that says more of itself than a type and a default: constraints, and values that are computed
//! from other columns or counted up, which each row that is there gets too.

use datafusion::sql::sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef, Expr, IndexColumn, TableConstraint,
};
use polder_lake::{AlterColumn, IdentityPlace, TableName, TransactionCell};
use polder_types::{Error, Result};

use super::super::{Context, ended};
use super::column;
use super::retype::cast;
use super::rules::{Draft, column_id, existing};
use crate::parse::parse_expr;

impl Context<'_> {
    /// Carries out an ADD COLUMN of such a column; false if it is none.
    pub(super) async fn add_ruled(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<bool> {
        let mut plain = operation.clone();
        let AlterTableOperation::AddColumn { column_def, .. } = &mut plain else { return Ok(false) };
        let constraints = constraints(column_def);
        let mut draft = Draft::default();
        draft.take_column(column_def)?;
        let computed = !draft.is_empty();
        if constraints.is_empty() && !computed {
            return Ok(false);
        }
        let definition = column_def.clone();
        let width = self.width(cell, name).await?;
        if computed {
            self.add_computed(cell, name, plain, definition, draft).await?;
        } else {
            self.change_columns_or_defaults(cell, name, &plain).await?;
        }
        // IF NOT EXISTS found it there, and adds nothing.
        if self.width(cell, name).await? != width {
            for constraint in &constraints {
                self.add_constraint(cell, name, constraint).await?;
            }
        }
        Ok(true)
    }

    async fn width(&self, cell: &TransactionCell, name: &TableName) -> Result<Option<usize>> {
        let guard = cell.lock().await;
        Ok(guard.as_ref().ok_or_else(ended)?.table(name).map(|table| table.columns.len()))
    }

    /// A new column that is generated, or counts itself up.
    async fn add_computed(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        mut operation: AlterTableOperation,
        definition: ColumnDef,
        draft: Draft,
    ) -> Result<()> {
        let of_default = |option: &ColumnOptionDef| matches!(option.option, ColumnOption::Default(_));
        if definition.options.iter().any(of_default) {
            let message = format!("column {} computes its values itself, and can have no default", definition.name);
            return Err(Error::invalid(message).with_code("42601"));
        }
        let not_null = definition.options.iter().any(|option| option.option == ColumnOption::NotNull);
        if let AlterTableOperation::AddColumn { column_def, .. } = &mut operation {
            column_def.options.retain(|option| option.option != ColumnOption::NotNull);
        }
        let values = values(&draft)?;
        let (width, column) = (self.width(cell, name).await?, column(&definition.name));
        self.change_columns(cell, name, &operation).await?;
        if self.width(cell, name).await? == width {
            return Ok(());
        }
        let counted = {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let table = existing(transaction, name)?;
            let rules = draft.onto(self.engine, &table)?;
            transaction.set_rules(name, rules)?;
            let table = existing(transaction, name)?;
            IdentityPlace::of(&table, column_id(&table, &column)?)
        };
        let rows = self.fill_column(cell, name, &column, cast(values, &definition.data_type)).await?;
        if let Some(place) = counted {
            // The next row goes on behind those that are numbered here.
            self.engine.lake.next_identity(&place, rows)?;
        }
        if not_null {
            self.check_no_nulls(cell, name, &column).await?;
            let mut guard = cell.lock().await;
            let change = AlterColumn::SetNullable { name: column, nullable: false };
            guard.as_mut().ok_or_else(ended)?.alter_column(name, change).await?;
        }
        Ok(())
    }
}

/// What the rows that are there get.
fn values(draft: &Draft) -> Result<Expr> {
    if let Some((_, _, start, step)) = draft.identities.first() {
        return parse_expr(&format!("(row_number() OVER (ORDER BY rowid) - 1) * ({step}) + ({start})"));
    }
    let (_, generated) = draft.generated.first().ok_or_else(|| Error::internal("a column without its values"))?;
    Ok(generated.clone())
}

/// Takes the constraints out of a column's definition, as those of its table.
fn constraints(definition: &mut ColumnDef) -> Vec<TableConstraint> {
    let key = || vec![IndexColumn::from(definition.name.clone())];
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for ColumnOptionDef { name, option } in std::mem::take(&mut definition.options) {
        taken.push(match option {
            ColumnOption::PrimaryKey(mut constraint) => {
                (constraint.name, constraint.columns) = (name, key());
                TableConstraint::PrimaryKey(constraint)
            }
            ColumnOption::Unique(mut constraint) => {
                (constraint.name, constraint.columns) = (name, key());
                TableConstraint::Unique(constraint)
            }
            ColumnOption::Check(mut constraint) => {
                constraint.name = name;
                TableConstraint::Check(constraint)
            }
            ColumnOption::ForeignKey(mut constraint) => {
                (constraint.name, constraint.columns) = (name, vec![definition.name.clone()]);
                TableConstraint::ForeignKey(constraint)
            }
            option => {
                kept.push(ColumnOptionDef { name, option });
                continue;
            }
        });
    }
    definition.options = kept;
    taken
}
