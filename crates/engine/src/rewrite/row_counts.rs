//! Numbers of rows behind LIMIT and OFFSET that are computed of other numbers: the planner takes them as they are.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use polder_types::{Error, Result};

use crate::parse::parse_expr;

/// A whole number, and whether it is one of 32 bits.
type Whole = (i64, bool);

/// Computes what is written as arithmetic of whole numbers.
///
/// # Errors
/// `InvalidInput` (22003) for a result that its type does not hold, 22012 for a division by zero.
pub(super) fn compute(expr: &mut Expr) -> Result<()> {
    if matches!(expr, Expr::Value(_)) {
        return Ok(());
    }
    if let Some((number, _)) = computed(expr)? {
        *expr = parse_expr(&number.to_string())?;
    }
    Ok(())
}

fn computed(expr: &Expr) -> Result<Option<Whole>> {
    Ok(match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.parse().ok().map(|number| (number, i32::try_from(number).is_ok())),
            _ => None,
        },
        Expr::Nested(inner) => computed(inner)?,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match computed(expr)? {
            Some((number, narrow)) => Some(fitting(number.checked_neg(), narrow)?),
            None => None,
        },
        Expr::BinaryOp { left, op, right } => {
            let (Some((left, left_narrow)), Some((right, right_narrow))) = (computed(left)?, computed(right)?) else {
                return Ok(None);
            };
            let narrow = left_narrow && right_narrow;
            let result = match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                BinaryOperator::Divide if right == 0 => {
                    return Err(Error::invalid("division by zero").with_code("22012"));
                }
                BinaryOperator::Divide => left.checked_div(right),
                _ => return Ok(None),
            };
            Some(fitting(result, narrow)?)
        }
        _ => None,
    })
}

fn fitting(result: Option<i64>, narrow: bool) -> Result<Whole> {
    let what = if narrow { "integer" } else { "bigint" };
    result
        .filter(|number| !narrow || i32::try_from(*number).is_ok())
        .map(|number| (number, narrow))
        .ok_or_else(|| Error::invalid(format!("{what} out of range")).with_code("22003"))
}
