//! Types by the names that PostgreSQL has for them, and the marks of those that Arrow has no type for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;

use polder_capability::CATALOG_TYPE;
pub(crate) use polder_lake::{EXTENSION, JSON_EXTENSION as JSON};

pub(crate) const UUID: &str = "arrow.uuid";

/// A text of any length, where a field says how its type is declared.
pub(crate) const TEXT: &str = "text";

fn marked(field: Field, mark: &str) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(EXTENSION.into(), mark.into());
    field.with_metadata(metadata)
}

/// A text that holds JSON.
pub(crate) fn json(field: Field) -> Field {
    marked(field, JSON)
}

/// A text that holds JSON and keeps its spelling, as PostgreSQL's `json` does and `jsonb` does not.
pub(crate) fn spelled_json(field: Field) -> Field {
    let mut field = json(field);
    let mut metadata = field.metadata().clone();
    metadata.insert(polder_lake::DECLARED.into(), polder_lake::JSON.into());
    field.set_metadata(metadata);
    field
}

/// Sixteen bytes that are a UUID.
pub(crate) fn uuid(field: Field) -> Field {
    marked(field, UUID)
}

/// A number, text or list that is of a type of PostgreSQL's catalog.
pub(crate) fn of_catalog(field: Field, name: &str) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(CATALOG_TYPE.into(), name.into());
    field.with_metadata(metadata)
}

/// The name of a type of PostgreSQL's catalog, if a field is of one.
pub(crate) fn catalog_type(field: &Field) -> Option<&str> {
    let name = field.metadata().get(CATALOG_TYPE)?;
    // A cast keeps what is said of its source, so the layout must be that of the type.
    let fits = match name.as_str() {
        "name" | "char" => is_text(field.data_type()),
        "int2vector" | "oidvector" => field.data_type().is_nested(),
        name if name.ends_with("[]") => field.data_type().is_nested(),
        _ => field.data_type().is_integer(),
    };
    fits.then_some(name.as_str())
}

/// What a list of such values is marked with, where it is an array of a type that Arrow has none for. The mark is the list's own:
/// what a field of its items says is part of Arrow's type, and gets lost.
pub(crate) fn list_mark(item: &Field) -> Option<String> {
    match catalog_type(item) {
        Some(array) if array.ends_with("[]") => Some(array.to_owned()),
        Some(name @ ("oid" | "name" | "char")) => Some(format!("{name}[]")),
        Some(_) => None,
        None if is_json(item) && is_text(item.data_type()) => Some(format!("{}[]", field_name(item))),
        None => None,
    }
}

/// What the items of a list are, with what the list says of them.
pub(crate) fn item(list: &Field, item: &Field) -> Field {
    let item = item.clone();
    let Some(mark) = catalog_type(list) else { return item };
    match mark.strip_suffix("[]") {
        None => item,
        Some(_) if item.data_type().is_nested() => of_catalog(item, mark),
        Some(polder_lake::JSON) => spelled_json(item),
        Some("jsonb") => json(item),
        Some(name) => of_catalog(item, name),
    }
}

/// All that a field says of its type beyond its layout, but for lengths.
pub(crate) fn marks(field: &Field) -> BTreeMap<String, String> {
    let mut marks = BTreeMap::new();
    if let Some(name) = catalog_type(field) {
        marks.insert(CATALOG_TYPE.to_owned(), name.to_owned());
    } else if is_json(field) && is_text(field.data_type()) {
        marks.insert(EXTENSION.to_owned(), JSON.to_owned());
        if field_name(field) == polder_lake::JSON {
            marks.insert(polder_lake::DECLARED.to_owned(), polder_lake::JSON.to_owned());
        }
    }
    marks
}

pub(crate) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|mark| mark == JSON)
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

/// The decimal that holds every value of a type of numbers.
pub(crate) fn as_decimal(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Decimal256(_, scale) => DataType::Decimal128(38, (*scale).min(38)),
        DataType::Int8 | DataType::UInt8 => DataType::Decimal128(3, 0),
        DataType::Int16 | DataType::UInt16 => DataType::Decimal128(5, 0),
        DataType::Int32 | DataType::UInt32 => DataType::Decimal128(10, 0),
        DataType::Int64 | DataType::UInt64 => DataType::Decimal128(20, 0),
        _ => DataType::Decimal128(38, 10),
    }
}

/// The precision and scale of a decimal.
pub(crate) fn digits(data_type: &DataType) -> (u8, i8) {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => (38, 0),
    }
}

/// An array in the layout that was promised.
pub(crate) fn fit(array: ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array);
    }
    Ok(arrow::compute::cast(&array, wanted)?)
}

/// What PostgreSQL calls a field's type.
pub(crate) fn field_name(field: &Field) -> String {
    match catalog_type(field) {
        // Without quotes it is a text of one letter.
        Some("char") => return "\"char\"".into(),
        Some("char[]") => return "\"char\"[]".into(),
        Some(name) => return name.to_owned(),
        None => {}
    }
    match field.metadata().get(EXTENSION).map(String::as_str) {
        Some(JSON)
            if field.metadata().get(polder_lake::DECLARED).is_some_and(|declared| declared == polder_lake::JSON) =>
        {
            polder_lake::JSON.into()
        }
        Some(JSON) => "jsonb".into(),
        Some(UUID) => "uuid".into(),
        _ => postgres_name(field.data_type()),
    }
}

/// What PostgreSQL calls a type.
pub(crate) fn postgres_name(data_type: &DataType) -> String {
    use DataType as D;
    match data_type {
        D::Null | D::Utf8 => "unknown",
        D::Boolean => "boolean",
        D::Int8 | D::Int16 | D::UInt8 => "smallint",
        D::Int32 | D::UInt16 => "integer",
        D::Int64 | D::UInt32 => "bigint",
        D::UInt64 => "numeric",
        D::Float16 | D::Float32 => "real",
        D::Float64 => "double precision",
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => "numeric",
        D::Utf8View | D::LargeUtf8 => "text",
        D::Binary | D::LargeBinary | D::BinaryView => "bytea",
        D::FixedSizeBinary(16) => "uuid",
        D::FixedSizeBinary(_) => "bytea",
        D::Date32 | D::Date64 => "date",
        D::Time32(_) | D::Time64(_) => "time without time zone",
        D::Timestamp(_, None) => "timestamp without time zone",
        D::Timestamp(_, Some(_)) => "timestamp with time zone",
        D::Interval(_) | D::Duration(_) => "interval",
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
            let item = if *item.data_type() == D::Utf8 { "text".into() } else { postgres_name(item.data_type()) };
            return format!("{item}[]");
        }
        D::Dictionary(_, value) => return postgres_name(value),
        D::Struct(_) => "record",
        _ => return data_type.to_string().to_lowercase(),
    }
    .to_owned()
}

/// A list of texts as an array of arrays, in the layout that was promised.
pub(crate) fn text_lists(lists: Vec<Option<Vec<Option<String>>>>, wanted: &DataType) -> Result<ArrayRef> {
    let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    for list in lists {
        match list {
            Some(items) => {
                for item in items {
                    builder.values().append_option(item);
                }
                builder.append(true);
            }
            None => builder.append(false),
        }
    }
    fit(Arc::new(builder.finish()), wanted)
}
