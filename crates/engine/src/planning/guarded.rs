//! What may fail is computed only where the conditions before it leave it open: `v <> 0 AND 10 / v > 1`.
//!
//! DataFusion computes both sides of an AND for all rows of a batch, unless the first settles most of them, and makes such ANDs of a CASE
//! of truths and of filters above each other. PostgreSQL stops at the first that settles a row, and so people write conditions. Here
//! the last word of the planner puts what may fail into a CASE, which is computed for the rows that reach it alone.
//!
//! In a filter what cannot fail is asked first, whatever the order: a filter above a view may stand before that of the view.

use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, LogicalPlan, Operator, lit};

use crate::semantics::QUOTIENT;

/// Functions that refuse some of their arguments, of those that people guard.
const MAY_FAIL: [&str; 25] = [
    "polder_read",
    "polder_instant_of_text",
    "polder_divide",
    "polder_interval_over",
    "acos",
    "acosd",
    "acosh",
    "asin",
    "asind",
    "atanh",
    "chr",
    "div",
    "exp",
    "factorial",
    "ln",
    "log",
    "log10",
    "make_date",
    "mod",
    "power",
    "sqrt",
    "to_date",
    "to_number",
    "to_timestamp",
    "width_bucket",
];

/// Nodes of a condition that is asked twice: whether it settles the row, and what it is.
const ASKED_MAX: usize = 64;

/// The plan in which nothing that may fail is computed too early.
pub(super) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(_) => Ok(Transformed::no(node)),
        LogicalPlan::Filter(mut filter) => {
            let predicate = filter.predicate.clone();
            match filtered(predicate)? {
                Some(predicate) => {
                    filter.predicate = predicate;
                    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
                }
                None => Ok(Transformed::no(LogicalPlan::Filter(filter))),
            }
        }
        node => {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                if !has_guard(&expr) {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                Ok(Transformed::yes(name.restore(within(expr)?)))
            })
        }
    })
    .data()
}

/// The condition of a filter, if it must be another one: rows for which it is unknown are left out as those for which it is false.
fn filtered(predicate: Expr) -> Result<Option<Expr>> {
    if !may_fail(&predicate) {
        return Ok(None);
    }
    let parts = split_conjunction_owned(predicate).into_iter().map(within).collect::<Result<Vec<_>>>()?;
    let (mut open, safe): (Vec<Expr>, Vec<Expr>) = parts.into_iter().partition(may_fail);
    let Some(last) = open.pop() else { return Ok(conjunction(safe)) };
    let mut behind = last;
    while let Some(before) = open.pop() {
        behind = when(before, behind, lit(false));
    }
    // Beside the CASE again, for those who look which files have such rows; what changes by itself is computed once only.
    let again = conjunction(safe.iter().filter(|part| !part.is_volatile()).cloned());
    let Some(guard) = conjunction(safe) else { return Ok(Some(behind)) };
    let guarded = when(guard, behind, lit(false));
    Ok(Some(match again {
        Some(again) => again.and(guarded),
        None => guarded,
    }))
}

/// Whether an AND or OR in it has something behind it that may fail.
fn has_guard(expr: &Expr) -> bool {
    let is_guard = |part: &Expr| match part {
        Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, right, .. }) => may_fail(right),
        _ => false,
    };
    expr.exists(|part| Ok(is_guard(part))).unwrap_or(false)
}

/// The expression, each AND and OR in it asked from the left, and no further than it is open.
fn within(expr: Expr) -> Result<Expr> {
    let op = match &expr {
        Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => *op,
        _ => return expr.map_children(|child| within(child).map(Transformed::yes)).data(),
    };
    let mut parts = Vec::new();
    split(expr, op, &mut parts);
    let mut parts = parts.into_iter().map(within).collect::<Result<Vec<_>>>()?.into_iter().rev();
    let Some(last) = parts.next() else { return Ok(lit(op == Operator::And)) };
    let (settled, settles): (Expr, fn(Expr) -> Expr) = match op {
        Operator::And => (lit(false), |part| Expr::IsFalse(Box::new(part))),
        _ => (lit(true), |part| Expr::IsTrue(Box::new(part))),
    };
    let mut open = may_fail(&last);
    Ok(parts.fold(last, |behind, part| {
        let fails = may_fail(&part);
        let is_asked = open && !part.is_volatile() && is_small(&part);
        let both = Expr::BinaryExpr(BinaryExpr::new(Box::new(part.clone()), op, Box::new(behind)));
        let whole = if is_asked { when(settles(part), settled.clone(), both) } else { both };
        open |= fails;
        whole
    }))
}

/// Whether an expression may be there twice: of nested ones each level would else be twice the one within.
fn is_small(expr: &Expr) -> bool {
    let mut nodes = 0_usize;
    let counted = expr.apply(|_| {
        nodes += 1;
        Ok(if nodes > ASKED_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    counted.is_ok() && nodes <= ASKED_MAX
}

/// What one kind of operator holds together, from the left.
fn split(expr: Expr, op: Operator, parts: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: of, right }) if of == op => {
            split(*left, op, parts);
            split(*right, op, parts);
        }
        other => parts.push(other),
    }
}

fn when(condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    let branches = vec![(Box::new(condition), Box::new(then))];
    Expr::Case(Case { expr: None, when_then_expr: branches, else_expr: Some(Box::new(otherwise)) })
}

/// Whether it refuses some rows; what a number other than nothing divides does not.
fn may_fail(expr: &Expr) -> bool {
    let fails = |part: &Expr| match part {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, right, .. }) => !divides(right),
        Expr::ScalarFunction(function) if function.name() == QUOTIENT => !function.args.last().is_some_and(divides),
        Expr::ScalarFunction(function) => MAY_FAIL.contains(&function.name()) && !function.args.iter().all(is_constant),
        _ => false,
    };
    expr.exists(|part| Ok(fails(part))).unwrap_or(false)
}

/// Whether it is a number other than nothing.
fn divides(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero != *value)
}

/// A constant is computed before: what it makes fail has failed already.
fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}
