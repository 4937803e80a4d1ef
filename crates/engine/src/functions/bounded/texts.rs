//! How long the texts get that DataFusion's functions make, from what they are given.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

use crate::functions::bounds::Bound;

/// Texts of a batch that are soon looked through, whatever is looked for, by a function that asks nobody whether it is to end.
const SHORT_BYTES: usize = 4 << 20;

/// What a value that is no text takes when it is written, about.
const WRITTEN: usize = 8;

/// The texts, or bytes, of one argument.
fn bytes_at(value: &ColumnarValue, row: usize) -> &[u8] {
    match value {
        ColumnarValue::Array(array) => bytes_in(array, row),
        ColumnarValue::Scalar(
            ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes),
        ) => bytes.as_deref().unwrap_or_default(),
        ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().unwrap_or_default().as_bytes(),
    }
}

fn bytes_in(array: &ArrayRef, row: usize) -> &[u8] {
    if array.is_null(row) {
        return &[];
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        _ => &[],
    }
}

fn text_at(value: &ColumnarValue, row: usize) -> &str {
    std::str::from_utf8(bytes_at(value, row)).unwrap_or_default()
}

/// Checks each value that will be made, and all of them.
fn check(bound: Bound<'_>, rows: usize, length: impl Fn(usize) -> Option<usize>) -> Result<()> {
    let mut made = bound.made();
    for row in 0..rows {
        match length(row) {
            Some(bytes) => made.value(bytes)?,
            None => bound.check_length(None)?,
        }
    }
    Ok(())
}

/// `||`
pub(super) fn joined(bound: Bound<'_>, given: &[ColumnarValue], rows: usize) -> Result<()> {
    check(bound, rows, |row| given.iter().try_fold(0_usize, |sum, value| sum.checked_add(bytes_at(value, row).len())))
}

/// `translate(text, from, to)`
pub(super) fn translated(bound: Bound<'_>, given: &[ColumnarValue], rows: usize) -> Result<()> {
    let [text, from, to, ..] = given else { return Ok(()) };
    // Few letters take more than those that they stand for: only then it is counted which ones.
    let widest = |row: usize| text_at(to, row).chars().map(char::len_utf8).max().unwrap_or(1);
    if check(bound, rows, |row| bytes_at(text, row).len().checked_mul(widest(row))).is_ok() {
        return Ok(());
    }
    check(bound, rows, |row| {
        let mut others = HashMap::new();
        let mut into = text_at(to, row).chars();
        for letter in text_at(from, row).chars() {
            let other = into.next().map_or(0, char::len_utf8);
            others.entry(letter).or_insert(other);
        }
        let lengths =
            text_at(text, row).chars().map(|letter| others.get(&letter).copied().unwrap_or(letter.len_utf8()));
        Some(lengths.sum())
    })
}

/// `array_to_string(array, between[, for_null])`
pub(super) fn written(bound: Bound<'_>, given: &[ColumnarValue], rows: usize) -> Result<()> {
    let [list, between, more @ ..] = given else { return Ok(()) };
    // One list for all rows is written for each.
    let (lists, one) = match list {
        ColumnarValue::Array(lists) => (Arc::clone(lists), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
    };
    check(bound, rows, |row| {
        let for_null = more.first().map_or(0, |value| bytes_at(value, row).len());
        let list = lists.slice(if one { 0 } else { row }, 1);
        written_bytes(&list, bytes_at(between, row).len(), for_null)
    })
}

fn written_bytes(array: &ArrayRef, between: usize, for_null: usize) -> Option<usize> {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let (first, last) = (*lists.value_offsets().first()?, *lists.value_offsets().last()?);
            let items = lists.values().slice(first as usize, (last - first) as usize);
            written_bytes(&items, between, for_null)
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let (first, last) = (*lists.value_offsets().first()?, *lists.value_offsets().last()?);
            let items = lists.values().slice(first as usize, (last - first) as usize);
            written_bytes(&items, between, for_null)
        }
        DataType::FixedSizeList(..) => written_bytes(array.as_fixed_size_list().values(), between, for_null),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (0..array.len()).try_fold(0_usize, |sum, at| {
            let bytes = if array.is_null(at) { for_null } else { bytes_in(array, at).len() };
            sum.checked_add(bytes)?.checked_add(between)
        }),
        _ => array.len().checked_mul(WRITTEN.checked_add(between)?),
    }
}

/// Whether a function that looks through its first argument is soon done with the batch.
pub(super) fn is_short(given: &[ColumnarValue], rows: usize) -> bool {
    given.first().is_none_or(|text| (0..rows).map(|row| bytes_at(text, row).len()).sum::<usize>() <= SHORT_BYTES)
}

/// `regexp_replace(text, pattern, replacement[, flags])`: the most that it may make, of which most often it makes little.
pub(super) fn replaced_at_most(bound: Bound<'_>, given: &[ColumnarValue], rows: usize) -> Result<()> {
    let [text, _, with, ..] = given else { return Ok(()) };
    check(bound, rows, |row| {
        let (text, with) = (bytes_at(text, row).len(), bytes_at(with, row));
        // Each group may be all of the text, and what is found does not overlap.
        let groups = with.iter().filter(|byte| **byte == b'\\').count();
        let letters = text.checked_add(1)?.checked_mul(with.len())?;
        text.checked_mul(groups)?.checked_add(letters)?.checked_add(text)
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn text(of: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Utf8View(Some(of.to_owned())))
    }

    /// Whether so many bytes, and not one fewer, are enough.
    fn takes(bytes: usize, asked: impl Fn(Bound<'_>) -> Result<()>) {
        assert!(asked(Bound::exactly(bytes)).is_ok(), "{bytes}");
        assert!(asked(Bound::exactly(bytes - 1)).is_err(), "{bytes}");
    }

    #[test]
    fn how_long_texts_get() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None, Some("é")]));
        let column = ColumnarValue::Array(column);
        takes(4 + 3 * 3, |bound| joined(bound, &[column.clone(), text("xyz")], 3));
        takes(2 + 2, |bound| translated(bound, &[text("abcd"), text("ab"), text("é")], 1));
        takes(2 + 3 * 4, |bound| replaced_at_most(bound, &[text("ab"), text("x"), text("four")], 1));
        takes(2 + 3 * 2 + 2, |bound| replaced_at_most(bound, &[text("ab"), text("x"), text(r"\1")], 1));
        let half = text(&"a".repeat(SHORT_BYTES / 2));
        assert!(is_short(std::slice::from_ref(&half), 2) && !is_short(&[half], 3));
    }

    #[test]
    fn how_long_lists_get() {
        let items: ArrayRef = Arc::new(StringViewArray::from(vec![Some("ab"), None, Some("c")]));
        let field = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([2, 1]), items, None));
        let lists = ColumnarValue::Array(lists);
        takes(3 + 3, |bound| written(bound, &[lists.clone(), text(",")], 2));
        takes(3 + 3 + 4, |bound| written(bound, &[lists.clone(), text(","), text("null")], 2));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values([1, 2]));
        let of_numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)])]);
        assert_eq!(written_bytes(&numbers, 1, 0), Some(18));
        let one = ColumnarValue::Scalar(ScalarValue::List(Arc::new(of_numbers)));
        takes(2 * 18, |bound| written(bound, &[one.clone(), text(",")], 2));
    }
}
