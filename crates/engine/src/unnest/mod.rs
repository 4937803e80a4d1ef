//! Subqueries that depend on the query around them, as joins.
//!
//! DataFusion turns the simplest ones into joins and refuses the others. Here all of them are unnested, by the method of
//! Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015): the subquery is computed once for all distinct values
//! that it takes from the outer query, and then joined to it. LATERAL is the same join, written out.

mod attach;
mod compare;
mod join;
mod keys;
mod lateral;
mod outer;
mod push;
mod recursive;
mod rows;

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, Sort};
use datafusion::optimizer::AnalyzerRule;

use attach::{Attached, Choice};
use keys::is_subquery;
use lateral::lateral;
use push::{filter, project};

/// The rule. It comes right after types are settled, before functions are swapped for others: those look at columns, and
/// cannot see those of an outer query.
#[derive(Debug)]
pub(crate) struct UnnestSubqueries;

impl AnalyzerRule for UnnestSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_subqueries(&plan)? {
            return Ok(plan);
        }
        let names = Names::default();
        let plan = plan.transform_down_with_subqueries(lateral::fewer_first).data()?;
        plan.transform_up_with_subqueries(|node| unnest(node, &names).map(Transformed::yes)).data()
    }

    fn name(&self) -> &str {
        "unnest_subqueries"
    }
}

/// Names of columns that the rule adds.
#[derive(Debug, Default)]
pub(super) struct Names(Cell<usize>);

impl Names {
    fn next(&self) -> usize {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    /// For the columns of one set of keys.
    fn keys(&self, count: usize) -> Vec<String> {
        let number = self.next();
        (0..count).map(|key| format!("__key_{number}_{key}")).collect()
    }

    fn marker(&self) -> String {
        format!("__mark_{}", self.next())
    }

    fn relation(&self) -> String {
        format!("__sub_{}", self.next())
    }
}

fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            found |= expr.exists(|part| Ok(is_subquery(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// No more than one row, whatever the data.
fn at_most_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => at_most_one_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => at_most_one_row(&node.input),
        LogicalPlan::Subquery(node) => at_most_one_row(&node.subquery),
        LogicalPlan::Filter(node) => at_most_one_row(&node.input),
        LogicalPlan::Sort(node) => at_most_one_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(node) => node.values.len() <= 1,
        LogicalPlan::Limit(node) => {
            let one = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Int64(Some(0 | 1)), _));
            node.fetch.as_deref().is_some_and(one) || at_most_one_row(&node.input)
        }
        _ => false,
    }
}

/// One node, whose inputs and subqueries have been unnested.
fn unnest(node: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    let node = match node {
        LogicalPlan::Join(join) => match lateral(join, names)? {
            LogicalPlan::Join(join) => return on_clause(join, names),
            other => return Ok(other),
        },
        node => node,
    };
    let mut subqueries = false;
    node.apply_expressions(|expr| {
        subqueries |= expr.exists(|part| Ok(is_subquery(part)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    match node {
        // Somewhere below may be what was rewritten, with other knowledge of what can be NULL.
        node if !subqueries => match &node {
            LogicalPlan::Subquery(_) | LogicalPlan::RecursiveQuery(_) => Ok(node),
            _ => node.recompute_schema(),
        },
        LogicalPlan::Filter(node) => predicate(node, names),
        LogicalPlan::Sort(node) => order(node, names),
        LogicalPlan::Projection(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => expressions(node, names),
        node => Ok(node),
    }
}

/// Subqueries in ORDER BY. One may take from columns that are not selected: it is computed below the selection.
fn order(node: Sort, names: &Names) -> Result<LogicalPlan> {
    let Sort { expr: sorts, input, fetch } = node;
    let LogicalPlan::Projection(projection) = input.as_ref() else {
        return expressions(LogicalPlan::Sort(Sort { expr: sorts, input, fetch }), names);
    };
    let schema = Arc::clone(input.schema());
    let mut below = Attached::new(projection.input.as_ref().clone(), names);
    let mut added = Vec::new();
    let mut rewritten = Vec::with_capacity(sorts.len());
    for sort in sorts {
        let expr = sort.expr.clone().transform_down(|part| {
            if !is_subquery(&part) || !below.takes_all(&part)? {
                return Ok(Transformed::no(part));
            }
            let name = names.marker();
            added.push(below.replace(part)?.alias(&name));
            Ok(Transformed::new(Expr::Column(Column::new_unqualified(name)), true, TreeNodeRecursion::Jump))
        })?;
        rewritten.push(sort.with_expr(expr.data));
    }
    let exprs = projection.expr.iter().cloned().chain(added).collect();
    let input = Arc::new(project(exprs, below.into_plan())?);
    let sorted = expressions(LogicalPlan::Sort(Sort { expr: rewritten, input, fetch }), names)?;
    with_columns(sorted, &schema)
}

fn with_columns(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<LogicalPlan> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    project(schema.columns().into_iter().map(Expr::Column).collect(), plan)
}

/// Subqueries in any expressions of a node with one input.
fn expressions(node: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    let schema = Arc::clone(node.schema());
    let inputs = node.inputs();
    let [input] = inputs.as_slice() else { return Ok(node) };
    let mut attached = Attached::new((*input).clone(), names);
    let saver = NamePreserver::new(&node);
    let named = !matches!(node, LogicalPlan::Sort(_));
    let mut exprs = Vec::new();
    for expr in node.expressions() {
        let name = saver.save(&expr);
        let replaced = attached.replace(expr)?;
        exprs.push(if named { name.restore(replaced) } else { replaced });
    }
    let node = node.with_new_exprs(exprs, vec![attached.into_plan()])?;
    with_columns(node, &schema)
}

/// Subqueries in WHERE and HAVING. Those that only choose rows become semi joins and anti joins.
fn predicate(node: Filter, names: &Names) -> Result<LogicalPlan> {
    let schema = Arc::clone(node.input.schema());
    let (with, without): (Vec<_>, Vec<_>) = split_conjunction_owned(node.predicate)
        .into_iter()
        .partition(|expr| expr.exists(|part| Ok(is_subquery(part))).unwrap_or(true));
    // Fewer rows first.
    let mut attached = Attached::new(filter(conjunction(without), Arc::unwrap_or_clone(node.input))?, names);
    let mut rest = Vec::new();
    for conjunct in with {
        if let Choice::Condition(condition) = attached.choose(conjunct)? {
            rest.push(condition);
        }
    }
    with_columns(filter(conjunction(rest), attached.into_plan())?, &schema)
}

/// Subqueries in ON. Each is computed beside the input that it is about.
fn on_clause(join: Join, names: &Names) -> Result<LogicalPlan> {
    let subqueries =
        join.filter.as_ref().is_some_and(|filter| filter.exists(|part| Ok(is_subquery(part))).unwrap_or(true));
    if !subqueries {
        return LogicalPlan::Join(join).recompute_schema();
    }
    if matches!(join.join_type, JoinType::Left | JoinType::Right)
        && let Some(condition) = &join.filter
        && !attach::fits_beside(condition, join.left.schema(), join.right.schema())?
    {
        return outer::pairs(join, names);
    }
    let schema = Arc::clone(&join.schema);
    let Join { left, right, on, filter: condition, join_type, join_constraint, null_equality, null_aware, .. } = join;
    let condition = condition.unwrap_or_else(|| datafusion::logical_expr::lit(true));
    if join_type == JoinType::Inner {
        let joined = Join::try_new(left, right, on, None, join_type, join_constraint, null_equality, null_aware)?;
        let node = Filter::try_new(condition, Arc::new(LogicalPlan::Join(joined)))?;
        return predicate(node, names);
    }
    let mut left = Attached::new(Arc::unwrap_or_clone(left), names);
    let mut right = Attached::new(Arc::unwrap_or_clone(right), names);
    let condition = attach::replace_beside(condition, &mut left, &mut right)?;
    let (left, right) = (Arc::new(left.into_plan()), Arc::new(right.into_plan()));
    let joined =
        Join::try_new(left, right, on, Some(condition), join_type, join_constraint, null_equality, null_aware)?;
    with_columns(LogicalPlan::Join(joined), &schema)
}

fn unwrapped(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down(|node| {
        Ok(match node {
            LogicalPlan::Subquery(subquery) => Transformed::yes(Arc::unwrap_or_clone(subquery.subquery)),
            node => Transformed::no(node),
        })
    })
    .data()
}
