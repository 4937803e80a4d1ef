//! Dates, times and intervals: taking them apart, putting them together, counting with them.

mod arithmetic;
mod fields;
mod format;
mod make;
pub(crate) mod moment;
mod now;
mod pattern;
mod read;
mod series;

pub(crate) use fields::{scale as extract_scale, unit};
pub(in crate::functions) use format::suffix as ordinal_suffix;
pub(in crate::functions) use now::Now;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use self::format::Pattern;
use self::moment::{Moments, parts_of_span, spans};
use super::function::{Call, Function, Gives, Kind as K, Overload, function, way, way_rest};

/// A time with a zone, in microseconds.
pub(crate) fn zoned(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))
}

const ZONED: Gives = Gives::Type(zoned);

const TO_CHAR: &[Overload] = &[
    way(&[K::Timestamp, K::Text], Gives::Text, char_of_moment),
    way(&[K::TimestampTz, K::Text], Gives::Text, char_of_moment),
    way(&[K::Interval, K::Text], Gives::Text, char_of_span),
    way(&[K::Int8, K::Text], Gives::Text, super::numbers::to_char_int),
    way(&[K::Numeric, K::Text], Gives::Text, super::numbers::to_char_decimal),
    way(&[K::Float, K::Text], Gives::Text, super::numbers::to_char_float),
];

/// The ways to call `extract` for parts of so many digits behind the point.
const fn extract(gives: Gives) -> [Overload; 4] {
    [
        way(&[K::Text, K::Timestamp], gives, fields::extract),
        way(&[K::Text, K::TimestampTz], gives, fields::extract),
        way(&[K::Text, K::Time], gives, fields::extract),
        way(&[K::Text, K::Interval], gives, fields::extract),
    ]
}

const EXTRACT: &[Overload] = &extract(Gives::Type(|_| Ok(DataType::Decimal128(20, 0))));
const EXTRACT_3: &[Overload] = &extract(Gives::Type(|_| Ok(DataType::Decimal128(20, 3))));
const EXTRACT_6: &[Overload] = &extract(Gives::Type(|_| Ok(DataType::Decimal128(26, 6))));
const EXTRACT_10: &[Overload] = &extract(Gives::Type(|_| Ok(DataType::Decimal128(20, 10))));

const DATE_PART: &[Overload] = &[
    way(&[K::Text, K::Timestamp], Gives::Float, fields::date_part),
    way(&[K::Text, K::TimestampTz], Gives::Float, fields::date_part),
    way(&[K::Text, K::Time], Gives::Float, fields::date_part),
    way(&[K::Text, K::Interval], Gives::Float, fields::date_part),
];

const DATE_TRUNC: &[Overload] = &[
    way(&[K::Text, K::Timestamp], Gives::Argument(1), fields::date_trunc),
    way(&[K::Text, K::TimestampTz], Gives::Argument(1), fields::date_trunc),
    way(&[K::Text, K::TimestampTz, K::Text], Gives::Argument(1), fields::date_trunc),
    way(&[K::Text, K::Interval], Gives::Interval, fields::trunc_span),
    way(&[K::Text, K::Date], Gives::TimestampTz, fields::trunc_day),
];

const MAKE_INTERVAL: &[Overload] = &[way_rest(&[], K::Float, Gives::Interval, make::interval)];

pub(super) const FUNCTIONS: &[Function] = &[
    function("to_char", "to_char(value, pattern)", "A date, time, interval or number written by a pattern.", TO_CHAR),
    function(
        "to_date",
        "to_date(text, pattern)",
        "A date read by a pattern.",
        &[way(&[K::Text, K::Text], Gives::Date, to_date)],
    ),
    function(
        "to_timestamp",
        "to_timestamp(text, pattern) or to_timestamp(seconds)",
        "A time read by a pattern, or so many seconds after 1970.",
        &[way(&[K::Float], ZONED, make::from_seconds), way(&[K::Text, K::Text], ZONED, to_timestamp)],
    ),
    function(
        "generate_series",
        "generate_series(start, stop[, step])",
        "Numbers, times or instants in steps, a row each; a day of a step is one of the session's zone.",
        series::SERIES,
    ),
    function("polder_days_between", "", "", &[way(&[K::Date, K::Date], Gives::Int4, arithmetic::days_between)]),
    function("polder_extract", "", "", EXTRACT),
    function("polder_extract_3", "", "", EXTRACT_3),
    function("polder_extract_6", "", "", EXTRACT_6),
    function("polder_extract_10", "", "", EXTRACT_10),
    Function {
        aliases: &["datepart"],
        ..function("date_part", "date_part(part, value)", "A part of a date, time or interval, as a float.", DATE_PART)
    },
    Function {
        aliases: &["datetrunc"],
        ..function(
            "date_trunc",
            "date_trunc(unit, value[, zone])",
            "A time, with all that is finer than the unit cut off.",
            DATE_TRUNC,
        )
    },
    Function {
        volatility: Volatility::Stable,
        ..function(
            "age",
            "age(later, earlier)",
            "The time between two moments in years, months and days.",
            &[
                way(&[K::Timestamp, K::Timestamp], Gives::Interval, arithmetic::age),
                way(&[K::TimestampTz, K::TimestampTz], Gives::Interval, arithmetic::age),
                way(&[K::Timestamp], Gives::Interval, arithmetic::age_today),
                way(&[K::TimestampTz], Gives::Interval, arithmetic::age_today),
            ],
        )
    },
    function(
        "make_date",
        "make_date(year, month, day)",
        "A date of its parts.",
        &[way(&[K::Int4, K::Int4, K::Int4], Gives::Date, make::date)],
    ),
    function(
        "make_time",
        "make_time(hour, minute, second)",
        "A time of its parts.",
        &[way(&[K::Int4, K::Int4, K::Float], Gives::Time, make::time)],
    ),
    function(
        "make_timestamp",
        "make_timestamp(year, month, day, hour, minute, second)",
        "A timestamp of its parts.",
        &[way(&[K::Int4, K::Int4, K::Int4, K::Int4, K::Int4, K::Float], Gives::Timestamp, make::timestamp)],
    ),
    Function {
        volatility: Volatility::Stable,
        ..function(
            "make_timestamptz",
            "make_timestamptz(year, month, day, hour, minute, second[, zone])",
            "A timestamp with time zone of its parts.",
            &[
                way(&[K::Int4, K::Int4, K::Int4, K::Int4, K::Int4, K::Float], ZONED, make::timestamp_zoned),
                way(&[K::Int4, K::Int4, K::Int4, K::Int4, K::Int4, K::Float, K::Text], ZONED, make::timestamp_zoned),
            ],
        )
    },
    function(
        "make_interval",
        "make_interval(years => 0, months => 0, weeks => 0, days => 0, hours => 0, mins => 0, secs => 0)",
        "An interval of its parts.",
        MAKE_INTERVAL,
    ),
    function(
        "justify_days",
        "justify_days(interval)",
        "An interval in which 30 days are a month.",
        &[way(&[K::Interval], Gives::Interval, arithmetic::justify_days)],
    ),
    function(
        "justify_hours",
        "justify_hours(interval)",
        "An interval in which 24 hours are a day.",
        &[way(&[K::Interval], Gives::Interval, arithmetic::justify_hours)],
    ),
    function(
        "justify_interval",
        "justify_interval(interval)",
        "An interval whose parts have one sign, with whole days and months.",
        &[way(&[K::Interval], Gives::Interval, arithmetic::justify_interval)],
    ),
    function(
        "polder_interval_order",
        "",
        "",
        &[way(&[K::Interval], Gives::Type(|_| Ok(DataType::Decimal128(38, 0))), arithmetic::order)],
    ),
    function(
        "polder_instant_plus",
        "",
        "",
        &[way(&[K::TimestampTz, K::Interval], Gives::TimestampTz, arithmetic::instant_plus)],
    ),
    function("polder_interval_times", "", "", &[way(&[K::Interval, K::Float], Gives::Interval, arithmetic::times)]),
    function("polder_interval_over", "", "", &[way(&[K::Interval, K::Float], Gives::Interval, arithmetic::over)]),
    function(
        "polder_moments_between",
        "",
        "",
        &[
            way(&[K::Timestamp, K::Timestamp], Gives::Interval, arithmetic::between),
            way(&[K::TimestampTz, K::TimestampTz], Gives::Interval, arithmetic::between),
            way(&[K::Time, K::Time], Gives::Interval, arithmetic::between_times),
        ],
    ),
    function("polder_time_plus", "", "", &[way(&[K::Time, K::Interval], Gives::Time, arithmetic::time_plus)]),
    function("polder_date_time", "", "", &[way(&[K::Date, K::Time], Gives::Timestamp, arithmetic::date_time)]),
    function(
        "polder_overlaps",
        "",
        "",
        &[
            way(&[K::Timestamp, K::Timestamp, K::Timestamp, K::Timestamp], Gives::Bool, arithmetic::overlaps),
            way(&[K::Timestamp, K::Interval, K::Timestamp, K::Interval], Gives::Bool, arithmetic::overlaps),
            way(&[K::Timestamp, K::Interval, K::Timestamp, K::Timestamp], Gives::Bool, arithmetic::overlaps),
            way(&[K::Timestamp, K::Timestamp, K::Timestamp, K::Interval], Gives::Bool, arithmetic::overlaps),
            way(&[K::Time, K::Time, K::Time, K::Time], Gives::Bool, arithmetic::overlaps),
        ],
    ),
    function(
        "isfinite",
        "isfinite(value)",
        "True: dates and intervals are always finite here.",
        &[
            way(&[K::Timestamp], Gives::Bool, arithmetic::is_finite),
            way(&[K::TimestampTz], Gives::Bool, arithmetic::is_finite),
            way(&[K::Interval], Gives::Bool, arithmetic::is_finite),
        ],
    ),
    Function {
        volatility: Volatility::Volatile,
        ..function(
            "clock_timestamp",
            "clock_timestamp()",
            "The time at this very moment.",
            &[way(&[], ZONED, make::clock)],
        )
    },
    Function {
        volatility: Volatility::Volatile,
        ..function(
            "timeofday",
            "timeofday()",
            "The time at this very moment, as text.",
            &[way(&[], Gives::Text, make::time_of_day)],
        )
    },
];

/// Writes each row by its pattern, which is cut only when it changes.
fn by_pattern(call: &Call<'_>, parts: impl Fn(usize) -> Result<moment::Parts>) -> Result<ArrayRef> {
    let mut pattern: Option<Pattern> = None;
    call.texts(|row| {
        let text = call.text(1).value(row);
        let known = pattern.take().filter(|known| known.is(text)).unwrap_or_else(|| Pattern::new(text));
        let written = known.write(&parts(row)?)?;
        pattern = Some(known);
        // PostgreSQL gives NULL for an empty pattern.
        Ok((!text.is_empty()).then_some(written))
    })
}

fn char_of_moment(call: &Call<'_>) -> Result<ArrayRef> {
    let moments = Moments::of(call, 0)?;
    by_pattern(call, |row| moments.parts(row))
}

fn char_of_span(call: &Call<'_>) -> Result<ArrayRef> {
    let spans = spans(call, 0);
    by_pattern(call, |row| Ok(parts_of_span(spans.value(row))))
}

fn to_date(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Date32Type>(|row| {
        let read = read::read(call.text(0).value(row), call.text(1).value(row))?;
        Ok(Some(Date32Type::from_naive_date(read.local.date())))
    })
}

fn to_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = make::session_zone(call)?;
    call.values::<TimestampMicrosecondType>(|row| {
        let read = read::read(call.text(0).value(row), call.text(1).value(row))?;
        match (read.offset, zone) {
            (Some(offset), _) => Ok(Some(moment::micros(read.local) - offset * 1_000_000)),
            (None, Some(zone)) => moment::from_zone(read.local, zone).map(Some),
            (None, None) => Ok(Some(moment::micros(read.local))),
        }
    })
}

/// A column of one value for all rows.
pub(super) fn same(array: impl Array + 'static) -> Result<ArrayRef> {
    Ok(Arc::new(array))
}
