//! The columns that a check or a generated column names.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident};
use polder_lake::TableState;
use polder_sql_tree::visit_expressions_mut;

use super::fold;

/// Whether an expression names a column; gives it another name on the way.
pub(super) fn mentions(expr: &mut Expr, column: &str, to: Option<&str>) -> bool {
    let mut found = false;
    let _ = visit_expressions_mut(expr, |part| {
        let ident = match part {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(idents) => idents.last_mut(),
            _ => None,
        };
        if let Some(ident) = ident
            && fold(ident) == column
        {
            found = true;
            if let Some(to) = to {
                *ident = Ident::with_quote('"', to);
            }
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// The expression with its columns alone: a table's name before them would be wrong once it has another one.
pub(super) fn unqualified(mut expr: Expr, table: &TableState) -> Expr {
    let is_column = |ident: &Ident| table.top_columns().any(|column| column.name == fold(ident));
    let _ = visit_expressions_mut(&mut expr, |part| {
        if let Expr::CompoundIdentifier(idents) = part {
            let before = match idents.as_slice() {
                [name, column, ..] if fold(name) == table.name && is_column(column) => 1,
                // A field of a column.
                [first, ..] if is_column(first) => 0,
                [_, name, column, ..] if fold(name) == table.name && is_column(column) => 2,
                _ => 0,
            };
            idents.drain(..before);
            if let [only] = idents.as_slice() {
                *part = Expr::Identifier(only.clone());
            }
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}
