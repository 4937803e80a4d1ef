//! The order of intervals, which is that of their length, and of JSON, which is that of its values: 36 hours come after a
//! day, though they have no days, and 10 after 9. And of floats, whose two zeros are equal.
//!
//! Arrow compares months first, then days, then the rest, and knows JSON as text. Comparisons by operators are planned
//! elsewhere; here are lists, ranges, subqueries, the keys of joins, what sorts, and the least and the greatest.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, BinaryExpr, Case, Sort};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, Join, LogicalPlan, Projection, WindowFrame, WindowFrameBound, WindowFrameUnits,
    cast, lit,
};
use datafusion::optimizer::AnalyzerRule;
use polder_lake::DECLARED;

use super::arithmetic::rewrite_plan;
use super::common::is_comparison;
use super::grouped;
use crate::functions::{call, types};

const LENGTH: &str = "polder_interval_order";
const VALUE: &str = "polder_json_order";
pub(crate) const FLOAT: &str = "polder_float_order";
const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

#[derive(Debug)]
pub(super) struct ValueOrder;

impl AnalyzerRule for ValueOrder {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            Ok(match plan {
                LogicalPlan::Sort(mut sort) => {
                    let schema = sort.input.schema().as_ref().clone();
                    let sorted = by_value(&mut sort.expr, &schema) | floats_before_others(&mut sort.expr, &schema);
                    also(sorted, rewrite_plan(LogicalPlan::Sort(sort), &expression)?)
                }
                LogicalPlan::Join(mut join) => {
                    let compared = keys(&mut join);
                    also(compared, rewrite_plan(LogicalPlan::Join(join), &expression)?)
                }
                LogicalPlan::Aggregate(_) => rewrite_plan(plan, &expression)?.transform_data(|plan| match plan {
                    LogicalPlan::Aggregate(aggregate) => grouped::aggregate(aggregate),
                    plan => Ok(Transformed::no(plan)),
                })?,
                LogicalPlan::Distinct(Distinct::All(input)) => grouped::distinct(input)?,
                LogicalPlan::Distinct(Distinct::On(mut on)) => {
                    let schema = on.input.schema().as_ref().clone();
                    let mut chosen = by_key(&mut on.on_expr, &schema) | floats(&mut on.on_expr, &schema);
                    if let Some(order) = &mut on.sort_expr {
                        chosen |= by_value(order, &schema) | sorted_floats(order, &schema);
                    }
                    also(chosen, rewrite_plan(LogicalPlan::Distinct(Distinct::On(on)), &expression)?)
                }
                plan => rewrite_plan(plan, &expression)?,
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "value_order"
    }
}

fn also(changed: bool, rewritten: Transformed<LogicalPlan>) -> Transformed<LogicalPlan> {
    if changed { Transformed::yes(rewritten.data) } else { rewritten }
}

/// The function whose results are ordered as the values of a field are, and equal where they are; none for a field whose
/// values Arrow orders so. `json` has no order.
fn key_of(field: &Field) -> Option<&'static str> {
    if matches!(field.data_type(), DataType::Interval(_)) {
        return Some(LENGTH);
    }
    let spelled = field.metadata().get(DECLARED).is_some_and(|declared| declared == polder_lake::JSON);
    (types::is_json(field) && types::is_text(field.data_type()) && !spelled).then_some(VALUE)
}

/// What orders the values of an expression; none if they order themselves. A correlated subquery names columns that are
/// not here: what cannot be typed is left as it is.
pub(super) fn key(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (_, field) = expr.to_field(schema).ok()?;
    key_of(&field).map(|function| call(function, vec![expr.clone()]))
}

fn by_key(exprs: &mut [Expr], schema: &DFSchema) -> bool {
    let mut found = false;
    for expr in exprs {
        if let Some(key) = key(expr, schema) {
            *expr = key;
            found = true;
        }
    }
    found
}

/// The keys of those expressions that are floats: DataFusion groups and compares both zeros as one, but sorts and parts them as two.
fn floats<'a>(exprs: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    let mut found = false;
    for expr in exprs {
        let is_key = matches!(expr, Expr::ScalarFunction(function) if function.name() == FLOAT);
        if !is_key && expr.get_type(schema).is_ok_and(|data_type| data_type.is_floating()) {
            *expr = call(FLOAT, vec![std::mem::take(expr)]);
            found = true;
        }
    }
    found
}

fn sorted_floats(sorts: &mut [Sort], schema: &DFSchema) -> bool {
    floats(sorts.iter_mut().map(|sort| &mut sort.expr), schema)
}

/// As [`sorted_floats`], of those behind which rows are sorted by something else. By the last of them any order will do.
fn floats_before_others(sorts: &mut [Sort], schema: &DFSchema) -> bool {
    sorts.split_last_mut().is_some_and(|(_, before)| sorted_floats(before, schema))
}

/// A key of bytes as letters, of the same order: the frames of windows compare no bytes.
fn in_letters(expr: &mut Expr) {
    if matches!(expr, Expr::ScalarFunction(function) if function.name() == VALUE) {
        *expr = call("encode", vec![std::mem::take(expr), lit("hex")]);
    }
}

/// Whether a frame's ends are found by the order of rows alone, and not by a distance.
fn is_of_peers(frame: &WindowFrame) -> bool {
    let no_distance = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => distance.is_null(),
    };
    frame.units == WindowFrameUnits::Range && no_distance(&frame.start_bound) && no_distance(&frame.end_bound)
}

/// What frames cannot compare, as what they can, of the same order: bytes as letters, times of day as numbers.
fn in_frames(sorts: &mut [Sort], schema: &DFSchema) -> bool {
    let mut found = false;
    for sort in sorts {
        let Ok(data_type) = sort.expr.get_type(schema) else { continue };
        let given = std::mem::take(&mut sort.expr);
        sort.expr = match data_type {
            DataType::Time32(_) | DataType::Time64(_) => cast(cast(given, TIME), DataType::Int64),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                call("encode", vec![cast(given, DataType::Binary), lit("hex")])
            }
            _ => {
                sort.expr = given;
                continue;
            }
        };
        found = true;
    }
    found
}

fn by_value(sorts: &mut [Sort], schema: &DFSchema) -> bool {
    let mut found = false;
    for sort in sorts {
        found |= by_key(std::slice::from_mut(&mut sort.expr), schema);
    }
    found
}

/// The keys of values that are compared, if one of them has such. Texts in quotes are read as its type.
fn compared(exprs: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let function =
        exprs.iter().find_map(|expr| expr.to_field(schema).ok().and_then(|(_, field)| key_of(field.as_ref())));
    let Some(function) = function else { return false };
    for expr in exprs {
        let mut value = std::mem::take(&mut **expr);
        if function == LENGTH && matches!(value, Expr::Literal(ScalarValue::Utf8(_), _)) {
            value = cast(value, INTERVAL);
        }
        **expr = call(function, vec![value]);
    }
    true
}

/// The keys of a join, of which each pair is compared.
fn keys(join: &mut Join) -> bool {
    let mut found = false;
    for (left, right) in &mut join.on {
        if let (Some(left_key), Some(right_key)) = (key(left, join.left.schema()), key(right, join.right.schema())) {
            (*left, *right) = (left_key, right_key);
            found = true;
        }
    }
    found
}

/// What is compared with the values of a subquery, of which each is replaced by its key.
fn within(operand: &mut Expr, subquery: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let inner = subquery.subquery.schema();
    let Some(column) = inner.columns().into_iter().next() else { return Ok(false) };
    let name = column.name.clone();
    let column = Expr::Column(column);
    let (Some(outer_key), Some(inner_key)) = (key(operand, schema), key(&column, inner)) else { return Ok(false) };
    let plan = Projection::try_new(vec![inner_key.alias(name)], Arc::clone(&subquery.subquery))?;
    *operand = outer_key;
    subquery.subquery = Arc::new(LogicalPlan::Projection(plan));
    Ok(true)
}

fn expression(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => compared(&mut [left, right], schema),
        Expr::Between(between) => compared(&mut [&mut between.expr, &mut between.low, &mut between.high], schema),
        Expr::InList(list) => {
            let mut all: Vec<&mut Expr> = std::iter::once(&mut *list.expr).chain(&mut list.list).collect();
            compared(&mut all, schema)
        }
        Expr::InSubquery(found) => within(&mut found.expr, &mut found.subquery, schema)?,
        Expr::SetComparison(found) => within(&mut found.expr, &mut found.subquery, schema)?,
        Expr::Case(Case { expr: Some(base), when_then_expr, .. }) => {
            let whens = when_then_expr.iter_mut().map(|(when, _)| &mut **when);
            let mut all: Vec<&mut Expr> = std::iter::once(&mut **base).chain(whens).collect();
            compared(&mut all, schema)
        }
        Expr::WindowFunction(window) => {
            let params = &mut window.params;
            let sorted = by_value(&mut params.order_by, schema);
            for sort in &mut params.order_by {
                in_letters(&mut sort.expr);
            }
            let framed = is_of_peers(&params.window_frame) && in_frames(&mut params.order_by, schema);
            let by_floats = sorted_floats(&mut params.order_by, schema) | floats(&mut params.partition_by, schema);
            sorted | framed | by_floats | by_key(&mut params.partition_by, schema)
        }
        Expr::AggregateFunction(aggregate) => of_group(aggregate, schema),
        _ => false,
    };
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// The least and the greatest of a group, how many different ones it has, and the order in which others take them.
fn of_group(aggregate: &mut AggregateFunction, schema: &DFSchema) -> bool {
    let params = &mut aggregate.params;
    let greatest = match aggregate.func.name() {
        "max" => true,
        "min" => false,
        "count" if params.distinct => return by_key(&mut params.args, schema),
        // Those of different values are sorted by the values themselves.
        _ if params.distinct => return false,
        _ => return by_value(&mut params.order_by, schema) | floats_before_others(&mut params.order_by, schema),
    };
    let [value] = params.args.as_slice() else { return false };
    let Some(key) = key(value, schema) else { return false };
    // Missing ones stand where they are not looked at.
    params.order_by = vec![Sort::new(key, true, greatest)];
    params.distinct = false;
    aggregate.func = if greatest { last_value_udaf() } else { first_value_udaf() };
    true
}
