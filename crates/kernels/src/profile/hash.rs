//! 64-bit hashes of values: equal values, equal hashes, whatever array they come in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowNativeType, DataType};
use polder_types::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::unpack;

const NULL: u64 = 0x9ae1_6a3b_2f90_404f;

/// A bijection on 64 bits (SplitMix64: Steele, Lea, Flood 2014), so that fixed-width values never collide.
pub(super) fn mix(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(super) fn mix_wide(value: i128) -> u64 {
    mix((value as u64) ^ mix((value >> 64) as u64).rotate_left(32))
}

pub(super) fn bytes(value: &[u8]) -> u64 {
    xxh3_64(value)
}

fn join(so_far: u64, next: u64) -> u64 {
    mix(so_far.rotate_left(5) ^ next)
}

/// One hash a row, nested types included. A null has a hash too, since `[null]` differs from `[]`.
pub(super) fn rows(array: &dyn Array) -> Result<Vec<u64>> {
    let mut hashes = match array.data_type() {
        DataType::Null => return Ok(vec![NULL; array.len()]),
        DataType::Boolean => array.as_boolean().values().iter().map(|value| mix(u64::from(value))).collect(),
        DataType::Utf8 => texts(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter()),
        DataType::Utf8View => texts(array.as_string_view().iter()),
        DataType::Binary => blobs(array.as_binary::<i32>().iter()),
        DataType::LargeBinary => blobs(array.as_binary::<i64>().iter()),
        DataType::BinaryView => blobs(array.as_binary_view().iter()),
        DataType::FixedSizeBinary(_) => blobs(array.as_fixed_size_binary().iter()),
        DataType::Struct(_) => structs(array)?,
        DataType::List(_) => lists(array.as_list::<i32>().values(), offsets(array.as_list::<i32>().value_offsets()))?,
        DataType::LargeList(_) => {
            lists(array.as_list::<i64>().values(), offsets(array.as_list::<i64>().value_offsets()))?
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            lists(list.values(), spans(list.offsets(), list.sizes()))?
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            lists(list.values(), spans(list.offsets(), list.sizes()))?
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let size = list.value_length() as usize;
            lists(list.values(), (0..list.len()).map(|row| (row * size, size)))?
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            lists(&(Arc::new(map.entries().clone()) as ArrayRef), offsets(map.value_offsets()))?
        }
        DataType::Union(_, _) => unions(array)?,
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return Ok(vec![NULL; array.len()]);
            }
            let hashes = rows(dictionary.values())?;
            dictionary.normalized_keys().into_iter().map(|key| hashes[key]).collect()
        }
        DataType::RunEndEncoded(_, _) => {
            let (values, lengths) = unpack::runs(array)?;
            let hashes = rows(&values)?;
            hashes.into_iter().zip(lengths).flat_map(|(hash, n)| std::iter::repeat_n(hash, n as usize)).collect()
        }
        _ => fixed(array)?,
    };
    if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        for (hash, valid) in hashes.iter_mut().zip(nulls.iter()) {
            if !valid {
                *hash = NULL;
            }
        }
    }
    Ok(hashes)
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<u64> {
    blobs(values.map(|value| value.map(str::as_bytes)))
}

fn blobs<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<u64> {
    values.map(|value| value.map_or(NULL, bytes)).collect()
}

/// Any type whose values have one width, by their bytes.
fn fixed(array: &dyn Array) -> Result<Vec<u64>> {
    let unknown = || Error::unsupported(format!("cannot profile a column of type {}", array.data_type()));
    let width = array.data_type().primitive_width().ok_or_else(unknown)?;
    let data = array.to_data();
    let values = data.buffers().first().ok_or_else(unknown)?.as_slice();
    let start = data.offset() * width;
    let values = values.get(start..start + data.len() * width).ok_or_else(unknown)?;
    let floats = array.data_type().is_floating();
    Ok(values.chunks_exact(width).map(|value| if floats { float_bytes(value) } else { bytes(value) }).collect())
}

/// Minus zero equals zero, so it hashes like it.
fn float_bytes(value: &[u8]) -> u64 {
    match value.split_last() {
        Some((0x80, rest)) if rest.iter().all(|byte| *byte == 0) => bytes(&[0; 8][..value.len()]),
        _ => bytes(value),
    }
}

fn structs(array: &dyn Array) -> Result<Vec<u64>> {
    let mut hashes = vec![1; array.len()];
    for column in array.as_struct().columns() {
        for (hash, next) in hashes.iter_mut().zip(rows(column)?) {
            *hash = join(*hash, next);
        }
    }
    Ok(hashes)
}

/// `spans`: where each list starts in `values`, and its length.
fn lists(values: &ArrayRef, spans: impl Iterator<Item = (usize, usize)> + Clone) -> Result<Vec<u64>> {
    // A slice of a large array shares all its values: hash those within reach only.
    let start = spans.clone().map(|(start, _)| start).min().unwrap_or(0);
    let end = spans.clone().map(|(start, n)| start + n).max().unwrap_or(0);
    let hashes = rows(&values.slice(start, end - start))?;
    let list = |(at, n): (usize, usize)| {
        hashes[at - start..at - start + n].iter().fold(n as u64, |all, next| join(all, *next))
    };
    Ok(spans.map(list).collect())
}

fn offsets<O: ArrowNativeType>(offsets: &[O]) -> impl Iterator<Item = (usize, usize)> + Clone {
    offsets.windows(2).map(|pair| (pair[0].as_usize(), pair[1].as_usize() - pair[0].as_usize()))
}

fn spans<O: ArrowNativeType>(starts: &[O], sizes: &[O]) -> impl Iterator<Item = (usize, usize)> + Clone {
    starts.iter().zip(sizes).map(move |(start, size)| (start.as_usize(), size.as_usize()))
}

fn unions(array: &dyn Array) -> Result<Vec<u64>> {
    let union = array.as_union();
    let DataType::Union(fields, _) = array.data_type() else { return Ok(Vec::new()) };
    let mut children = vec![Vec::new(); 128];
    for (id, _) in fields.iter() {
        children[usize::from(id.unsigned_abs()).min(127)] = rows(union.child(id))?;
    }
    Ok((0..union.len())
        .map(|row| {
            let id = union.type_id(row).unsigned_abs();
            join(u64::from(id), children[usize::from(id).min(127)][union.value_offset(row)])
        })
        .collect())
}
