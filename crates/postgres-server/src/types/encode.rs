//! Columns of Arrow as values on the wire, written row by row into the buffer that is sent.

mod maps;

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, RecordBatch, StringArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use bytes::{BufMut, BytesMut};
use polder_types::{Error, Result};

use super::{Base, Column, Format, Kind, numeric, text};
use crate::wire::backend::{self, framed};

/// The first byte of a `jsonb` in binary.
const JSONB_VERSION: u8 = 1;

/// The rows of a batch, ready to be written.
pub(crate) struct Rows {
    columns: Vec<(Writer, Format)>,
    pub count: usize,
}

impl Rows {
    /// # Errors
    /// `InvalidInput` (0A000) when the batch has other columns than were told; what cannot be cast to their types.
    pub(crate) fn new(batch: &RecordBatch, columns: &[Column], formats: &[Format]) -> Result<Self> {
        if batch.num_columns() != columns.len() || formats.len() != columns.len() {
            return Err(Error::unsupported(backend::PLAN_CHANGED).with_hint("prepare it again"));
        }
        let writers = batch.columns().iter().zip(columns).zip(formats);
        let writers = writers.map(|((array, column), format)| {
            let writer = Writer { width: column.width(), ..Writer::new(array, column.kind)? };
            Ok((writer, *format))
        });
        Ok(Self { columns: writers.collect::<Result<_>>()?, count: batch.num_rows() })
    }

    /// Other formats than it was made with.
    pub(crate) fn set_formats(&mut self, formats: &[Format]) {
        self.columns.iter_mut().zip(formats).for_each(|((_, format), wanted)| *format = *wanted);
    }

    /// Writes a row as a DataRow message.
    pub(crate) fn data_row(&self, out: &mut BytesMut, row: usize) -> Result<()> {
        framed(out, b'D', |out| self.tuple(out, row))
    }

    /// The number of values, and each with its length before it: as in a DataRow and in a binary COPY.
    pub(crate) fn tuple(&self, out: &mut BytesMut, row: usize) -> Result<()> {
        out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
        self.columns.iter().try_for_each(|(column, format)| column.sized(out, row, *format))
    }

    /// A value's text without a length; false if it is NULL.
    pub(crate) fn text(&self, out: &mut BytesMut, row: usize, column: usize) -> Result<bool> {
        match self.columns.get(column) {
            Some((writer, _)) if !writer.is_null(row) => writer.text(out, row).map(|()| true),
            _ => Ok(false),
        }
    }
}

/// A column in the layout that its type is written from.
struct Writer {
    array: ArrayRef,
    values: Values,
    kind: Kind,
    /// Characters that a `char(n)` is filled up to with blanks, which are not kept.
    width: usize,
}

enum Values {
    Null,
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Decimal128(Decimal128Array),
    Decimal256(Decimal256Array),
    Text(StringArray),
    TextView(StringViewArray),
    Bytea(BinaryArray),
    Uuid(FixedSizeBinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    Timestamptz(TimestampMicrosecondArray, Tz),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, Box<Writer>),
    /// A list that is written with blanks between its numbers.
    Vector(ListArray, Box<Writer>),
    Record(Vec<Writer>),
    /// Object ids, which in binary have four bytes.
    Oid(Int64Array),
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|error| Error::invalid(error.to_string()).with_code("22003"))
}

impl Writer {
    fn new(array: &ArrayRef, kind: Kind) -> Result<Self> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, value) => cast(array, value)?,
            _ => Arc::clone(array),
        };
        let values = if kind.array { list(&plain, kind.base)? } else { Values::new(&plain, kind.base)? };
        Ok(Self { array: plain, values, kind, width: 0 })
    }

    fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null) || self.array.is_null(row)
    }

    /// The value with its length before it; -1 is NULL.
    fn sized(&self, out: &mut BytesMut, row: usize, format: Format) -> Result<()> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        let before = out.len();
        out.put_i32(0);
        match format {
            Format::Text => self.text(out, row)?,
            Format::Binary => self.binary(out, row)?,
        }
        let length = i32::try_from(out.len() - before - 4)
            .map_err(|_| Error::new(polder_types::ErrorKind::TooLarge, "a value is longer than a message can be"))?;
        if let Some(place) = out.get_mut(before..before + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    fn text(&self, out: &mut BytesMut, row: usize) -> Result<()> {
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => out.put_u8(if values.value(row) { b't' } else { b'f' }),
            Values::Int2(values) => text::integer(out, values.value(row)),
            Values::Int4(values) => text::integer(out, values.value(row)),
            Values::Int8(values) => text::integer(out, values.value(row)),
            Values::Float4(values) => text::float(out, values.value(row), text::FLOAT4_PLACES),
            Values::Float8(values) => text::float(out, values.value(row), text::FLOAT8_PLACES),
            Values::Decimal128(values) => out.put_slice(values.value_as_string(row).as_bytes()),
            Values::Decimal256(values) => out.put_slice(values.value_as_string(row).as_bytes()),
            Values::Text(values) => self.padded(out, values.value(row)),
            Values::TextView(values) => self.padded(out, values.value(row)),
            Values::Bytea(values) => text::bytea(out, values.value(row)),
            Values::Uuid(values) => text::uuid(out, values.value(row)),
            Values::Date(values) => text::date(out, text::day(values.value(row))?),
            Values::Time(values) => text::time(out, values.value(row).unsigned_abs()),
            Values::Timestamp(values) => text::timestamp(out, text::moment(values.value(row))?),
            Values::Timestamptz(values, zone) => text::timestamptz(out, text::moment(values.value(row))?, zone),
            Values::Interval(values) => text::interval(out, values.value(row)),
            Values::List(lists, items) => list_text(out, lists, items, row)?,
            Values::Vector(lists, items) => vector_text(out, lists, items, row)?,
            Values::Record(fields) => record_text(out, fields, row)?,
            Values::Oid(values) => text::integer(out, values.value(row)),
        }
        Ok(())
    }

    fn padded(&self, out: &mut BytesMut, value: &str) {
        out.put_slice(value.as_bytes());
        if self.width > 0 {
            out.put_bytes(b' ', self.width.saturating_sub(value.chars().count()));
        }
    }

    fn binary(&self, out: &mut BytesMut, row: usize) -> Result<()> {
        // What was told to be a text is one, whatever came.
        let is_text =
            matches!(self.kind.base, Base::Text | Base::Varchar | Base::Bpchar | Base::Json | Base::Name | Base::Char);
        if !self.kind.array && is_text {
            return self.text(out, row);
        }
        match &self.values {
            Values::Bool(values) => out.put_u8(u8::from(values.value(row))),
            Values::Int2(values) => out.put_i16(values.value(row)),
            Values::Int4(values) => out.put_i32(values.value(row)),
            Values::Int8(values) => out.put_i64(values.value(row)),
            Values::Float4(values) => out.put_f32(values.value(row)),
            Values::Float8(values) => out.put_f64(values.value(row)),
            Values::Decimal128(values) => numeric::write(out, &values.value_as_string(row)),
            Values::Decimal256(values) => numeric::write(out, &values.value_as_string(row)),
            Values::Bytea(values) => out.put_slice(values.value(row)),
            Values::Uuid(values) => out.put_slice(values.value(row)),
            Values::Date(values) => out.put_i32(values.value(row).saturating_sub(text::EPOCH_DAYS)),
            Values::Time(values) => out.put_i64(values.value(row)),
            Values::Timestamp(values) | Values::Timestamptz(values, _) => {
                out.put_i64(values.value(row).saturating_sub(text::EPOCH_MICROS));
            }
            Values::Interval(values) => {
                let span = values.value(row);
                out.put_i64(span.nanoseconds / 1_000);
                out.put_i32(span.days);
                out.put_i32(span.months);
            }
            Values::List(lists, items) => list_binary(out, lists, items, row, FIRST_INDEX)?,
            Values::Vector(lists, items) => list_binary(out, lists, items, row, 0)?,
            Values::Oid(values) => out.put_u32(oid(values.value(row))?),
            Values::Text(_) | Values::TextView(_) if self.kind.base == Base::Jsonb => {
                out.put_u8(JSONB_VERSION);
                self.text(out, row)?;
            }
            Values::Null | Values::Text(_) | Values::TextView(_) | Values::Record(..) => self.text(out, row)?,
        }
        Ok(())
    }
}

impl Values {
    fn new(array: &ArrayRef, base: Base) -> Result<Self> {
        use DataType as D;
        if *array.data_type() == D::Null {
            return Ok(Self::Null);
        }
        Ok(match base {
            Base::Bool => Self::Bool(cast(array, &D::Boolean)?.as_boolean().clone()),
            Base::Int2 => Self::Int2(cast(array, &D::Int16)?.as_primitive().clone()),
            Base::Int4 => Self::Int4(cast(array, &D::Int32)?.as_primitive().clone()),
            Base::Int8 => Self::Int8(cast(array, &D::Int64)?.as_primitive().clone()),
            Base::Float4 => Self::Float4(cast(array, &D::Float32)?.as_primitive().clone()),
            Base::Float8 => Self::Float8(cast(array, &D::Float64)?.as_primitive().clone()),
            Base::Numeric => Self::number(array)?,
            Base::Bytea => Self::Bytea(cast(array, &D::Binary)?.as_binary().clone()),
            Base::Uuid => match array.as_fixed_size_binary_opt() {
                Some(values) => Self::Uuid(values.clone()),
                None => Self::texts(array)?,
            },
            Base::Date => Self::Date(cast(array, &D::Date32)?.as_primitive().clone()),
            Base::Time => Self::Time(cast(array, &D::Time64(TimeUnit::Microsecond))?.as_primitive().clone()),
            Base::Timestamp => {
                Self::Timestamp(cast(array, &D::Timestamp(TimeUnit::Microsecond, None))?.as_primitive().clone())
            }
            Base::Timestamptz => Self::zoned(array)?,
            Base::Interval => {
                let unit = D::Interval(IntervalUnit::MonthDayNano);
                Self::Interval(cast(array, &unit)?.as_primitive().clone())
            }
            Base::Text | Base::Varchar | Base::Bpchar | Base::Json | Base::Jsonb | Base::Name | Base::Char => {
                Self::texts(array)?
            }
            Base::Oid => Self::Oid(cast(array, &D::Int64)?.as_primitive().clone()),
            Base::Int2vector => Self::vector(array, Base::Int2)?,
            Base::Oidvector => Self::vector(array, Base::Oid)?,
        })
    }

    fn vector(array: &ArrayRef, base: Base) -> Result<Self> {
        let Some(lists) = array.as_list_opt::<i32>() else { return Self::texts(array) };
        let items = Writer::new(lists.values(), Kind::one(base))?;
        Ok(Self::Vector(lists.clone(), Box::new(items)))
    }

    fn number(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Decimal128(..) => Self::Decimal128(array.as_primitive().clone()),
            DataType::Decimal256(..) => Self::Decimal256(array.as_primitive().clone()),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                Self::Decimal128(cast(array, &DataType::Decimal128(*precision, *scale))?.as_primitive().clone())
            }
            other if other.is_integer() => {
                Self::Decimal128(cast(array, &DataType::Decimal128(20, 0))?.as_primitive().clone())
            }
            // What was told to be a number may be a float, when a parameter turned out to be one.
            _ => Self::Decimal128(cast(array, &DataType::Decimal128(38, 10))?.as_primitive().clone()),
        })
    }

    fn zoned(array: &ArrayRef) -> Result<Self> {
        let name = match array.data_type() {
            DataType::Timestamp(_, Some(zone)) => zone.as_ref(),
            _ => "UTC",
        };
        let zone = name.parse::<Tz>().map_err(|error| Error::internal(error.to_string()))?;
        let unit = DataType::Timestamp(TimeUnit::Microsecond, Some(name.into()));
        Ok(Self::Timestamptz(cast(array, &unit)?.as_primitive().clone(), zone))
    }

    fn texts(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string().clone()),
            DataType::Utf8View => Self::TextView(array.as_string_view().clone()),
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().zip(fields);
                let writers = columns.map(|(column, field)| Writer::new(column, Kind::of(field)));
                Self::Record(writers.collect::<Result<_>>()?)
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => list(array, Base::Text)?,
            DataType::Map(..) => Self::Text(maps::texts(array)?),
            // What has no type of PostgreSQL's is written as its own type is, and not as it happens to be cast.
            other => {
                let kind = Kind::of_type(other);
                if kind.array || kind.base == Base::Text {
                    Self::Text(cast(array, &DataType::Utf8)?.as_string().clone())
                } else {
                    Self::new(array, kind.base)?
                }
            }
        })
    }
}

/// Types of which arrays are known by what is said of the list: nothing of its items says so.
const SAID_OF_LISTS: &[Base] = &[Base::Json, Base::Jsonb, Base::Oid, Base::Name, Base::Char];

fn list(array: &ArrayRef, base: Base) -> Result<Values> {
    let lists = match array.data_type() {
        DataType::List(_) => Arc::clone(array),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cast(array, &DataType::List(Arc::<Field>::clone(item)))?
        }
        DataType::Null => return Ok(Values::Null),
        _ => return Values::texts(array),
    };
    let lists = lists.as_list::<i32>().clone();
    let item = match lists.data_type() {
        DataType::List(item) if SAID_OF_LISTS.contains(&base) => Kind { base, array: item.data_type().is_nested() },
        DataType::List(item) => Kind::of(item),
        _ => Kind::text(),
    };
    let items = Writer::new(lists.values(), item)?;
    Ok(Values::List(lists, Box::new(items)))
}

/// Where the items of a list begin and end.
fn span(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let at = |at: usize| lists.value_offsets().get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn list_text(out: &mut BytesMut, lists: &ListArray, items: &Writer, row: usize) -> Result<()> {
    out.put_u8(b'{');
    let items_at = span(lists, row);
    let first = items_at.start;
    let mut text = BytesMut::new();
    for at in items_at {
        if at > first {
            out.put_u8(b',');
        }
        if items.is_null(at) {
            out.put_slice(b"NULL");
        } else if matches!(items.values, Values::List(..)) {
            items.text(out, at)?;
        } else {
            text.clear();
            items.text(&mut text, at)?;
            text::element(out, &text);
        }
    }
    out.put_u8(b'}');
    Ok(())
}

fn vector_text(out: &mut BytesMut, lists: &ListArray, items: &Writer, row: usize) -> Result<()> {
    let items_at = span(lists, row);
    let first = items_at.start;
    for at in items_at {
        if at > first {
            out.put_u8(b' ');
        }
        items.text(out, at)?;
    }
    Ok(())
}

fn oid(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::invalid(format!("OID out of range: {value}")).with_code("22003"))
}

fn record_text(out: &mut BytesMut, fields: &[Writer], row: usize) -> Result<()> {
    let mut text = BytesMut::new();
    out.put_u8(b'(');
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        if !field.is_null(row) {
            text.clear();
            field.text(&mut text, row)?;
            text::field(out, &text);
        }
    }
    out.put_u8(b')');
    Ok(())
}

fn ragged() -> Error {
    Error::invalid("multidimensional arrays must have array expressions with matching dimensions").with_code("2202E")
}

/// What elements are counted from.
const FIRST_INDEX: i32 = 1;

/// The number of dimensions, whether there is a NULL, the elements' type, each dimension's length and first index,
/// and the elements. (PostgreSQL's source, `src/backend/utils/adt/arrayfuncs.c`, `array_send`.)
fn list_binary(out: &mut BytesMut, lists: &ListArray, items: &Writer, row: usize, index: i32) -> Result<()> {
    let mut lengths = Vec::new();
    let mut elements = Vec::new();
    let leaf = gather(lists, items, row, 0, &mut lengths, &mut elements)?;
    let dimensions: &[usize] = if elements.is_empty() { &[] } else { &lengths };
    out.put_i32(i32::try_from(dimensions.len()).unwrap_or(i32::MAX));
    out.put_i32(i32::from(elements.iter().any(|at| leaf.is_null(*at))));
    out.put_u32(leaf.kind.element().oid());
    for length in dimensions {
        out.put_i32(i32::try_from(*length).map_err(|_| ragged())?);
        out.put_i32(index);
    }
    elements.into_iter().try_for_each(|at| leaf.sized(out, at, Format::Binary))
}

/// The places of all elements below a list, and the writer that knows them. `lengths`: of each dimension.
fn gather<'a>(
    lists: &ListArray,
    items: &'a Writer,
    row: usize,
    depth: usize,
    lengths: &mut Vec<usize>,
    elements: &mut Vec<usize>,
) -> Result<&'a Writer> {
    let items_at = span(lists, row);
    match lengths.get(depth) {
        None => lengths.push(items_at.len()),
        Some(length) if *length == items_at.len() => {}
        Some(_) => return Err(ragged()),
    }
    let Values::List(inner, below) = &items.values else {
        elements.extend(items_at);
        return Ok(items);
    };
    let mut leaf = below.as_ref();
    while let Values::List(_, deeper) = &leaf.values {
        leaf = deeper;
    }
    for at in items_at {
        if items.is_null(at) {
            return Err(ragged());
        }
        gather(inner, below, at, depth + 1, lengths, elements)?;
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests;
