//! `extract`, `date_part` and `date_trunc`.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Time64MicrosecondType};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::Result;

use super::moment::{self, DAY_MICROS, Moments, Parts, Span, parts_of_span, spans};
use crate::functions::function::{Call, refuse};
use crate::functions::types;

/// Days from 4713 BC to 1970.
const JULIAN_OF_EPOCH: i64 = 2_440_588;

pub(super) fn julian_day(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163 + JULIAN_OF_EPOCH
}

/// The first century begins with the year 1; before it comes century -1.
pub(super) fn century(year: i64) -> i64 {
    if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }
}

fn millennium(year: i64) -> i64 {
    if year > 0 { (year + 999) / 1_000 } else { -((999 - (year - 1)) / 1_000) }
}

/// A part by the names that PostgreSQL knows for it.
pub(crate) fn unit(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase();
    Some(match name.as_str() {
        "year" | "years" | "y" | "yr" | "yrs" => "year",
        "month" | "months" | "mon" | "mons" => "month",
        "day" | "days" | "d" => "day",
        "hour" | "hours" | "h" | "hr" | "hrs" => "hour",
        "minute" | "minutes" | "m" | "min" | "mins" => "minute",
        "second" | "seconds" | "s" | "sec" | "secs" => "second",
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => "milliseconds",
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" => "microseconds",
        "week" | "weeks" | "w" => "week",
        "quarter" | "qtr" => "quarter",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "c" | "cent" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "isoyear" => "isoyear",
        "epoch" => "epoch",
        "julian" => "julian",
        "timezone" => "timezone",
        "timezone_hour" => "timezone_hour",
        "timezone_minute" => "timezone_minute",
        _ => return None,
    })
}

/// The type of a part: whole numbers but for seconds and what counts them.
pub(crate) fn scale(part: &str) -> i8 {
    match unit(part) {
        Some("second" | "epoch") => 6,
        Some("milliseconds") => 3,
        Some("julian") => 10,
        _ => 0,
    }
}

fn unknown(part: &str) -> datafusion::common::DataFusionError {
    refuse("22023", format!("unit {part:?} not recognized"))
}

fn not_there(part: &str, of: &str) -> datafusion::common::DataFusionError {
    refuse("0A000", format!("unit {part:?} is not supported for {of}"))
}

/// What an argument of `extract` is.
enum Source<'a> {
    Moments(Moments<'a>, &'static str),
    Times(&'a arrow::array::PrimitiveArray<Time64MicrosecondType>),
    Spans(&'a arrow::array::PrimitiveArray<arrow::datatypes::IntervalMonthDayNanoType>),
}

/// One part in millionths, so that all are whole.
fn part_of(source: &Source<'_>, row: usize, unit: &'static str) -> Result<i128> {
    match source {
        Source::Moments(moments, name) => {
            let parts = moments.parts(row)?;
            if unit == "epoch" {
                return Ok(moments.instant(row).into());
            }
            of_moment(unit, &parts, name)
        }
        Source::Times(times) => of_time(unit, times.value(row)),
        Source::Spans(spans) => of_span(unit, spans.value(row)),
    }
}

const MILLION: i128 = 1_000_000;

fn of_moment(unit: &str, parts: &Parts, name: &str) -> Result<i128> {
    let date = parts.date.unwrap_or_default();
    let time = ((parts.hour * 60 + parts.minute) * 60 + parts.second) * 1_000_000 + parts.micros;
    let is_date = name == "type date";
    let offset = || parts.zone.as_ref().map(|(_, offset)| i64::from(*offset)).ok_or_else(|| not_there(unit, name));
    let value = match unit {
        "hour" | "minute" | "second" | "milliseconds" | "microseconds" if is_date => {
            return Err(not_there(unit, name));
        }
        "second" => return Ok(i128::from(parts.second * 1_000_000 + parts.micros)),
        "milliseconds" => return Ok(i128::from(parts.second * 1_000_000 + parts.micros) * 1_000),
        "microseconds" => parts.second * 1_000_000 + parts.micros,
        "minute" => parts.minute,
        "hour" => parts.hour,
        "day" => parts.day,
        "month" => parts.month,
        "quarter" => (parts.month - 1) / 3 + 1,
        "week" => date.iso_week().week().into(),
        // There is no year 0.
        "year" if parts.year <= 0 => parts.year - 1,
        "year" => parts.year,
        "isoyear" => {
            let year = i64::from(date.iso_week().year());
            if year <= 0 { year - 1 } else { year }
        }
        "decade" => parts.year.div_euclid(10),
        "century" => century(parts.year),
        "millennium" => millennium(parts.year),
        "dow" => date.weekday().num_days_from_sunday().into(),
        "isodow" => date.weekday().number_from_monday().into(),
        "doy" => date.ordinal().into(),
        "julian" => {
            return Ok(i128::from(julian_day(date)) * MILLION + i128::from(time) * MILLION / i128::from(DAY_MICROS));
        }
        "timezone" => offset()?,
        "timezone_hour" => offset()? / 3_600,
        "timezone_minute" => offset()? / 60 % 60,
        _ => return Err(not_there(unit, name)),
    };
    Ok(i128::from(value) * MILLION)
}

fn of_time(unit: &str, time: i64) -> Result<i128> {
    let seconds = time / 1_000_000;
    let value = match unit {
        "epoch" => return Ok(time.into()),
        "second" => return Ok(i128::from(time % 60_000_000)),
        "milliseconds" => return Ok(i128::from(time % 60_000_000) * 1_000),
        "microseconds" => time % 60_000_000,
        "minute" => seconds / 60 % 60,
        "hour" => seconds / 3_600,
        _ => return Err(not_there(unit, "type time without time zone")),
    };
    Ok(i128::from(value) * MILLION)
}

fn of_span(unit: &str, span: Span) -> Result<i128> {
    let parts = parts_of_span(span);
    let value = match unit {
        "epoch" => {
            // A year has 365.25 days here, and a month 30.
            let years = i128::from(span.months / 12) * 31_557_600;
            let months = i128::from(span.months % 12) * 2_592_000;
            let days = i128::from(span.days) * 86_400;
            return Ok((years + months + days) * MILLION + i128::from(span.nanoseconds / 1_000));
        }
        "second" => return Ok(i128::from(parts.second * 1_000_000 + parts.micros)),
        "milliseconds" => return Ok(i128::from(parts.second * 1_000_000 + parts.micros) * 1_000),
        "microseconds" => parts.second * 1_000_000 + parts.micros,
        "minute" => parts.minute,
        "hour" => parts.hour,
        "day" => parts.day,
        "month" => parts.month,
        "quarter" => parts.month / 3 + 1,
        "year" => parts.year,
        "decade" => parts.year / 10,
        "century" => parts.year / 100,
        "millennium" => parts.year / 1_000,
        _ => return Err(not_there(unit, "type interval")),
    };
    Ok(i128::from(value) * MILLION)
}

fn source<'a>(call: &'a Call<'_>, at: usize) -> Result<Source<'a>> {
    Ok(match call.arrays[at].data_type() {
        DataType::Time64(_) => Source::Times(call.primitive(at)),
        DataType::Interval(_) => Source::Spans(spans(call, at)),
        DataType::Timestamp(_, zone) => {
            let was_date = matches!(call.fields[at].data_type(), DataType::Date32 | DataType::Date64);
            let name = match (was_date, zone) {
                (true, _) => "type date",
                (_, Some(_)) => "type timestamp with time zone",
                _ => "type timestamp without time zone",
            };
            Source::Moments(Moments::of(call, at)?, name)
        }
        other => return Err(refuse("42883", format!("extract takes no {}", types::postgres_name(other)))),
    })
}

/// `extract`: an exact number.
pub(super) fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let source = source(call, 1)?;
    let (_, scale) = types::digits(call.gives);
    let mut units = Units::default();
    call.values::<Decimal128Type>(|row| {
        let millionths = part_of(&source, row, units.get(call.text(0).value(row))?)?;
        let power = 10_i128.pow(u32::from(scale.unsigned_abs().abs_diff(6)));
        Ok(Some(if scale < 6 { millionths / power } else { millionths * power }))
    })
}

/// `date_part`: a float, as PostgreSQL has kept it.
pub(super) fn date_part(call: &Call<'_>) -> Result<ArrayRef> {
    let source = source(call, 1)?;
    let mut units = Units::default();
    call.values::<Float64Type>(|row| {
        let unit = units.get(call.text(0).value(row))?;
        Ok(Some(part_of(&source, row, unit)? as f64 / 1e6))
    })
}

fn truncated(unit: &str, moment: NaiveDateTime) -> Result<NaiveDateTime> {
    let year = i64::from(moment.year());
    let first = |year: i64, month: u32| {
        let year = i32::try_from(year).map_err(|_| moment::out_of_range())?;
        let date = NaiveDate::from_ymd_opt(year, month, 1).ok_or_else(moment::out_of_range)?;
        Ok(date.and_time(chrono::NaiveTime::MIN))
    };
    let start = moment.date().and_time(chrono::NaiveTime::MIN);
    let down = |step: i64| {
        let nanos = i64::from(moment.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(moment.nanosecond());
        Ok(start + chrono::TimeDelta::nanoseconds(nanos - nanos % step))
    };
    match unit {
        "microseconds" => down(1_000),
        "milliseconds" => down(1_000_000),
        "second" => down(1_000_000_000),
        "minute" => down(60_000_000_000),
        "hour" => down(3_600_000_000_000),
        "day" => Ok(start),
        "week" => Ok(start - chrono::TimeDelta::days(moment.weekday().num_days_from_monday().into())),
        "month" => first(year, moment.month()),
        "quarter" => first(year, moment.month0() / 3 * 3 + 1),
        "year" => first(year, 1),
        "decade" => first(year.div_euclid(10) * 10, 1),
        "century" => first((year - 1).div_euclid(100) * 100 + 1, 1),
        "millennium" => first((year - 1).div_euclid(1_000) * 1_000 + 1, 1),
        _ => Err(not_there(unit, "type timestamp without time zone")),
    }
}

/// A unit by its name, looked up only when the name changes.
#[derive(Default)]
struct Units<'a>(Option<(&'a str, &'static str)>);

impl<'a> Units<'a> {
    fn get(&mut self, name: &'a str) -> Result<&'static str> {
        match self.0 {
            Some((known, unit)) if known == name => Ok(unit),
            _ => {
                let found = unit(name).ok_or_else(|| unknown(name))?;
                self.0 = Some((name, found));
                Ok(found)
            }
        }
    }
}

/// The microseconds of units of which a day has a whole number.
fn step(unit: &str) -> Option<i64> {
    Some(match unit {
        "milliseconds" => 1_000,
        "second" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => 3_600_000_000,
        "day" => DAY_MICROS,
        _ => return None,
    })
}

/// `date_trunc` of moments, in their zone or in one that is named.
pub(super) fn date_trunc(call: &Call<'_>) -> Result<ArrayRef> {
    use arrow::datatypes::TimestampMicrosecondType;
    let moments = Moments::of(call, 1)?;
    let mut units = Units::default();
    call.values::<TimestampMicrosecondType>(|row| {
        let unit = units.get(call.text(0).value(row))?;
        if call.arrays.len() == 3 {
            let zone = moment::zone(call.text(2).value(row))?;
            let (local, ..) = moment::in_zone(moments.instant(row), zone)?;
            return moment::from_zone(truncated(unit, local)?, zone).map(Some);
        }
        if !moments.is_zoned()
            && let Some(step) = step(unit)
        {
            let at = moments.instant(row);
            return Ok(Some(at - at.rem_euclid(step)));
        }
        moments.back(truncated(unit, moments.local(row)?)?).map(Some)
    })
}

/// `date_trunc` of days, which are moments of the session's zone to it.
pub(super) fn trunc_day(call: &Call<'_>) -> Result<ArrayRef> {
    use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
    let zone = moment::zone(call.config.execution.time_zone.as_deref().unwrap_or("UTC"))?;
    let days = call.primitive::<Date32Type>(1);
    let mut units = Units::default();
    call.values::<TimestampMicrosecondType>(|row| {
        let unit = units.get(call.text(0).value(row))?;
        let local = moment::moment(i64::from(days.value(row)) * DAY_MICROS)?;
        moment::from_zone(truncated(unit, local)?, zone).map(Some)
    })
}

/// `date_trunc` of intervals.
pub(super) fn trunc_span(call: &Call<'_>) -> Result<ArrayRef> {
    use arrow::datatypes::IntervalMonthDayNanoType;
    let spans = spans(call, 1);
    let mut units = Units::default();
    call.values::<IntervalMonthDayNanoType>(|row| {
        let span = spans.value(row);
        let down = |step: i64| span.nanoseconds - span.nanoseconds % step;
        let months = |step: i32| Span { months: span.months - span.months % step, days: 0, nanoseconds: 0 };
        let name = call.text(0).value(row);
        Ok(Some(match units.get(name)? {
            "microseconds" => span,
            "milliseconds" => Span { nanoseconds: down(1_000_000), ..span },
            "second" => Span { nanoseconds: down(1_000_000_000), ..span },
            "minute" => Span { nanoseconds: down(60_000_000_000), ..span },
            "hour" => Span { nanoseconds: down(3_600_000_000_000), ..span },
            "day" => Span { nanoseconds: 0, ..span },
            "month" => months(1),
            "quarter" => months(3),
            "year" => months(12),
            "decade" => months(120),
            "century" => months(1_200),
            "millennium" => months(12_000),
            _ => return Err(not_there(name, "type interval")),
        }))
    })
}
