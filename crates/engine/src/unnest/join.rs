//! Joins on keys, of which some may be NULL and are then equal.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality, Result, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, JoinConstraint, JoinType, LogicalPlan, Operator, binary_expr, lit,
};

/// A key on both sides of a join.
pub(super) struct Pair {
    left: Expr,
    right: Expr,
    /// NULL is equal to nothing.
    plain: bool,
}

pub(super) fn key_pairs(left: Vec<Expr>, right: &[Column], plain: bool) -> Vec<Pair> {
    left.into_iter().zip(right).map(|(left, right)| Pair { left, right: Expr::Column(right.clone()), plain }).collect()
}

/// The keys as a condition, in a form that hashing can serve.
///
/// Null-safe comparisons are hashed only where they stand alone. Beside others (`mixed`) a key that may be NULL becomes two:
/// whether it is NULL, and its value with a default for NULL.
pub(super) fn condition(
    left: &LogicalPlan,
    right: &LogicalPlan,
    pairs: Vec<Pair>,
    mixed: bool,
) -> Result<Option<Expr>> {
    let nullable = |pair: &Pair| {
        !pair.plain
            && (pair.left.nullable(left.schema()).unwrap_or(true)
                || pair.right.nullable(right.schema()).unwrap_or(true))
    };
    let mixed = mixed || !pairs.iter().all(nullable);
    let mut conditions = Vec::with_capacity(pairs.len());
    for pair in pairs {
        if !nullable(&pair) {
            conditions.push(pair.left.eq(pair.right));
        } else if !mixed {
            conditions.push(binary_expr(pair.left, Operator::IsNotDistinctFrom, pair.right));
        } else if let Ok(default) = ScalarValue::new_default(&pair.left.get_type(left.schema())?) {
            conditions.push(pair.left.clone().is_null().eq(pair.right.clone().is_null()));
            let default = || lit(default.clone());
            conditions.push(coalesce(vec![pair.left, default()]).eq(coalesce(vec![pair.right, default()])));
        } else {
            conditions.push(binary_expr(pair.left, Operator::IsNotDistinctFrom, pair.right));
        }
    }
    Ok(conjunction(conditions))
}

/// A join on keys and whatever else is asked for.
pub(super) fn join_on_keys(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    pairs: Vec<Pair>,
    also: Option<Expr>,
) -> Result<LogicalPlan> {
    let keys = condition(&left, &right, pairs, also.is_some())?;
    let filter = conjunction(also.into_iter().chain(keys));
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(right),
        Vec::new(),
        filter,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?))
}
