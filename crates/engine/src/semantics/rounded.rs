//! Averages of decimals, rounded at their last digit. What computes them cuts off what is behind it, and so gives one digit more.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

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

/// The same with one digit more.
pub(super) fn finer(average: &FieldRef) -> FieldRef {
    let finer = DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE + 1);
    Arc::new(average.as_ref().clone().with_data_type(finer))
}

fn round(array: &ArrayRef) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE), &strict)?)
}

#[derive(Debug)]
pub(super) struct Rounded(pub Box<dyn Accumulator>);

impl Accumulator for Rounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&round(&self.0.evaluate()?.to_array()?)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
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
        round(&self.0.evaluate(emitted)?)
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
