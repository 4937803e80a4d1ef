//! Moments and intervals of their parts.

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    Date32Type, Float64Type, Int32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::common::Result;

use super::moment::{self, span};
use crate::functions::function::{Call, refuse};

fn int(call: &Call<'_>, at: usize, row: usize) -> i32 {
    call.primitive::<Int32Type>(at).value(row)
}

fn float(call: &Call<'_>, at: usize, row: usize) -> f64 {
    call.primitive::<Float64Type>(at).value(row)
}

/// The time zone that the session is set to.
pub(super) fn session_zone(call: &Call<'_>) -> Result<Option<Tz>> {
    call.config.execution.time_zone.as_deref().map(moment::zone).transpose()
}

fn date_of(call: &Call<'_>, row: usize) -> Result<NaiveDate> {
    let (year, month, day) = (int(call, 0, row), int(call, 1, row), int(call, 2, row));
    // A negative year is one before Christ; there is no year 0.
    let astronomical = if year < 0 { Some(year + 1) } else { Some(year).filter(|year| *year != 0) };
    let parts = (astronomical, u32::try_from(month), u32::try_from(day));
    let date = match parts {
        (Some(year), Ok(month), Ok(day)) => NaiveDate::from_ymd_opt(year, month, day),
        _ => None,
    };
    date.ok_or_else(|| refuse("22008", format!("date field value out of range: {year}-{month:02}-{day:02}")))
}

/// Microseconds since midnight.
fn time_of(call: &Call<'_>, first: usize, row: usize) -> Result<i64> {
    let (hour, minute, second) = (int(call, first, row), int(call, first + 1, row), float(call, first + 2, row));
    let micros = (second * 1e6).round_ties_even();
    let whole = hour == 24 && minute == 0 && second == 0.0;
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60e6).contains(&micros);
    if !fits && !whole {
        return Err(refuse("22008", format!("time field value out of range: {hour}:{minute:02}:{second}")));
    }
    Ok((i64::from(hour) * 60 + i64::from(minute)) * 60_000_000 + micros as i64)
}

pub(super) fn date(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Date32Type>(|row| Ok(Some(Date32Type::from_naive_date(date_of(call, row)?))))
}

pub(super) fn time(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Time64MicrosecondType>(|row| time_of(call, 0, row).map(Some))
}

fn local(call: &Call<'_>, row: usize) -> Result<NaiveDateTime> {
    let midnight = date_of(call, row)?.and_time(NaiveTime::MIN);
    Ok(midnight + chrono::TimeDelta::microseconds(time_of(call, 3, row)?))
}

pub(super) fn timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<TimestampMicrosecondType>(|row| Ok(Some(moment::micros(local(call, row)?))))
}

pub(super) fn timestamp_zoned(call: &Call<'_>) -> Result<ArrayRef> {
    let session = session_zone(call)?;
    call.values::<TimestampMicrosecondType>(|row| {
        let local = local(call, row)?;
        let zone = match call.arrays.get(6) {
            Some(_) => Some(moment::zone(call.text(6).value(row))?),
            None => session,
        };
        match zone {
            Some(zone) => moment::from_zone(local, zone).map(Some),
            None => Ok(Some(moment::micros(local))),
        }
    })
}

/// Years, months, weeks, days, hours, minutes, seconds; those that are left out are 0.
pub(super) fn interval(call: &Call<'_>) -> Result<ArrayRef> {
    if call.arrays.len() > 7 {
        return Err(refuse("42883", "make_interval takes at most seven numbers"));
    }
    call.values::<IntervalMonthDayNanoType>(|row| {
        let part = |at: usize| call.arrays.get(at).map_or(0.0, |_| float(call, at, row));
        let seconds = (part(6) * 1e6).round_ties_even() as i64 * 1_000;
        let nanoseconds = part(4) as i64 * 3_600_000_000_000 + part(5) as i64 * 60_000_000_000 + seconds;
        span(part(0) as i64 * 12 + part(1) as i64, part(2) as i64 * 7 + part(3) as i64, nanoseconds).map(Some)
    })
}

pub(super) fn from_seconds(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<TimestampMicrosecondType>(|row| {
        let seconds = float(call, 0, row);
        if !seconds.is_finite() || seconds.abs() > 8e12 {
            return Err(moment::out_of_range());
        }
        Ok(Some((seconds * 1e6).round_ties_even() as i64))
    })
}

pub(super) fn clock(call: &Call<'_>) -> Result<ArrayRef> {
    let now = chrono::Utc::now().timestamp_micros();
    let array = TimestampMicrosecondArray::from_value(now, call.rows).with_data_type(call.gives.clone());
    super::same(array)
}

pub(super) fn time_of_day(call: &Call<'_>) -> Result<ArrayRef> {
    let now = chrono::Utc::now().format("%a %b %d %H:%M:%S%.6f %Y UTC").to_string();
    let array: StringArray = std::iter::repeat_n(Some(now), call.rows).collect();
    crate::functions::types::fit(std::sync::Arc::new(array), call.gives)
}
