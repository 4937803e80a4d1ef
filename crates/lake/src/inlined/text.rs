//! Values as DuckDB writes them in text, back into Arrow.
//!
//! Nested values come in two forms. Inside a list or a map a text stands bare, or in single quotes with backslashes
//! before what needs it: `[a, 'it\'s', NULL]`. Directly inside a struct it stands as in a statement, quotes doubled,
//! other types as casts: `{'a': 'it''s', 'b': CAST('2024-01-01' AS DATE)}`. (DuckDB 1.5.5 cannot read all of the
//! latter back itself.)

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use chrono::{Datelike, NaiveDate};
use datafusion::common::ScalarValue;

/// How deep a value may nest.
const DEPTH_MAX: usize = 64;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Days from 0001-01-01 to 1970-01-01, counting from 1.
const EPOCH_DAYS: i32 = 719_163;

/// A value of a type, or `None` if the text is none.
pub(crate) fn parse(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    if !data_type.is_nested() {
        return scalar(text, data_type);
    }
    let mut parser = Parser { rest: text };
    let value = parser.value(data_type, Form::Statement, &[], 0)?;
    parser.rest.trim().is_empty().then_some(value)
}

fn scalar(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    use DataType as D;
    use ScalarValue as S;
    Some(match data_type {
        D::Boolean => S::Boolean(Some(match text {
            "1" | "t" | "true" => true,
            "0" | "f" | "false" => false,
            _ => return None,
        })),
        // Both databases spell the special values so that Rust reads them: nan, NaN, inf, -Infinity.
        D::Float32 => S::Float32(Some(text.parse().ok()?)),
        D::Float64 => S::Float64(Some(text.parse().ok()?)),
        D::Utf8View => S::Utf8View(Some(text.to_owned())),
        D::Utf8 => S::Utf8(Some(text.to_owned())),
        D::Binary => S::Binary(Some(blob(text)?)),
        D::BinaryView => S::BinaryView(Some(blob(text)?)),
        D::FixedSizeBinary(16) => S::FixedSizeBinary(16, Some(uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec())),
        D::Date32 => S::Date32(Some(date(text)?)),
        D::Time64(TimeUnit::Microsecond) => S::Time64Microsecond(Some(time_of_day(text)? / 1_000)),
        D::Timestamp(unit, zone) => {
            let value = timestamp(text, *unit)?;
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => S::TimestampSecond(Some(value), zone),
                TimeUnit::Millisecond => S::TimestampMillisecond(Some(value), zone),
                TimeUnit::Microsecond => S::TimestampMicrosecond(Some(value), zone),
                TimeUnit::Nanosecond => S::TimestampNanosecond(Some(value), zone),
            }
        }
        D::Interval(IntervalUnit::MonthDayNano) => S::IntervalMonthDayNano(Some(interval(text)?)),
        _ => S::try_from_string(text.to_owned(), data_type).ok()?,
    })
}

/// Bytes with `\xAA` for those that are no printable ASCII.
fn blob(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let [b'\\', b'x', high, low, after @ ..] = rest {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(bytes)
}

/// Days since 1970: `2024-02-29`, `0044-03-15 (BC)`, `infinity`.
fn date(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(-i32::MAX),
        _ => {}
    }
    let (text, before_christ) = match text.strip_suffix(" (BC)") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut parts = text.splitn(3, '-');
    let year: i32 = parts.next()?.parse().ok()?;
    let (month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    // 1 BC is the year 0.
    let date = NaiveDate::from_ymd_opt(if before_christ { 1 - year } else { year }, month, day)?;
    date.num_days_from_ce().checked_sub(EPOCH_DAYS)
}

/// Nanoseconds since midnight: `10:11:12.123456`, up to `24:00:00`.
fn time_of_day(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':');
    let mut part = || parts.next().map_or(Some(0), |digits| digits.parse::<i64>().ok());
    let seconds = part()? * 3600 + part()? * 60 + part()?;
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
    Some(seconds * NANOS_PER_SECOND + nanos)
}

/// Units since 1970: `2024-01-02 03:04:05.5+00`, `0044-03-15 (BC) 10:00:00`, `infinity`.
fn timestamp(text: &str, unit: TimeUnit) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(-i64::MAX),
        _ => {}
    }
    // The era may stand at the end or behind the date.
    let (text, era) = match text.find(" (BC)") {
        Some(at) => (format!("{}{}", &text[..at], &text[at + 5..]), " (BC)"),
        None => (text.to_owned(), ""),
    };
    let (day, clock) = text.split_once([' ', 'T']).unwrap_or((&text, "00:00:00"));
    let days = i64::from(date(&format!("{day}{era}"))?);
    let at = clock.find(['+', '-', 'Z']).unwrap_or(clock.len());
    let nanos = time_of_day(&clock[..at])?;
    let offset = match &clock[at..] {
        "" | "Z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            sign * (time_of_day(&zone[1..])? / NANOS_PER_SECOND)
        }
    };
    let seconds = days.checked_mul(86_400)?.checked_add(nanos / NANOS_PER_SECOND)?.checked_sub(offset)?;
    let below = nanos % NANOS_PER_SECOND;
    match unit {
        TimeUnit::Second => Some(seconds),
        TimeUnit::Millisecond => seconds.checked_mul(1_000)?.checked_add(below / 1_000_000),
        TimeUnit::Microsecond => seconds.checked_mul(1_000_000)?.checked_add(below / 1_000),
        TimeUnit::Nanosecond => seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(below),
    }
}

/// `1 year 2 mons 3 days -04:05:06.7`, in the words of either database.
pub(crate) fn interval(text: &str) -> Option<IntervalMonthDayNano> {
    let (mut months, mut days, mut nanos) = (0_i32, 0_i32, 0_i64);
    if text.trim().is_empty() {
        return None;
    }
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (sign, clock) = word.strip_prefix('-').map_or((1, word), |clock| (-1, clock));
            nanos = nanos.checked_add(sign * time_of_day(clock)?)?;
            continue;
        }
        let count: i64 = word.parse().ok()?;
        let small = i32::try_from(count).ok();
        match words.next()?.trim_end_matches('s') {
            "year" => months = months.checked_add(small?.checked_mul(12)?)?,
            "mon" | "month" => months = months.checked_add(small?)?,
            "day" => days = days.checked_add(small?)?,
            "week" => days = days.checked_add(small?.checked_mul(7)?)?,
            "hour" => nanos = nanos.checked_add(count.checked_mul(3600 * NANOS_PER_SECOND)?)?,
            "min" | "minute" => nanos = nanos.checked_add(count.checked_mul(60 * NANOS_PER_SECOND)?)?,
            "sec" | "second" => nanos = nanos.checked_add(count.checked_mul(NANOS_PER_SECOND)?)?,
            "millisecond" => nanos = nanos.checked_add(count.checked_mul(1_000_000)?)?,
            "microsecond" => nanos = nanos.checked_add(count.checked_mul(1_000)?)?,
            _ => return None,
        }
    }
    Some(IntervalMonthDayNano::new(months, days, nanos))
}

/// How texts stand inside another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As in a statement: only doubled quotes.
    Statement,
    /// As in a cast from text: backslashes.
    Cast,
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.take(token).then_some(())
    }

    fn value(&mut self, data_type: &DataType, form: Form, ends: &[char], depth: usize) -> Option<ScalarValue> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_blanks();
        if self.null(ends) {
            return ScalarValue::try_from(data_type).ok();
        }
        match data_type {
            DataType::List(item) => self.list(item, depth),
            DataType::Struct(fields) => {
                let fields: Vec<FieldRef> = fields.iter().cloned().collect();
                self.record(fields, form, depth)
            }
            DataType::Map(entries, _) => self.map(entries, depth),
            _ => {
                let text = self.text(form, ends)?;
                scalar(&text, data_type)
            }
        }
    }

    /// The bare word NULL; in quotes it is a text.
    fn null(&mut self, ends: &[char]) -> bool {
        let Some(rest) = self.rest.strip_prefix("NULL") else { return false };
        let ended = rest.trim_start().chars().next().is_none_or(|next| ends.contains(&next));
        if ended {
            self.rest = rest;
        }
        ended
    }

    fn text(&mut self, form: Form, ends: &[char]) -> Option<String> {
        self.skip_blanks();
        if form == Form::Statement && self.take("CAST(") {
            let text = self.quoted(form)?;
            self.expect("AS")?;
            let end = self.rest.find(')')?;
            self.rest = &self.rest[end + 1..];
            return Some(text);
        }
        if self.rest.starts_with('\'') {
            return self.quoted(form);
        }
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(text.trim().to_owned())
    }

    fn quoted(&mut self, form: Form) -> Option<String> {
        self.expect("'")?;
        let mut text = String::new();
        let mut letters = self.rest.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' if form == Form::Cast => text.push(letters.next()?.1),
                '\'' if letters.peek().is_some_and(|(_, next)| *next == '\'') => {
                    letters.next();
                    text.push('\'');
                }
                '\'' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                letter => text.push(letter),
            }
        }
        None
    }

    fn list(&mut self, item: &FieldRef, depth: usize) -> Option<ScalarValue> {
        self.expect("[")?;
        let mut values = Vec::new();
        while !self.take("]") {
            if !values.is_empty() {
                self.expect(",")?;
            }
            values.push(self.value(item.data_type(), Form::Cast, &[',', ']'], depth + 1)?);
        }
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::try_new(Arc::clone(item), offsets, array(values, item.data_type())?, None).ok()?;
        Some(ScalarValue::List(Arc::new(list)))
    }

    fn record(&mut self, fields: Vec<FieldRef>, form: Form, depth: usize) -> Option<ScalarValue> {
        self.expect("{")?;
        let mut columns = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.expect(",")?;
            }
            if self.quoted(form)? != *field.name() {
                return None;
            }
            self.expect(":")?;
            let value = self.value(field.data_type(), form, &[',', '}'], depth + 1)?;
            columns.push(array(vec![value], field.data_type())?);
        }
        self.expect("}")?;
        Some(ScalarValue::Struct(Arc::new(StructArray::try_new(fields.into(), columns, None).ok()?)))
    }

    fn map(&mut self, entries: &FieldRef, depth: usize) -> Option<ScalarValue> {
        let DataType::Struct(pair) = entries.data_type() else { return None };
        let (key, value) = (pair.first()?, pair.get(1)?);
        self.expect("{")?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        while !self.take("}") {
            if !keys.is_empty() {
                self.expect(",")?;
            }
            keys.push(self.value(key.data_type(), Form::Cast, &['='], depth + 1)?);
            self.expect("=")?;
            values.push(self.value(value.data_type(), Form::Cast, &[',', '}'], depth + 1)?);
        }
        let offsets = OffsetBuffer::from_lengths([keys.len()]);
        let columns = vec![array(keys, key.data_type())?, array(values, value.data_type())?];
        let pairs = StructArray::try_new(pair.clone(), columns, None).ok()?;
        Some(ScalarValue::Map(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, None, false).ok()?)))
    }
}

/// Values of one type as an array.
pub(crate) fn array(values: Vec<ScalarValue>, data_type: &DataType) -> Option<ArrayRef> {
    if values.is_empty() {
        return Some(new_empty_array(data_type));
    }
    ScalarValue::iter_to_array(values).ok().filter(|array| array.data_type() == data_type)
}

#[cfg(test)]
mod tests;
