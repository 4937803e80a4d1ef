//! `generate_series`: numbers, times and instants in steps. A day of a step is one of the session's zone.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayBuilder, ArrayRef, ListBuilder, PrimitiveBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result};

use super::moment::{DAY_MICROS, Span, from_zone, in_zone, micros, moment, order, out_of_range, plus, spans, zone};
use crate::functions::function::{Call, Gives, Kind as K, Overload, refuse, way};

/// Values of one series; they are in memory at once.
const VALUES_MAX: usize = 100_000_000;

fn integers_of(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Int32, true))
}

fn numbers_of(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Int64, true))
}

fn times_of(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Timestamp(TimeUnit::Microsecond, None), true))
}

fn instants_of(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true))
}

/// As in PostgreSQL, days are instants.
pub(super) const SERIES: &[Overload] = &[
    way(&[K::Int4], Gives::Type(integers_of), integers),
    way(&[K::Int4, K::Int4], Gives::Type(integers_of), integers),
    way(&[K::Int4, K::Int4, K::Int4], Gives::Type(integers_of), integers),
    way(&[K::Int8], Gives::Type(numbers_of), numbers),
    way(&[K::Int8, K::Int8], Gives::Type(numbers_of), numbers),
    way(&[K::Int8, K::Int8, K::Int8], Gives::Type(numbers_of), numbers),
    way(&[K::Date, K::Date, K::Interval], Gives::Type(instants_of), days),
    way(&[K::Timestamp, K::Timestamp, K::Interval], Gives::Type(times_of), times),
    way(&[K::TimestampTz, K::TimestampTz, K::Interval], Gives::Type(instants_of), instants),
];

/// A list a row; NULL where an argument is.
fn lists<T: ArrowPrimitiveType>(call: &Call<'_>, of: impl Fn(usize) -> Result<Vec<T::Native>>) -> Result<ArrayRef> {
    let DataType::List(item) = call.gives else { return Err(refuse("42804", "a series is a list")) };
    let values = PrimitiveBuilder::<T>::new().with_data_type(item.data_type().clone());
    let bound = call.bound();
    let mut builder = ListBuilder::new(values).with_field(Arc::clone(item));
    for row in 0..call.rows {
        let whole = call.is_whole(row);
        if whole {
            let values = of(row)?;
            bound.check_batch((builder.values().len() + values.len()).saturating_mul(size_of::<T::Native>()))?;
            builder.values().append_slice(&values);
        }
        builder.append(whole);
    }
    Ok(Arc::new(builder.finish()))
}

/// The values from the first to the last one, of which `next` makes each from the one before it; none where it ends.
fn steps(start: i64, stop: i64, up: bool, next: impl Fn(i64) -> Result<Option<i64>>) -> Result<Vec<i64>> {
    let mut values = Vec::new();
    let mut at = Some(start);
    while let Some(value) = at.filter(|value| if up { *value <= stop } else { *value >= stop }) {
        if values.len() == VALUES_MAX {
            return Err(too_many());
        }
        values.push(value);
        at = next(value)?;
    }
    Ok(values)
}

fn too_many() -> DataFusionError {
    refuse("54000", format!("a series of more than {VALUES_MAX} values"))
}

fn standing() -> DataFusionError {
    refuse("22023", "step size cannot equal zero")
}

fn numbers(call: &Call<'_>) -> Result<ArrayRef> {
    let argument = |at: usize, row: usize| call.primitive::<Int64Type>(at).value(row);
    lists::<Int64Type>(call, |row| counted(call.arrays.len(), |at| argument(at, row)))
}

fn integers(call: &Call<'_>) -> Result<ArrayRef> {
    let argument = |at: usize, row: usize| i64::from(call.primitive::<Int32Type>(at).value(row));
    lists::<Int32Type>(call, |row| {
        // Between two that fit, each does.
        let values = counted(call.arrays.len(), |at| argument(at, row))?.into_iter();
        Ok(values.filter_map(|value| i32::try_from(value).ok()).collect())
    })
}

fn counted(arguments: usize, argument: impl Fn(usize) -> i64) -> Result<Vec<i64>> {
    let (start, stop) = match arguments {
        1 => (0, argument(0)),
        _ => (argument(0), argument(1)),
    };
    let step = if arguments > 2 { argument(2) } else { 1 };
    if step == 0 {
        return Err(standing());
    }
    if (i128::from(stop) - i128::from(start)) / i128::from(step) >= VALUES_MAX as i128 {
        return Err(too_many());
    }
    steps(start, stop, step > 0, |value| Ok(value.checked_add(step)))
}

/// Whether a step leads on or back.
fn leads_on(step: Span) -> Result<bool> {
    match order(step) {
        0 => Err(standing()),
        length => Ok(length > 0),
    }
}

fn times(call: &Call<'_>) -> Result<ArrayRef> {
    let bound = |at: usize, row: usize| call.primitive::<TimestampMicrosecondType>(at).value(row);
    lists::<TimestampMicrosecondType>(call, |row| {
        let step = spans(call, 2).value(row);
        let next = |at: i64| Ok(Some(micros(plus(moment(at)?, step)?)));
        steps(bound(0, row), bound(1, row), leads_on(step)?, next)
    })
}

/// The session's zone.
pub(super) fn session(call: &Call<'_>) -> Result<Tz> {
    zone(call.config.execution.time_zone.as_deref().unwrap_or("UTC"))
}

/// Months and days go by the clocks of the zone, one after the other; hours do not.
pub(super) fn later(at: i64, step: Span, zone: Tz) -> Result<i64> {
    let mut moved = at;
    for part in [Span { days: 0, nanoseconds: 0, ..step }, Span { months: 0, nanoseconds: 0, ..step }] {
        if part.months != 0 || part.days != 0 {
            let (local, ..) = in_zone(moved, zone)?;
            moved = from_zone(plus(local, part)?, zone)?;
        }
    }
    moved.checked_add(step.nanoseconds / 1_000).ok_or_else(out_of_range)
}

fn instants(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = session(call)?;
    let bound = |at: usize, row: usize| call.primitive::<TimestampMicrosecondType>(at).value(row);
    lists::<TimestampMicrosecondType>(call, |row| {
        let step = spans(call, 2).value(row);
        steps(bound(0, row), bound(1, row), leads_on(step)?, |at| later(at, step, zone).map(Some))
    })
}

fn days(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = session(call)?;
    let midnight = |at: usize, row: usize| {
        let day = i64::from(call.primitive::<Date32Type>(at).value(row));
        from_zone(moment(day.checked_mul(DAY_MICROS).ok_or_else(out_of_range)?)?, zone)
    };
    lists::<TimestampMicrosecondType>(call, |row| {
        let step = spans(call, 2).value(row);
        steps(midnight(0, row)?, midnight(1, row)?, leads_on(step)?, |at| later(at, step, zone).map(Some))
    })
}
