//! Casts as PostgreSQL makes them: numbers are rounded, not cut; a time may lack its seconds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::rewrite_plan;

#[derive(Debug)]
pub(super) struct PostgresCasts;

impl AnalyzerRule for PostgresCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| rewrite_plan(plan, &cast)).data()
    }

    fn name(&self) -> &str {
        "postgres_casts"
    }
}

fn cast(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else { return Ok(Transformed::no(expr)) };
    let target = field.data_type();
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = inner.as_ref()
        && let Some(whole) = with_seconds(text, target)
    {
        let literal = Expr::Literal(ScalarValue::Utf8(Some(whole)), metadata.clone());
        return Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(literal), field: Arc::clone(field) })));
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

/// The rule may see an expression twice.
fn is_rounded(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(function) if matches!(function.name(), "round" | NAME))
}

/// `10:00` as `10:00:00`, at the end of a time.
fn with_seconds(text: &str, target: &DataType) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let text = text.trim();
    let time = match target {
        DataType::Time32(_) | DataType::Time64(_) => text,
        DataType::Timestamp(..) => text.split_once(['T', ' '])?.1,
        _ => return None,
    };
    let bytes = time.as_bytes();
    let short = digit(bytes.first()) && digit(bytes.get(1)) && bytes.get(2) == Some(&b':') && digit(bytes.get(3));
    if !short || !digit(bytes.get(4)) || bytes.get(5) == Some(&b':') {
        return None;
    }
    let at = text.len() - time.len() + 5;
    Some(format!("{}:00{}", &text[..at], &text[at..]))
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
