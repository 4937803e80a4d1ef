//! Operators between different types: what PostgreSQL makes of them.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::common::is_quoted;
use super::quotients;

/// Digits that a dividend gets behind its point; the division itself adds more, so that a quotient has sixteen, as PostgreSQL
/// gives for numbers of everyday size.
const QUOTIENT_SCALE: i8 = 12;

/// Digits that a division adds.
const DIVISION_SCALE: i8 = 4;

/// The longest whole number.
const WHOLE_DIGITS: u8 = 20;

/// DataFusion's widest decimal.
const PRECISION_MAX: u8 = 38;
const WIDE_PRECISION_MAX: u8 = 76;

/// A product has all digits behind the point that its factors give it, unless its factors may be so long that fewer than sixteen
/// would be left before the point.
const EXACT_PRODUCT_SCALE: i8 = 22;

/// Then it has those of its longer factor, and at least those of a quotient.
const WIDE_PRODUCT_SCALE: i8 = 16;

const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

#[derive(Debug)]
pub(super) struct PostgresOperators;

impl ExprPlanner for PostgresOperators {
    /// Only casts are put in; the operator itself is planned by whoever is asked next.
    fn plan_binary_op(&self, mut raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let to = |expr: Expr, data_type: DataType| cast(expr, data_type);
        match (&left, &right) {
            // A `real` beside a number of another kind: both become double precision.
            (DataType::Float32, exact) | (exact, DataType::Float32) if is_exact(exact) && is_arithmetic(&raw.op) => {
                raw.left = to(raw.left, DataType::Float64);
                raw.right = to(raw.right, DataType::Float64);
            }
            // A decimal beside a float becomes a float: the other way round would claim digits that it has not.
            (float, decimal) if float.is_floating() && is_decimal(decimal) => {
                raw.right = to(raw.right, DataType::Float64)
            }
            (decimal, float) if float.is_floating() && is_decimal(decimal) => {
                raw.left = to(raw.left, DataType::Float64)
            }
            (DataType::Date32, DataType::Interval(_))
                if matches!(raw.op, BinaryOperator::Plus | BinaryOperator::Minus) =>
            {
                raw.left = to(raw.left, DataType::Timestamp(TimeUnit::Microsecond, None));
            }
            (DataType::Interval(_), DataType::Date32) if matches!(raw.op, BinaryOperator::Plus) => {
                raw.right = to(raw.right, DataType::Timestamp(TimeUnit::Microsecond, None));
            }
            (left, right)
                if matches!(raw.op, BinaryOperator::Divide)
                    && (is_decimal(left) || is_decimal(right))
                    && is_exact(left)
                    && is_exact(right) =>
            {
                if scale(left) <= QUOTIENT_SCALE {
                    return Ok(PlannerResult::Planned(quotient(raw.left, left, raw.right, right)));
                }
                raw.left = to(raw.left, DataType::Decimal128(PRECISION_MAX, scale(left)));
            }
            // What is in quotes beside a time can only be a span, but for what is taken from it, which is another time.
            (DataType::Timestamp(..), _) if matches!(raw.op, BinaryOperator::Plus) && is_quoted(&raw.right) => {
                raw.right = to(raw.right, SPAN);
            }
            (_, DataType::Timestamp(..)) if matches!(raw.op, BinaryOperator::Plus) && is_quoted(&raw.left) => {
                raw.left = to(raw.left, SPAN);
            }
            (time @ DataType::Timestamp(..), _) if matches!(raw.op, BinaryOperator::Minus) && is_quoted(&raw.right) => {
                raw.right = to(raw.right, time.clone());
            }
            (left, right) if matches!(raw.op, BinaryOperator::Multiply) => {
                if let Some(scale) = scale_of_wide_product(left, right) {
                    let wide =
                        |number: Expr, of: &DataType| to(number, DataType::Decimal256(PRECISION_MAX, self::scale(of)));
                    let product = binary_expr(wide(raw.left, left), Operator::Multiply, wide(raw.right, right));
                    return Ok(PlannerResult::Planned(to(product, DataType::Decimal128(PRECISION_MAX, scale))));
                }
            }
            (DataType::Int8 | DataType::Int16, count) if count.is_integer() => {
                if let Some(op) = shift(&raw.op) {
                    return Ok(PlannerResult::Planned(shifted(raw.left, op, raw.right)));
                }
            }
            _ => {}
        }
        Ok(PlannerResult::Original(raw))
    }
}

/// A quotient, rounded as PostgreSQL's are: the division cuts off what is behind its last digit, so that it has one more.
fn quotient(dividend: Expr, of: &DataType, divisor: Expr, by: &DataType) -> Expr {
    let scale = QUOTIENT_SCALE + 1;
    // The division puts the divisor's digits and four more behind those of the dividend.
    let behind = i16::from(scale) + i16::from(DIVISION_SCALE) + i16::from(self::scale(by));
    let divided = if digits_before(of) + behind <= i16::from(PRECISION_MAX) {
        binary_expr(cast(dividend, DataType::Decimal128(PRECISION_MAX, scale)), Operator::Divide, divisor)
    } else if let (Some((dividend, scale)), Some((divisor, by))) = (decimal(&dividend, of), decimal(&divisor, by))
        && let Some(quotient) = quotients::quotient(&dividend, scale, &divisor, by)
    {
        return quotient;
    } else {
        let wide = |number: Expr, scale: i8| cast(number, DataType::Decimal256(WIDE_PRECISION_MAX, scale));
        binary_expr(wide(dividend, scale), Operator::Divide, wide(divisor, self::scale(by)))
    };
    cast(divided, DataType::Decimal128(PRECISION_MAX, QUOTIENT_SCALE + DIVISION_SCALE))
}

/// A number as a decimal of the usual width, and its scale; `None` for one that may be longer.
fn decimal(number: &Expr, of: &DataType) -> Option<(Expr, i8)> {
    match of {
        DataType::Decimal128(_, scale) => Some((number.clone(), *scale)),
        whole if whole.is_integer() => Some((cast(number.clone(), DataType::Decimal128(WHOLE_DIGITS, 0)), 0)),
        _ => None,
    }
}

/// The most digits before the point that a number of a type may have.
fn digits_before(data_type: &DataType) -> i16 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => i16::from(*precision) - i16::from(*scale),
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    }
}

/// Digits behind the point of the product of two decimals that is made of more digits than a decimal has, of which so many would
/// be behind the point that hardly any were left before it: of two quotients, for instance. None where all fit.
fn scale_of_wide_product(left: &DataType, right: &DataType) -> Option<i8> {
    let digits = |of: &DataType| match of {
        DataType::Decimal128(precision, scale) => Some((*precision, *scale)),
        _ => None,
    };
    let ((left_digits, left_scale), (right_digits, right_scale)) = (digits(left)?, digits(right)?);
    let all = left_digits.saturating_add(right_digits);
    let behind = left_scale.saturating_add(right_scale);
    (all > PRECISION_MAX && behind > EXACT_PRODUCT_SCALE).then_some(WIDE_PRODUCT_SCALE.max(left_scale).max(right_scale))
}

fn shift(op: &BinaryOperator) -> Option<Operator> {
    match op {
        BinaryOperator::PGBitwiseShiftLeft => Some(Operator::BitwiseShiftLeft),
        BinaryOperator::PGBitwiseShiftRight => Some(Operator::BitwiseShiftRight),
        _ => None,
    }
}

/// A `smallint` is shifted as an `integer`, of which its own sixteen bits are kept.
fn shifted(number: Expr, op: Operator, count: Expr) -> Expr {
    let wide = binary_expr(cast(number, DataType::Int32), op, cast(count, DataType::Int32));
    let bits = binary_expr(wide, Operator::BitwiseAnd, lit(0xFFFF_i32));
    let sign = lit(0x8000_i32);
    cast(binary_expr(bits, Operator::BitwiseXor, sign.clone()) - sign, DataType::Int16)
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(op, B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo)
}

pub(super) fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

fn is_exact(data_type: &DataType) -> bool {
    is_decimal(data_type) || data_type.is_integer()
}

fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}
