//! Quotients of numbers that may be so long that what is computed on the way has more digits than a decimal: of columns that are
//! plain `numeric`. Most of them are not, and each row is computed in as many digits as it takes.

use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use polder_types::Error;

use crate::error::into_datafusion;
use crate::functions::function::refuse;

pub(crate) const QUOTIENT: &str = "polder_quotient";

/// Digits behind the point of a quotient.
const SCALE: i8 = 16;

/// A quotient of two numbers (Decimal128), rounded at its last digit; `None` of numbers of such scales that it has to be computed
/// otherwise.
pub(super) fn quotient(dividend: &Expr, scale: i8, divisor: &Expr, by: i8) -> Option<Expr> {
    factor(scale, by)?;
    let function = Quotient { signature: Signature::any(2, Volatility::Immutable) };
    Some(Arc::new(ScalarUDF::new_from_impl(function)).call(vec![dividend.clone(), divisor.clone()]))
}

/// By what the digits of a dividend are multiplied, so that the quotient of the digits has those of the result.
fn factor(scale: i8, by: i8) -> Option<i128> {
    let digits = i16::from(SCALE) + i16::from(by) - i16::from(scale);
    10_i128.checked_pow(u32::try_from(digits).ok()?)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &'static str {
        QUOTIENT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let numbers = arrays.iter().map(|array| match array.data_type() {
            DataType::Decimal128(_, scale) => Ok((array.as_primitive::<Decimal128Type>(), *scale)),
            other => Err(into_datafusion(Error::internal(format!("a quotient of {other}")))),
        });
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let [(dividends, scale), (divisors, by)] = numbers.as_slice() else {
            return Err(into_datafusion(Error::internal("a quotient has two numbers")));
        };
        let factor =
            factor(*scale, *by).ok_or_else(|| into_datafusion(Error::internal("a quotient of such scales")))?;
        let each = dividends.iter().zip(divisors.iter()).map(|(dividend, divisor)| match (dividend, divisor) {
            (Some(dividend), Some(divisor)) => divided(dividend, factor, divisor).map(Some),
            _ => Ok(None),
        });
        let quotients = each.collect::<Result<Decimal128Array>>()?;
        Ok(ColumnarValue::Array(Arc::new(quotients.with_precision_and_scale(DECIMAL128_MAX_PRECISION, SCALE)?)))
    }
}

/// # Errors
/// 22012, and 22003 for one of more digits than a decimal has.
fn divided(dividend: i128, factor: i128, divisor: i128) -> Result<i128> {
    if divisor == 0 {
        return Err(refuse("22012", "division by zero"));
    }
    let found = match dividend.checked_mul(factor) {
        Some(scaled) => nearest(scaled, divisor),
        None => nearest_of_long(dividend, factor, divisor),
    };
    found
        .filter(|found| Decimal128Type::is_valid_decimal_precision(*found, DECIMAL128_MAX_PRECISION))
        .ok_or_else(|| refuse("22003", "a quotient has more than 22 digits before its point"))
}

/// The nearest whole number, of two that are as near the one away from zero.
fn nearest(dividend: i128, divisor: i128) -> Option<i128> {
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?.unsigned_abs());
    // Half of it or more.
    if rest < divisor.unsigned_abs() - rest {
        return Some(quotient);
    }
    quotient.checked_add(if (dividend < 0) == (divisor < 0) { 1 } else { -1 })
}

/// As [`nearest`], of a product of more digits than a decimal has.
fn nearest_of_long(dividend: i128, factor: i128, divisor: i128) -> Option<i128> {
    let two = i256::from_i128(2);
    let (scaled, by) = (i256::from_i128(dividend).checked_mul(i256::from_i128(factor))?, i256::from_i128(divisor));
    // Twice the quotient and one, halved, without signs.
    let doubled = scaled.checked_abs()?.checked_mul(two)?.checked_add(by.checked_abs()?)?;
    let found = doubled.checked_div(by.checked_abs()?.checked_mul(two)?)?.to_i128()?;
    if (dividend < 0) == (divisor < 0) { Some(found) } else { found.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dividend: i128, divisor: i128, expected: i128) {
        for (sign, of) in [(1, 1), (-1, 1), (1, -1), (-1, -1)] {
            let (dividend, divisor) = (dividend * sign, divisor * of);
            assert_eq!(nearest(dividend, divisor), Some(expected * sign * of), "{dividend} / {divisor}");
            assert_eq!(nearest_of_long(dividend, 1, divisor), Some(expected * sign * of), "{dividend} / {divisor}");
        }
    }

    #[test]
    fn quotients_are_rounded() {
        check(7, 2, 4);
        check(6, 4, 2);
        check(5, 4, 1);
        check(20, 3, 7);
        check(10, 3, 3);
        check(0, 3, 0);
        check(1, 3, 0);
        let most = 10_i128.pow(38) - 1;
        check(most, 1, most);
        check(most, most, 1);
        check(most / 2, most, 0);
        check(most / 2 + 1, most, 1);
    }

    #[test]
    fn long_ones_are_computed_in_more_digits() {
        let most = 10_i128.pow(38) - 1;
        let factor = factor(10, 10).unwrap();
        assert_eq!(divided(most, factor, most).unwrap(), factor);
        assert_eq!(divided(-most, factor, most).unwrap(), -factor);
        assert_eq!(divided(2 * 10_i128.pow(37), factor, 3 * 10_i128.pow(37)).unwrap(), 6_666_666_666_666_667);
        assert!(divided(most, factor, 1).is_err());
        assert!(divided(1, factor, 0).is_err());
    }
}
