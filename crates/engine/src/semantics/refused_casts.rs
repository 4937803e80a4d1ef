//! Casts that are written out, that Arrow makes and PostgreSQL has none of: a moment as the number of its microseconds, a truth as a
//! decimal. They are refused before the planner adds casts of its own.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::operators::is_decimal;
use crate::functions::function::refuse;

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

fn check(expr: &Expr, node: &LogicalPlan) -> Result<()> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return Ok(()) };
    let Some(to) = number(field.data_type()) else { return Ok(()) };
    // What cannot be typed here is left to the planner.
    let Ok(from) = inner.get_type(&merge_schema(&node.inputs())) else { return Ok(()) };
    let from = match from {
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Boolean if is_decimal(field.data_type()) => "boolean",
        _ => return Ok(()),
    };
    Err(refuse("42846", format!("cannot cast type {from} to {to}")))
}

/// What PostgreSQL calls a type of numbers.
fn number(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Int8 | DataType::Int16 => Some("smallint"),
        DataType::Int32 => Some("integer"),
        DataType::Int64 => Some("bigint"),
        DataType::Float32 => Some("real"),
        DataType::Float64 => Some("double precision"),
        decimal if is_decimal(decimal) => Some("numeric"),
        _ => None,
    }
}
