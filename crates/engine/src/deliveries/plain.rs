//! Records without a transform: the fields of their objects are the table's columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use polder_capability::schemas::framed_schema_id;
use polder_kernels::fields::{FieldKind, Fields, why_no_json};
use polder_kernels::json::arrays::literal;
use polder_types::{Error, Result};

use crate::functions::types;
use crate::semantics::Zone;
use crate::statement::{quoted, read_texts};

/// Different fields in the records of one delivery, and so the most columns that one can add.
pub(super) const FIELDS_MAX: usize = 1_600;

/// A column that records bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewColumn {
    pub name: String,
    pub type_name: &'static str,
}

impl NewColumn {
    /// As CREATE TABLE and ADD COLUMN take it.
    pub fn declaration(&self) -> String {
        format!("{} {}", quoted(&self.name), self.type_name)
    }
}

const fn type_name(kind: FieldKind) -> Option<&'static str> {
    match kind {
        FieldKind::Null => None,
        FieldKind::Boolean => Some("boolean"),
        FieldKind::Integer => Some("bigint"),
        FieldKind::Float => Some("double precision"),
        FieldKind::Text => Some("text"),
        FieldKind::Json => Some("jsonb"),
    }
}

/// The columns that a table lacks of those that the records have values for.
pub(super) fn new_columns(fields: &Fields<'_>, has: impl Fn(&str) -> bool) -> Vec<NewColumn> {
    let missing = fields.columns().iter().filter(|column| !has(column.name()));
    let new = missing.filter_map(|column| {
        type_name(column.kind()).map(|type_name| NewColumn { name: column.name().to_owned(), type_name })
    });
    new.collect()
}

/// Rows for a table.
pub(super) struct Rows {
    /// With the types of the table's columns. Only those that records have values for.
    pub batch: RecordBatch,
    /// The places of the rows among the records.
    pub places: Vec<usize>,
    /// The records that have no row, each with the reason.
    pub refused: BTreeMap<usize, String>,
}

/// Reads the fields as the types of the table's columns. `columns`: of the table, those that take values.
///
/// # Errors
/// `Internal`.
pub(super) fn rows(fields: &Fields<'_>, records: usize, columns: &[FieldRef], zone: &Zone) -> Result<Rows> {
    let mut refused: BTreeMap<usize, String> = fields.refused().iter().cloned().collect();
    let (mut names, mut arrays) = (Vec::new(), Vec::new());
    for field in columns {
        let same = |name: &str| name.eq_ignore_ascii_case(field.name());
        let Some(column) = fields.columns().iter().find(|column| same(column.name())) else { continue };
        let is_json = types::is_json(field);
        let texts = if is_json { fields.json(column) } else { fields.texts(column) };
        let texts = as_arrays(texts, field);
        arrays.push(read(&texts, field, zone, &mut refused)?);
        names.push(field.as_ref().clone().with_nullable(true));
    }
    let kept: BooleanArray = (0..records).map(|row| Some(!refused.contains_key(&row))).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(records));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(names)), arrays, &options);
    let batch = batch.and_then(|batch| if refused.is_empty() { Ok(batch) } else { filter_record_batch(&batch, &kept) });
    let places = (0..records).filter(|row| !refused.contains_key(row)).collect();
    Ok(Rows { batch: batch.map_err(|error| Error::internal(error.to_string()))?, places, refused })
}

/// Arrays of JSON for a column of arrays, as its type reads them; texts are there as they are.
fn as_arrays(texts: StringArray, field: &FieldRef) -> StringArray {
    let (DataType::List(item) | DataType::LargeList(item)) = field.data_type() else { return texts };
    let of_json = types::is_json(&types::item(field, item));
    let literal = |text: &str| match text.trim_start().starts_with('[') {
        true => literal(text, of_json).unwrap_or_else(|| text.to_owned()),
        false => text.to_owned(),
    };
    texts.iter().map(|text| text.map(literal)).collect()
}

/// A column's values. Those that are none of its type are NULL, and refused.
fn read(texts: &StringArray, field: &FieldRef, zone: &Zone, refused: &mut BTreeMap<usize, String>) -> Result<ArrayRef> {
    let whole: ArrayRef = Arc::new(texts.clone());
    if let Ok(column) = read_texts(&whole, field, zone) {
        return Ok(column);
    }
    let mut wrong = BTreeSet::new();
    for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
        if let Err(error) = read_texts(&whole.slice(row, 1), field, zone) {
            wrong.insert(row);
            refused.entry(row).or_insert_with(|| format!("column {}: {}", field.name(), error.message()));
        }
    }
    let right = (0..texts.len()).map(|row| (!wrong.contains(&row) && texts.is_valid(row)).then(|| texts.value(row)));
    let right: ArrayRef = Arc::new(right.collect::<StringArray>());
    read_texts(&right, field, zone)
}

/// The values of records as a column of JSON.
///
/// # Errors
/// `Internal`.
pub(super) fn values(records: &RecordBatch) -> Result<StringArray> {
    let column = records.column_by_name("value").ok_or_else(|| Error::internal("records have no values"))?;
    let texts = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8);
    let texts = texts.map_err(|error| Error::internal(error.to_string()))?;
    Ok(texts.as_string::<i32>().clone())
}

/// Tells of refused records what their bytes say, as far as no JSON could be made of them: it is NULL, or a string of their
/// text.
///
/// # Errors
/// `Internal`.
pub(super) fn explain(fields: &mut Fields<'_>, values: &StringArray, records: &RecordBatch) -> Result<()> {
    if fields.refused().is_empty() {
        return Ok(());
    }
    let column = records.column_by_name("value_bytes").ok_or_else(|| Error::internal("records have no bytes"))?;
    let bytes = arrow::compute::cast(column, &DataType::Binary).map_err(|error| Error::internal(error.to_string()))?;
    let bytes = bytes.as_binary::<i32>();
    fields.explain(|row| {
        let bytes = bytes.is_valid(row).then(|| bytes.value(row));
        let schema = bytes.and_then(framed_schema_id);
        // What a schema has read is shown as it reads it.
        let is_read = values.is_valid(row) && (schema.is_some() || !values.value(row).starts_with('"'));
        if is_read { None } else { why_no_json(bytes, schema) }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::BinaryArray;
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn fields_of(values: &StringArray) -> Fields<'_> {
        Fields::of(values, FIELDS_MAX)
    }

    #[test]
    fn columns_are_added_for_what_has_values() {
        let values =
            StringArray::from(vec![r#"{"id":1,"name":"a","gone":null,"more":{"x":1}}"#, r#"{"ID":2,"n":1.5}"#]);
        let new = new_columns(&fields_of(&values), |name| name.eq_ignore_ascii_case("Id"));
        let declared: Vec<String> = new.iter().map(NewColumn::declaration).collect();
        assert_eq!(declared, [r#""name" text"#, r#""more" jsonb"#, r#""n" double precision"#]);
    }

    #[test]
    fn reasons_tell_tombstones_schemas_bytes_and_texts_apart() {
        let bytes: [Option<&[u8]>; 7] = [
            None,
            Some(b"\0\0\0\0\x07\x02"),
            Some(b"\xff"),
            Some(br#"{"_x":"\u0000"}"#),
            Some(b"\"a\""),
            Some(b"\0\0\0\0\x08\x02"),
            Some(b"{\"a\":1}"),
        ];
        let text = r#""{\"_x\":\"\\u0000\"}""#;
        let values =
            StringArray::from(vec![None, None, None, Some(text), Some("\"a\""), Some("\"x\""), Some("{\"a\":1}")]);
        let column = Arc::new(bytes.into_iter().collect::<BinaryArray>()) as ArrayRef;
        let records = RecordBatch::try_from_iter([("value_bytes", column)]).unwrap();
        let mut fields = fields_of(&values);
        explain(&mut fields, &values, &records).unwrap();
        let expected = ["tombstone", "schema 7", "UTF-8", r"\u0000", "object", "object"];
        assert_eq!(fields.refused().len(), expected.len());
        for ((_, reason), word) in fields.refused().iter().zip(expected) {
            assert!(reason.contains(word), "{reason}: {word}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_refuses_its_record_alone() {
        let values = StringArray::from(vec![r#"{"id":1}"#, r#"{"id":"x"}"#, "no", r#"{"other":1}"#, r#"{"id":"4"}"#]);
        let columns: Vec<FieldRef> = vec![Arc::new(Field::new("id", DataType::Int64, true))];
        let zone = Zone::known("UTC").unwrap();
        let rows = rows(&fields_of(&values), values.len(), &columns, &zone).unwrap();
        assert_eq!(rows.places, [0, 3, 4]);
        assert_eq!(rows.refused.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(rows.refused[&1].starts_with("column id: "), "{:?}", rows.refused);
        let ids = rows.batch.column(0).as_primitive::<Int64Type>();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(1), None, Some(4)]);
    }
}
