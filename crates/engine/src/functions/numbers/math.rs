//! Arithmetic that refuses what has no result.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::Result;

use crate::functions::function::{Call, refuse};
use crate::functions::types;

fn by_zero() -> datafusion::common::DataFusionError {
    refuse("22012", "division by zero")
}

fn out_of_range() -> datafusion::common::DataFusionError {
    refuse("22003", "value out of range")
}

pub(super) fn mod_int4(call: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = (call.primitive::<Int32Type>(0), call.primitive::<Int32Type>(1));
    call.values::<Int32Type>(|row| match b.value(row) {
        0 => Err(by_zero()),
        divisor => Ok(Some(a.value(row).wrapping_rem(divisor))),
    })
}

pub(super) fn mod_int8(call: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
    call.values::<Int64Type>(|row| match b.value(row) {
        0 => Err(by_zero()),
        divisor => Ok(Some(a.value(row).wrapping_rem(divisor))),
    })
}

/// Both values with the same number of digits behind the point.
fn aligned(call: &Call<'_>, row: usize) -> Result<(i128, i128, i8)> {
    let (a, b) = (call.primitive::<Decimal128Type>(0), call.primitive::<Decimal128Type>(1));
    let scale = a.scale().max(b.scale());
    let raise = |value: i128, from: i8| {
        value.checked_mul(10_i128.pow(u32::from((scale - from).unsigned_abs()))).ok_or_else(out_of_range)
    };
    Ok((raise(a.value(row), a.scale())?, raise(b.value(row), b.scale())?, scale))
}

pub(super) fn mod_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Decimal128Type>(|row| {
        let (a, b, _) = aligned(call, row)?;
        a.checked_rem(b).map(Some).ok_or_else(by_zero)
    })
}

/// Of 0 and a number it is that number, as far as it is not below 0.
fn divisor(mut a: i128, mut b: i128) -> Option<i128> {
    while b != 0 {
        (a, b) = (b, a.checked_rem(b)?);
    }
    a.checked_abs()
}

fn multiple(a: i128, b: i128) -> Option<i128> {
    match divisor(a, b)? {
        0 => Some(0),
        common => (a / common).checked_mul(b)?.checked_abs(),
    }
}

type Pair = fn(i128, i128) -> Option<i128>;

fn of_int4(call: &Call<'_>, of: Pair) -> Result<ArrayRef> {
    let (a, b) = (call.primitive::<Int32Type>(0), call.primitive::<Int32Type>(1));
    call.values::<Int32Type>(|row| {
        let found = of(a.value(row).into(), b.value(row).into()).and_then(|found| i32::try_from(found).ok());
        found.map(Some).ok_or_else(|| refuse("22003", "integer out of range"))
    })
}

fn of_int8(call: &Call<'_>, of: Pair) -> Result<ArrayRef> {
    let (a, b) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
    call.values::<Int64Type>(|row| {
        let found = of(a.value(row).into(), b.value(row).into()).and_then(|found| i64::try_from(found).ok());
        found.map(Some).ok_or_else(|| refuse("22003", "bigint out of range"))
    })
}

fn of_decimal(call: &Call<'_>, of: Pair) -> Result<ArrayRef> {
    call.values::<Decimal128Type>(|row| {
        let (a, b, _) = aligned(call, row)?;
        of(a, b).map(Some).ok_or_else(out_of_range)
    })
}

pub(super) fn gcd_int4(call: &Call<'_>) -> Result<ArrayRef> {
    of_int4(call, divisor)
}

pub(super) fn gcd_int8(call: &Call<'_>) -> Result<ArrayRef> {
    of_int8(call, divisor)
}

pub(super) fn gcd_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    of_decimal(call, divisor)
}

pub(super) fn lcm_int4(call: &Call<'_>) -> Result<ArrayRef> {
    of_int4(call, multiple)
}

pub(super) fn lcm_int8(call: &Call<'_>) -> Result<ArrayRef> {
    of_int8(call, multiple)
}

pub(super) fn lcm_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    of_decimal(call, multiple)
}

pub(super) fn div(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Decimal128Type>(|row| {
        let (a, b, _) = aligned(call, row)?;
        a.checked_div(b).map(Some).ok_or_else(by_zero)
    })
}

/// A whole number is rounded to itself, as a float.
pub(super) fn as_float(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Int64Type>(0);
    call.values::<Float64Type>(|row| Ok(Some(values.value(row) as f64)))
}

/// The whole part of each number, and what is behind its point, in one.
fn whole(call: &Call<'_>, of: fn(i128, i128) -> i128) -> Result<ArrayRef> {
    let values = call.primitive::<Decimal128Type>(0);
    let power = 10_i128.pow(u32::from(values.scale().unsigned_abs()));
    let is_whole = values.scale() < 0;
    call.values::<Decimal128Type>(|row| {
        let value = values.value(row);
        if is_whole {
            return value.checked_mul(power).map(Some).ok_or_else(out_of_range);
        }
        Ok(Some(of(value / power, value % power)))
    })
}

pub(super) fn ceil_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    whole(call, |whole, rest| whole + i128::from(rest > 0))
}

pub(super) fn floor_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    whole(call, |whole, rest| whole - i128::from(rest < 0))
}

pub(super) fn sign_float(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| {
        Ok(if value > 0.0 {
            1.0
        } else if value < 0.0 {
            -1.0
        } else {
            value * 0.0
        })
    })
}

pub(super) fn sign_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Decimal128Type>(0);
    call.values::<Decimal128Type>(|row| Ok(Some(values.value(row).signum())))
}

pub(super) fn scale(call: &Call<'_>) -> Result<ArrayRef> {
    let (_, scale) = types::digits(call.arrays[0].data_type());
    call.values::<Int32Type>(|_| Ok(Some(scale.into())))
}

pub(super) fn min_scale(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Decimal128Type>(0);
    call.values::<Int32Type>(|row| {
        let (mut value, mut scale) = (values.value(row), i32::from(values.scale()));
        while scale > 0 && value % 10 == 0 {
            (value, scale) = (value / 10, scale - 1);
        }
        Ok(Some(scale))
    })
}

pub(super) fn bit_not_int2(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int16Type>(|row| Ok(Some(!call.primitive::<Int16Type>(0).value(row))))
}

pub(super) fn bit_not_int4(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int32Type>(|row| Ok(Some(!call.primitive::<Int32Type>(0).value(row))))
}

pub(super) fn bit_not_int8(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int64Type>(|row| Ok(Some(!call.primitive::<Int64Type>(0).value(row))))
}

pub(super) fn width_bucket(call: &Call<'_>) -> Result<ArrayRef> {
    let value = |at: usize, row: usize| call.primitive::<Float64Type>(at).value(row);
    call.values::<Int32Type>(|row| {
        let (number, low, high) = (value(0, row), value(1, row), value(2, row));
        let count = call.primitive::<Int32Type>(3).value(row);
        if count <= 0 {
            return Err(refuse("2201G", "the count of width_bucket must be greater than zero"));
        }
        if number.is_nan() || !low.is_finite() || !high.is_finite() {
            return Err(refuse("2201G", "the bounds of width_bucket must be finite, and its number a number"));
        }
        if low == high {
            return Err(refuse("2201G", "the lower bound of width_bucket cannot equal its upper bound"));
        }
        let up = low < high;
        let (below, above) = if up { (number < low, number >= high) } else { (number > low, number <= high) };
        Ok(Some(match (below, above) {
            (true, _) => 0,
            (_, true) => count + 1,
            _ => (f64::from(count) * (number - low) / (high - low)) as i32 + 1,
        }))
    })
}

/// How many of the thresholds, which ascend, are not above the value.
pub(super) fn width_bucket_of(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.arrays[1].data_type() else {
        return Err(refuse("42883", "width_bucket takes an array of thresholds"));
    };
    let values = arrow::compute::cast(&call.arrays[0], item.data_type())?;
    let lists = call.arrays[1].as_list::<i32>();
    call.values::<Int32Type>(|row| {
        let thresholds = lists.value(row);
        if thresholds.null_count() > 0 {
            return Err(refuse("22004", "the thresholds of width_bucket must not be NULL"));
        }
        let value = arrow::array::Scalar::new(values.slice(row, 1));
        let below = arrow::compute::kernels::cmp::lt_eq(&thresholds, &value)?;
        Ok(Some(below.true_count() as i32))
    })
}

/// A function of one float. What leaves the floats, though it came from one, is refused.
pub(super) fn each(call: &Call<'_>, of: impl Fn(f64) -> Result<f64>) -> Result<ArrayRef> {
    let values = call.primitive::<Float64Type>(0);
    call.values::<Float64Type>(|row| {
        let value = values.value(row);
        let result = of(value)?;
        if result.is_infinite() && value.is_finite() {
            return Err(refuse("22003", "value out of range: overflow"));
        }
        Ok(Some(result))
    })
}

/// One of all that are equal: there are two zeros, and many that are no numbers, some of which Arrow puts before all others.
pub(super) fn float_order(call: &Call<'_>) -> Result<ArrayRef> {
    let same = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
    Ok(Arc::new(call.primitive::<Float64Type>(0).unary::<_, Float64Type>(same)))
}

fn within(value: f64, low: f64, high: f64) -> Result<f64> {
    if value < low || value > high { Err(refuse("22003", "input is out of range")) } else { Ok(value) }
}

pub(super) fn acos(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(within(value, -1.0, 1.0)?.acos()))
}

pub(super) fn asin(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(within(value, -1.0, 1.0)?.asin()))
}

pub(super) fn acosd(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(within(value, -1.0, 1.0)?.acos().to_degrees()))
}

pub(super) fn asind(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(within(value, -1.0, 1.0)?.asin().to_degrees()))
}

pub(super) fn acosh(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(within(value, 1.0, f64::INFINITY)?.acosh()))
}

pub(super) fn atanh(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Float64Type>(0);
    // At the ends it is infinite, and PostgreSQL says so.
    call.values::<Float64Type>(|row| Ok(Some(within(values.value(row), -1.0, 1.0)?.atanh())))
}

pub(super) fn atan2d(call: &Call<'_>) -> Result<ArrayRef> {
    let (y, x) = (call.primitive::<Float64Type>(0), call.primitive::<Float64Type>(1));
    call.values::<Float64Type>(|row| Ok(Some(y.value(row).atan2(x.value(row)).to_degrees())))
}

/// The sine of an angle below 360 degrees, exact where it is a simple number.
fn exact_sine(degrees: f64) -> f64 {
    let turned = degrees.rem_euclid(360.0);
    match turned {
        0.0 | 180.0 => 0.0,
        30.0 | 150.0 => 0.5,
        90.0 => 1.0,
        210.0 | 330.0 => -0.5,
        270.0 => -1.0,
        _ => turned.to_radians().sin(),
    }
}

pub(super) fn sind(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| if value.is_infinite() { Err(out_of_range()) } else { Ok(exact_sine(value)) })
}

pub(super) fn cosd(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| if value.is_infinite() { Err(out_of_range()) } else { Ok(exact_sine(value + 90.0)) })
}

pub(super) fn tand(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| {
        let turned = value.rem_euclid(180.0);
        Ok(match turned {
            45.0 => 1.0,
            135.0 => -1.0,
            0.0 => 0.0,
            _ => turned.to_radians().tan(),
        })
    })
}

pub(super) fn sqrt(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| {
        if value < 0.0 {
            Err(refuse("2201F", "cannot take square root of a negative number"))
        } else {
            Ok(value.sqrt())
        }
    })
}

fn positive(value: f64) -> Result<f64> {
    if value == 0.0 {
        Err(refuse("2201E", "cannot take logarithm of zero"))
    } else if value < 0.0 {
        Err(refuse("2201E", "cannot take logarithm of a negative number"))
    } else {
        Ok(value)
    }
}

pub(super) fn ln(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(positive(value)?.ln()))
}

pub(super) fn log10(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| Ok(positive(value)?.log10()))
}

pub(super) fn log_base(call: &Call<'_>) -> Result<ArrayRef> {
    let (base, value) = (call.primitive::<Float64Type>(0), call.primitive::<Float64Type>(1));
    call.values::<Float64Type>(|row| {
        let (base, value) = (positive(base.value(row))?, positive(value.value(row))?);
        if base == 1.0 {
            return Err(by_zero());
        }
        // Exact for the bases that have a logarithm of their own.
        Ok(Some(match base {
            2.0 => value.log2(),
            10.0 => value.log10(),
            _ => value.ln() / base.ln(),
        }))
    })
}

pub(super) fn exp(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |value| {
        let result = value.exp();
        if result == 0.0 && value.is_finite() {
            Err(refuse("22003", "value out of range: underflow"))
        } else {
            Ok(result)
        }
    })
}
