//! Casts as PostgreSQL makes them: numbers are rounded, not cut; text is read and written by [`casts`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Float32Type, Float64Type, Int64Type, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::rewrite_plan;
use crate::functions::catalog::references;
use crate::functions::function::refuse;
use crate::functions::{self, casts, input};

#[derive(Debug)]
pub(super) struct PostgresCasts;

impl AnalyzerRule for PostgresCasts {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| rewrite_plan(plan, &|expr, schema| cast(expr, schema, config))).data()
    }

    fn name(&self) -> &str {
        "postgres_casts"
    }
}

fn cast(expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
    if let Expr::TryCast(TryCast { expr: inner, field }) = &expr {
        let planned = match inner.get_type(schema) {
            Ok(from) => casts::planned(inner, &from, field, true, config)?,
            Err(_) => None,
        };
        return Ok(planned.map_or_else(|| Transformed::no(expr), Transformed::yes));
    }
    if let Expr::ScalarFunction(function) = &expr
        && function.name() == "round"
        && let [value] = function.args.as_slice()
        && value.get_type(schema).is_ok_and(|data_type| data_type.is_floating())
    {
        let even = Arc::new(ScalarUDF::new_from_impl(RoundToEven::new())).call(vec![value.clone()]);
        return Ok(Transformed::yes(even));
    }
    let Expr::Cast(Cast { expr: inner, field }) = &expr else { return Ok(Transformed::no(expr)) };
    let target = field.data_type();
    if let Ok((_, from)) = inner.to_field(schema)
        && let Some(planned) = references::planned(inner, &from, field)
    {
        return Ok(Transformed::yes(planned));
    }
    if let Ok(from) = inner.get_type(schema)
        && let Some(planned) = casts::planned(inner, &from, field, false, config)?
    {
        return Ok(Transformed::yes(planned));
    }
    // A REAL is the digits that it shows; as the float that it is among larger ones it would have more.
    if matches!((inner.get_type(schema), target), (Ok(DataType::Float32), DataType::Decimal128(..))) {
        let shown = functions::call("polder_text", vec![inner.as_ref().clone()]);
        if let Some(planned) = casts::planned(&shown, &DataType::Utf8View, field, false, config)? {
            return Ok(Transformed::yes(planned));
        }
    }
    // Exactly the float that the digits name: a division by a power of ten would be off by a little.
    if let (Expr::Literal(ScalarValue::Decimal128(Some(value), _, scale), _), DataType::Float64) =
        (inner.as_ref(), target)
        && let Ok(float) = format!("{value}e{}", -i32::from(*scale)).parse::<f64>()
    {
        return Ok(Transformed::yes(Expr::Literal(ScalarValue::Float64(Some(float)), None)));
    }
    if inner.get_type(schema).is_ok_and(|from| Coarser::fits(&from, target)) {
        let coarser = Coarser { to: target.clone(), signature: Signature::any(1, Volatility::Immutable) };
        return Ok(Transformed::yes(Arc::new(ScalarUDF::new_from_impl(coarser)).call(vec![inner.as_ref().clone()])));
    }
    if !target.is_integer() {
        return Ok(Transformed::no(expr));
    }
    let rounded = match inner.get_type(schema) {
        Ok(DataType::Float32 | DataType::Float64) => {
            Arc::new(ScalarUDF::new_from_impl(RoundToEven::new())).call(vec![inner.as_ref().clone()])
        }
        Ok(
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale),
        ) if scale > 0 && !is_rounded(inner) => round(vec![inner.as_ref().clone()]),
        _ => return Ok(Transformed::no(expr)),
    };
    if is_rounded(inner) {
        return Ok(Transformed::no(expr));
    }
    Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded), field: Arc::clone(field) })))
}

/// A cast to fewer digits, rounded. As a plain cast, the planner would take it away from comparisons and compare what was
/// cast.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Coarser {
    to: DataType,
    signature: Signature,
}

impl Coarser {
    fn fits(from: &DataType, to: &DataType) -> bool {
        match (from, to) {
            (DataType::Decimal128(_, from) | DataType::Decimal256(_, from), DataType::Decimal128(_, to)) => to < from,
            (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => ticks(*to) < ticks(*from),
            (DataType::Float64, DataType::Decimal128(..) | DataType::Float32) => true,
            (DataType::List(from), DataType::List(to)) => {
                let fraction = matches!(from.data_type(), DataType::Decimal128(_, scale) if *scale > 0)
                    || from.data_type().is_floating();
                fraction && to.data_type().is_integer()
            }
            _ => false,
        }
    }
}

/// Elements of arrays as the nearest whole numbers.
fn whole_elements(array: &ArrayRef, item: &FieldRef) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let lists = array.as_list::<i32>();
    let values = match lists.values().data_type() {
        DataType::Decimal128(..) => cast_with_options(lists.values(), &DataType::Decimal128(38, 0), &strict)?,
        _ => {
            let floats = arrow::compute::cast(lists.values(), &DataType::Float64)?;
            Arc::new(floats.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
        }
    };
    let values = cast_with_options(&values, item.data_type(), &strict)?;
    let lists = ListArray::try_new(Arc::clone(item), lists.offsets().clone(), values, lists.nulls().cloned())?;
    Ok(Arc::new(lists))
}

/// Floats as those of half the size, none of which is infinite or zero that was not.
fn singles(array: &ArrayRef) -> Result<ArrayRef> {
    let narrow = array.as_primitive::<Float64Type>().try_unary::<_, Float32Type, DataFusionError>(|value| {
        let single = value as f32;
        match single.is_infinite() && value.is_finite() {
            true => Err(refuse("22003", "value out of range: overflow")),
            false if single == 0.0 && value != 0.0 => Err(refuse("22003", "value out of range: underflow")),
            false => Ok(single),
        }
    })?;
    Ok(Arc::new(narrow))
}

/// Floats as decimals by the fifteen digits that each of them is sure of: 1.005 is a little less as a float.
fn decimals(array: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef> {
    let read = array.as_primitive::<Float64Type>().try_unary::<_, Decimal128Type, DataFusionError>(|value| {
        let text = if value.is_finite() { format!("{value:.14e}") } else { value.to_string() };
        input::decimal(&text, precision, scale)
    })?;
    Ok(Arc::new(read.with_precision_and_scale(precision, scale)?))
}

/// In a second.
fn ticks(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

impl ScalarUDFImpl for Coarser {
    fn name(&self) -> &str {
        "polder_coarser"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let mut array = Arc::clone(&arrays[0]);
        if let DataType::List(item) = &self.to {
            return Ok(ColumnarValue::Array(whole_elements(&array, item)?));
        }
        match (array.data_type(), &self.to) {
            (DataType::Float64, DataType::Float32) => return Ok(ColumnarValue::Array(singles(&array)?)),
            (DataType::Float64, DataType::Decimal128(precision, scale)) => {
                return Ok(ColumnarValue::Array(decimals(&array, *precision, *scale)?));
            }
            _ => {}
        }
        if let (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) = (array.data_type().clone(), &self.to) {
            let step = ticks(from) / ticks(*to);
            let numbers = arrow::compute::cast(&array, &DataType::Int64)?;
            let rounded: Int64Array = numbers
                .as_primitive::<Int64Type>()
                .unary(|value| value.saturating_add(step / 2).div_euclid(step).saturating_mul(step));
            array = arrow::compute::cast(&rounded, array.data_type())?;
        }
        Ok(ColumnarValue::Array(cast_with_options(&array, &self.to, &strict)?))
    }
}

/// The rule may see an expression twice.
fn is_rounded(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(function) if matches!(function.name(), "round" | NAME))
}

const NAME: &str = "polder_round_to_even";

/// A float as the nearest whole number; of two that are as near, the even one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RoundToEven {
    signature: Signature,
}

impl RoundToEven {
    pub fn new() -> Self {
        Self { signature: Signature::uniform(1, vec![DataType::Float64, DataType::Float32], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RoundToEven {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let rounded: ArrayRef = match arrays[0].data_type() {
            DataType::Float32 => {
                Arc::new(arrays[0].as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))
            }
            _ => Arc::new(arrays[0].as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)),
        };
        Ok(ColumnarValue::Array(rounded))
    }
}
