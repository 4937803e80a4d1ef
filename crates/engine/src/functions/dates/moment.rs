//! A moment taken apart, and spans put together: what the functions of dates share.

use arrow::array::Array;
use arrow::array::timezone::Tz;
use arrow::array::{AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::OffsetName;
use datafusion::common::Result;
use polder_kernels::zones;

use crate::functions::function::{Call, refuse};

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
pub(crate) const DAY_NANOS: i64 = DAY_MICROS * 1_000;

pub(crate) type Span = IntervalMonthDayNano;

/// What `to_char` can write of a moment or of an interval.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    /// May be beyond 23 in an interval.
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
    /// None in an interval.
    pub date: Option<NaiveDate>,
    /// The zone's short name, such as `CEST`, and its offset in seconds. A zone that is only an offset has no name.
    pub zone: Option<(String, i32)>,
}

pub(crate) fn out_of_range() -> datafusion::common::DataFusionError {
    refuse("22008", "timestamp out of range")
}

pub(crate) fn moment(micros: i64) -> Result<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|moment| moment.naive_utc()).ok_or_else(out_of_range)
}

pub(crate) fn micros(moment: NaiveDateTime) -> i64 {
    moment.and_utc().timestamp_micros()
}

/// The time zone by its name, or an offset such as `+02:00`.
pub(crate) fn zone(name: &str) -> Result<Tz> {
    name.parse::<Tz>().map_err(|_| refuse("22023", format!("time zone {name:?} not recognized")))
}

/// Local time in a zone, and how far it is ahead.
pub(crate) fn in_zone(micros: i64, zone: Tz) -> Result<(NaiveDateTime, i32)> {
    let local = zone.from_utc_datetime(&moment(micros)?);
    let offset = local.offset().fix().local_minus_utc();
    Ok((local.naive_local(), offset))
}

/// The instant at which a zone's clocks show a time; of two, the one with the standard offset, as PostgreSQL takes it.
pub(crate) fn from_zone(local: NaiveDateTime, zone: Tz) -> Result<i64> {
    zones::instant(zone, micros(local)).ok_or_else(out_of_range)
}

pub(crate) fn parts_of(moment: NaiveDateTime) -> Parts {
    Parts {
        year: moment.year().into(),
        month: moment.month().into(),
        day: moment.day().into(),
        hour: moment.hour().into(),
        minute: moment.minute().into(),
        second: moment.second().into(),
        micros: i64::from(moment.nanosecond() / 1_000),
        date: Some(moment.date()),
        zone: None,
    }
}

pub(crate) fn parts_of_span(span: Span) -> Parts {
    let micros = span.nanoseconds / 1_000;
    let seconds = micros / 1_000_000;
    Parts {
        year: i64::from(span.months / 12),
        month: i64::from(span.months % 12),
        day: span.days.into(),
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        micros: micros % 1_000_000,
        date: None,
        zone: None,
    }
}

/// The zone of a column with time zone: the session's, or the column's own.
pub(crate) fn zone_of(call: &Call<'_>, data_type: &DataType) -> Result<Option<Tz>> {
    let DataType::Timestamp(_, Some(own)) = data_type else { return Ok(None) };
    let session = call.config.execution.time_zone.as_deref();
    zone(session.unwrap_or(own.as_ref())).map(Some)
}

/// Moments of a column, in its zone.
pub(crate) struct Moments<'a> {
    values: &'a PrimitiveArray<TimestampMicrosecondType>,
    zone: Option<Tz>,
    /// The zone as one that knows its short names, which Arrow's does not.
    named: Option<chrono_tz::Tz>,
}

impl<'a> Moments<'a> {
    pub fn of(call: &'a Call<'_>, at: usize) -> Result<Self> {
        let array = &call.arrays[at];
        let zone = zone_of(call, array.data_type())?;
        let named = zone.and_then(|zone| zone.to_string().parse().ok());
        Ok(Self { values: array.as_primitive(), zone, named })
    }

    pub fn is_zoned(&self) -> bool {
        self.zone.is_some()
    }

    pub fn instant(&self, row: usize) -> i64 {
        self.values.value(row)
    }

    pub fn local(&self, row: usize) -> Result<NaiveDateTime> {
        match self.zone {
            Some(zone) => Ok(in_zone(self.values.value(row), zone)?.0),
            None => moment(self.values.value(row)),
        }
    }

    /// Back from local time.
    pub fn back(&self, local: NaiveDateTime) -> Result<i64> {
        match self.zone {
            Some(zone) => from_zone(local, zone),
            None => Ok(micros(local)),
        }
    }

    pub fn parts(&self, row: usize) -> Result<Parts> {
        let instant = moment(self.values.value(row))?;
        let Some(zone) = self.zone else { return Ok(parts_of(instant)) };
        let (local, offset) = in_zone(self.values.value(row), zone)?;
        let named = self.named.map(|named| named.offset_from_utc_datetime(&instant));
        let name = named.as_ref().map(|named| named.abbreviation().map_or_else(|| digits(offset), str::to_owned));
        let name = name.unwrap_or_default();
        Ok(Parts { zone: Some((name, offset)), ..parts_of(local) })
    }
}

/// What a zone is called for short that has no letters for it: `+0545`, or `-03`.
fn digits(offset: i32) -> String {
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
    match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("{sign}{hours:02}"),
        (hours, minutes) => format!("{sign}{hours:02}{minutes:02}"),
    }
}

pub(crate) fn spans<'a>(call: &'a Call<'_>, at: usize) -> &'a PrimitiveArray<IntervalMonthDayNanoType> {
    call.arrays[at].as_primitive()
}

/// An interval as one number, a month having 30 days and a day 24 hours: how PostgreSQL orders them.
pub(crate) fn order(span: Span) -> i128 {
    let days = i128::from(span.months) * 30 + i128::from(span.days);
    days * i128::from(DAY_NANOS) + i128::from(span.nanoseconds)
}

pub(crate) fn span(months: i64, days: i64, nanoseconds: i64) -> Result<Span> {
    match (i32::try_from(months), i32::try_from(days)) {
        (Ok(months), Ok(days)) => Ok(Span { months, days, nanoseconds }),
        _ => Err(refuse("22008", "interval out of range")),
    }
}

pub(crate) fn scaled(of: Span, factor: f64) -> Result<Span> {
    of_fractions(f64::from(of.months) * factor, f64::from(of.days) * factor, of.nanoseconds as f64 / 1_000.0 * factor)
}

/// Not the same as times one over the divisor: 49 months are 49 times one month.
pub(crate) fn divided(of: Span, divisor: f64) -> Result<Span> {
    of_fractions(
        f64::from(of.months) / divisor,
        f64::from(of.days) / divisor,
        of.nanoseconds as f64 / 1_000.0 / divisor,
    )
}

/// A span of fractions: what is less than a month becomes days, what is less than a day time. As PostgreSQL's
/// `interval_mul` does it.
pub(crate) fn of_fractions(months: f64, days: f64, micros: f64) -> Result<Span> {
    let whole = |value: f64| -> Result<i64> {
        if value.is_finite() && value.abs() < 9.2e18 {
            Ok(value as i64)
        } else {
            Err(refuse("22008", "interval out of range"))
        }
    };
    let mut month_days = round_micro(months.fract() * 30.0);
    let mut seconds = round_micro((days.fract() + month_days.fract()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let whole_days = (seconds / 86_400.0).trunc();
        month_days += whole_days;
        seconds -= whole_days * 86_400.0;
    }
    let nanoseconds = (micros + seconds * 1_000_000.0).round_ties_even();
    let nanoseconds = whole(nanoseconds)?.checked_mul(1_000).ok_or_else(|| refuse("22008", "interval out of range"))?;
    span(whole(months)?, whole(days)? + whole(month_days)?, nanoseconds)
}

fn round_micro(value: f64) -> f64 {
    (value * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// The difference of two moments in years, months, days and time, as `age` gives it.
pub(crate) fn age(later: NaiveDateTime, earlier: NaiveDateTime) -> Result<Span> {
    if later < earlier {
        let span = age(earlier, later)?;
        return Ok(Span { months: -span.months, days: -span.days, nanoseconds: -span.nanoseconds });
    }
    let mut months = (i64::from(later.year()) - i64::from(earlier.year())) * 12
        + (i64::from(later.month()) - i64::from(earlier.month()));
    let mut days = i64::from(later.day()) - i64::from(earlier.day());
    let time = |moment: NaiveDateTime| {
        i64::from(moment.num_seconds_from_midnight()) * 1_000_000 + i64::from(moment.nanosecond() / 1_000)
    };
    let mut micros = time(later) - time(earlier);
    if micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    }
    if days < 0 {
        // The days that are lacking are those of the earlier moment's month.
        days += i64::from(month_days(earlier.date()));
        months -= 1;
    }
    span(months, days, micros * 1_000)
}

pub(crate) fn month_days(date: NaiveDate) -> u32 {
    let first = date.with_day(1).unwrap_or(date);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    next.signed_duration_since(first).num_days() as u32
}

/// A moment and a span later: months first, then days, then time.
pub(crate) fn plus(local: NaiveDateTime, span: Span) -> Result<NaiveDateTime> {
    let months = Months::new(span.months.unsigned_abs());
    let moved = if span.months < 0 { local.checked_sub_months(months) } else { local.checked_add_months(months) };
    let days = Days::new(u64::from(span.days.unsigned_abs()));
    let moved =
        moved.and_then(|moved| if span.days < 0 { moved.checked_sub_days(days) } else { moved.checked_add_days(days) });
    moved
        .and_then(|moved| moved.checked_add_signed(chrono::TimeDelta::nanoseconds(span.nanoseconds)))
        .ok_or_else(out_of_range)
}
