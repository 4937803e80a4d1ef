//! What a column's type means to a profile, and its values in the one shape that this meaning is computed in.

use arrow::array::{Array, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    /// Fits into 64 bits with a sign.
    Whole(Meaning),
    /// Fits into 128 bits with a sign.
    Wide(Meaning),
    Float {
        /// True for 32 and 16 bits.
        single: bool,
    },
    /// 256 bits.
    Big {
        scale: i32,
    },
    Text,
    Binary,
    Uuid,
    /// Values that are compared as equal or not, and no more.
    Nested,
}

/// What a whole number stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// The number times `10^-scale`.
    Number {
        scale: i32,
    },
    /// `day`: ticks a day.
    Date {
        day: i128,
    },
    Timestamp {
        per_second: i128,
        zoned: bool,
    },
    /// Since midnight.
    Time {
        per_second: i128,
    },
}

impl Kind {
    pub(super) fn of(data_type: &DataType) -> Self {
        let whole = Self::Whole(Meaning::Number { scale: 0 });
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => whole,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => whole,
            DataType::UInt64 => Self::Wide(Meaning::Number { scale: 0 }),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                Self::Whole(Meaning::Number { scale: i32::from(*scale) })
            }
            DataType::Decimal128(_, scale) => Self::Wide(Meaning::Number { scale: i32::from(*scale) }),
            DataType::Decimal256(_, scale) => Self::Big { scale: i32::from(*scale) },
            DataType::Float16 | DataType::Float32 => Self::Float { single: true },
            DataType::Float64 => Self::Float { single: false },
            DataType::Date32 => Self::Whole(Meaning::Date { day: 1 }),
            DataType::Date64 => Self::Whole(Meaning::Date { day: 86_400_000 }),
            DataType::Timestamp(unit, zone) => {
                Self::Whole(Meaning::Timestamp { per_second: per_second(*unit), zoned: zone.is_some() })
            }
            DataType::Time32(unit) | DataType::Time64(unit) => {
                Self::Whole(Meaning::Time { per_second: per_second(*unit) })
            }
            // Seconds, with as many decimals as the unit has.
            DataType::Duration(unit) => {
                Self::Whole(Meaning::Number { scale: per_second(*unit).ilog10().cast_signed() })
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::FixedSizeBinary(16) => Self::Uuid,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Binary
            }
            DataType::Interval(_)
            | DataType::List(_)
            | DataType::ListView(_)
            | DataType::FixedSizeList(_, _)
            | DataType::LargeList(_)
            | DataType::LargeListView(_)
            | DataType::Struct(_)
            | DataType::Union(_, _)
            | DataType::Map(_, _)
            | DataType::Dictionary(_, _)
            | DataType::RunEndEncoded(_, _) => Self::Nested,
        }
    }
}

fn per_second(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The values that are not null, in order.
fn dense<T: ArrowPrimitiveType, V>(array: &dyn Array, read: impl Fn(T::Native) -> V) -> Vec<V> {
    let array = array.as_primitive::<T>();
    let values = array.values();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => values.iter().map(|value| read(*value)).collect(),
        Some(nulls) => {
            let mut dense = Vec::with_capacity(array.len() - nulls.null_count());
            dense.extend(nulls.valid_indices().map(|row| read(values[row])));
            dense
        }
    }
}

/// The values of a [`Kind::Whole`] column that are not null.
pub(super) fn whole(array: &dyn Array) -> Vec<i64> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match array.data_type() {
        DataType::Int8 => dense::<Int8Type, _>(array, i64::from),
        DataType::Int16 => dense::<Int16Type, _>(array, i64::from),
        DataType::Int32 => dense::<Int32Type, _>(array, i64::from),
        DataType::Int64 => dense::<Int64Type, _>(array, |value| value),
        DataType::UInt8 => dense::<UInt8Type, _>(array, i64::from),
        DataType::UInt16 => dense::<UInt16Type, _>(array, i64::from),
        DataType::UInt32 => dense::<UInt32Type, _>(array, i64::from),
        DataType::Decimal32(_, _) => dense::<Decimal32Type, _>(array, i64::from),
        DataType::Decimal64(_, _) => dense::<Decimal64Type, _>(array, |value| value),
        DataType::Date32 => dense::<Date32Type, _>(array, i64::from),
        DataType::Date64 => dense::<Date64Type, _>(array, |value| value),
        DataType::Time32(Second) => dense::<Time32SecondType, _>(array, i64::from),
        DataType::Time32(_) => dense::<Time32MillisecondType, _>(array, i64::from),
        DataType::Time64(Nanosecond) => dense::<Time64NanosecondType, _>(array, |value| value),
        DataType::Time64(_) => dense::<Time64MicrosecondType, _>(array, |value| value),
        DataType::Timestamp(Second, _) => dense::<TimestampSecondType, _>(array, |value| value),
        DataType::Timestamp(Millisecond, _) => dense::<TimestampMillisecondType, _>(array, |value| value),
        DataType::Timestamp(Microsecond, _) => dense::<TimestampMicrosecondType, _>(array, |value| value),
        DataType::Timestamp(Nanosecond, _) => dense::<TimestampNanosecondType, _>(array, |value| value),
        DataType::Duration(Second) => dense::<DurationSecondType, _>(array, |value| value),
        DataType::Duration(Millisecond) => dense::<DurationMillisecondType, _>(array, |value| value),
        DataType::Duration(Microsecond) => dense::<DurationMicrosecondType, _>(array, |value| value),
        DataType::Duration(Nanosecond) => dense::<DurationNanosecondType, _>(array, |value| value),
        _ => Vec::new(),
    }
}

/// The values of a [`Kind::Wide`] column that are not null.
pub(super) fn wide(array: &dyn Array) -> Vec<i128> {
    match array.data_type() {
        DataType::UInt64 => dense::<UInt64Type, _>(array, i128::from),
        DataType::Decimal128(_, _) => dense::<Decimal128Type, _>(array, |value| value),
        _ => Vec::new(),
    }
}

/// The values of a [`Kind::Float`] column that are not null, with one zero and one NaN.
pub(super) fn floats(array: &dyn Array) -> Vec<f64> {
    let plain = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
    match array.data_type() {
        DataType::Float16 => dense::<Float16Type, _>(array, |value| plain(value.to_f64())),
        DataType::Float32 => dense::<Float32Type, _>(array, |value| plain(f64::from(value))),
        DataType::Float64 => dense::<Float64Type, _>(array, plain),
        _ => Vec::new(),
    }
}

/// The values of a [`Kind::Big`] column that are not null.
pub(super) fn bigs(array: &dyn Array) -> Vec<i256> {
    dense::<Decimal256Type, _>(array, |value| value)
}

/// Calls `each` with the bytes of every value that is not null in a [`Kind::Text`], [`Kind::Binary`] or
/// [`Kind::Uuid`] column.
pub(super) fn for_each_bytes<'a>(array: &'a dyn Array, each: impl FnMut(&'a [u8])) {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(str::as_bytes).for_each(each),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(str::as_bytes).for_each(each),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(str::as_bytes).for_each(each),
        DataType::Binary => array.as_binary::<i32>().iter().flatten().for_each(each),
        DataType::LargeBinary => array.as_binary::<i64>().iter().flatten().for_each(each),
        DataType::BinaryView => array.as_binary_view().iter().flatten().for_each(each),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().iter().flatten().for_each(each),
        _ => {}
    }
}
