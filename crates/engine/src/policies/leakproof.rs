//! The conditions that may be asked of rows that somebody is not shown, since no answer to them can be seen: comparisons of
//! columns and constants. They cannot fail, and call nothing.

use std::collections::HashSet;

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Whether a condition is one of those. `open` are the columns whose values are shown.
pub(super) fn is_leakproof(condition: &Expr, open: &HashSet<String>) -> bool {
    let plain = |expr: &Expr| is_plain(expr, open);
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_leakproof(left, open) && is_leakproof(right, open)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => is_comparison(*op) && plain(left) && plain(right),
        Expr::Not(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => is_leakproof(inner, open),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => plain(inner),
        Expr::Between(between) => plain(&between.expr) && plain(&between.low) && plain(&between.high),
        Expr::InList(list) => plain(&list.expr) && list.list.iter().all(plain),
        other => plain(other),
    }
}

fn is_plain(expr: &Expr, open: &HashSet<String>) -> bool {
    match expr {
        Expr::Column(column) => open.contains(&column.name),
        Expr::Literal(..) => true,
        _ => false,
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    fn check(condition: &Expr, expected: bool) {
        let open = HashSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(is_leakproof(condition, &open), expected, "{condition}");
    }

    #[test]
    fn comparisons_are() {
        check(&col("a").eq(lit(1)), true);
        check(&col("a").gt(lit(1)).and(col("b").lt_eq(lit(2)).or(col("a").is_null())), true);
        check(&col("a").in_list(vec![lit(1), lit(2)], true), true);
        check(&col("a").between(lit(1), lit(2)), true);
        check(&col("a"), true);
    }

    #[test]
    fn what_may_fail_or_is_masked_is_not() {
        check(&(lit(1) / (col("a") - lit(100))).gt(lit(0)), false);
        check(&cast(col("a"), DataType::Int32).eq(lit(1)), false);
        check(&col("secret").eq(lit(1)), false);
        check(&col("a").eq(lit(1)).or(col("secret").eq(lit(1))), false);
        check(&col("a").like(lit("x%")), false);
    }
}
