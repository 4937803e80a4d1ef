//! Values in PostgreSQL's binary form, by the type that the server gave to a parameter or column.

mod numeric;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Timelike, Utc};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgStatement, PgTypeInfo, PgValueRef};
use sqlx::{Arguments, Either, Encode, Postgres, Row as _, Statement, Type, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::value::{TimeText, parse_time};
use crate::{Row, Value};

/// 2000-01-01 00:00:00 UTC, PostgreSQL's zero, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The types that the catalog, inlined data and our own tables use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Bytes,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Date,
    TimeOfDay,
    Timestamp,
    TimestampTz,
    Uuid,
    Void,
}

fn kind_of(info: &PgTypeInfo) -> Result<Kind, BoxDynError> {
    Ok(match info.oid().map(|Oid(oid)| oid) {
        Some(16) => Kind::Bool,
        Some(17) => Kind::Bytes,
        Some(21) => Kind::Int2,
        Some(23) => Kind::Int4,
        Some(20) => Kind::Int8,
        Some(26 | 28) => Kind::Oid,
        Some(700) => Kind::Float4,
        Some(701) => Kind::Float8,
        Some(1700) => Kind::Numeric,
        // char, name, text, json, unknown, bpchar, varchar
        Some(18 | 19 | 25 | 114 | 705 | 1042 | 1043) => Kind::Text,
        Some(1082) => Kind::Date,
        Some(1083) => Kind::TimeOfDay,
        Some(1114) => Kind::Timestamp,
        Some(1184) => Kind::TimestampTz,
        Some(2950) => Kind::Uuid,
        Some(2278) => Kind::Void,
        _ => return Err(format!("the type {} is not supported here; cast it to or from text", info.name()).into()),
    })
}

/// A value on its way to a parameter of a known type.
struct Parameter<'a> {
    value: &'a Value,
    kind: Kind,
}

pub(super) fn arguments(statement: &PgStatement, params: &[Value]) -> Result<PgArguments, sqlx::Error> {
    let infos = match statement.parameters() {
        Some(Either::Left(infos)) => infos,
        _ => &[],
    };
    if infos.len() != params.len() {
        let problem = format!("{} parameters for a statement with {}", params.len(), infos.len());
        return Err(sqlx::Error::Encode(problem.into()));
    }
    let mut arguments = PgArguments::default();
    arguments.reserve(params.len(), params.len() * 16);
    for (at, (value, info)) in params.iter().zip(infos).enumerate() {
        kind_of(info)
            .and_then(|kind| Arguments::add(&mut arguments, Parameter { value, kind }))
            .map_err(|problem| sqlx::Error::Encode(format!("parameter ${}: {problem}", at + 1).into()))?;
    }
    Ok(arguments)
}

impl Type<Postgres> for Parameter<'_> {
    fn type_info() -> PgTypeInfo {
        // Never looked at: the statement is prepared already.
        PgTypeInfo::with_oid(Oid(705))
    }
}

impl Encode<'_, Postgres> for Parameter<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        if self.value.is_null() {
            return Ok(IsNull::Yes);
        }
        encode(self.value, self.kind, buffer)?;
        Ok(IsNull::No)
    }
}

fn encode(value: &Value, kind: Kind, buffer: &mut Vec<u8>) -> Result<(), BoxDynError> {
    let unfit = || -> BoxDynError { format!("{value:?} does not fit the type {kind:?}").into() };
    match kind {
        Kind::Bool => buffer.push(u8::from(match value {
            Value::Bool(value) => *value,
            Value::Int(value @ (0 | 1)) => *value == 1,
            _ => return Err(unfit()),
        })),
        Kind::Int2 => buffer.extend(i16::try_from(integer(value).ok_or_else(unfit)?)?.to_be_bytes()),
        Kind::Int4 => buffer.extend(i32::try_from(integer(value).ok_or_else(unfit)?)?.to_be_bytes()),
        Kind::Int8 => buffer.extend(integer(value).ok_or_else(unfit)?.to_be_bytes()),
        Kind::Oid => buffer.extend(u32::try_from(integer(value).ok_or_else(unfit)?)?.to_be_bytes()),
        #[allow(clippy::cast_possible_truncation, reason = "the column keeps single precision")]
        Kind::Float4 => buffer.extend((float(value).ok_or_else(unfit)? as f32).to_be_bytes()),
        Kind::Float8 => buffer.extend(float(value).ok_or_else(unfit)?.to_be_bytes()),
        Kind::Numeric => numeric::encode(&text(value).ok_or_else(unfit)?, buffer).ok_or_else(unfit)?,
        Kind::Text => buffer.extend(text(value).ok_or_else(unfit)?.as_bytes()),
        Kind::Bytes => match value {
            Value::Bytes(bytes) => buffer.extend(bytes),
            Value::Text(text) => buffer.extend(text.as_bytes()),
            _ => return Err(unfit()),
        },
        Kind::Date => {
            let date = text(value).and_then(|text| text.parse::<NaiveDate>().ok()).ok_or_else(unfit)?;
            let days = i32::try_from((date - epoch_date()).num_days())?;
            buffer.extend(days.to_be_bytes());
        }
        Kind::TimeOfDay => {
            let time = text(value).and_then(|text| text.parse::<NaiveTime>().ok()).ok_or_else(unfit)?;
            let micros = i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1000);
            buffer.extend(micros.to_be_bytes());
        }
        Kind::Timestamp | Kind::TimestampTz => {
            let time = time(value).ok_or_else(unfit)?;
            buffer.extend((time.timestamp_micros() - EPOCH_MICROS).to_be_bytes());
        }
        Kind::Uuid => match value {
            Value::Uuid(uuid) => buffer.extend(uuid.as_bytes()),
            Value::Text(text) => buffer.extend(Uuid::parse_str(text)?.as_bytes()),
            _ => return Err(unfit()),
        },
        Kind::Void => return Err(unfit()),
    }
    Ok(())
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        #[allow(clippy::cast_precision_loss, reason = "the column is a float")]
        Value::Int(value) => Some(*value as f64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Time(time) => Some(TimeText(*time).to_string()),
        Value::Uuid(uuid) => Some(uuid.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Bytes(_) => None,
    }
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => parse_time(text),
        _ => None,
    }
}

fn epoch_date() -> NaiveDate {
    DateTime::<Utc>::UNIX_EPOCH.date_naive() + Days::new(10_957)
}

pub(super) fn decode(row: &PgRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(row.len());
    for column in 0..row.len() {
        let raw = row.try_get_raw(column)?;
        let value = if raw.is_null() { Ok(Value::Null) } else { decode_value(&raw) };
        values.push(value.map_err(|source| sqlx::Error::ColumnDecode { index: column.to_string(), source })?);
    }
    Ok(Row::new(values))
}

fn decode_value(raw: &PgValueRef<'_>) -> Result<Value, BoxDynError> {
    let kind = kind_of(&raw.type_info())?;
    let bytes = raw.as_bytes()?;
    Ok(match kind {
        Kind::Bool => Value::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
        Kind::Bytes => Value::Bytes(bytes.to_vec()),
        Kind::Int2 => Value::Int(i64::from(i16::from_be_bytes(bytes.try_into()?))),
        Kind::Int4 => Value::Int(i64::from(i32::from_be_bytes(bytes.try_into()?))),
        Kind::Int8 => Value::Int(i64::from_be_bytes(bytes.try_into()?)),
        Kind::Oid => Value::Int(i64::from(u32::from_be_bytes(bytes.try_into()?))),
        Kind::Float4 => Value::Float(f64::from(f32::from_be_bytes(bytes.try_into()?))),
        Kind::Float8 => Value::Float(f64::from_be_bytes(bytes.try_into()?)),
        Kind::Numeric => {
            let digits = numeric::decode(bytes).ok_or("a numeric that cannot be read")?;
            // The sum of a BIGINT column is a NUMERIC in PostgreSQL and an integer in SQLite.
            digits.parse().map_or(Value::Text(digits), Value::Int)
        }
        Kind::Text => Value::Text(std::str::from_utf8(bytes)?.to_owned()),
        Kind::Date => {
            let days = i32::from_be_bytes(bytes.try_into()?);
            let date = epoch_date().checked_add_signed(chrono::Duration::days(i64::from(days)));
            Value::Text(date.ok_or("a date out of range")?.to_string())
        }
        Kind::TimeOfDay => {
            let micros = u64::try_from(i64::from_be_bytes(bytes.try_into()?))?;
            let seconds = u32::try_from(micros / 1_000_000)?;
            let nanos = u32::try_from(micros % 1_000_000)? * 1000;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos);
            Value::Text(time.ok_or("a time out of range")?.to_string())
        }
        Kind::Timestamp | Kind::TimestampTz => {
            let micros = i64::from_be_bytes(bytes.try_into()?).checked_add(EPOCH_MICROS);
            Value::Time(micros.and_then(DateTime::from_timestamp_micros).ok_or("a time out of range")?)
        }
        Kind::Uuid => Value::Uuid(Uuid::from_slice(bytes)?),
        Kind::Void => Value::Null,
    })
}
