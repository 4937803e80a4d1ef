//! Relations that take from what stands before them in FROM.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, lit};

use super::join::{Pair, join_on_keys, key_pairs};
use super::keys::{Keys, is_correlated, is_subquery};
use super::push::{Pusher, columns_of, filter, or_empty, project};
use super::{Names, unwrapped, with_columns};

/// Conditions on what stands before a relation that takes from it choose the rows first, as in PostgreSQL: the relation may be
/// a function that fails for the others.
pub(super) fn fewer_first(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(Filter { predicate, input, .. }) = &node else { return Ok(Transformed::no(node)) };
    let LogicalPlan::Join(join) = input.as_ref() else { return Ok(Transformed::no(node)) };
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) || !is_correlated(&join.right)? {
        return Ok(Transformed::no(node));
    }
    let left = join.left.schema();
    let (early, late): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(predicate.clone()).into_iter().partition(|expr| {
            let other = |part: &Expr| matches!(part, Expr::OuterReferenceColumn(..)) || is_subquery(part);
            let columns = expr.column_refs();
            let plain = !expr.is_volatile() && !expr.exists(|part| Ok(other(part))).unwrap_or(true);
            plain && !columns.is_empty() && columns.into_iter().all(|column| left.has_column(column))
        });
    if early.is_empty() {
        return Ok(Transformed::no(node));
    }
    let chosen = filter(conjunction(early), join.left.as_ref().clone())?;
    let joined = LogicalPlan::Join(Join { left: Arc::new(chosen), ..join.clone() });
    Ok(Transformed::yes(filter(conjunction(late), joined)?))
}

/// A join whose right side takes from the left one.
pub(super) fn lateral(join: Join, names: &Names) -> Result<LogicalPlan> {
    if !is_correlated(&join.right)? {
        let (left, right) = (unwrapped(Arc::unwrap_or_clone(join.left))?, unwrapped(Arc::unwrap_or_clone(join.right))?);
        return Ok(LogicalPlan::Join(Join { left: Arc::new(left), right: Arc::new(right), ..join }));
    }
    let right = unwrapped(Arc::unwrap_or_clone(Arc::clone(&join.right)))?;
    let left = Arc::unwrap_or_clone(Arc::clone(&join.left));
    let keys = Keys::of(&right, left.schema())?;
    if keys.exprs.is_empty() {
        return Ok(LogicalPlan::Join(Join { right: Arc::new(right), ..join }));
    }
    let schema = Arc::clone(&join.schema);
    let outer_keys = keys.exprs.clone();
    let pusher = Pusher { outer: &left, keys: &keys, names, steps: Vec::new() };
    let mut pushed = pusher.push(right.clone())?;
    let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let condition = conjunction(on.chain(join.filter.clone()));
    let trivial = match &condition {
        None | Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => true,
        Some(_) => join.join_type == JoinType::Inner,
    };
    if pushed.empty.is_some() && !trivial {
        pushed = pusher.completed(pushed)?;
    }
    let pairs = key_pairs(outer_keys, &pushed.keys, pushed.strict);
    let Some(empty) = pushed.empty else {
        return with_columns(join_on_keys(left, pushed.plan, join.join_type, pairs, condition)?, &schema);
    };
    let values = columns_of(&right);
    filter(condition, one_each(&left, pushed.plan, values, empty, &keys, pairs, names)?)
}

/// One row for each row of the left side: of what there is, or of what nothing comes to.
fn one_each(
    left: &LogicalPlan,
    pushed: LogicalPlan,
    values: Vec<Expr>,
    empty: Vec<Expr>,
    keys: &Keys<'_>,
    pairs: Vec<Pair>,
    names: &Names,
) -> Result<LogicalPlan> {
    let marker = names.marker();
    let mut exprs = columns_of(&pushed);
    exprs.push(lit(true).alias(&marker));
    let mut all = columns_of(&left);
    let joined = join_on_keys(left.clone(), project(exprs, pushed)?, JoinType::Left, pairs, None)?;
    for (value, empty) in values.into_iter().zip(empty) {
        let (qualifier, name) = value.qualified_name();
        all.push(or_empty(&marker, None, keys.unbound(empty)?, value)?.alias_qualified(qualifier, name));
    }
    project(all, joined)
}
