//! Values of an older shape of a column in its shape of today.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use polder_types::{Error, Result};

use crate::model::ColumnState;

/// Fields inside a column are found by their ids, whatever they are called; new ones are NULL, and a type that was
/// widened is cast.
///
/// `old` and `new` are the columns of then and now, `id` the column in both, `field` how it looks now.
pub(crate) fn reshape(
    array: &ArrayRef,
    old: &[ColumnState],
    new: &[ColumnState],
    id: i64,
    field: &Field,
) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let changed =
        || Error::internal(format!("column {} was {} and is {}", field.name(), array.data_type(), field.data_type()));
    let made =
        |array: Result<ArrayRef, arrow::error::ArrowError>| array.map_err(|error| Error::internal(error.to_string()));
    match field.data_type() {
        DataType::Struct(fields) => {
            let values = array.as_struct_opt().ok_or_else(changed)?;
            let (old_fields, new_fields) = (children(old, id), children(new, id));
            let mut columns = Vec::with_capacity(fields.len());
            for (child, field) in new_fields.iter().zip(fields) {
                columns.push(match old_fields.iter().position(|before| before.id == child.id) {
                    Some(at) => reshape(values.column(at), old, new, child.id, field)?,
                    None => new_null_array(field.data_type(), array.len()),
                });
            }
            made(
                StructArray::try_new(fields.clone(), columns, array.nulls().cloned()).map(|array| Arc::new(array) as _),
            )
        }
        DataType::List(item) => {
            let values = array.as_list_opt::<i32>().ok_or_else(changed)?;
            let child = children(new, id).first().map(|child| child.id).ok_or_else(changed)?;
            let items = reshape(values.values(), old, new, child, item)?;
            let list = ListArray::try_new(Arc::clone(item), values.offsets().clone(), items, array.nulls().cloned());
            made(list.map(|array| Arc::new(array) as _))
        }
        DataType::Map(entries, sorted) => {
            let values = array.as_map_opt().ok_or_else(changed)?;
            let DataType::Struct(pair) = entries.data_type() else { return Err(changed()) };
            let ids: Vec<i64> = children(new, id).iter().map(|child| child.id).collect();
            let [key, value] = ids[..] else { return Err(changed()) };
            let columns = vec![
                reshape(values.keys(), old, new, key, &pair[0])?,
                reshape(values.values(), old, new, value, &pair[1])?,
            ];
            let pairs = made(StructArray::try_new(pair.clone(), columns, None).map(|array| Arc::new(array) as _))?;
            let map = MapArray::try_new(
                Arc::clone(entries),
                values.offsets().clone(),
                pairs.as_struct().clone(),
                array.nulls().cloned(),
                *sorted,
            );
            made(map.map(|array| Arc::new(array) as _))
        }
        scalar => made(cast(array, scalar)),
    }
}

/// What stands directly inside a column, in its order.
fn children(columns: &[ColumnState], parent: i64) -> Vec<&ColumnState> {
    let mut inside: Vec<&ColumnState> = columns.iter().filter(|column| column.parent == Some(parent)).collect();
    inside.sort_by_key(|column| column.order);
    inside
}
