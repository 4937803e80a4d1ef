//! SQL names of Arrow types, and which type holds the values of two.

use arrow::datatypes::{DataType, Field, TimeUnit};
use polder_types::{Error, Result};

/// Digits of the widest decimal.
pub(crate) const DECIMAL_DIGITS_MAX: u8 = 38;

/// Bytes of a UUID: the lake has nothing else of a fixed size.
pub(crate) const UUID_BYTES: i32 = 16;

/// Text as the lake reads it back.
pub(crate) const TEXT: DataType = DataType::Utf8View;

pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

pub(crate) fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type that a user names in a correction.
///
/// # Errors
/// `InvalidInput` for a name that is none of the list.
pub(crate) fn from_sql(name: &str) -> Result<DataType> {
    let found = match name.trim().to_ascii_lowercase().as_str() {
        "bigint" | "int8" | "integer" | "int" => DataType::Int64,
        "double" | "double precision" | "float8" | "float" => DataType::Float64,
        "text" | "varchar" | "string" => TEXT,
        "boolean" | "bool" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => TIMESTAMP,
        "timestamptz" | "timestamp with time zone" => timestamptz(),
        other => match decimal_named(other) {
            Some(decimal) => decimal,
            None => {
                return Err(Error::invalid(format!("unknown type {other:?} for a column"))
                    .with_hint("use bigint, double, decimal(digits, fraction), text, boolean, date, timestamp or timestamptz; say `date dmy` or `date mdy` to fix the order of day and month"));
            }
        },
    };
    Ok(found)
}

/// `decimal(38, 20)`, `numeric(10,2)`.
fn decimal_named(name: &str) -> Option<DataType> {
    let rest = name.strip_prefix("decimal").or_else(|| name.strip_prefix("numeric"))?;
    let (digits, scale) = rest.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let (digits, scale): (u8, i8) = (digits.trim().parse().ok()?, scale.trim().parse().ok()?);
    let fits = (1..=DECIMAL_DIGITS_MAX).contains(&digits) && u8::try_from(scale).is_ok_and(|scale| scale <= digits);
    fits.then_some(DataType::Decimal128(digits, scale))
}

/// A type as SQL names it.
pub(crate) fn to_sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 => "utinyint".into(),
        DataType::UInt16 => "usmallint".into(),
        DataType::UInt32 => "uinteger".into(),
        DataType::UInt64 => "ubigint".into(),
        DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Date32 => "date".into(),
        DataType::Time64(_) => "time".into(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns".into(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "timestamp_ms".into(),
        DataType::Timestamp(TimeUnit::Second, None) => "timestamp_s".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::FixedSizeBinary(UUID_BYTES) => "uuid".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea".into()
        }
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            format!("decimal({digits}, {scale})")
        }
        DataType::List(item) | DataType::LargeList(item) => format!("{}[]", to_sql(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), to_sql(field.data_type()))).collect();
            format!("struct({})", fields.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

/// Whether its values are instants, and not what clocks show.
pub(crate) fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

/// Whether its values are bytes, or UUIDs.
pub(crate) fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(UUID_BYTES)
    )
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_integer(data_type: &DataType) -> bool {
    data_type.is_integer()
}

/// The narrowest type that holds the values of both; text when nothing else does.
pub(crate) fn wider(a: &DataType, b: &DataType) -> DataType {
    use DataType as T;
    if a == b || matches!(b, T::Null) {
        return a.clone();
    }
    match (a, b) {
        (T::Null, _) => b.clone(),
        (T::Float32 | T::Float64, other) | (other, T::Float32 | T::Float64) if other.is_numeric() => T::Float64,
        (T::Decimal128(digits, scale), other) | (other, T::Decimal128(digits, scale)) if is_integer(other) => {
            let whole = (i16::from(*digits) - i16::from(*scale)).max(20);
            decimal(whole, *scale)
        }
        (T::Decimal128(p, s), T::Decimal128(q, t)) => {
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            decimal(whole, *s.max(t))
        }
        (T::UInt64, other) | (other, T::UInt64) if other.is_signed_integer() => decimal(20, 0),
        (a, b) if is_integer(a) && is_integer(b) => T::Int64,
        (T::Date32, T::Timestamp(_, None)) | (T::Timestamp(_, None), T::Date32) => TIMESTAMP,
        (T::Timestamp(u, zone), T::Timestamp(v, other)) if zone.is_some() == other.is_some() => {
            if [u, v].contains(&&TimeUnit::Nanosecond) {
                T::Timestamp(TimeUnit::Nanosecond, zone.clone())
            } else {
                T::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
        }
        (T::List(a), T::List(b)) => T::List(Field::new_list_field(wider(a.data_type(), b.data_type()), true).into()),
        (T::Struct(a), T::Struct(b)) => {
            let mut fields: Vec<Field> = a.iter().map(|field| field.as_ref().clone()).collect();
            for field in b {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => *known = Field::new(field.name(), wider(known.data_type(), field.data_type()), true),
                    None => fields.push(field.as_ref().clone()),
                }
            }
            T::Struct(fields.into())
        }
        _ => TEXT,
    }
}

fn decimal(whole: i16, scale: i8) -> DataType {
    let digits = whole + i16::from(scale);
    match u8::try_from(digits) {
        Ok(digits) if digits <= DECIMAL_DIGITS_MAX => DataType::Decimal128(digits, scale),
        _ => DataType::Float64,
    }
}

/// The type under which the lake keeps values of a type that a file has. `None`: there is none.
pub(crate) fn kept_as(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    let kept = match data_type {
        T::Null | T::Utf8 | T::LargeUtf8 | T::Utf8View => TEXT,
        T::Dictionary(_, values) => kept_as(values)?,
        T::RunEndEncoded(_, values) => kept_as(values.data_type())?,
        T::Float16 => T::Float32,
        T::Date64 => T::Date32,
        T::Time32(_) | T::Time64(_) => T::Time64(TimeUnit::Microsecond),
        T::Timestamp(TimeUnit::Nanosecond, zone) => {
            T::Timestamp(TimeUnit::Nanosecond, zone.as_ref().map(|_| "UTC".into()))
        }
        T::Timestamp(_, Some(_)) => timestamptz(),
        T::Timestamp(_, None) => TIMESTAMP,
        T::Duration(_) => T::Int64,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::BinaryView,
        T::Decimal32(digits, scale) | T::Decimal64(digits, scale) => T::Decimal128(*digits, *scale),
        T::Decimal256(digits, scale) if *digits <= DECIMAL_DIGITS_MAX => T::Decimal128(*digits, *scale),
        T::Decimal256(_, _) => TEXT,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            T::List(Field::new_list_field(kept_as(item.data_type())?, true).into())
        }
        T::Struct(fields) => {
            let fields: Option<Vec<Field>> =
                fields.iter().map(|field| Some(Field::new(field.name(), kept_as(field.data_type())?, true))).collect();
            match fields? {
                fields if fields.is_empty() => return None,
                fields => T::Struct(fields.into()),
            }
        }
        T::Map(entries, sorted) => {
            let T::Struct(pair) = entries.data_type() else { return None };
            let [key, value] = pair.as_ref() else { return None };
            let pair = vec![
                Field::new(key.name(), kept_as(key.data_type())?, false),
                Field::new(value.name(), kept_as(value.data_type())?, true),
            ];
            T::Map(Field::new(entries.name(), T::Struct(pair.into()), false).into(), *sorted)
        }
        T::Interval(_) | T::Union(_, _) => return None,
        plain => plain.clone(),
    };
    Some(kept)
}
