//! The order of intervals, which is that of their length: 36 hours come after a day, though they have no days.
//!
//! Arrow compares months first, then days, then the rest. Comparisons by operators are planned elsewhere; here are lists,
//! ranges, what sorts, and the least and the greatest.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::rewrite_plan;
use crate::functions::call;

const LENGTH: &str = "polder_interval_order";
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

#[derive(Debug)]
pub(super) struct IntervalOrder;

impl AnalyzerRule for IntervalOrder {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|mut plan| {
            let mut sorted = false;
            if let LogicalPlan::Sort(sort) = &mut plan {
                let schema = sort.input.schema().as_ref().clone();
                for key in &mut sort.expr {
                    sorted |= by_length(key, &schema);
                }
            }
            let rewritten = rewrite_plan(plan, &expression)?;
            Ok(if sorted { Transformed::yes(rewritten.data) } else { rewritten })
        })
        .data()
    }

    fn name(&self) -> &str {
        "interval_order"
    }
}

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| matches!(data_type, DataType::Interval(_)))
}

/// Sorts by the length, if it is one of intervals.
fn by_length(key: &mut Sort, schema: &DFSchema) -> bool {
    let found = is_interval(&key.expr, schema);
    if found {
        key.expr = call(LENGTH, vec![std::mem::take(&mut key.expr)]);
    }
    found
}

/// The lengths of values that are compared, if one of them is an interval. Texts in quotes are read as such.
fn lengths(exprs: &mut [&mut Expr], schema: &DFSchema) -> bool {
    if !exprs.iter().any(|expr| is_interval(expr, schema)) {
        return false;
    }
    for expr in exprs {
        let mut value = std::mem::take(&mut **expr);
        if matches!(value, Expr::Literal(ScalarValue::Utf8(_), _)) {
            value = cast(value, INTERVAL);
        }
        **expr = call(LENGTH, vec![value]);
    }
    true
}

fn expression(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::Between(between) => lengths(&mut [&mut between.expr, &mut between.low, &mut between.high], schema),
        Expr::InList(list) => {
            let mut all: Vec<&mut Expr> = std::iter::once(&mut *list.expr).chain(&mut list.list).collect();
            lengths(&mut all, schema)
        }
        Expr::WindowFunction(window) => {
            let mut found = false;
            for key in &mut window.params.order_by {
                found |= by_length(key, schema);
            }
            found
        }
        Expr::AggregateFunction(aggregate) => {
            let greatest = match aggregate.func.name() {
                "max" => true,
                "min" => false,
                _ => return Ok(Transformed::no(expr)),
            };
            let [value] = aggregate.params.args.as_slice() else { return Ok(Transformed::no(expr)) };
            if !is_interval(value, schema) {
                return Ok(Transformed::no(expr));
            }
            // Missing ones stand where they are not looked at.
            aggregate.params.order_by = vec![Sort::new(call(LENGTH, vec![value.clone()]), true, greatest)];
            aggregate.params.distinct = false;
            aggregate.func = if greatest { last_value_udaf() } else { first_value_udaf() };
            true
        }
        _ => false,
    };
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}
