//! Casts that are written out, that Arrow makes and PostgreSQL has none of: a moment as the number of its microseconds, a truth as a
//! decimal, a number as JSON; and conditions of CASE that are no truths. They are refused before the planner adds casts of its own.

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, Cast, TryCast};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use polder_types::Error;

use super::operators::is_decimal;
use crate::functions::types::{field_name, is_json, is_text, postgres_name};

#[derive(Debug)]
pub(super) struct RefusedCasts;

impl AnalyzerRule for RefusedCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|part| check(part, node).map(|()| TreeNodeRecursion::Continue))?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "refused_casts"
    }
}

/// Arrow takes any number for a truth that is not 0.
fn check_case(case: &Case, node: &LogicalPlan) -> Result<()> {
    if case.expr.is_some() {
        return Ok(());
    }
    for (when, _) in &case.when_then_expr {
        let Ok((_, field)) = when.to_field(&merge_schema(&node.inputs())) else { continue };
        let is_open = matches!(**when, Expr::Literal(..)) && is_text(field.data_type());
        if is_open || matches!(field.data_type(), DataType::Boolean | DataType::Null) {
            continue;
        }
        let given =
            if is_written(when) && field.data_type().is_integer() { "integer".into() } else { field_name(&field) };
        let message = format!("argument of CASE/WHEN must be type boolean, not type {given}");
        let error = Error::invalid(message).with_code("42804").with_hint("compare the value with another");
        return Err(DataFusionError::External(Box::new(error)));
    }
    Ok(())
}

fn check(expr: &Expr, node: &LogicalPlan) -> Result<()> {
    if let Expr::Case(case) = expr {
        return check_case(case, node);
    }
    let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) = expr else {
        return Ok(());
    };
    // What cannot be typed here is left to the planner.
    let Ok((_, from)) = inner.to_field(&merge_schema(&node.inputs())) else { return Ok(()) };
    if is_json(field) {
        return match is_json(&from) || !has_no_json(from.data_type()) {
            true => Ok(()),
            false => Err(refused(&field_name(&from), &field_name(field), Some("to_jsonb(…) makes JSON of any value"))),
        };
    }
    if *from.data_type() == DataType::Int64 && *field.data_type() == DataType::Boolean && is_written(inner) {
        return Ok(());
    }
    elements(&from, field)
}

/// Values that are JSON only as a function makes them so.
fn has_no_json(from: &DataType) -> bool {
    use DataType as D;
    let scalar = matches!(from, D::Boolean | D::Date32 | D::Timestamp(..) | D::Time64(_) | D::Interval(_) | D::List(_));
    scalar || is_number(from)
}

/// Numbers that are written out have no type of their own yet: `1` is an `integer`, whatever the planner takes it for.
fn is_written(expr: &Expr) -> bool {
    let written = |part: &Expr| matches!(part, Expr::Literal(..) | Expr::BinaryExpr(_) | Expr::Negative(_));
    !expr.exists(|part| Ok(!written(part))).unwrap_or(true)
}

/// Arrays are cast as their elements are.
fn elements(from: &Field, to: &Field) -> Result<()> {
    match (from.data_type(), to.data_type()) {
        (DataType::List(from), DataType::List(to)) => elements(from, to),
        (one, other) if is_refused(one, other) => {
            Err(refused(&postgres_name(one), &postgres_name(other), instead(one, other)))
        }
        _ => Ok(()),
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating() || is_decimal(data_type)
}

fn is_time(data_type: &DataType) -> bool {
    use DataType as D;
    matches!(data_type, D::Timestamp(..) | D::Date32 | D::Time32(_) | D::Time64(_))
}

fn is_refused(from: &DataType, to: &DataType) -> bool {
    use DataType as D;
    match (from, to) {
        // An `integer` is true or false, and the other way round; no other number is.
        (D::Boolean, D::Int32) | (D::Int32, D::Boolean) => false,
        // Frames of windows count times of day so, and what was planned may be planned again.
        (D::Time64(_), D::Int64) => false,
        (D::Boolean, to) => is_number(to) || is_time(to),
        (from, D::Boolean) => is_number(from) || is_time(from),
        (from, D::Binary | D::LargeBinary | D::BinaryView) => is_number(from) || is_time(from),
        (from, to) => is_number(from) && is_time(to) || is_time(from) && is_number(to),
    }
}

/// What gives what people mean by such a cast.
fn instead(from: &DataType, to: &DataType) -> Option<&'static str> {
    use DataType as D;
    Some(match (from, to) {
        (D::Boolean, to) if is_number(to) => "cast it to integer first",
        (from, D::Boolean) if is_number(from) => "compare it with 0, or cast it to integer first",
        (D::Timestamp(..), to) if is_number(to) => "extract(epoch FROM …) gives its seconds since 1970",
        (D::Date32, to) if is_number(to) => "the difference of two dates is a number of days",
        (from, D::Timestamp(..)) if is_number(from) => "to_timestamp(…) makes an instant of seconds since 1970",
        (from, D::Date32) if is_number(from) => "a date plus a number of days is a date",
        _ => return None,
    })
}

fn refused(from: &str, to: &str, hint: Option<&str>) -> DataFusionError {
    let error = Error::invalid(format!("cannot cast type {from} to {to}")).with_code("42846");
    DataFusionError::External(Box::new(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }))
}
