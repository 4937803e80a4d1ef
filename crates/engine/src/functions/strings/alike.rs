//! Values that are equal and yet others.

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::Result;

use crate::functions::dates::moment;
use crate::functions::function::Call;

/// `nullif` of floats, whose two zeros are equal, and of spans, of which a day is as long as 24 hours.
pub(super) fn null_if(call: &Call<'_>) -> Result<ArrayRef> {
    let (value, other) = (&call.arrays[0], &call.arrays[1]);
    let equal = match value.data_type() {
        DataType::Interval(_) => {
            let span = DataType::Interval(IntervalUnit::MonthDayNano);
            let alike = |one, other| moment::order(one) == moment::order(other);
            pairs::<IntervalMonthDayNanoType>(value, other, &span, alike)?
        }
        _ => {
            let alike = |one: f64, other: f64| one == other || one.is_nan() && other.is_nan();
            pairs::<Float64Type>(value, other, &DataType::Float64, alike)?
        }
    };
    Ok(nullif(value, &equal)?)
}

/// Whether the values of two columns are alike, once they are of a type; no NULL is.
fn pairs<T: ArrowPrimitiveType>(
    one: &ArrayRef,
    other: &ArrayRef,
    data_type: &DataType,
    alike: impl Fn(T::Native, T::Native) -> bool,
) -> Result<BooleanArray> {
    let (one, other) = (cast(one, data_type)?, cast(other, data_type)?);
    let both = one.as_primitive::<T>().iter().zip(other.as_primitive::<T>().iter());
    Ok(both.map(|pair| Some(matches!(pair, (Some(one), Some(other)) if alike(one, other)))).collect())
}
