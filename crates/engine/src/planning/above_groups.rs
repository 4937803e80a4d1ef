//! Conditions that name no column stay above groups.
//!
//! DataFusion 55 pushes a condition below an aggregate if all columns that it names are keys of the groups, which is so of none,
//! too. Below groups that are there without any row it chooses rows instead of groups: `SELECT count(*) FROM t HAVING EXISTS (SELECT
//! 1 FROM none)` gives 0, and should give no row. A volatile one is asked once for each row instead of once for each group.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::wrapped::Rule;

/// The rule that pushes.
pub(super) const PUSHER: &str = "push_down_filter";

/// That rule, which is not shown such conditions.
pub(super) fn above_groups(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = &plan else { return rule.rewrite(plan, config) };
    let (held, rest): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(|expr| stays(expr, &filter.input));
    let Some(held) = conjunction(held) else { return rule.rewrite(plan, config) };
    let Some(rest) = conjunction(rest) else { return Ok(Transformed::no(plan)) };
    let without = Filter::try_new(rest, Arc::clone(&filter.input))?;
    let below = rule.rewrite(LogicalPlan::Filter(without), config)?;
    if !below.transformed {
        return Ok(Transformed::no(plan));
    }
    below.map_data(|below| Ok(LogicalPlan::Filter(Filter::try_new(held, Arc::new(below))?)))
}

fn stays(condition: &Expr, input: &LogicalPlan) -> bool {
    match input {
        // A group may be there though no row is: the one of all rows, and the empty one of a set.
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() || has_sets(&aggregate.group_expr) => {
            condition.column_refs().is_empty()
        }
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_) => condition.is_volatile(),
        _ => false,
    }
}

/// Whether rows are grouped in several ways at once.
pub(super) fn has_sets(groups: &[Expr]) -> bool {
    matches!(groups, [Expr::GroupingSet(_)])
}
