//! How many dimensions arrays have.

use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::functions::function::refuse;

/// How deep arrays may lie in each other.
const DIMENSIONS_MAX: usize = 6;

/// Whether an array may have so many dimensions.
///
/// # Errors
/// 54000, as PostgreSQL says it.
pub(crate) fn check_dimensions(count: usize) -> Result<()> {
    if count <= DIMENSIONS_MAX {
        return Ok(());
    }
    let message = format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
    Err(refuse("54000", message))
}

/// How many dimensions the values of a type have, which is none of an array's where it is none.
pub(crate) fn dimensions_of(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            1 + dimensions_of(item.data_type())
        }
        _ => 0,
    }
}
