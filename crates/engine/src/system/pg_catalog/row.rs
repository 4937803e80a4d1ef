//! Rows of a table of `pg_catalog`, written by the names of their columns: what a row does not say is what PostgreSQL has
//! there for a plain object, such as 0, false or nothing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    ListBuilder, StringViewBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, TimeUnit};
use polder_types::{Error, Result};

use crate::functions::types;

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    /// Microseconds since 1970.
    Time(i64),
    /// Seconds.
    Span(i64),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<i64>> for Cell {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Name and type of each column of a list such as `oid oid, relname name`.
pub(super) fn listed(columns: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    columns.split(", ").filter_map(|column| column.trim().split_once(' '))
}

/// The columns of a list, as those see them who compute with them.
pub(super) fn schema(columns: &'static str) -> Schema {
    Schema::new(listed(columns).map(|(name, data_type)| field(name, data_type)).collect::<Vec<_>>())
}

fn field(name: &str, data_type: &str) -> Field {
    let of = |data_type: DataType| Field::new(name, data_type, true);
    let marked = |data_type: DataType, mark: &str| types::of_catalog(Field::new(name, data_type, true), mark);
    let list = |item: DataType| DataType::new_list(item, true);
    match data_type {
        "bool" => of(DataType::Boolean),
        "int2" => of(DataType::Int16),
        "int4" => of(DataType::Int32),
        "int8" => of(DataType::Int64),
        "float4" => of(DataType::Float32),
        "float8" => of(DataType::Float64),
        "numeric" => of(DataType::Decimal128(38, 10)),
        "bytea" => of(DataType::Binary),
        "interval" => of(DataType::Interval(IntervalUnit::MonthDayNano)),
        "timestamptz" => of(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        "oid" | "regproc" | "regtype" => marked(DataType::Int64, data_type),
        "xid" => of(DataType::Int64),
        "name" | "char" => marked(DataType::Utf8View, data_type),
        "int2vector" => marked(list(DataType::Int16), data_type),
        "oidvector" => marked(list(DataType::Int64), data_type),
        "int2[]" => of(list(DataType::Int16)),
        "oid[]" => of(list(DataType::Int64)),
        "float4[]" => of(list(DataType::Float32)),
        "float8[]" => of(list(DataType::Float64)),
        "bool[]" => of(list(DataType::Boolean)),
        texts if texts.ends_with("[]") => of(list(DataType::Utf8View)),
        // Texts, and what PostgreSQL shows as texts of its own: expressions, binary statistics.
        _ => of(DataType::Utf8View),
    }
}

/// What a column of a type has that a row says nothing about.
fn unsaid(data_type: &str) -> Cell {
    match data_type {
        "bool" => Cell::Bool(false),
        "int2" | "int4" | "int8" | "float4" | "oid" | "regproc" | "regtype" | "xid" => Cell::Int(0),
        "name" | "char" => Cell::Text(String::new()),
        "int2vector" | "oidvector" => Cell::Ints(Vec::new()),
        _ => Cell::Null,
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Text(StringViewBuilder),
    Time(TimestampMicrosecondBuilder),
    Span(IntervalMonthDayNanoBuilder),
    Int2s(ListBuilder<Int16Builder>),
    Int8s(ListBuilder<Int64Builder>),
    Float4s(ListBuilder<Float32Builder>),
    Texts(ListBuilder<StringViewBuilder>),
    /// So many NULLs of a type that no row has anything else of.
    Nulls(DataType, usize),
}

impl Builder {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int16 => Self::Int2(Int16Builder::new()),
            DataType::Int32 => Self::Int4(Int32Builder::new()),
            DataType::Int64 => Self::Int8(Int64Builder::new()),
            DataType::Float32 => Self::Float4(Float32Builder::new()),
            DataType::Timestamp(..) => Self::Time(TimestampMicrosecondBuilder::new()),
            DataType::Interval(_) => Self::Span(IntervalMonthDayNanoBuilder::new()),
            DataType::Float64 | DataType::Decimal128(..) | DataType::Binary => Self::Nulls(data_type.clone(), 0),
            DataType::List(item) => match item.data_type() {
                DataType::Int16 => Self::Int2s(ListBuilder::new(Int16Builder::new())),
                DataType::Int64 => Self::Int8s(ListBuilder::new(Int64Builder::new())),
                DataType::Float32 => Self::Float4s(ListBuilder::new(Float32Builder::new())),
                DataType::Float64 | DataType::Boolean => Self::Nulls(data_type.clone(), 0),
                _ => Self::Texts(ListBuilder::new(StringViewBuilder::new())),
            },
            _ => Self::Text(StringViewBuilder::new()),
        }
    }

    /// Appends a value; false if it is none of the column's type.
    fn push(&mut self, cell: &Cell) -> bool {
        match (self, cell) {
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(*value),
            (Self::Int2(builder), Cell::Int(value)) => builder.append_value(int2(*value)),
            (Self::Int4(builder), Cell::Int(value)) => builder.append_value(int4(*value)),
            (Self::Int8(builder), Cell::Int(value)) => builder.append_value(*value),
            (Self::Float4(builder), Cell::Int(value)) => builder.append_value(*value as f32),
            (Self::Float4(builder), Cell::Float(value)) => builder.append_value(*value),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Time(builder), Cell::Time(value)) => builder.append_value(*value),
            (Self::Span(builder), Cell::Span(seconds)) => {
                builder.append_value(IntervalMonthDayNano::new(0, 0, seconds.saturating_mul(1_000_000_000)));
            }
            (Self::Int2s(builder), Cell::Ints(values)) => {
                builder.append_value(values.iter().map(|value| Some(int2(*value))));
            }
            (Self::Int8s(builder), Cell::Ints(values)) => {
                builder.append_value(values.iter().map(|value| Some(*value)));
            }
            (Self::Texts(builder), Cell::Texts(values)) => builder.append_value(values.iter().map(Some)),
            (builder, Cell::Null) => builder.push_null(),
            _ => return false,
        }
        true
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int2(builder) => builder.append_null(),
            Self::Int4(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Float4(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Span(builder) => builder.append_null(),
            Self::Nulls(_, rows) => *rows += 1,
            Self::Int2s(builder) => builder.append_null(),
            Self::Int8s(builder) => builder.append_null(),
            Self::Float4s(builder) => builder.append_null(),
            Self::Texts(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int2(builder) => Arc::new(builder.finish()),
            Self::Int4(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Float4(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish().with_timezone("UTC")),
            Self::Span(builder) => Arc::new(builder.finish()),
            Self::Nulls(data_type, rows) => new_null_array(data_type, *rows),
            Self::Int2s(builder) => Arc::new(builder.finish()),
            Self::Int8s(builder) => Arc::new(builder.finish()),
            Self::Float4s(builder) => Arc::new(builder.finish()),
            Self::Texts(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The nearest number that the column holds: PostgreSQL has no tables of more columns.
fn int2(value: i64) -> i16 {
    i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX })
}

fn int4(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

/// Rows on their way into a table's columns.
pub(super) struct Rows {
    names: Vec<&'static str>,
    unsaid: Vec<Cell>,
    builders: Vec<Builder>,
    /// A column that a row named and the table has not, or a value that is none of its column's.
    wrong: Option<&'static str>,
}

impl Rows {
    pub(super) fn new(columns: &'static str) -> Self {
        let schema = schema(columns);
        Self {
            names: listed(columns).map(|(name, _)| name).collect(),
            unsaid: listed(columns).map(|(_, data_type)| unsaid(data_type)).collect(),
            builders: schema.fields().iter().map(|field| Builder::of(field.data_type())).collect(),
            wrong: None,
        }
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, cells: [(&'static str, Cell); N]) {
        self.push_cells(&cells);
    }

    /// The same, of cells that were put together.
    pub(super) fn push_cells(&mut self, cells: &[(&'static str, Cell)]) {
        for (name, _) in cells {
            if !self.names.contains(name) {
                self.wrong = Some(*name);
            }
        }
        for (at, builder) in self.builders.iter_mut().enumerate() {
            let name = self.names[at];
            let said = cells.iter().find(|(given, _)| *given == name).map(|(_, cell)| cell);
            if !builder.push(said.unwrap_or(&self.unsaid[at])) {
                self.wrong = Some(name);
                builder.push_null();
            }
        }
    }

    /// # Errors
    /// `Internal` when a row named a column that is not there.
    pub(super) fn finish(mut self) -> Result<Vec<ArrayRef>> {
        match self.wrong {
            Some(name) => Err(Error::internal(format!("a row of pg_catalog has a wrong column {name}"))),
            None => Ok(self.builders.iter_mut().map(Builder::finish).collect()),
        }
    }
}
