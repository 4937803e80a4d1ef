//! Rows of several values compared with a subquery: `(a, b) IN (SELECT c, d …)`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query};
use polder_types::Result;

use super::quoted;
use crate::parse::parse_expr;

/// `(a, b) IN (…)` as what it means: one of the rows is equal; or, where none is, one may be equal but for NULL.
pub(super) fn in_subquery(expr: &mut Expr) -> Result<()> {
    let (left, subquery, negated) = match expr {
        Expr::InSubquery { expr: left, subquery, negated } => (left, subquery, *negated),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_mut() {
            Expr::Subquery(subquery) => (left, subquery, false),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let Expr::Tuple(parts) = left.as_ref() else { return Ok(()) };
    let written = compared(parts, subquery, negated);
    *expr = parse_expr(&written)?;
    Ok(())
}

fn compared(parts: &[Expr], subquery: &Query, negated: bool) -> String {
    let column = |at: usize| quoted(&format!("polder$row{at}"));
    let columns: Vec<String> = (0..parts.len()).map(column).collect();
    let same: Vec<String> = parts.iter().enumerate().map(|(at, part)| format!("{} = {part}", column(at))).collect();
    let same = same.join(" AND ");
    let exists = |condition: &str| {
        format!("EXISTS (SELECT 1 FROM ({subquery}) AS \"polder$rows\"({}) WHERE {condition})", columns.join(", "))
    };
    let found = exists(&format!("({same})"));
    let unknown = exists(&format!("({same}) IS NULL"));
    let (yes, no) = if negated { ("false", "true") } else { ("true", "false") };
    format!("(CASE WHEN {found} THEN {yes} WHEN {unknown} THEN NULL ELSE {no} END)")
}
