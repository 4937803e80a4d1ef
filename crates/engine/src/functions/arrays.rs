//! Arrays.

mod dimensions;
mod places;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Datum, Int32Array, ListArray, Scalar, StringViewArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;
use polder_lake::TextLength;

use super::bounds::bytes_of;
use super::casts::read_list;
use super::function::{Call, Function, Gives, Kind as K, function, refuse, way};
use super::types;
pub(super) use dimensions::{check_dimensions, dimensions_of};

fn element_of(data_type: &DataType) -> Result<DataType> {
    match data_type {
        DataType::List(item) => Ok(item.data_type().clone()),
        other => Ok(other.clone()),
    }
}

fn element_of_first(types: &[DataType]) -> Result<DataType> {
    element_of(&types[0])
}

fn element_of_second(types: &[DataType]) -> Result<DataType> {
    element_of(&types[1])
}

fn list_of_first(types: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(types[0].clone(), true))
}

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "polder_any",
        "",
        "",
        &[way(&[K::Text, K::Any, K::Array], Gives::Bool, any), way(&[K::Text, K::Any, K::Text], Gives::Bool, any)],
    ),
    function(
        "polder_all",
        "",
        "",
        &[way(&[K::Text, K::Any, K::Array], Gives::Bool, all), way(&[K::Text, K::Any, K::Text], Gives::Bool, all)],
    ),
    function("polder_array_overlap", "", "", &[way(&[K::Array, K::Array], Gives::Bool, overlap)]),
    function("polder_array_contains", "", "", &[way(&[K::Array, K::Array], Gives::Bool, contains)]),
    function("polder_array_compared", "", "", &[way(&[K::Array, K::Array], Gives::Int4, places::compared)]),
    function("polder_at_least", "", "", &[way(&[K::Int8, K::Int8], Gives::Int8, places::at_least)]),
    function(
        "array_length",
        "array_length(array, dimension)",
        "How long an array is in one of its dimensions; NULL when it is empty.",
        &[
            way(&[K::Array], Gives::Int4, |call| length(call, |length| Some(length))),
            way(&[K::Array, K::Int8], Gives::Int4, |call| length(call, Some)),
        ],
    ),
    function(
        "array_upper",
        "array_upper(array, dimension)",
        "The last index of an array in one of its dimensions.",
        &[way(&[K::Array, K::Int8], Gives::Int4, |call| length(call, Some))],
    ),
    function(
        "array_lower",
        "array_lower(array, dimension)",
        "The first index of an array in one of its dimensions: 1.",
        &[way(&[K::Array, K::Int8], Gives::Int4, |call| length(call, |_| Some(1)))],
    ),
    function(
        "array_ndims",
        "array_ndims(array)",
        "How many dimensions an array has; NULL when it is empty.",
        &[way(&[K::Array], Gives::Int4, places::dimensions)],
    ),
    function(
        "array_dims",
        "array_dims(array)",
        "The first and the last index of each dimension, as text; NULL when it is empty.",
        &[way(&[K::Array], Gives::Text, places::bounds)],
    ),
    function(
        "cardinality",
        "cardinality(array)",
        "How many elements an array has in all its dimensions.",
        &[way(&[K::Array], Gives::Int4, places::cardinality)],
    ),
    function(
        "array_position",
        "array_position(array, value[, start])",
        "The place of the first element that is a value; NULL when there is none.",
        &[
            way(&[K::Array, K::Any], Gives::Int4, places::position),
            way(&[K::Array, K::Any, K::Int8], Gives::Int4, places::position),
        ],
    ),
    function(
        "array_positions",
        "array_positions(array, value)",
        "The places of all elements that are a value.",
        &[way(&[K::Array, K::Any], Gives::Type(|_| Ok(DataType::new_list(DataType::Int32, true))), places::positions)],
    ),
    function(
        "array_remove",
        "array_remove(array, value)",
        "An array without the elements that are a value.",
        &[way(&[K::Array, K::Any], Gives::Argument(0), remove)],
    ),
    function(
        "array_replace",
        "array_replace(array, value, other)",
        "An array in which one value is replaced by another.",
        &[way(&[K::Array, K::Any, K::Any], Gives::Argument(0), replace)],
    ),
    function(
        "array_fill",
        "array_fill(value, lengths)",
        "An array of one value.",
        &[way(&[K::Any, K::IntArray], Gives::Type(list_of_first), fill)],
    ),
    function(
        "trim_array",
        "trim_array(array, count)",
        "An array without its last elements.",
        &[way(&[K::Array, K::Int8], Gives::Argument(0), trim)],
    ),
    function(
        "polder_subscripts",
        "",
        "",
        &[way(&[K::Array, K::Int8], Gives::Type(|_| Ok(DataType::new_list(DataType::Int32, true))), subscripts)],
    ),
    function("polder_mode", "", "", &[way(&[K::Array], Gives::Type(element_of_first), mode)]),
    function(
        "polder_percentile_disc",
        "",
        "",
        &[way(&[K::Float, K::Array], Gives::Type(element_of_second), percentile_disc)],
    ),
];

/// Elements of lists, and for each the row that it is in.
struct Flat {
    lists: ListArray,
    rows: UInt32Array,
}

impl Flat {
    fn of(array: &ArrayRef) -> Self {
        let lists = array.as_list::<i32>().clone();
        let offsets = lists.value_offsets();
        let mut rows = Vec::with_capacity(lists.values().len());
        for row in 0..lists.len() {
            rows.extend(std::iter::repeat_n(row as u32, (offsets[row + 1] - offsets[row]) as usize));
        }
        Self { rows: UInt32Array::from(rows), lists }
    }

    /// The elements, without what lies before the first and behind the last list.
    fn values(&self) -> ArrayRef {
        let offsets = self.lists.value_offsets();
        let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
        self.lists.values().slice(first as usize, (last - first) as usize)
    }

    /// A value of each row, once for each of the row's elements.
    fn spread(&self, values: &ArrayRef) -> Result<ArrayRef> {
        Ok(take(values, &self.rows, None)?)
    }

    /// The lists with only those elements.
    fn keep(&self, kept: &BooleanArray) -> Result<ArrayRef> {
        let mut lengths = vec![0_usize; self.lists.len()];
        for (at, row) in self.rows.values().iter().enumerate() {
            lengths[*row as usize] += usize::from(kept.value(at));
        }
        self.rebuilt(filter(&self.values(), kept)?, lengths)
    }

    fn rebuilt(&self, values: ArrayRef, lengths: Vec<usize>) -> Result<ArrayRef> {
        let DataType::List(item) = self.lists.data_type() else {
            return Err(refuse("42804", "an array is expected"));
        };
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, self.lists.nulls().cloned())?))
    }
}

/// The comparison of an operator, over two columns of one type.
fn compared(op: &str, left: &ArrayRef, right: &ArrayRef) -> Result<BooleanArray> {
    use arrow::compute::kernels::comparison as text;
    type Compare = fn(&dyn Datum, &dyn Datum) -> Result<BooleanArray, arrow::error::ArrowError>;
    let like = |compare: Compare| -> Result<BooleanArray> {
        let (left, right) = (cast(left, &DataType::Utf8)?, cast(right, &DataType::Utf8)?);
        Ok(compare(&left, &right)?)
    };
    Ok(match op {
        "=" => cmp::eq(left, right)?,
        "<>" | "!=" => cmp::neq(left, right)?,
        "<" => cmp::lt(left, right)?,
        "<=" => cmp::lt_eq(left, right)?,
        ">" => cmp::gt(left, right)?,
        ">=" => cmp::gt_eq(left, right)?,
        "LIKE" | "~~" => like(text::like)?,
        "NOT LIKE" | "!~~" => like(text::nlike)?,
        "ILIKE" | "~~*" => like(text::ilike)?,
        "NOT ILIKE" | "!~~*" => like(text::nilike)?,
        other => return Err(refuse("0A000", format!("the operator {other} is not supported before ANY and ALL"))),
    })
}

/// Arrays of texts without the blanks that those end in.
fn without_blanks(array: &ArrayRef) -> Result<ArrayRef> {
    let flat = Flat::of(array);
    let values = cast(&flat.values(), &DataType::Utf8View)?;
    let bare: StringViewArray =
        values.as_string_view().iter().map(|text| text.map(|text| text.trim_end_matches(' '))).collect();
    let lengths = (0..flat.lists.len()).map(|row| flat.lists.value_length(row) as usize).collect();
    flat.rebuilt(cast(&bare, &flat.lists.value_type())?, lengths)
}

fn quantified(call: &Call<'_>, decisive: bool) -> Result<ArrayRef> {
    let array = match call.arrays[2].data_type() {
        DataType::List(_) => Arc::clone(&call.arrays[2]),
        // Text in quotes is an array of what stands before the operator.
        _ => {
            let item = match call.arrays[1].data_type() {
                DataType::Utf8 | DataType::Null => DataType::Utf8View,
                // With more places: a value that has them is none of the column's.
                DataType::Decimal128(precision, scale) => {
                    let whole = (i16::from(*precision) - i16::from(*scale)).clamp(0, 38);
                    let places = (i16::from(*scale) + 10).min(38 - whole);
                    DataType::Decimal128(38, i8::try_from(places).unwrap_or(*scale))
                }
                other => other.clone(),
            };
            let read = read_list(call.text(2), &Arc::new(Field::new_list_field(item, true)))?;
            let padded = TextLength::of_field(&call.fields[1]).is_some_and(|length| length.blank_padded);
            if padded { without_blanks(&read)? } else { read }
        }
    };
    let flat = Flat::of(&array);
    let (needle, values) = (flat.spread(&call.arrays[1])?, flat.values());
    let common = if needle.data_type() == values.data_type() {
        needle.data_type().clone()
    } else {
        BinaryTypeCoercer::new(needle.data_type(), &Operator::Eq, values.data_type()).get_input_types()?.0
    };
    let (needle, values) = (cast(&needle, &common)?, cast(&values, &common)?);
    let op = if call.rows == 0 { "=" } else { call.text(0).value(0) };
    let answers = compared(op, &needle, &values)?;
    let mut results: Vec<Option<bool>> = vec![Some(!decisive); call.rows];
    for (at, row) in flat.rows.values().iter().enumerate() {
        let result = &mut results[*row as usize];
        if answers.is_null(at) {
            if *result != Some(decisive) {
                *result = None;
            }
        } else if answers.value(at) == decisive {
            *result = Some(decisive);
        }
    }
    for (row, result) in results.iter_mut().enumerate() {
        if array.is_null(row) {
            *result = None;
        }
    }
    Ok(Arc::new(BooleanArray::from(results)))
}

fn any(call: &Call<'_>) -> Result<ArrayRef> {
    quantified(call, true)
}

fn all(call: &Call<'_>) -> Result<ArrayRef> {
    quantified(call, false)
}

/// Whether two arrays have an element in common.
fn overlap(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (call.arrays[0].as_list::<i32>(), call.arrays[1].as_list::<i32>());
    let common = BinaryTypeCoercer::new(&left.value_type(), &Operator::Eq, &right.value_type()).get_input_types()?.0;
    call.bools(|row| {
        let (left, right) = (cast(&left.value(row), &common)?, cast(&right.value(row), &common)?);
        for at in 0..right.len() {
            if right.is_valid(at) && cmp::eq(&left, &Scalar::new(right.slice(at, 1)))?.true_count() > 0 {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    })
}

/// Whether each element of the second array is in the first; NULL is in none.
fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    let (whole, part) = (call.arrays[0].as_list::<i32>(), call.arrays[1].as_list::<i32>());
    let common = BinaryTypeCoercer::new(&whole.value_type(), &Operator::Eq, &part.value_type()).get_input_types()?.0;
    call.bools(|row| {
        let (whole, part) = (cast(&whole.value(row), &common)?, cast(&part.value(row), &common)?);
        for at in 0..part.len() {
            // Of the type of NULL there are no other values.
            let value = (!common.is_null() && part.is_valid(at)).then(|| Scalar::new(part.slice(at, 1)));
            match value {
                Some(value) if cmp::eq(&whole, &value)?.true_count() > 0 => {}
                _ => return Ok(Some(false)),
            }
        }
        Ok(Some(true))
    })
}

/// How long a list is `dimension` levels down.
fn depth_length(list: &ArrayRef, dimension: i64) -> Option<i32> {
    if list.is_empty() {
        return None;
    }
    if dimension <= 1 {
        return (dimension == 1).then(|| list.len() as i32);
    }
    match list.data_type() {
        DataType::List(_) => {
            let inner = list.as_list::<i32>();
            depth_length(&inner.value(0), dimension - 1)
        }
        _ => None,
    }
}

fn length(call: &Call<'_>, of: fn(i32) -> Option<i32>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    call.values::<arrow::datatypes::Int32Type>(|row| {
        let dimension = call.arrays.get(1).map_or(1, |array| array.as_primitive::<Int64Type>().value(row));
        Ok(depth_length(&lists.value(row), dimension).and_then(of))
    })
}

fn element_type(array: &ArrayRef) -> Result<DataType> {
    match array.data_type() {
        DataType::List(item) => Ok(item.data_type().clone()),
        other => Err(refuse("42804", format!("{} is no array", types::postgres_name(other)))),
    }
}

/// A column of values in the type of an array's elements; text in quotes is read as one.
fn as_element(values: &ArrayRef, element: &DataType) -> Result<ArrayRef> {
    super::casts::as_type(values, element)
}

fn remove(call: &Call<'_>) -> Result<ArrayRef> {
    let flat = Flat::of(&call.arrays[0]);
    let wanted = flat.spread(&as_element(&call.arrays[1], &element_type(&call.arrays[0])?)?)?;
    flat.keep(&cmp::distinct(&flat.values(), &wanted)?)
}

fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let flat = Flat::of(&call.arrays[0]);
    let element = element_type(&call.arrays[0])?;
    let from = flat.spread(&as_element(&call.arrays[1], &element)?)?;
    let to = flat.spread(&as_element(&call.arrays[2], &element)?)?;
    let values = flat.values();
    let same = cmp::not_distinct(&values, &from)?;
    let replaced = arrow::compute::kernels::zip::zip(&same, &to, &values)?;
    let lengths = (0..flat.lists.len()).map(|row| flat.lists.value_length(row) as usize).collect();
    flat.rebuilt(replaced, lengths)
}

fn fill(call: &Call<'_>) -> Result<ArrayRef> {
    let lengths = call.arrays[1].as_list::<i32>();
    let (mut indices, mut bytes) = (Vec::new(), 0_usize);
    let mut sizes = Vec::with_capacity(call.rows);
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        valid.push(lengths.is_valid(row));
        let dimensions = if lengths.is_valid(row) { lengths.value(row) } else { lengths.values().slice(0, 0) };
        check_dimensions(dimensions.len())?;
        if dimensions.len() > 1 {
            return Err(refuse("0A000", "array_fill makes arrays of one dimension"));
        }
        if dimensions.null_count() > 0 {
            return Err(refuse("22004", "dimension values cannot be null"));
        }
        let size = dimensions.as_primitive::<Int64Type>().values().first().copied().unwrap_or(0).max(0) as usize;
        if size > 10_000_000 {
            return Err(refuse("54000", "array size exceeds the maximum allowed"));
        }
        let value = bytes_of(&call.arrays[0].slice(row, 1))?;
        bytes = bytes.saturating_add(size.saturating_mul(value + size_of::<u32>()));
        call.bound().check_batch(bytes)?;
        sizes.push(size);
        indices.extend(std::iter::repeat_n(row as u32, size));
    }
    let values = take(&call.arrays[0], &UInt32Array::from(indices), None)?;
    let DataType::List(item) = call.gives else { return Err(refuse("42804", "an array is expected")) };
    let nulls = NullBuffer::from(valid);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(sizes), values, Some(nulls))?))
}

fn trim(call: &Call<'_>) -> Result<ArrayRef> {
    let flat = Flat::of(&call.arrays[0]);
    let counts = call.primitive::<Int64Type>(1);
    let mut kept = Vec::with_capacity(flat.rows.len());
    for row in 0..call.rows {
        let length = i64::from(flat.lists.value_length(row));
        let count = if counts.is_valid(row) { counts.value(row) } else { 0 };
        if !(0..=length).contains(&count) && call.is_whole(row) {
            return Err(refuse("2202E", format!("number of elements to trim must be between 0 and {length}")));
        }
        kept.extend((0..length).map(|at| at < length - count));
    }
    flat.keep(&BooleanArray::from(kept))
}

/// The indexes of an array, from 1.
fn subscripts(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    let mut sizes = Vec::with_capacity(call.rows);
    let mut values = Vec::new();
    for row in 0..call.rows {
        let size = if call.is_whole(row) {
            depth_length(&lists.value(row), call.primitive::<Int64Type>(1).value(row)).unwrap_or(0)
        } else {
            0
        };
        values.extend(1..=size);
        sizes.push(size as usize);
    }
    let DataType::List(item) = call.gives else { return Err(refuse("42804", "an array is expected")) };
    let offsets = OffsetBuffer::from_lengths(sizes);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(Int32Array::from(values)), None)?))
}

/// One element of each list, by its place among all elements.
fn chosen(lists: &ListArray, place: impl Fn(usize, &ArrayRef) -> Result<Option<usize>>) -> Result<ArrayRef> {
    let mut places = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let offset = lists.value_offsets()[row] as usize;
        let at = if lists.is_valid(row) { place(row, &lists.value(row))? } else { None };
        places.push(at.map(|at| (offset + at) as u32));
    }
    Ok(take(lists.values(), &UInt32Array::from(places), None)?)
}

/// The places of a list's values, without those of NULLs.
fn places(values: &ArrayRef) -> Vec<usize> {
    (0..values.len()).filter(|at| values.is_valid(*at)).collect()
}

/// The most frequent value of lists that are sorted; of several, the first.
fn mode(call: &Call<'_>) -> Result<ArrayRef> {
    chosen(call.arrays[0].as_list::<i32>(), |_, values| {
        let groups = arrow::compute::partition(std::slice::from_ref(values))?.ranges();
        let valid = groups.into_iter().filter(|group| values.is_valid(group.start));
        // The first of those that are as long: `max_by_key` would give the last.
        let longest = valid.reduce(|best, group| if group.len() > best.len() { group } else { best });
        Ok(longest.map(|group| group.start))
    })
}

/// The first value of sorted lists whose place is at or above a fraction.
fn percentile_disc(call: &Call<'_>) -> Result<ArrayRef> {
    let fractions = call.primitive::<arrow::datatypes::Float64Type>(0);
    chosen(call.arrays[1].as_list::<i32>(), |row, values| {
        let fraction = fractions.value(row);
        if !(0.0..=1.0).contains(&fraction) {
            return Err(refuse("22003", format!("percentile value {fraction} is not between 0 and 1")));
        }
        let places = places(values);
        let at = (fraction * places.len() as f64).ceil() as usize;
        Ok(places.get(at.saturating_sub(1)).copied())
    })
}
