//! Values as PostgreSQL writes them: what a cast to text, `format`, `concat` of anything and JSON show.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::Result;

use super::bounds::Bound;
use super::dates::moment::{Span, in_zone, moment, zone};

type Write1 = Box<dyn Fn(usize) -> Result<String>>;

/// A column as texts. `session` is the zone that times with a zone are shown in.
///
/// # Errors
/// Those of a value that cannot be shown, and of more than the bound.
pub(crate) fn texts(array: &ArrayRef, session: Option<&str>, bound: Bound<'_>) -> Result<StringArray> {
    bound.check_written(std::slice::from_ref(array))?;
    let write = writer(array, session, false)?;
    let (mut builder, mut made) = (StringBuilder::new(), bound.made());
    for row in 0..array.len() {
        let text = if array.is_valid(row) { Some(write(row)?) } else { None };
        made.value(text.as_ref().map_or(0, String::len))?;
        builder.append_option(text);
    }
    Ok(builder.finish())
}

/// How the values of a column are written. Inside of an array or a row `true` is `t`.
pub(crate) fn writer(array: &ArrayRef, session: Option<&str>, inside: bool) -> Result<Write1> {
    use DataType as D;
    let micros = |zone: Option<Arc<str>>| D::Timestamp(TimeUnit::Microsecond, zone);
    Ok(match array.data_type() {
        D::Boolean => {
            let values = array.as_boolean().clone();
            let (yes, no) = if inside { ("t", "f") } else { ("true", "false") };
            Box::new(move |row| Ok(if values.value(row) { yes } else { no }.to_owned()))
        }
        D::Float32 => {
            let values = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row| Ok(float(&format!("{:e}", values.value(row)), 6)))
        }
        D::Float64 => {
            let values = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row| Ok(float(&format!("{:e}", values.value(row)), 15)))
        }
        D::Date32 | D::Date64 => {
            let values = cast(array, &D::Date32)?.as_primitive::<Date32Type>().clone();
            Box::new(move |row| {
                let date = Date32Type::to_naive_date_opt(values.value(row));
                Ok(date.map_or_else(String::new, |day| format!("{}{}", date_text(day), era(day))))
            })
        }
        D::Time32(_) | D::Time64(_) => {
            let values =
                cast(array, &D::Time64(TimeUnit::Microsecond))?.as_primitive::<Time64MicrosecondType>().clone();
            Box::new(move |row| Ok(time_text(values.value(row))))
        }
        D::Timestamp(_, None) => {
            let values = cast(array, &micros(None))?.as_primitive::<TimestampMicrosecondType>().clone();
            Box::new(move |row| timestamp_text(moment(values.value(row))?))
        }
        D::Timestamp(_, Some(own)) => {
            let shown: Tz = zone(session.unwrap_or(own))?;
            let values =
                cast(array, &micros(Some(Arc::clone(own))))?.as_primitive::<TimestampMicrosecondType>().clone();
            Box::new(move |row| zoned_text(values.value(row), shown))
        }
        D::Interval(_) | D::Duration(_) => {
            let values = cast(array, &D::Interval(IntervalUnit::MonthDayNano))?;
            let values = values.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row| Ok(interval_text(values.value(row))))
        }
        D::FixedSizeBinary(16) => {
            let values = array.as_fixed_size_binary().clone();
            Box::new(move |row| {
                Ok(uuid::Uuid::from_slice(values.value(row)).map(|uuid| uuid.to_string()).unwrap_or_default())
            })
        }
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
            let values = cast(array, &D::Binary)?.as_binary::<i32>().clone();
            Box::new(move |row| Ok(bytes_text(values.value(row))))
        }
        D::List(_) | D::LargeList(_) | D::FixedSizeList(..) => list(array, session)?,
        D::Struct(_) => record(array, session)?,
        D::Null => Box::new(|_| Ok(String::new())),
        _ => {
            let values = cast(array, &D::Utf8)?.as_string::<i32>().clone();
            Box::new(move |row| Ok(values.value(row).to_owned()))
        }
    })
}

fn list(array: &ArrayRef, session: Option<&str>) -> Result<Write1> {
    let lists = match array.data_type() {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => cast(array, &DataType::List(Arc::clone(item)))?,
        _ => Arc::clone(array),
    };
    let lists = lists.as_list::<i32>().clone();
    let values = Arc::clone(lists.values());
    let nested = matches!(values.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..));
    let write = writer(&values, session, true)?;
    Ok(Box::new(move |row| {
        let offsets = lists.value_offsets();
        let mut out = String::from("{");
        for at in offsets[row] as usize..offsets[row + 1] as usize {
            if at > offsets[row] as usize {
                out.push(',');
            }
            if values.is_null(at) {
                out.push_str("NULL");
                continue;
            }
            let text = write(at)?;
            Bound::WIDEST.check_length(Some(out.len() + text.len()))?;
            if nested { out.push_str(&text) } else { push_element(&mut out, &text) }
        }
        out.push('}');
        Ok(out)
    }))
}

/// An element in quotes when it would be read otherwise.
fn push_element(out: &mut String, text: &str) {
    let special = |letter: char| matches!(letter, '{' | '}' | ',' | '"' | '\\') || letter.is_ascii_whitespace();
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

fn record(array: &ArrayRef, session: Option<&str>) -> Result<Write1> {
    let rows = array.as_struct().clone();
    let columns = rows
        .columns()
        .iter()
        .map(|column| Ok((Arc::clone(column), writer(column, session, true)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |row| {
        let mut out = String::from("(");
        for (at, (column, write)) in columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            if column.is_null(row) {
                continue;
            }
            let text = write(row)?;
            let special = |letter: char| matches!(letter, '(' | ')' | ',' | '"' | '\\') || letter.is_ascii_whitespace();
            if text.is_empty() || text.contains(special) {
                let _ = write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""));
            } else {
                out.push_str(&text);
            }
        }
        out.push(')');
        Ok(out)
    }))
}

/// A float of the shortest digits that read back as it; `digits` is what Rust writes for `{:e}`, and beyond `limit`
/// places before the point it keeps its exponent.
fn float(digits: &str, limit: i32) -> String {
    let Some((mantissa, exponent)) = digits.split_once('e') else {
        return match digits {
            "inf" => "Infinity".into(),
            "-inf" => "-Infinity".into(),
            other => other.into(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let figures = mantissa.replace('.', "");
    if !(-4..limit).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{}{figures}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if figures.len() <= whole {
        format!("{sign}{figures}{}", "0".repeat(whole - figures.len()))
    } else {
        format!("{sign}{}.{}", &figures[..whole], &figures[whole..])
    }
}

pub(crate) fn date_text(date: NaiveDate) -> String {
    let year = if date.year() <= 0 { 1 - date.year() } else { date.year() };
    format!("{year:04}-{:02}-{:02}", date.month(), date.day())
}

fn era(date: NaiveDate) -> &'static str {
    if date.year() <= 0 { " BC" } else { "" }
}

fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}{}", seconds / 3_600, seconds / 60 % 60, seconds % 60, fraction(micros % 1_000_000))
}

fn fraction(micros: i64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() }
}

fn clock(moment: NaiveDateTime) -> String {
    time_text(i64::from(moment.num_seconds_from_midnight()) * 1_000_000 + i64::from(moment.nanosecond() / 1_000))
}

pub(crate) fn timestamp_text(moment: NaiveDateTime) -> Result<String> {
    Ok(format!("{} {}{}", date_text(moment.date()), clock(moment), era(moment.date())))
}

pub(crate) fn offset_text(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let mut text = format!("{sign}{:02}", offset / 3_600);
    if offset % 3_600 != 0 {
        let _ = write!(text, ":{:02}", offset / 60 % 60);
    }
    text
}

fn zoned_text(micros: i64, shown: Tz) -> Result<String> {
    let (local, offset) = in_zone(micros, shown)?;
    Ok(format!("{} {}{}{}", date_text(local.date()), clock(local), offset_text(offset), era(local.date())))
}

pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("\\x"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `1 year 2 mons -3 days 04:05:06.7`.
pub(crate) fn interval_text(span: Span) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut negative_before = false;
    for (value, one, many) in
        [(span.months / 12, "year", "years"), (span.months % 12, "mon", "mons"), (span.days, "day", "days")]
    {
        if value != 0 {
            let plus = if negative_before && value > 0 { "+" } else { "" };
            parts.push(format!("{plus}{value} {}", if value == 1 { one } else { many }));
            negative_before = value < 0;
        }
    }
    let micros = span.nanoseconds / 1_000;
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, negative_before) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        parts.push(format!("{sign}{}", time_text(micros.abs())));
    }
    parts.join(" ")
}
