//! `name text COLLATE "C"` where a column is made: there is one order of texts, so it is looked at, and not kept.

use datafusion::sql::sqlparser::ast::{AlterTableOperation, ColumnDef, ColumnOption, DataType, Statement};
use polder_types::{Error, Result};

use crate::functions::syntax::known_collation;

/// Takes the collations of new columns out of a statement.
///
/// # Errors
/// `NotFound` (42704) for a collation that is none, `InvalidInput` (42804) beside a type without any.
pub(super) fn take(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::CreateTable(create) => create.columns.iter_mut().try_for_each(of_column),
        Statement::AlterTable(alter) => alter.operations.iter_mut().try_for_each(|operation| match operation {
            AlterTableOperation::AddColumn { column_def, .. } => of_column(column_def),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn of_column(column: &mut ColumnDef) -> Result<()> {
    let mut kept = Vec::with_capacity(column.options.len());
    for option in std::mem::take(&mut column.options) {
        match &option.option {
            ColumnOption::Collation(collation) => {
                if !has_order_of_texts(&column.data_type) {
                    let message = format!("collations are not supported by type {}", column.data_type);
                    return Err(Error::invalid(message).with_code("42804").with_hint("leave COLLATE out"));
                }
                known_collation(collation)?;
            }
            _ => kept.push(option),
        }
    }
    column.options = kept;
    Ok(())
}

/// Whether it is a type of texts, or one that is not known here.
fn has_order_of_texts(data_type: &DataType) -> bool {
    use DataType as D;
    !matches!(
        data_type,
        D::Int(_)
            | D::Int4(_)
            | D::Integer(_)
            | D::SmallInt(_)
            | D::BigInt(_)
            | D::Int8(_)
            | D::Numeric(_)
            | D::Decimal(_)
            | D::Real
            | D::Float(_)
            | D::Double(_)
            | D::DoublePrecision
            | D::Boolean
            | D::Bool
            | D::Date
            | D::Time(..)
            | D::Timestamp(..)
            | D::Interval { .. }
            | D::Uuid
            | D::JSON
            | D::JSONB
            | D::Bytea
    )
}
