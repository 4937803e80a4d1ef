//! Parts of expressions that are the same, and constants that only look so.
//!
//! DataFusion 55 compares constants without the zone of theirs: `timestamp '2020-01-01 00:00'` is equal to the instant that has the same
//! number, NULL of the one to NULL of the other. The rule that computes each part once would take either for both.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::TimeUnit;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::wrapped::Rule;

/// The rule that computes each part once.
pub(super) const SHARER: &str = "common_sub_expression_eliminate";

/// That rule, which is not shown plans with such constants: they are rare, and without it they are only computed more often.
pub(super) fn told_apart(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    if has_alike(&plan)? { Ok(Transformed::no(plan)) } else { rule.rewrite(plan, config) }
}

/// Whether two moments in a plan are of different types and look the same.
fn has_alike(plan: &LogicalPlan) -> Result<bool> {
    let mut seen = HashMap::new();
    let mut alike = false;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Values(_)) {
            // They may be many, and nothing of them is computed twice.
            return Ok(TreeNodeRecursion::Continue);
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part
                    && let Some((number, zone)) = moment(value)
                {
                    alike |= *seen.entry(number).or_insert_with(|| zone.clone()) != zone;
                }
                Ok(if alike { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    Ok(alike)
}

/// What DataFusion compares of a moment, and its zone.
fn moment(value: &ScalarValue) -> Option<((TimeUnit, Option<i64>), Option<Arc<str>>)> {
    Some(match value {
        ScalarValue::TimestampSecond(number, zone) => ((TimeUnit::Second, *number), zone.clone()),
        ScalarValue::TimestampMillisecond(number, zone) => ((TimeUnit::Millisecond, *number), zone.clone()),
        ScalarValue::TimestampMicrosecond(number, zone) => ((TimeUnit::Microsecond, *number), zone.clone()),
        ScalarValue::TimestampNanosecond(number, zone) => ((TimeUnit::Nanosecond, *number), zone.clone()),
        _ => return None,
    })
}
