//! Values as PostgreSQL writes them.

use std::fmt::Write;

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use polder_types::{Error, Result};

/// Places before the point from which a float is written with an exponent.
pub(crate) const FLOAT4_PLACES: i32 = 6;
pub(crate) const FLOAT8_PLACES: i32 = 15;

/// Days from PostgreSQL's first day, 2000-01-01, back to Arrow's, 1970-01-01.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Appends; a buffer in memory takes everything.
pub(crate) fn push(out: &mut BytesMut, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

fn out_of_range() -> Error {
    Error::invalid("date out of range").with_code("22008")
}

/// The day of a number of days since 1970.
pub(crate) fn day(days: i32) -> Result<NaiveDate> {
    i64::from(days)
        .checked_add(719_163)
        .and_then(|days| i32::try_from(days).ok())
        .and_then(NaiveDate::from_num_days_from_ce_opt)
        .ok_or_else(out_of_range)
}

/// The moment of a number of microseconds since 1970.
pub(crate) fn moment(micros: i64) -> Result<NaiveDateTime> {
    DateTime::<Utc>::from_timestamp_micros(micros).map(|moment| moment.naive_utc()).ok_or_else(out_of_range)
}

/// A whole number.
pub(crate) fn integer(out: &mut BytesMut, value: impl itoa::Integer) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// What is written of a float at first: it has at most 25 letters.
#[derive(Default)]
struct Letters {
    bytes: [u8; 32],
    length: usize,
}

impl Letters {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Letters {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The shortest digits that read back as the number.
pub(crate) fn float(out: &mut BytesMut, value: impl std::fmt::LowerExp, places: i32) {
    let mut letters = Letters::default();
    // There is room for every float.
    let _ = write!(letters, "{value:e}");
    let digits = letters.as_str();
    let Some((mantissa, exponent)) = digits.split_once('e') else {
        let name = match digits {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            other => other,
        };
        return out.put_slice(name.as_bytes());
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..places).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return push(out, format_args!("{mantissa}e{mark}{:02}", exponent.abs()));
    }
    let mantissa = mantissa.strip_prefix('-').inspect(|_| out.put_u8(b'-')).unwrap_or(mantissa);
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = usize::try_from(exponent).unwrap_or(0);
    if exponent < 0 {
        out.put_slice(b"0.");
        out.put_bytes(b'0', usize::try_from(-exponent - 1).unwrap_or(0));
        out.put_slice(first.as_bytes());
        out.put_slice(rest.as_bytes());
    } else if rest.len() <= point {
        out.put_slice(first.as_bytes());
        out.put_slice(rest.as_bytes());
        out.put_bytes(b'0', point - rest.len());
    } else {
        let (whole, rest) = rest.split_at(point);
        out.put_slice(first.as_bytes());
        out.put_slice(whole.as_bytes());
        out.put_u8(b'.');
        out.put_slice(rest.as_bytes());
    }
}

/// A number below a hundred in two digits.
fn two(out: &mut BytesMut, value: u32) {
    let digit = |value: u32| b'0' + u8::try_from(value % 10).unwrap_or(0);
    out.put_slice(&[digit(value / 10), digit(value)]);
}

pub(crate) fn date(out: &mut BytesMut, date: NaiveDate) {
    date_only(out, date);
    era(out, date);
}

fn date_only(out: &mut BytesMut, date: NaiveDate) {
    let year = if date.year() <= 0 { 1 - date.year() } else { date.year() };
    match u32::try_from(year) {
        Ok(year @ 0..10_000) => {
            two(out, year / 100);
            two(out, year % 100);
        }
        _ => push(out, format_args!("{year:04}")),
    }
    out.put_u8(b'-');
    two(out, date.month());
    out.put_u8(b'-');
    two(out, date.day());
}

fn era(out: &mut BytesMut, date: NaiveDate) {
    if date.year() <= 0 {
        out.put_slice(b" BC");
    }
}

/// A time of day, or a length of time that is not negative.
pub(crate) fn time(out: &mut BytesMut, micros: u64) {
    let seconds = micros / 1_000_000;
    let part = |value: u64| u32::try_from(value).unwrap_or(0);
    match seconds / 3_600 {
        hours @ 0..100 => two(out, part(hours)),
        hours => integer(out, hours),
    }
    out.put_u8(b':');
    two(out, part(seconds / 60 % 60));
    out.put_u8(b':');
    two(out, part(seconds % 60));
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        let digits = format!(".{fraction:06}");
        out.put_slice(digits.trim_end_matches('0').as_bytes());
    }
}

fn clock(out: &mut BytesMut, moment: NaiveDateTime) {
    time(out, u64::from(moment.num_seconds_from_midnight()) * 1_000_000 + u64::from(moment.nanosecond() / 1_000));
}

pub(crate) fn timestamp(out: &mut BytesMut, moment: NaiveDateTime) {
    date_only(out, moment.date());
    out.put_u8(b' ');
    clock(out, moment);
    era(out, moment.date());
}

/// A moment in a zone, with its offset there.
pub(crate) fn timestamptz<Z: TimeZone>(out: &mut BytesMut, moment: NaiveDateTime, zone: &Z) {
    let shown = zone.from_utc_datetime(&moment);
    let local = shown.naive_local();
    date_only(out, local.date());
    out.put_u8(b' ');
    clock(out, local);
    let offset = shown.offset().fix().local_minus_utc();
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    push(out, format_args!("{sign}{:02}", offset / 3_600));
    if offset % 3_600 != 0 {
        push(out, format_args!(":{:02}", offset / 60 % 60));
    }
    if offset % 60 != 0 {
        push(out, format_args!(":{:02}", offset % 60));
    }
    era(out, local.date());
}

/// `1 year 2 mons -3 days +04:05:06.7`
pub(crate) fn interval(out: &mut BytesMut, span: IntervalMonthDayNano) {
    let (mut any, mut negative_before) = (false, false);
    let parts = [(span.months / 12, "year", "years"), (span.months % 12, "mon", "mons"), (span.days, "day", "days")];
    for (value, one, many) in parts.into_iter().filter(|(value, ..)| *value != 0) {
        let space = if any { " " } else { "" };
        let plus = if negative_before && value > 0 { "+" } else { "" };
        let unit = if value == 1 { one } else { many };
        push(out, format_args!("{space}{plus}{value} {unit}"));
        any = true;
        negative_before = value < 0;
    }
    let micros = span.nanoseconds / 1_000;
    if micros == 0 && any {
        return;
    }
    let sign = match (micros < 0, negative_before) {
        (true, _) => "-",
        (false, true) => "+",
        (false, false) => "",
    };
    push(out, format_args!("{}{sign}", if any { " " } else { "" }));
    time(out, micros.unsigned_abs());
}

pub(crate) fn bytea(out: &mut BytesMut, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 + bytes.len() * 2);
    out.put_slice(b"\\x");
    for byte in bytes {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}

pub(crate) fn uuid(out: &mut BytesMut, bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        push(out, format_args!("{dash}{byte:02x}"));
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// An element of an array, in quotes when it would be read otherwise.
pub(crate) fn element(out: &mut BytesMut, text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || is_blank(*byte);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        return out.put_slice(text);
    }
    out.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

/// A field of a row, in quotes when it would be read otherwise.
pub(crate) fn field(out: &mut BytesMut, text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'(' | b')' | b',' | b'"' | b'\\') || is_blank(*byte);
    if !text.is_empty() && !text.iter().any(special) {
        return out.put_slice(text);
    }
    out.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(*byte);
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests;
