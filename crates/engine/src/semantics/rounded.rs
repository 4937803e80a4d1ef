//! Averages of decimals, rounded at their last digit. What computes them otherwise cuts off what is behind it, and has no room for
//! totals that are long; of it are the count and the sum here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType,
    FieldRef, UInt64Type, i256,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use polder_types::Error;

use crate::error::into_datafusion;
use crate::functions::function::refuse;

/// Digits behind the point of an average, as of a quotient.
const SCALE: i8 = 16;

/// The most digits before the point that numbers may have whose averages are so fine. Of those without a fraction that may have more,
/// averages keep their room.
const DIGITS: i16 = 36;

/// What the average of numbers of a type is.
pub(super) fn average_of(data_type: &DataType) -> Option<DataType> {
    let DataType::Decimal128(precision, scale) = data_type else { return None };
    let before = i16::from(*precision) - i16::from(*scale);
    (before <= DIGITS && scale + 4 <= SCALE).then_some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE))
}

pub(super) fn is_rounded(average: &DataType) -> bool {
    matches!(average, DataType::Decimal128(_, SCALE))
}

/// The same with one digit more: an average of different values keeps these, not their sum, and is rounded when it is there.
pub(super) fn finer(average: &FieldRef) -> FieldRef {
    let finer = DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE + 1);
    Arc::new(average.as_ref().clone().with_data_type(finer))
}

/// An average that has one digit more than is shown.
fn round(array: &ArrayRef) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE), &strict)?)
}

/// Averages of how many numbers there are (UInt64) and their sums (decimals); NULL of none.
///
/// # Errors
/// 22003 for one of more than 22 digits before its point.
fn averages(state: &[ArrayRef]) -> Result<ArrayRef> {
    let [counts, sums] = state else { return Err(into_datafusion(Error::internal("an average without a state"))) };
    let (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) = sums.data_type() else {
        return Err(into_datafusion(Error::internal(format!("an average of {}", sums.data_type()))));
    };
    let sums = cast(sums, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale))?;
    let (counts, sums) = (counts.as_primitive::<UInt64Type>(), sums.as_primitive::<Decimal256Type>());
    let finer = i256::from_i128(10_i128.pow(u32::from((SCALE - *scale).unsigned_abs())));
    let average = |row: usize| -> Result<Option<i128>> {
        if counts.is_null(row) || sums.is_null(row) || counts.value(row) == 0 {
            return Ok(None);
        }
        let (count, sum) = (i256::from_i128(counts.value(row).into()), sums.value(row));
        let two = i256::from_i128(2);
        // Twice the quotient and one, halved: away from zero in the middle.
        let half = if sum.is_negative() { count.wrapping_neg() } else { count };
        let doubled = sum.checked_mul(finer).and_then(|sum| sum.checked_mul(two)).and_then(|sum| sum.checked_add(half));
        let found = doubled.and_then(|doubled| doubled.checked_div(count.wrapping_mul(two))).and_then(i256::to_i128);
        let fits = |found: &i128| Decimal128Type::is_valid_decimal_precision(*found, DECIMAL128_MAX_PRECISION);
        match found.filter(fits) {
            Some(found) => Ok(Some(found)),
            None => Err(refuse("22003", "an average has more than 22 digits before its point")),
        }
    };
    let found = (0..counts.len()).map(average).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(found.with_precision_and_scale(DECIMAL128_MAX_PRECISION, SCALE)?))
}

#[derive(Debug)]
pub(super) struct Rounded {
    pub inner: Box<dyn Accumulator>,
    /// Of different values, which are its state.
    pub is_distinct: bool,
}

impl Accumulator for Rounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = if self.is_distinct {
            round(&self.inner.evaluate()?.to_array()?)?
        } else {
            averages(&self.inner.state()?.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?)?
        };
        ScalarValue::try_from_array(&average, 0)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

pub(super) struct RoundedGroups(pub Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for RoundedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        number: usize,
    ) -> Result<()> {
        self.0.update_batch(values, groups, filter, number)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        averages(&self.0.state(emitted)?)
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emitted)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], number: usize) -> Result<()> {
        self.0.merge_batch(values, groups, number)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
