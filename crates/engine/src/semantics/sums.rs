//! Sums of `bigint`, of decimals and of intervals that grow beyond them are an error, never another number.
//!
//! They are computed as wider decimals, and become what they are again at the end. Narrower numbers are summed as `bigint`
//! already, which takes billions of rows to fill.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::expr::{Cast, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Window, WindowFunctionDefinition, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::spans;

/// Holds every `bigint`; a sum of such has ten digits more.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// Digits of decimals of which ten thousand million can be summed within 38.
const SAFE_PRECISION: u8 = 28;

#[derive(Debug)]
pub(super) struct CheckedSums;

impl AnalyzerRule for CheckedSums {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(node) => aggregate(node),
            LogicalPlan::Window(node) => window(node),
            node => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "checked_sums"
    }
}

fn aggregate(node: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Some(exprs) = widened(&node.aggr_expr, node.input.schema())? else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(node)));
    };
    let schema = Arc::clone(&node.schema);
    let wide = Aggregate::try_new(node.input, node.group_expr, exprs)?;
    narrowed(LogicalPlan::Aggregate(wide), &schema)
}

fn window(node: Window) -> Result<Transformed<LogicalPlan>> {
    let Some(exprs) = widened(&node.window_expr, node.input.schema())? else {
        return Ok(Transformed::no(LogicalPlan::Window(node)));
    };
    let schema = Arc::clone(&node.schema);
    let wide = Window::try_new(exprs, node.input)?;
    narrowed(LogicalPlan::Window(wide), &schema)
}

/// The expressions with such sums as sums of decimals, under the names that they had; none if there are no such.
fn widened(exprs: &[Expr], input: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let mut any = false;
    let widened = exprs
        .iter()
        .map(|expr| {
            let name = expr.schema_name().to_string();
            Ok(match wide(expr.clone().unalias(), input) {
                Some(wide) => {
                    any = true;
                    wide.alias(name)
                }
                None => expr.clone(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(any.then_some(widened))
}

fn wide(mut expr: Expr, input: &DFSchema) -> Option<Expr> {
    if of_spans(&mut expr, input) {
        return Some(expr);
    }
    let args = match &mut expr {
        Expr::AggregateFunction(function) if function.func.name() == "sum" => &mut function.params.args,
        Expr::WindowFunction(function) if is_sum(function) => &mut function.params.args,
        _ => return None,
    };
    let [value] = args.as_mut_slice() else { return None };
    let narrow = matches!(&value, Expr::Cast(Cast { expr, .. })
        if expr.get_type(input).is_ok_and(|from| from.is_integer() && from != DataType::Int64 && from != DataType::UInt64));
    let wide = match value.get_type(input).ok()? {
        DataType::Int64 if !narrow => WIDE,
        DataType::Decimal128(precision, scale) if precision > SAFE_PRECISION => DataType::Decimal256(precision, scale),
        _ => return None,
    };
    *value = cast(value.clone(), wide);
    Some(expr)
}

/// Whether it is a sum of intervals, which is one that refuses what is too long now.
fn of_spans(expr: &mut Expr, input: &DFSchema) -> bool {
    let is_span = |args: &[Expr]| {
        let [value] = args else { return false };
        value.get_type(input).is_ok_and(|of| of == DataType::Interval(IntervalUnit::MonthDayNano))
    };
    match expr {
        Expr::AggregateFunction(function)
            if function.func.name() == "sum" && !function.params.distinct && is_span(&function.params.args) =>
        {
            function.func = spans::sum();
        }
        Expr::WindowFunction(function)
            if is_sum(function) && !function.params.distinct && is_span(&function.params.args) =>
        {
            function.fun = WindowFunctionDefinition::AggregateUDF(spans::sum());
        }
        _ => return false,
    }
    true
}

fn is_sum(function: &WindowFunction) -> bool {
    matches!(&function.fun, WindowFunctionDefinition::AggregateUDF(function) if function.name() == "sum")
}

/// The plan with the columns, names and types that it had.
fn narrowed(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<Transformed<LogicalPlan>> {
    let columns = plan.schema().columns().into_iter().zip(plan.schema().fields()).zip(schema.iter());
    let items = columns.map(|((column, wide), (qualifier, field))| {
        let value = Expr::Column(column);
        if wide.data_type() == field.data_type() {
            return value;
        }
        cast(value, field.data_type().clone()).alias_qualified(qualifier.cloned(), field.name())
    });
    let items: Vec<Expr> = items.collect();
    Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(items)?.build()?))
}
