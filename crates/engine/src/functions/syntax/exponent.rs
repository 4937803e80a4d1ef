//! Numbers with an exponent, which the planner would take for decimals of thousands or millions.

use datafusion::sql::sqlparser::ast::{Expr, Value};
use polder_types::Result;

use super::number;
use crate::parse::parse_expr;

/// `1e3` without its exponent; none for everything else.
///
/// # Errors
/// None that a number leads to.
pub(super) fn written_out(expr: &Expr) -> Result<Option<Expr>> {
    let Expr::Value(value) = expr else { return Ok(None) };
    let Value::Number(digits, _) = &value.value else { return Ok(None) };
    if !digits.contains(['e', 'E']) {
        return Ok(None);
    }
    match without_exponent(digits) {
        // With a point it stays a decimal, as in PostgreSQL, and is no whole number.
        Some(plain) => Ok(Some(number(if plain.contains('.') { plain } else { format!("{plain}.") }))),
        // No decimal holds it; a float may.
        None => parse_expr(&format!("CAST('{digits}' AS DOUBLE PRECISION)")).map(Some),
    }
}

/// `1e3` written out, as long as it has no more digits than a decimal: the planner would take it for a number of thousands.
fn without_exponent(digits: &str) -> Option<String> {
    let lower = digits.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let figures = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let length = i64::try_from(figures.len()).ok()?;
    if point.abs() + length > DECIMAL_DIGITS {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(if point <= 0 {
        format!("0.{}{figures}", zeros(-point))
    } else if point >= length {
        format!("{figures}{}", zeros(point - length))
    } else {
        let (whole, fraction) = figures.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    })
}

/// Digits of a decimal.
const DECIMAL_DIGITS: i64 = 38;
