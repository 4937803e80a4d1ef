//! Functions whose result may be much longer than what they are given: how long is known before it is made.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Int64Type;
use datafusion::common::{DataFusionError, Result};

use crate::functions::function::Call;
use crate::functions::types;

/// A text that is repeated is written in parts of about so many bytes.
const PART: usize = 64 << 10;

/// `repeat(text, times)`, of which nothing is there twice.
pub(super) fn repeat(call: &Call<'_>) -> Result<ArrayRef> {
    let text = |row| call.text(0).value(row);
    let times = |row| usize::try_from(call.primitive::<Int64Type>(1).value(row)).unwrap_or(0);
    let bound = call.bound();
    let (mut made, mut bytes) = (bound.made(), 0_usize);
    for row in (0..call.rows).filter(|row| call.is_whole(*row)) {
        let length = text(row).len().checked_mul(times(row));
        bound.check_length(length)?;
        made.value(length.unwrap_or(0))?;
        bytes = bytes.saturating_add(length.unwrap_or(0));
    }
    let (mut builder, mut made) = (StringBuilder::with_capacity(call.rows, bytes), bound.made());
    for row in 0..call.rows {
        if !call.is_whole(row) {
            builder.append_null();
            continue;
        }
        let (text, times) = (text(row), times(row));
        // Nothing, however often, is nothing.
        let together = if text.is_empty() { 0 } else { (PART / text.len()).clamp(1, times.max(1)) };
        let part = text.repeat(together);
        for _ in 0..times.checked_div(together).unwrap_or(0) {
            made.look(part.len())?;
            builder.write_str(&part).map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        builder.append_value(text.repeat(times.checked_rem(together).unwrap_or(0)));
    }
    types::fit(Arc::new(builder.finish()), call.gives)
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
}

/// `lpad(text, length[, fill])` and `rpad`, counted in characters.
pub(super) fn pad(call: &Call<'_>, side: Side) -> Result<ArrayRef> {
    let bound = call.bound();
    call.texts(|row| {
        let (text, length) = (call.text(0).value(row), call.primitive::<Int64Type>(1).value(row));
        let fill = if call.arrays.len() > 2 { call.text(2).value(row) } else { " " };
        let length = usize::try_from(length).unwrap_or(0);
        if let Some((end, _)) = text.char_indices().nth(length) {
            return Ok(Some(text[..end].to_owned()));
        }
        let missing = length - text.chars().count();
        if missing == 0 || fill.is_empty() {
            return Ok(Some(text.to_owned()));
        }
        // A character takes at most four bytes.
        bound.check_length(missing.checked_mul(4).and_then(|most| most.checked_add(text.len())))?;
        let letters = fill.chars().count();
        let (whole, rest) = (missing / letters, missing % letters);
        let part = fill.char_indices().nth(rest).map_or(fill, |(end, _)| &fill[..end]);
        let mut padded = String::with_capacity(fill.len() * whole + part.len() + text.len());
        if matches!(side, Side::Right) {
            padded.push_str(text);
        }
        padded.extend(std::iter::repeat_n(fill, whole));
        padded.push_str(part);
        if matches!(side, Side::Left) {
            padded.push_str(text);
        }
        Ok(Some(padded))
    })
}

/// `replace(text, from, to)`; nothing is replaced by an empty `from`.
pub(super) fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let bound = call.bound();
    call.texts(|row| {
        let (text, from, to) = (call.text(0).value(row), call.text(1).value(row), call.text(2).value(row));
        if from.is_empty() {
            return Ok(Some(text.to_owned()));
        }
        if to.len() > from.len() {
            let more = text.matches(from).count().checked_mul(to.len() - from.len());
            bound.check_length(more.and_then(|more| more.checked_add(text.len())))?;
        }
        Ok(Some(text.replace(from, to)))
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::DataType;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn called(arrays: Vec<ArrayRef>, run: impl Fn(&Call<'_>) -> Result<ArrayRef>) -> Result<Vec<String>> {
        let (config, rows) = (ConfigOptions::default(), arrays[0].len());
        let call = Call { arrays, fields: Vec::new(), rows, config: &config, gives: &DataType::Utf8View };
        let array = run(&call)?;
        Ok(array.as_string_view().iter().map(|text| text.unwrap().to_owned()).collect())
    }

    fn texts(of: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(of))
    }

    fn numbers(of: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(of.iter().copied()))
    }

    #[test]
    fn what_is_made() {
        let left = |call: &Call<'_>| pad(call, Side::Left);
        let right = |call: &Call<'_>| pad(call, Side::Right);
        assert_eq!(called(vec![texts(&["é", "b"]), numbers(&[3, -1])], repeat).unwrap(), ["ééé", ""]);
        let long = called(vec![texts(&["abc", "", "x"]), numbers(&[50_000, 9, 70_000])], repeat).unwrap();
        assert_eq!(long, ["abc".repeat(50_000), String::new(), "x".repeat(70_000)]);
        assert_eq!(called(vec![texts(&["é", "abc", "x"]), numbers(&[3, 2, 1])], left).unwrap(), ["  é", "ab", "x"]);
        let filled = vec![texts(&["a", "a", "a"]), numbers(&[4, 4, 0]), texts(&["éx", "", "x"])];
        assert_eq!(called(filled.clone(), left).unwrap(), ["éxéa", "a", ""]);
        assert_eq!(called(filled, right).unwrap(), ["aéxé", "a", ""]);
        let replaced = vec![texts(&["abab", "abab"]), texts(&["b", ""]), texts(&["éé", "x"])];
        assert_eq!(called(replaced, replace).unwrap(), ["aééaéé", "abab"]);
    }

    #[test]
    fn nothing_that_is_too_long_is_begun() {
        let refused = |arrays: Vec<ArrayRef>, run: fn(&Call<'_>) -> Result<ArrayRef>| {
            let error = called(arrays, run).unwrap_err().to_string();
            assert!(error.contains("requested length too large"), "{error}");
        };
        refused(vec![texts(&["ab"]), numbers(&[1 << 30])], repeat);
        refused(vec![texts(&["ab"]), numbers(&[i64::MAX])], repeat);
        refused(vec![texts(&["ab"]), numbers(&[1 << 30])], |call| pad(call, Side::Left));
        refused(vec![texts(&["ab"]), numbers(&[i64::MAX])], |call| pad(call, Side::Right));
        let (many, long) = ("x".repeat(1 << 16), "y".repeat(1 << 16));
        refused(vec![texts(&[&many]), texts(&["x"]), texts(&[&long])], replace);
    }
}
