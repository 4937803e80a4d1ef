//! Counting with moments and intervals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::common::Result;

use super::moment::{self, DAY_MICROS, DAY_NANOS, Moments, Span, divided, moment, scaled, span, spans};
use super::series::{later, session};
use crate::functions::function::{Call, refuse};

pub(super) fn age(call: &Call<'_>) -> Result<ArrayRef> {
    let (later, earlier) = (Moments::of(call, 0)?, Moments::of(call, 1)?);
    call.values::<IntervalMonthDayNanoType>(|row| moment::age(later.local(row)?, earlier.local(row)?).map(Some))
}

/// An instant and a span later. A day is as long as it is in the session's zone.
pub(super) fn instant_plus(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = session(call)?;
    let (instants, spans) = (call.primitive::<TimestampMicrosecondType>(0), spans(call, 1));
    call.values::<TimestampMicrosecondType>(|row| later(instants.value(row), spans.value(row), zone).map(Some))
}

/// From a moment to the beginning of today, which is that of the session's zone.
pub(super) fn age_today(call: &Call<'_>) -> Result<ArrayRef> {
    let earlier = Moments::of(call, 0)?;
    let now = chrono::Utc::now().with_timezone(&session(call)?);
    let today = now.date_naive().and_time(chrono::NaiveTime::MIN);
    call.values::<IntervalMonthDayNanoType>(|row| moment::age(today, earlier.local(row)?).map(Some))
}

/// The days from one date to another.
pub(super) fn days_between(call: &Call<'_>) -> Result<ArrayRef> {
    let (later, earlier) = (call.primitive::<Date32Type>(0), call.primitive::<Date32Type>(1));
    call.values::<Int32Type>(|row| {
        let days = later.value(row).checked_sub(earlier.value(row));
        days.map(Some).ok_or_else(|| refuse("22008", "date out of range"))
    })
}

/// Days and time; never months.
pub(super) fn between(call: &Call<'_>) -> Result<ArrayRef> {
    let (later, earlier) =
        (call.primitive::<TimestampMicrosecondType>(0), call.primitive::<TimestampMicrosecondType>(1));
    call.values::<IntervalMonthDayNanoType>(|row| {
        let micros = later.value(row).checked_sub(earlier.value(row)).ok_or_else(moment::out_of_range)?;
        span(0, micros / DAY_MICROS, micros % DAY_MICROS * 1_000).map(Some)
    })
}

pub(super) fn between_times(call: &Call<'_>) -> Result<ArrayRef> {
    let (later, earlier) = (call.primitive::<Time64MicrosecondType>(0), call.primitive::<Time64MicrosecondType>(1));
    call.values::<IntervalMonthDayNanoType>(|row| span(0, 0, (later.value(row) - earlier.value(row)) * 1_000).map(Some))
}

pub(super) fn order(call: &Call<'_>) -> Result<ArrayRef> {
    let spans = spans(call, 0);
    call.values::<Decimal128Type>(|row| Ok(Some(moment::order(spans.value(row)))))
}

pub(super) fn times(call: &Call<'_>) -> Result<ArrayRef> {
    let spans = spans(call, 0);
    call.values::<IntervalMonthDayNanoType>(|row| {
        scaled(spans.value(row), call.primitive::<Float64Type>(1).value(row)).map(Some)
    })
}

pub(super) fn over(call: &Call<'_>) -> Result<ArrayRef> {
    let spans = spans(call, 0);
    call.values::<IntervalMonthDayNanoType>(|row| {
        let divisor = call.primitive::<Float64Type>(1).value(row);
        if divisor == 0.0 {
            return Err(refuse("22012", "division by zero"));
        }
        divided(spans.value(row), divisor).map(Some)
    })
}

/// 24 hours become a day, so that what is left has the sign of the days.
fn hours_to_days(of: Span) -> Result<Span> {
    let mut days = i64::from(of.days) + of.nanoseconds / DAY_NANOS;
    let mut nanoseconds = of.nanoseconds % DAY_NANOS;
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOS);
    }
    span(of.months.into(), days, nanoseconds)
}

fn days_to_months(of: Span) -> Result<Span> {
    let mut months = i64::from(of.months + of.days / 30);
    let mut days = i64::from(of.days % 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    span(months, days, of.nanoseconds)
}

/// Both, with one sign for all parts.
fn whole(of: Span) -> Result<Span> {
    let of = hours_to_days(of)?;
    let mut days = i64::from(of.days);
    let mut nanoseconds = of.nanoseconds;
    let mut months = i64::from(of.months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && nanoseconds < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && nanoseconds > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOS);
    }
    span(months, days, nanoseconds)
}

fn each_span(call: &Call<'_>, of: fn(Span) -> Result<Span>) -> Result<ArrayRef> {
    let spans = spans(call, 0);
    call.values::<IntervalMonthDayNanoType>(|row| of(spans.value(row)).map(Some))
}

pub(super) fn justify_hours(call: &Call<'_>) -> Result<ArrayRef> {
    each_span(call, hours_to_days)
}

pub(super) fn justify_days(call: &Call<'_>) -> Result<ArrayRef> {
    each_span(call, days_to_months)
}

pub(super) fn justify_interval(call: &Call<'_>) -> Result<ArrayRef> {
    each_span(call, whole)
}

/// `(start, end) OVERLAPS (start, end)`: half open, and an end before its start is turned.
pub(super) fn overlaps(call: &Call<'_>) -> Result<ArrayRef> {
    let value = |at: usize, row: usize| match call.arrays[at].data_type() {
        DataType::Time64(_) => call.primitive::<Time64MicrosecondType>(at).value(row),
        DataType::Interval(_) => 0,
        _ => call.primitive::<TimestampMicrosecondType>(at).value(row),
    };
    let period = |at: usize, row: usize| -> Result<(i64, i64)> {
        let start = value(at, row);
        let end = match call.arrays[at + 1].data_type() {
            DataType::Interval(_) => moved(start, spans(call, at + 1).value(row))?,
            _ => value(at + 1, row),
        };
        Ok((start.min(end), start.max(end)))
    };
    call.bools(|row| {
        let ((start, end), (other_start, other_end)) = (period(0, row)?, period(2, row)?);
        // Of two that start together, even moments overlap.
        Ok(Some(start == other_start || (start < other_end && other_start < end)))
    })
}

pub(super) fn is_finite(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.arrays[0];
    Ok(Arc::new(BooleanArray::from_iter((0..array.len()).map(|row| array.is_valid(row).then_some(true)))))
}

/// A time of day and an interval later, around the clock.
pub(super) fn time_plus(call: &Call<'_>) -> Result<ArrayRef> {
    let (times, spans) = (call.primitive::<Time64MicrosecondType>(0), spans(call, 1));
    call.values::<Time64MicrosecondType>(|row| {
        Ok(Some((times.value(row) + spans.value(row).nanoseconds / 1_000).rem_euclid(DAY_MICROS)))
    })
}

pub(super) fn date_time(call: &Call<'_>) -> Result<ArrayRef> {
    let (days, times) = (call.primitive::<Date32Type>(0), call.primitive::<Time64MicrosecondType>(1));
    call.values::<TimestampMicrosecondType>(|row| Ok(Some(i64::from(days.value(row)) * DAY_MICROS + times.value(row))))
}

/// A moment and a span later.
fn moved(at: i64, by: Span) -> Result<i64> {
    Ok(moment::micros(moment::plus(moment(at)?, by)?))
}
