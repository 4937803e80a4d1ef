//! Rules that go by functional dependencies, kept from believing them.
//!
//! DataFusion 55 takes a part of a group's key for a key of its own, and what was a key below an `unnest` for one above it. Rules
//! that trust in such a key leave out joins, parts of GROUP BY, DISTINCT and parts of ORDER BY, and rows are lost. The tables of a
//! lake declare no keys to the planner, so that little is lost by believing none.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchemaRef, FunctionalDependencies, Result};
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::optimizer::{Optimizer, OptimizerConfig};

use super::above_groups::{PUSHER, above_groups};
use super::calls_apart::CallsApart;
use super::common_parts::{SHARER, told_apart};
use super::constants::{FOLDER, short_constants};
use super::gathered::{GROUPER, ungathered};
use super::null_safe::{EXTRACTOR, plain_keys};
use super::wrapped::{Rule, Wrapped};

/// The rules that read dependencies.
const BELIEVERS: [&str; 4] =
    ["eliminate_join", "eliminate_duplicated_expr", "replace_distinct_aggregate", "optimize_projections"];

/// The planner's usual rules, none of which sees a dependency, nor pushes below groups what belongs above them, nor makes keys that
/// are equal where both are NULL, nor takes constants of two types for one, nor one call of a function for another, nor gathers
/// different values from groups, nor puts long constants in place of calls.
pub(crate) fn rules() -> Vec<Rule> {
    let kept = |rule: Rule| match rule.name() {
        name if BELIEVERS.contains(&name) => Wrapped::rule(rule, independent),
        PUSHER => Wrapped::rule(rule, above_groups),
        EXTRACTOR => Wrapped::rule(rule, plain_keys),
        SHARER => Wrapped::rule(rule, told_apart),
        GROUPER => Wrapped::rule(rule, ungathered),
        FOLDER => Wrapped::rule(rule, short_constants),
        _ => rule,
    };
    let first: Rule = Arc::new(CallsApart);
    std::iter::once(first).chain(Optimizer::new().rules.into_iter().map(kept)).collect()
}

/// A rule that sees no dependencies.
fn independent(rule: &Rule, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let plan = match rule.apply_order() {
        // It walks by itself.
        None => plan.transform_up_with_subqueries(forget).data()?,
        // It is shown each node, and looks at what is just below.
        Some(_) => plan.map_children(forget).data()?,
    };
    rule.rewrite(plan, config)
}

/// The node without the dependencies of its own schema. Nodes without one have that of their input.
fn forget(mut plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = match &mut plan {
        LogicalPlan::Projection(node) => &mut node.schema,
        LogicalPlan::Window(node) => &mut node.schema,
        LogicalPlan::Aggregate(node) => &mut node.schema,
        LogicalPlan::Join(node) => &mut node.schema,
        LogicalPlan::Union(node) => &mut node.schema,
        LogicalPlan::TableScan(node) => &mut node.projected_schema,
        LogicalPlan::SubqueryAlias(node) => &mut node.schema,
        LogicalPlan::Distinct(Distinct::On(node)) => &mut node.schema,
        LogicalPlan::Unnest(node) => &mut node.schema,
        _ => return Ok(Transformed::no(plan)),
    };
    if schema.functional_dependencies().is_empty() {
        return Ok(Transformed::no(plan));
    }
    *schema = without_dependencies(schema)?;
    Ok(Transformed::yes(plan))
}

fn without_dependencies(schema: &DFSchemaRef) -> Result<DFSchemaRef> {
    schema.as_ref().clone().with_functional_dependencies(FunctionalDependencies::empty()).map(Arc::new)
}
