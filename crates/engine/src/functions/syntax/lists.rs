//! Arrays that are written out, of which the planner forgets the queries around them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Array, Expr};
use polder_sql_tree::visit_expressions;

use super::{arguments, call};

const ARRAY: &str = "make_array";

/// `ARRAY[a, b]` as a call, if it has columns: those of what stands before it in FROM, or of a query around, are known in
/// arguments.
pub(super) fn planned(array: Array) -> Expr {
    let columns = array.elem.iter().any(|element| {
        visit_expressions(element, |part| match part {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    });
    if columns { call(ARRAY, array.elem) } else { Expr::Array(array) }
}

/// Back to an array of single values, for those who take its elements.
pub(super) fn written(expr: Expr) -> Expr {
    let Expr::Function(function) = &expr else { return expr };
    if !is_array(&expr) {
        return expr;
    }
    match arguments(function) {
        Some(elem) if !elem.iter().any(is_array) => Expr::Array(Array { elem, named: true }),
        _ => expr,
    }
}

/// As [`planned`], of what may be no array.
pub(super) fn called(expr: Expr) -> Expr {
    match expr {
        Expr::Array(array) => planned(array),
        other => other,
    }
}

fn is_array(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string() == ARRAY)
}
