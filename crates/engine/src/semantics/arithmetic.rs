//! Numbers that grow beyond their type are an error, never another number or an infinity; so is a division by zero, and
//! a text that nothing holds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Datum, Float64Array};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::bounded::{is_joined, joined};
use crate::functions::function::refuse;
use crate::functions::types::postgres_name;

/// `+`, `-` and `*` of whole numbers, and `/` of floats too, as functions that refuse to overflow; and `||` of texts as one
/// that refuses to grow beyond all bounds.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| rewrite_plan(plan, &checked)).data()
    }

    fn name(&self) -> &str {
        "checked_arithmetic"
    }
}

/// Rewrites each part of each expression of one node, under the name that the expression had.
pub(super) fn rewrite_plan(
    plan: LogicalPlan,
    rewrite: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    rewrite_whole(plan, &|expr, schema| expr.transform_up(|part| rewrite(part, schema)))
}

/// As [`rewrite_plan`], each expression as a whole.
pub(super) fn rewrite_whole(
    plan: LogicalPlan,
    rewrite: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        // Its filters are about all columns of the table, not those that it gives.
        let all = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&all);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| under_name(expr, &names, &|expr| rewrite(expr, &schema)))
}

/// A set of groups has no name of its own; each expression in it has.
fn under_name(
    expr: Expr,
    names: &NamePreserver,
    rewrite: &dyn Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    if matches!(expr, Expr::GroupingSet(_)) {
        return expr.map_children(|part| under_name(part, names, rewrite));
    }
    let name = names.save(&expr);
    let rewritten = rewrite(expr)?;
    Ok(rewritten.update_data(|expr| name.restore(expr)))
}

fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::Negative(inner) = &expr
        && !matches!(inner.as_ref(), Expr::Literal(..))
        && let Ok(data_type) = inner.get_type(schema)
        && data_type.is_signed_integer()
    {
        // The planner takes a minus before `a & b` for a NOT; and the least number has no opposite.
        let zero = lit(ScalarValue::new_zero(&data_type)?);
        let function = Arc::new(ScalarUDF::new_from_impl(Checked::new(Kind::Subtract)));
        return Ok(Transformed::yes(function.call(vec![zero, inner.as_ref().clone()])));
    }
    if let Expr::Negative(inner) = &expr
        && !matches!(inner.as_ref(), Expr::Literal(..))
        && let Ok(data_type @ (DataType::Float32 | DataType::Float64)) = inner.get_type(schema)
    {
        // What is no number has no opposite either.
        let opposite = lit(ScalarValue::Float64(Some(-1.0)).cast_to(&data_type)?);
        let function = Arc::new(ScalarUDF::new_from_impl(Checked::new(Kind::Multiply)));
        return Ok(Transformed::yes(function.call(vec![inner.as_ref().clone(), opposite])));
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else { return Ok(Transformed::no(expr)) };
    if *op == Operator::StringConcat
        && let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema))
        && left_type == right_type
        && is_joined(&left_type)
    {
        return Ok(Transformed::yes(joined(left.as_ref().clone(), right.as_ref().clone())));
    }
    let Some(kind) = Kind::of(*op) else { return Ok(Transformed::no(expr)) };
    // A correlated subquery names columns that are not here; what cannot be typed is left as it is.
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(Transformed::no(expr));
    };
    let whole = left_type.is_integer() && kind != Kind::Divide;
    if left_type != right_type || !(whole || left_type.is_floating()) {
        return Ok(Transformed::no(expr));
    }
    let function = Arc::new(ScalarUDF::new_from_impl(Checked::new(kind)));
    Ok(Transformed::yes(function.call(vec![left.as_ref().clone(), right.as_ref().clone()])))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Kind {
    fn of(op: Operator) -> Option<Self> {
        match op {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            Operator::Divide => Some(Self::Divide),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    kind: Kind,
    signature: Signature,
}

impl Checked {
    fn new(kind: Kind) -> Self {
        Self { kind, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Add => "polder_add",
            Kind::Subtract => "polder_subtract",
            Kind::Multiply => "polder_multiply",
            Kind::Divide => "polder_divide",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Int64))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let apply = |left: &dyn Datum, right: &dyn Datum| match self.kind {
            Kind::Add => numeric::add(left, right),
            Kind::Subtract => numeric::sub(left, right),
            Kind::Multiply => numeric::mul(left, right),
            Kind::Divide => numeric::div(left, right),
        };
        let [left, right] = [&arguments.args[0], &arguments.args[1]];
        let result = datafusion::physical_expr_common::datum::apply(left, right, apply);
        let result = result.map_err(|error| out_of_range(error, &left.data_type()))?;
        if result.data_type().is_floating() && !all_finite(&result)? {
            check_floats(self.kind, left, right, &result, arguments.number_rows)?;
            return one_nan(&result);
        }
        Ok(result)
    }
}

/// A whole number that its type does not hold, in PostgreSQL's words.
fn out_of_range(error: DataFusionError, data_type: &DataType) -> DataFusionError {
    match &error {
        DataFusionError::ArrowError(inner, _) if matches!(inner.as_ref(), ArrowError::ArithmeticOverflow(_)) => {
            refuse("22003", format!("{} out of range", postgres_name(data_type)))
        }
        _ => error,
    }
}

/// Most often all are, which takes one pass.
fn all_finite(values: &ColumnarValue) -> Result<bool> {
    let array = values.to_array(1)?;
    Ok(match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().all(|value| value.is_finite()),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().all(|value| value.is_finite()),
        _ => true,
    })
}

/// What is no number in the one form that Arrow takes for equal, and for the greatest: what a processor makes of infinities has a sign.
fn one_nan(values: &ColumnarValue) -> Result<ColumnarValue> {
    let one = |array: ArrayRef| -> ArrayRef {
        match array.data_type() {
            DataType::Float32 => {
                let of = |value: f32| if value.is_nan() { f32::NAN } else { value };
                Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(of))
            }
            DataType::Float64 => {
                let of = |value: f64| if value.is_nan() { f64::NAN } else { value };
                Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(of))
            }
            _ => array,
        }
    };
    Ok(match values {
        ColumnarValue::Array(array) => ColumnarValue::Array(one(Arc::clone(array))),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&one(value.to_array()?), 0)?),
    })
}

/// Tells an overflow from an infinity that was there before, and finds the zero that was divided by.
fn check_floats(
    kind: Kind,
    left: &ColumnarValue,
    right: &ColumnarValue,
    result: &ColumnarValue,
    rows: usize,
) -> Result<()> {
    let floats = |value: &ColumnarValue| -> Result<Float64Array> {
        let array = arrow::compute::cast(&value.to_array(rows)?, &DataType::Float64)?;
        Ok(array.as_primitive::<Float64Type>().clone())
    };
    let (left, right, result) = (floats(left)?, floats(right)?, floats(result)?);
    for ((left, right), result) in left.iter().zip(&right).zip(&result) {
        let (Some(left), Some(right), Some(result)) = (left, right, result) else { continue };
        if kind == Kind::Divide && right == 0.0 && !left.is_nan() {
            return Err(refuse("22012", "division by zero"));
        }
        if result.is_infinite() && left.is_finite() && right.is_finite() {
            return Err(refuse("22003", "value out of range: overflow"));
        }
    }
    Ok(())
}
