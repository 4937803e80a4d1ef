//! Keys that are equal also where both are NULL.
//!
//! DataFusion 55 makes such keys of `IS NOT DISTINCT FROM` where a join has no others, and so of the whole join one that takes
//! NULLs as equal. What stands above it with `=` is pushed down afterwards and becomes one more of its keys, and NULL is equal to
//! NULL there, too. So they are made when nothing is pushed any more.

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, NullEquality, Result};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::utils::{can_hash, conjunction, find_valid_equijoin_key_pair, split_conjunction_owned};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, Operator};
use datafusion::optimizer::OptimizerConfig;

use super::wrapped::Rule;

/// The rule that makes keys of conditions.
pub(super) const EXTRACTOR: &str = "extract_equijoin_predicate";

/// That rule, which is shown neither null-safe comparisons nor joins that take NULLs as equal.
pub(super) fn plain_keys(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(mut join) = plan else { return rule.rewrite(plan, config) };
    if join.null_equality == NullEquality::NullEqualsNull {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let conjuncts = join.filter.take().map(split_conjunction_owned).unwrap_or_default();
    let (null_safe, others): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(is_null_safe);
    join.filter = conjunction(others);
    rule.rewrite(LogicalPlan::Join(join), config)?.map_data(|plan| match plan {
        LogicalPlan::Join(mut join) => {
            join.filter = conjunction(join.filter.into_iter().chain(null_safe));
            Ok(LogicalPlan::Join(join))
        }
        other => Ok(other),
    })
}

fn is_null_safe(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::IsNotDistinctFrom, .. }))
}

/// The plan whose joins without other keys have their null-safe comparisons as keys.
pub(super) fn keyed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if join.on.is_empty() && join.filter.is_some() => with_keys(join),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn with_keys(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let (mut keys, mut others) = (Vec::new(), Vec::new());
    for conjunct in join.filter.take().map(split_conjunction_owned).unwrap_or_default() {
        match key(&conjunct, join.left.schema(), join.right.schema())? {
            Some(pair) => keys.push(pair),
            None => others.push(conjunct),
        }
    }
    join.filter = conjunction(others);
    if keys.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    join.on = keys;
    join.null_equality = NullEquality::NullEqualsNull;
    Ok(Transformed::yes(LogicalPlan::Join(join)))
}

/// The two sides of a null-safe comparison of one side of the join with the other.
fn key(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Result<Option<(Expr, Expr)>> {
    let Expr::BinaryExpr(BinaryExpr { left: one, op: Operator::IsNotDistinctFrom, right: other }) = expr else {
        return Ok(None);
    };
    let Some((one, other)) = find_valid_equijoin_key_pair(one, other, left, right)? else { return Ok(None) };
    let hashes = can_hash(&one.get_type(left)?) && can_hash(&other.get_type(right)?);
    Ok(hashes.then_some((one, other)))
}
