//! Maps, for which PostgreSQL has no type: they are written as JSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use arrow::json::writer::make_encoder;
use polder_capability::json::in_full;
use polder_types::{Error, Result};

/// One text of JSON for each map.
pub(super) fn texts(maps: &ArrayRef) -> Result<StringArray> {
    written(maps)
        .map_err(|error| Error::internal(format!("a map cannot be written as JSON: {error}")).with_source(error))
}

fn written(maps: &ArrayRef) -> Result<StringArray, ArrowError> {
    let maps = with_text_keys(maps)?;
    let field = Arc::new(Field::new("map", maps.data_type().clone(), true));
    let options = in_full();
    let mut encoder = make_encoder(&field, &maps, &options)?;
    let (mut texts, mut buffer) = (StringBuilder::new(), Vec::new());
    for row in 0..maps.len() {
        if encoder.is_null(row) {
            texts.append_null();
            continue;
        }
        buffer.clear();
        encoder.encode(row, &mut buffer);
        texts.append_value(String::from_utf8_lossy(&buffer));
    }
    Ok(texts.finish())
}

/// JSON has no keys but texts.
fn with_text_keys(maps: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Map(entries, sorted) = maps.data_type() else { return Ok(Arc::clone(maps)) };
    let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::clone(maps)) };
    let text = |(at, field): (usize, &Arc<Field>)| match at {
        0 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    let fields: Fields = fields.iter().enumerate().map(text).collect();
    let entries = entries.as_ref().clone().with_data_type(DataType::Struct(fields));
    cast(maps, &DataType::Map(Arc::new(entries), *sorted))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Builder, MapBuilder, StringBuilder};

    use super::*;

    #[test]
    fn a_map_is_an_object_and_its_keys_are_texts() {
        let mut maps = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
        maps.keys().append_value(1);
        maps.values().append_value("x \"y\"");
        maps.keys().append_value(2);
        maps.values().append_null();
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        maps.append(true).unwrap();
        let texts = texts(&(Arc::new(maps.finish()) as ArrayRef)).unwrap();
        assert_eq!(texts, StringArray::from(vec![Some(r#"{"1":"x \"y\"","2":null}"#), None, Some("{}")]));
    }
}
