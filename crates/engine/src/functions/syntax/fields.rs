//! Fields of rows that are no columns, such as `(f(x)).a`, and elements of arrays.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Subscript};

use super::{call, number, text};
use crate::statement::fold;

/// A path of fields and elements. The first fields of what is no name are calls: the planner knows fields of columns alone.
pub(super) fn accessed(root: Expr, chain: Vec<AccessExpr>) -> Expr {
    // `t.tags[1]`: the field is a column, and the root its table.
    let is_name = matches!(root, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let mut root = root;
    let mut rest = Vec::with_capacity(chain.len());
    for access in chain {
        match access {
            AccessExpr::Dot(Expr::Identifier(field)) if rest.is_empty() && !is_name => {
                root = call("get_field", vec![root, text(fold(&field))]);
            }
            other => rest.push(bounded(other)),
        }
    }
    if rest.is_empty() {
        return root;
    }
    Expr::CompoundFieldAccess { root: Box::new(root), access_chain: rest }
}

/// A slice without a bound reaches to the end.
fn bounded(access: AccessExpr) -> AccessExpr {
    match access {
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
            AccessExpr::Subscript(Subscript::Slice {
                lower_bound: Some(lower_bound.unwrap_or_else(|| number(1))),
                upper_bound: Some(upper_bound.unwrap_or_else(|| number(i32::MAX))),
                stride,
            })
        }
        other => other,
    }
}
