//! Columns between DuckLake's rows, Arrow's fields and Parquet's field ids.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use datafusion_ducklake::types::{arrow_to_ducklake_type, ducklake_to_arrow_type};
use polder_types::{Error, ErrorKind, Result};

use crate::declared::DECLARED;
use crate::error::from_ducklake;
use crate::logical::INTERVAL;
use crate::model::ColumnState;

/// How deep a nested type may go.
const DEPTH_MAX: usize = 64;

/// The Arrow type of a DuckLake scalar type's name.
///
/// # Errors
/// `Unsupported` for a type that Arrow cannot carry.
pub fn arrow_type(ducklake: &str) -> Result<DataType> {
    ducklake_to_arrow_type(ducklake).map_err(from_ducklake)
}

/// The DuckLake type's name of an Arrow type, as it is shown to people.
///
/// # Errors
/// `Unsupported` for a type that DuckLake cannot carry.
pub fn ducklake_type(arrow: &DataType) -> Result<String> {
    arrow_to_ducklake_type(arrow).map(|name| name.replace(", ", ",")).map_err(from_ducklake)
}

/// The rows of `ducklake_column` for a new column and everything nested in it.
/// Ids are taken from `next_id` upwards, parents first.
pub(crate) fn column_rows(field: &Field, order: i64, next_id: &mut i64, snapshot: i64) -> Result<Vec<ColumnState>> {
    let mut rows = Vec::new();
    push_rows(field, order, None, next_id, snapshot, 0, &mut rows)?;
    Ok(rows)
}

fn push_rows(
    field: &Field,
    order: i64,
    parent: Option<i64>,
    next_id: &mut i64,
    snapshot: i64,
    depth: usize,
    rows: &mut Vec<ColumnState>,
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Error::new(ErrorKind::TooLarge, format!("column {} nests deeper than {DEPTH_MAX}", field.name())));
    }
    let (type_name, children): (String, Vec<Field>) = match field.data_type() {
        // Its text, which says in the declaration what it is.
        DataType::Interval(_) if depth == 0 => ("varchar".into(), Vec::new()),
        DataType::Interval(_) => {
            return Err(Error::unsupported(format!("column {:?}: an interval within another type", field.name()))
                .with_hint("give it a column of its own, or keep a number of seconds"));
        }
        DataType::Decimal256(precision, scale) => {
            return Err(Error::unsupported(format!(
                "column {:?}: a number of {precision} digits, {scale} of them behind its point",
                field.name()
            ))
            .with_hint("cast it to a numeric of 38 digits at most, or to a text"));
        }
        DataType::Struct(fields) => ("struct".into(), fields.iter().map(|child| child.as_ref().clone()).collect()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            ("list".into(), vec![item.as_ref().clone().with_name("element")])
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => (
                "map".into(),
                vec![pair[0].as_ref().clone().with_name("key"), pair[1].as_ref().clone().with_name("value")],
            ),
            _ => return Err(Error::unsupported(format!("column {} is a map without key and value", field.name()))),
        },
        scalar => (ducklake_type(scalar)?, Vec::new()),
    };
    let id = *next_id;
    *next_id += 1;
    let nested = !children.is_empty();
    rows.push(ColumnState {
        id,
        order,
        name: field.name().clone(),
        ducklake_type: type_name,
        initial_default: None,
        // DuckDB spells "no default" so; it reads NULL here as a missing dialect.
        default_value: Some("NULL".into()),
        default_value_type: Some(if nested { String::new() } else { "literal".into() }),
        default_value_dialect: Some("duckdb".into()),
        nullable: field.is_nullable(),
        parent,
        begin_snapshot: snapshot,
        comment: None,
        declared: matches!(field.data_type(), DataType::Interval(_)).then(|| INTERVAL.to_owned()),
    });
    for child in &children {
        let child_order = *next_id;
        push_rows(child, child_order, Some(id), next_id, snapshot, depth + 1, rows)?;
    }
    Ok(())
}

/// The table's Arrow schema, and why it cannot be read, if so: then only the columns that can be are in the schema.
pub(crate) fn readable_schema(columns: &[ColumnState]) -> Result<(SchemaRef, Option<String>)> {
    let unknown = match arrow_schema(columns) {
        Err(error) if error.kind() == ErrorKind::Unsupported => error,
        schema => return Ok((schema?, None)),
    };
    let whole = |top: &ColumnState| {
        let ids = with_children(columns, top.id);
        columns.iter().filter(|column| ids.contains(&column.id)).cloned().collect::<Vec<_>>()
    };
    let readable: Vec<ColumnState> = columns
        .iter()
        .filter(|column| column.parent.is_none())
        .map(whole)
        .filter(|tree| arrow_schema(tree).is_ok())
        .flatten()
        .collect();
    Ok((arrow_schema(&readable)?, Some(unknown.message().to_owned())))
}

/// A column and everything nested in it.
pub(crate) fn with_children(columns: &[ColumnState], root: i64) -> Vec<i64> {
    let mut ids = vec![root];
    // Parents stand before their children.
    for column in columns {
        if column.parent.is_some_and(|parent| ids.contains(&parent)) {
            ids.push(column.id);
        }
    }
    ids
}

/// The table's Arrow schema, with Parquet field ids at every depth.
pub(crate) fn arrow_schema(columns: &[ColumnState]) -> Result<SchemaRef> {
    let mut children: HashMap<Option<i64>, Vec<&ColumnState>> = HashMap::new();
    for column in columns {
        children.entry(column.parent).or_default().push(column);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|column| column.order);
    }
    let top = children.get(&None).map(Vec::as_slice).unwrap_or_default();
    let fields = top.iter().map(|column| build_field(column, &children, 0)).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn build_field(
    column: &ColumnState,
    children: &HashMap<Option<i64>, Vec<&ColumnState>>,
    depth: usize,
) -> Result<FieldRef> {
    if depth > DEPTH_MAX {
        return Err(Error::new(ErrorKind::Corrupt, format!("column {} nests without end", column.name)));
    }
    let nested = || -> Result<Vec<FieldRef>> {
        children
            .get(&Some(column.id))
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|child| build_field(child, children, depth + 1))
            .collect()
    };
    let broken = |what: &str| Error::new(ErrorKind::Corrupt, format!("column {} {what}", column.name));
    let data_type = match column.ducklake_type.as_str() {
        "struct" => DataType::Struct(Fields::from(nested()?)),
        "list" => {
            let item = nested()?.pop().ok_or_else(|| broken("is a list of nothing"))?;
            DataType::List(item)
        }
        "map" => {
            let pair = nested()?;
            if pair.len() != 2 {
                return Err(broken("is a map without key and value"));
            }
            // A map's key is never missing, whatever the catalog says.
            let key = Arc::new(pair[0].as_ref().clone().with_nullable(false));
            let entries = DataType::Struct(Fields::from(vec![key, Arc::clone(&pair[1])]));
            DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
        }
        scalar => arrow_type(scalar).map_err(|error| error.context(format!("column {}", column.name)))?,
    };
    // DuckDB marks a field that was added inside a struct as NOT NULL, though older rows lack it.
    let nullable = column.nullable || column.parent.is_some();
    let mut metadata = HashMap::from([("PARQUET:field_id".to_owned(), column.id.to_string())]);
    if let Some(declared) = &column.declared {
        metadata.insert(DECLARED.to_owned(), declared.clone());
    }
    Ok(Arc::new(Field::new(&column.name, data_type, nullable).with_metadata(metadata)))
}

/// Types that DuckLake cannot carry, turned into the nearest that it can, without losing a value.
#[must_use]
pub(crate) fn storable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, value) => storable(value),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
