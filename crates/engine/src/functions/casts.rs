//! Casts from text and to text, as PostgreSQL makes them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
};
use arrow::datatypes::{Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::dates::moment::{micros, zone};
use super::function::refuse;
use super::input::{self, Element};
use super::types;

const NAME: &str = "polder_read";

/// Text read as another type: `'{1,2}'::int[]`.
#[derive(Debug)]
pub(crate) struct Read {
    target: FieldRef,
    /// NULL for what cannot be read, as TRY_CAST has it.
    lenient: bool,
    signature: Signature,
}

impl Read {
    fn new(target: FieldRef, lenient: bool) -> Self {
        Self { target, lenient, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl PartialEq for Read {
    fn eq(&self, other: &Self) -> bool {
        self.lenient == other.lenient
            && self.target.data_type() == other.target.data_type()
            && self.target.metadata() == other.target.metadata()
    }
}

impl Eq for Read {}

impl Hash for Read {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.data_type().hash(state);
        self.lenient.hash(state);
    }
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.target.as_ref().clone().with_name(NAME).with_nullable(true);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let session = args.config_options.execution.time_zone.as_deref().map(zone).transpose()?;
        let reader = Reader { target: &self.target, lenient: self.lenient, session };
        match &args.args[0] {
            ColumnarValue::Scalar(value) => {
                let array = reader.read(&value.to_array()?)?;
                ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar)
            }
            ColumnarValue::Array(array) => reader.read(array).map(ColumnarValue::Array),
        }
    }
}

/// A cast that PostgreSQL makes otherwise than Arrow, as a call; none when Arrow's is the same.
///
/// # Errors
/// For a literal that cannot be read: at once, whether or not there is a row.
pub(crate) fn planned(
    expr: &Expr,
    from: &DataType,
    target: &FieldRef,
    lenient: bool,
    config: &ConfigOptions,
) -> Result<Option<Expr>> {
    use DataType as D;
    let to = target.data_type();
    if types::is_text(from) && types::is_text(to) {
        let marked = target.metadata().contains_key(types::EXTENSION);
        if !marked {
            return Ok(None);
        }
    } else if types::is_text(to) {
        let shown = from.is_floating()
            || matches!(
                from,
                D::Timestamp(..)
                    | D::Date32
                    | D::Date64
                    | D::Time32(_)
                    | D::Time64(_)
                    | D::Interval(_)
                    | D::Duration(_)
                    | D::List(_)
                    | D::LargeList(_)
                    | D::FixedSizeList(..)
                    | D::Struct(_)
                    | D::Binary
                    | D::LargeBinary
                    | D::BinaryView
                    | D::FixedSizeBinary(_)
            );
        let text = shown.then(|| super::call("polder_text", vec![expr.clone()]));
        let fitted = |text| if *to == D::Utf8View { text } else { datafusion::logical_expr::cast(text, to.clone()) };
        return Ok(text.map(fitted));
    } else if !types::is_text(from) || !is_read(to) {
        return Ok(None);
    }
    if let Expr::Literal(value, _) = expr {
        let session = config.execution.time_zone.as_deref().map(zone).transpose()?;
        let read = Reader { target, lenient, session }.read(&value.to_array()?)?;
        if target.metadata().is_empty() {
            return Ok(Some(Expr::Literal(ScalarValue::try_from_array(&read, 0)?, None)));
        }
    }
    let function = ScalarUDF::new_from_impl(Read::new(Arc::clone(target), lenient));
    Ok(Some(Arc::new(function).call(vec![expr.clone()])))
}

fn is_read(to: &DataType) -> bool {
    use DataType as D;
    match to {
        D::List(item) => is_read(item.data_type()) || types::is_text(item.data_type()),
        D::Boolean
        | D::Int8
        | D::Int16
        | D::Int32
        | D::Int64
        | D::Float32
        | D::Float64
        | D::Decimal128(..)
        | D::Date32
        | D::Time64(_)
        | D::Time32(_)
        | D::Timestamp(..)
        | D::Interval(_) => true,
        D::Binary | D::BinaryView | D::LargeBinary | D::FixedSizeBinary(16) => true,
        _ => false,
    }
}

/// Texts read as arrays of an element.
///
/// # Errors
/// 22P02, and what the elements say.
pub(crate) fn read_list(texts: &StringArray, item: &FieldRef) -> Result<ArrayRef> {
    let target = Arc::new(arrow::datatypes::Field::new("", DataType::List(Arc::clone(item)), true));
    Reader { target: &target, lenient: false, session: None }.texts(texts)
}

/// A column in another type, text being read as PostgreSQL does.
///
/// # Errors
/// What cannot be cast.
pub(crate) fn as_type(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if types::is_text(array.data_type()) && is_read(target) {
        let target = Arc::new(arrow::datatypes::Field::new("", target.clone(), true));
        return Reader { target: &target, lenient: false, session: None }.read(array);
    }
    Ok(cast(array, target)?)
}

struct Reader<'a> {
    target: &'a FieldRef,
    lenient: bool,
    session: Option<Tz>,
}

impl Reader<'_> {
    fn read(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(array, &DataType::Utf8)?;
        self.texts(texts.as_string())
    }

    fn values<T: ArrowPrimitiveType>(
        &self,
        texts: &StringArray,
        read: impl Fn(&str) -> Result<T::Native>,
    ) -> Result<ArrayRef> {
        let mut builder = arrow::array::PrimitiveBuilder::<T>::with_capacity(texts.len());
        for text in texts {
            builder.append_option(self.one(text, &read)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    fn one<T>(&self, text: Option<&str>, read: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
        match text.map(read).transpose() {
            Err(_) if self.lenient => Ok(None),
            other => other,
        }
    }

    fn integers<T: ArrowPrimitiveType>(&self, texts: &StringArray, low: i64, high: i64, kind: &str) -> Result<ArrayRef>
    where
        T::Native: TryFrom<i64>,
    {
        self.values::<T>(texts, |text| {
            T::Native::try_from(input::integer(text, low, high, kind)?)
                .map_err(|_| refuse("22003", format!("value {text:?} is out of range for type {kind}")))
        })
    }

    fn texts(&self, texts: &StringArray) -> Result<ArrayRef> {
        use DataType as D;
        let target = self.target.data_type();
        let read: ArrayRef = match target {
            D::Boolean => {
                let values: Result<Vec<Option<bool>>> =
                    texts.iter().map(|text| self.one(text, input::boolean)).collect();
                Arc::new(arrow::array::BooleanArray::from(values?))
            }
            D::Int8 => self.integers::<Int8Type>(texts, i8::MIN.into(), i8::MAX.into(), "smallint")?,
            D::Int16 => self.integers::<Int16Type>(texts, i16::MIN.into(), i16::MAX.into(), "smallint")?,
            D::Int32 => self.integers::<Int32Type>(texts, i32::MIN.into(), i32::MAX.into(), "integer")?,
            D::Int64 => self.integers::<Int64Type>(texts, i64::MIN, i64::MAX, "bigint")?,
            D::Float32 => {
                self.values::<Float32Type>(texts, |text| input::float(text, true).map(|value| value as f32))?
            }
            D::Float64 => self.values::<Float64Type>(texts, |text| input::float(text, false))?,
            D::Decimal128(precision, scale) => {
                let read = self.values::<Decimal128Type>(texts, |text| input::decimal(text, *precision, *scale))?;
                let values = read.as_primitive::<Decimal128Type>().clone();
                Arc::new(values.with_data_type(target.clone()))
            }
            D::Date32 => self.values::<Date32Type>(texts, |text| {
                Ok(Date32Type::from_naive_date(input::time(text, "date")?.local(text, "date")?.date()))
            })?,
            D::Time32(_) | D::Time64(_) => self.values::<Time64MicrosecondType>(texts, |text| {
                let said = input::time(text, "time")?;
                // PostgreSQL has 24:00 too, for the end of a day; Arrow and Parquet have no such time.
                let time = said.time.filter(|time| *time < 86_400_000_000);
                if time.is_none() && said.time.is_some() {
                    return Err(refuse("22008", format!("date/time field value out of range: {text:?}")));
                }
                time.ok_or_else(|| refuse("22007", format!("invalid input syntax for type time: {text:?}")))
            })?,
            D::Timestamp(unit, None) => self.values::<TimestampMicrosecondType>(texts, |text| {
                // A zone that the text names is passed over, as in PostgreSQL.
                Ok(rounded(micros(input::time(text, "timestamp")?.local(text, "timestamp")?), *unit))
            })?,
            D::Timestamp(_, Some(_)) => self.values::<TimestampMicrosecondType>(texts, |text| {
                input::time(text, "timestamp with time zone")?.instant(text, self.session)
            })?,
            D::Interval(_) => self.values::<IntervalMonthDayNanoType>(texts, |text| input::interval(text, None))?,
            D::FixedSizeBinary(16) => return self.uuids(texts),
            D::Binary | D::LargeBinary | D::BinaryView => {
                let values: Result<Vec<Option<Vec<u8>>>> =
                    texts.iter().map(|text| self.one(text, input::bytes)).collect();
                Arc::new(arrow::array::BinaryArray::from_iter(values?))
            }
            D::List(item) => return self.lists(texts, item),
            _ => self.marked(texts)?,
        };
        self.fit(read)
    }

    /// In the unit that is wanted. Nanoseconds reach from 1677 to 2262 only.
    fn fit(&self, read: ArrayRef) -> Result<ArrayRef> {
        let target = self.target.data_type();
        let read = match target {
            DataType::Timestamp(_, zone @ Some(_)) => {
                let zoned = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                let values = read.as_primitive::<TimestampMicrosecondType>().clone();
                Arc::new(values.with_data_type(zoned))
            }
            DataType::Interval(unit) if *unit != IntervalUnit::MonthDayNano => cast(&read, target)?,
            _ => read,
        };
        let nulls = read.null_count();
        let fitted = types::fit(read, target)?;
        if fitted.null_count() != nulls && !self.lenient {
            return Err(refuse("22008", "timestamp out of range"));
        }
        Ok(fitted)
    }

    fn uuids(&self, texts: &StringArray) -> Result<ArrayRef> {
        let parse = |text: &str| {
            let bare = text.trim();
            let bare = bare.strip_prefix('{').and_then(|bare| bare.strip_suffix('}')).unwrap_or(bare);
            uuid::Uuid::parse_str(bare).map_err(|_| input::wrong("uuid", text))
        };
        let mut builder = arrow::array::FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
        for text in texts {
            match self.one(text, parse)? {
                Some(uuid) => builder.append_value(uuid.as_bytes())?,
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// JSON.
    fn marked(&self, texts: &StringArray) -> Result<ArrayRef> {
        let spelled = self.target.metadata().get(polder_lake::DECLARED).is_some_and(|kind| kind == polder_lake::JSON);
        let read = |text: &str| {
            let normal = super::json::normalised(text)?;
            Ok(if spelled { text.to_owned() } else { normal })
        };
        let values: Result<Vec<Option<String>>> = texts.iter().map(|text| self.one(text, read)).collect();
        Ok(Arc::new(StringArray::from(values?)))
    }

    /// Flattens all arrays, reads their elements at once, and cuts them again.
    fn lists(&self, texts: &StringArray, item: &FieldRef) -> Result<ArrayRef> {
        let leaf = leaf_of(self.target, item);
        let mut lists = Vec::with_capacity(texts.len());
        for text in texts {
            lists.push(self.one(text, input::array)?);
        }
        self.list_of(lists, item, &leaf)
    }

    /// `leaf`: what the innermost elements are read as.
    fn list_of(&self, lists: Vec<Option<Vec<Element>>>, item: &FieldRef, leaf: &FieldRef) -> Result<ArrayRef> {
        let malformed = || refuse("22P02", "malformed array literal: arrays of one level must have the same depth");
        let lengths: Vec<usize> = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)).collect();
        let nulls: arrow::buffer::NullBuffer = lists.iter().map(Option::is_some).collect::<Vec<_>>().into();
        let elements = lists.into_iter().flatten().flatten();
        let inner = Reader { target: leaf, lenient: self.lenient, session: self.session };
        let values = if let DataType::List(deeper) = item.data_type() {
            let nested = elements
                .map(|element| match element {
                    Element::Null => Ok(None),
                    Element::Array(list) => Ok(Some(list)),
                    Element::Text(_) => Err(malformed()),
                })
                .collect::<Result<Vec<_>>>()?;
            inner.list_of(nested, deeper, leaf)?
        } else {
            let flat = elements
                .map(|element| match element {
                    Element::Null => Ok(None),
                    Element::Text(text) => Ok(Some(text)),
                    Element::Array(_) => Err(malformed()),
                })
                .collect::<Result<Vec<_>>>()?;
            if flat.is_empty() {
                new_null_array(item.data_type(), 0)
            } else if types::is_text(item.data_type()) && !types::is_json(leaf) {
                types::fit(Arc::new(StringArray::from(flat)), item.data_type())?
            } else {
                inner.texts(&StringArray::from(flat))?
            }
        };
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(arrow::array::ListArray::try_new(Arc::clone(item), offsets, values, Some(nulls))?))
    }
}

/// What the innermost elements of a list are read as: JSON, if the list's own mark says so.
fn leaf_of(list: &Field, item: &FieldRef) -> FieldRef {
    let said = types::item(list, item);
    match said.data_type() {
        DataType::List(deeper) => leaf_of(&said, deeper),
        _ => Arc::new(said),
    }
}

/// Microseconds as a timestamp of fewer digits has them: the nearest, and of two the one that is farther from the year 2000,
/// where PostgreSQL counts from.
fn rounded(micros: i64, unit: TimeUnit) -> i64 {
    const YEAR_2000: i64 = 946_684_800_000_000;
    let step = match unit {
        TimeUnit::Second => 1_000_000,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => return micros,
    };
    let since = i128::from(micros) - i128::from(YEAR_2000);
    let nearest = (since.abs() + step / 2) / step * step * since.signum();
    i64::try_from(nearest + i128::from(YEAR_2000)).unwrap_or(micros)
}
