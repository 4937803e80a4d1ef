//! Lists of the catalog: numbers, such as those of the columns of an index, and options.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::Result;

use crate::functions::function::Call;
use crate::functions::types;

/// `1 2`, as PostgreSQL writes a vector.
pub(super) fn text(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    call.texts(|row| {
        let numbers = lists.value(row);
        let mut out = String::new();
        for (at, number) in numbers.as_primitive::<Int64Type>().values().iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            // To a String nothing fails to be written.
            let _ = write!(out, "{blank}{number}");
        }
        Ok(Some(out))
    })
}

/// The names of options that are written `name=value`.
pub(super) fn option_names(call: &Call<'_>) -> Result<ArrayRef> {
    options(call, |option| Some(option.split_once('=').map_or(option, |(name, _)| name)))
}

/// Their values; an option without one is set all the same.
pub(super) fn option_values(call: &Call<'_>) -> Result<ArrayRef> {
    options(call, |option| option.split_once('=').map(|(_, value)| value))
}

fn options(call: &Call<'_>, part: impl Fn(&str) -> Option<&str>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    let parts = |list: Option<ArrayRef>| {
        let list = list?;
        Some(list.as_string::<i32>().iter().map(|option| option.and_then(&part).map(str::to_owned)).collect())
    };
    types::text_lists(lists.iter().map(parts).collect(), call.gives)
}

fn pair() -> Fields {
    Fields::from(vec![Field::new("x", DataType::Int64, true), Field::new("n", DataType::Int32, true)])
}

/// A list of rows (x, n).
pub(super) fn pairs_type(_arguments: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Struct(pair()), true))
}

/// The numbers of a list, each with its place from 1: what `information_schema._pg_expandarray` gives as rows.
pub(super) fn pairs(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    let (mut numbers, mut places, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let list = if lists.is_null(row) { None } else { Some(lists.value(row)) };
        let length = list.as_ref().map_or(0, |list| list.len());
        lengths.push(length);
        places.extend((1_i32..).take(length));
        if let Some(list) = &list {
            numbers.extend(list.as_primitive::<Int64Type>().iter());
        }
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers)), Arc::new(Int32Array::from(places))];
    let rows = StructArray::try_new(pair(), columns, None)?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(pair()), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(rows), lists.nulls().cloned())?))
}
