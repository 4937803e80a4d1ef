//! The average from a sum and a count, as `avg` gives it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::rounded::is_rounded;
use crate::functions::function::refuse;

/// `total / number`; NULL where nothing was counted. `gives` is what `avg` gives.
pub(crate) fn average(total: Expr, number: Expr, gives: DataType) -> Expr {
    let function = Average { gives, signature: Signature::any(2, Volatility::Immutable) };
    Arc::new(ScalarUDF::new_from_impl(function)).call(vec![total, number])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    gives: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Average {
    fn name(&self) -> &str {
        "polder_average"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let numbers = arrow::compute::cast(&arrays[1], &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let counted = |row: usize| numbers.is_valid(row).then(|| numbers.value(row)).filter(|number| *number > 0);
        let averages: ArrayRef = match (&self.gives, arrays[0].data_type()) {
            (DataType::Float64, _) => {
                let totals = arrow::compute::cast(&arrays[0], &DataType::Float64)?;
                let totals = totals.as_primitive::<Float64Type>();
                let each = (0..totals.len())
                    .map(|row| Some(totals.is_valid(row).then(|| totals.value(row))? / counted(row)? as f64));
                Arc::new(each.collect::<Float64Array>())
            }
            (DataType::Decimal128(precision, scale), DataType::Decimal128(_, from)) => {
                let more = u32::try_from(scale.saturating_sub(*from)).unwrap_or(0);
                // As `avg` computes it: to so many digits, what comes behind them rounded or cut off.
                let rounded = is_rounded(&self.gives);
                let average = |total: i128, number: i64| {
                    let scaled = total.checked_mul(10_i128.checked_pow(more)?)?;
                    let number = i128::from(number);
                    let (quotient, rest) = (scaled.checked_div(number)?, scaled.checked_rem(number)?);
                    let up = rounded && rest.unsigned_abs().saturating_mul(2) >= number.unsigned_abs();
                    if up { quotient.checked_add(scaled.signum()) } else { Some(quotient) }
                };
                let totals = arrays[0].as_primitive::<Decimal128Type>();
                let each = (0..totals.len()).map(|row| match (totals.is_valid(row), counted(row)) {
                    (true, Some(number)) => match average(totals.value(row), number) {
                        Some(value) => Ok(Some(value)),
                        None => Err(refuse("22003", "value out of range: overflow")),
                    },
                    _ => Ok(None),
                });
                let each: Decimal128Array = each.collect::<Result<Vec<_>>>()?.into();
                Arc::new(each.with_precision_and_scale(*precision, *scale)?)
            }
            (gives, from) => return exec_err!("no average of {from} as {gives}"),
        };
        Ok(ColumnarValue::Array(averages))
    }
}
