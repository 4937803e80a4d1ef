//! `array_agg(DISTINCT …)` gives its values sorted, as PostgreSQL finds the different ones.
//!
//! It sorts them itself. DataFusion 55 makes groups of the different values where there are no others, and gathers those of the
//! groups, which come in no order.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::wrapped::Rule;

/// The rule that makes groups of different values.
pub(super) const GROUPER: &str = "single_distinct_aggregation_to_group_by";

/// That rule, which is not shown what gathers different values.
pub(super) fn ungathered(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    match &plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(gathers) => Ok(Transformed::no(plan)),
        _ => rule.rewrite(plan, config),
    }
}

fn gathers(expr: &Expr) -> bool {
    matches!(expr, Expr::AggregateFunction(function)
        if function.params.distinct && matches!(function.func.name(), "array_agg" | "string_agg"))
}
