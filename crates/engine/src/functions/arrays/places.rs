//! How many elements an array has, in how many dimensions, and where some of them are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::cmp;
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;

use super::{Flat, as_element, depth_length, element_type};
use crate::functions::function::{Call, refuse};

/// The elements in all dimensions together.
pub(super) fn cardinality(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    call.values::<Int32Type>(|row| {
        let elements = elements(&lists.value(row));
        i32::try_from(elements).map(Some).map_err(|_| refuse("22003", "integer out of range"))
    })
}

fn elements(list: &ArrayRef) -> usize {
    match list.data_type() {
        DataType::List(_) => list.as_list::<i32>().iter().flatten().map(|inner| elements(&inner)).sum(),
        _ => list.len(),
    }
}

/// Of an empty array there are none, as in PostgreSQL.
pub(super) fn dimensions(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    let mut depth = 1;
    let mut item = lists.value_type();
    while let DataType::List(inner) = item {
        depth += 1;
        item = inner.data_type().clone();
    }
    call.values::<Int32Type>(|row| Ok(Some(depth).filter(|_| lists.value_length(row) > 0)))
}

/// `[1:2][1:3]`; of an empty array there is nothing to say.
pub(super) fn bounds(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    call.texts(|row| {
        let list = lists.value(row);
        let lengths = (1..).map_while(|dimension| depth_length(&list, dimension));
        let bounds = lengths.map(|length| format!("[1:{length}]")).collect::<Vec<_>>().concat();
        Ok(Some(bounds).filter(|bounds| !bounds.is_empty()))
    })
}

/// Which elements are a value, NULL among them.
fn same(call: &Call<'_>, flat: &Flat) -> Result<BooleanArray> {
    let wanted = as_element(&call.arrays[1], &element_type(&call.arrays[0])?)?;
    Ok(cmp::not_distinct(&flat.values(), &flat.spread(&wanted)?)?)
}

/// The place of the first element that is a value, from a place on.
pub(super) fn position(call: &Call<'_>) -> Result<ArrayRef> {
    let flat = Flat::of(&call.arrays[0]);
    let same = same(call, &flat)?;
    let start = |row: usize| call.arrays.get(2).map_or(1, |starts| starts.as_primitive::<Int64Type>().value(row));
    let mut places: Vec<Option<i32>> = vec![None; call.rows];
    let mut place = 0;
    let mut before = None;
    for (at, row) in flat.rows.values().iter().enumerate() {
        place = if before == Some(row) { place + 1 } else { 1 };
        before = Some(row);
        let row = *row as usize;
        if same.value(at) && flat.lists.is_valid(row) && places[row].is_none() && i64::from(place) >= start(row) {
            places[row] = Some(place);
        }
    }
    Ok(Arc::new(Int32Array::from(places)))
}

/// The places of all elements that are a value.
pub(super) fn positions(call: &Call<'_>) -> Result<ArrayRef> {
    let flat = Flat::of(&call.arrays[0]);
    let same = same(call, &flat)?;
    let mut lengths = vec![0_usize; call.rows];
    let mut places = Vec::new();
    let mut place = 0;
    let mut before = None;
    for (at, row) in flat.rows.values().iter().enumerate() {
        place = if before == Some(row) { place + 1 } else { 1 };
        before = Some(row);
        if same.value(at) {
            places.push(place);
            lengths[*row as usize] += 1;
        }
    }
    let DataType::List(item) = call.gives else { return Err(refuse("42804", "an array is expected")) };
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = flat.lists.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(Int32Array::from(places)), nulls)?))
}

/// -1, 0 or 1, as the first array is less than the second one, equal to it or greater: by the first elements that differ, of which
/// NULL is the greatest.
pub(super) fn compared(call: &Call<'_>) -> Result<ArrayRef> {
    let [left, right] = [0, 1].map(|at| call.arrays[at].data_type());
    let common = BinaryTypeCoercer::new(left, &Operator::Eq, right).get_input_types()?.0;
    let nulls_last = SortOptions { descending: false, nulls_first: false };
    let converter = RowConverter::new(vec![SortField::new_with_options(common.clone(), nulls_last)])?;
    let left = converter.convert_columns(&[cast(&call.arrays[0], &common)?])?;
    let right = converter.convert_columns(&[cast(&call.arrays[1], &common)?])?;
    call.values::<Int32Type>(|row| Ok(Some(left.row(row).cmp(&right.row(row)) as i32)))
}

/// The greater of two numbers; NULL if either is.
pub(super) fn at_least(call: &Call<'_>) -> Result<ArrayRef> {
    let (numbers, least) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
    call.values::<Int64Type>(|row| Ok(Some(numbers.value(row).max(least.value(row)))))
}
