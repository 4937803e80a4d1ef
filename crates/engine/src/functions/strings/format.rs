//! `format('%s is %I', …)`, `concat` and `concat_ws`.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::plain::{ident, literal};
use crate::functions::bounds::Bound;
use crate::functions::function::{Call, refuse};
use crate::functions::{text, types};

/// One `%…` of a pattern.
struct Mark {
    /// The argument that is named, from 1.
    position: Option<usize>,
    left: bool,
    width: Option<usize>,
    kind: char,
}

/// Reads what follows a `%`: the mark, and the rest of the pattern.
fn mark(pattern: &str) -> Result<(Mark, &str)> {
    let wrong = || refuse("22023", "unterminated format() type specifier");
    let number = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = pattern;
    let mut mark = Mark { position: None, left: false, width: None, kind: 's' };
    let digits = number(rest);
    if digits > 0 && rest[digits..].starts_with('$') {
        mark.position = Some(rest[..digits].parse().map_err(|_| wrong())?);
        rest = &rest[digits + 1..];
        if mark.position == Some(0) {
            return Err(refuse("22023", "format specifies argument 0, but arguments are numbered from 1"));
        }
    }
    while let Some(after) = rest.strip_prefix('-') {
        (mark.left, rest) = (true, after);
    }
    let digits = number(rest);
    if digits > 0 {
        mark.width = Some(rest[..digits].parse().map_err(|_| wrong())?);
        rest = &rest[digits..];
    }
    if rest.starts_with('*') {
        return Err(refuse("0A000", "a width that is an argument is not supported in format()"));
    }
    mark.kind = rest.chars().next().ok_or_else(wrong)?;
    let rest = &rest[mark.kind.len_utf8()..];
    Ok((mark, rest))
}

pub(super) fn format(call: &Call<'_>) -> Result<ArrayRef> {
    let session = call.config.execution.time_zone.as_deref();
    let values =
        call.arrays[1..].iter().map(|array| shown(array, session, call.bound())).collect::<Result<Vec<_>>>()?;
    let (mut builder, mut made) = (StringBuilder::new(), call.bound().made());
    for row in 0..call.rows {
        let pattern = call.text(0);
        let text = if pattern.is_null(row) { None } else { Some(one(pattern.value(row), &values, row, call.bound())?) };
        made.value(text.as_ref().map_or(0, String::len))?;
        builder.append_option(text);
    }
    types::fit(std::sync::Arc::new(builder.finish()), call.gives)
}

pub(super) fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    joined(call, &call.arrays, |_| Some(""))
}

/// NULL where the separator is.
pub(super) fn concat_ws(call: &Call<'_>) -> Result<ArrayRef> {
    let separators = call.text(0);
    joined(call, &call.arrays[1..], |row| separators.is_valid(row).then(|| separators.value(row)))
}

fn joined<'a>(call: &Call<'_>, arrays: &[ArrayRef], separator: impl Fn(usize) -> Option<&'a str>) -> Result<ArrayRef> {
    let session = call.config.execution.time_zone.as_deref();
    let values = arrays.iter().map(|array| shown(array, session, call.bound())).collect::<Result<Vec<_>>>()?;
    let (mut builder, mut made) = (StringBuilder::new(), call.bound().made());
    let mut text = String::new();
    for row in 0..call.rows {
        let Some(separator) = separator(row) else {
            builder.append_null();
            continue;
        };
        text.clear();
        let mut there = values.iter().filter(|values| values.is_valid(row)).map(|values| values.value(row));
        text.extend(there.next());
        for value in there {
            call.bound().check_length(text.len().checked_add(separator.len() + value.len()))?;
            text.push_str(separator);
            text.push_str(value);
        }
        made.value(text.len())?;
        builder.append_value(&text);
    }
    types::fit(std::sync::Arc::new(builder.finish()), call.gives)
}

/// Values as their types write them: `t` is true.
fn shown(array: &ArrayRef, session: Option<&str>, bound: Bound<'_>) -> Result<StringArray> {
    match array.data_type() {
        DataType::Null => Ok(StringArray::new_null(array.len())),
        DataType::Boolean => {
            let written = |yes: bool| if yes { "t" } else { "f" };
            Ok(array.as_boolean().iter().map(|value| value.map(written)).collect())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            bound.check_written(std::slice::from_ref(array))?;
            Ok(arrow::compute::cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
        }
        _ => text::texts(array, session, bound),
    }
}

fn one(pattern: &str, values: &[StringArray], row: usize, bound: Bound<'_>) -> Result<String> {
    let mut out = bound.text();
    let mut rest = pattern;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        out.push(&rest[..at])?;
        let (mark, after) = mark(&rest[at + 1..])?;
        rest = after;
        if mark.kind == '%' {
            out.push("%")?;
            continue;
        }
        let place = mark.position.map_or(next, |position| position - 1);
        next = place + 1;
        let values = values.get(place).ok_or_else(|| refuse("22023", "too few arguments for format()"))?;
        let value = values.is_valid(row).then(|| values.value(row));
        let text = match (mark.kind, value) {
            ('s', value) => value.unwrap_or_default().to_owned(),
            ('I', Some(value)) => ident(value),
            ('I', None) => return Err(refuse("22004", "null values cannot be formatted as an SQL identifier")),
            ('L', Some(value)) => literal(value).trim_start().to_owned(),
            ('L', None) => "NULL".to_owned(),
            (kind, _) => {
                return Err(refuse("22023", format!("unrecognized format() type specifier {kind:?}")));
            }
        };
        let missing = mark.width.unwrap_or(0).saturating_sub(text.chars().count());
        if mark.left {
            out.push(&text)?;
        }
        out.fill(' ', missing)?;
        if !mark.left {
            out.push(&text)?;
        }
    }
    out.push(rest)?;
    Ok(out.done())
}
