//! One value type and one row type for both databases, so that the floors above write each statement once.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

/// A parameter of a statement, or a cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Time(DateTime<Utc>),
    Uuid(Uuid),
}

impl Value {
    /// A count. Beyond `i64::MAX`, which no counter reaches, it stays there.
    #[must_use]
    pub fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a time",
            Self::Uuid(_) => "a uuid",
        }
    }
}

macro_rules! value_from {
    ($($source:ty => |$value:ident| $made:expr;)*) => {
        $(impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $made
            }
        })*
    };
}

value_from! {
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(i64::from(value));
    u32 => |value| Self::Int(i64::from(value));
    f64 => |value| Self::Float(value);
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    Vec<u8> => |value| Self::Bytes(value);
    DateTime<Utc> => |value| Self::Time(value);
    Uuid => |value| Self::Uuid(value);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns are counted from 0.
///
/// The typed accessors accept what either database keeps: SQLite has booleans as 0 and 1, and times and
/// uuids as text; PostgreSQL has them natively. A value that cannot be read as asked is `Corrupt`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Box<[Value]>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_boxed_slice())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn value(&self, column: usize) -> Result<&Value> {
        self.0.get(column).ok_or_else(|| Error::internal(format!("column {column} asked of a row of {}", self.0.len())))
    }

    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.0.into_vec()
    }

    pub fn int(&self, column: usize) -> Result<i64> {
        self.required(column, "an integer", self.opt_int(column)?)
    }

    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(*value)),
            Value::Bool(value) => Ok(Some(i64::from(*value))),
            Value::Text(text) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.unexpected(column, "an integer")),
            },
            _ => Err(self.unexpected(column, "an integer")),
        }
    }

    pub fn float(&self, column: usize) -> Result<f64> {
        self.required(column, "a float", self.opt_float(column)?)
    }

    pub fn opt_float(&self, column: usize) -> Result<Option<f64>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Float(value) => Ok(Some(*value)),
            #[allow(clippy::cast_precision_loss, reason = "asked for a float")]
            Value::Int(value) => Ok(Some(*value as f64)),
            Value::Text(text) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.unexpected(column, "a float")),
            },
            _ => Err(self.unexpected(column, "a float")),
        }
    }

    pub fn bool(&self, column: usize) -> Result<bool> {
        self.required(column, "a boolean", self.opt_bool(column)?)
    }

    pub fn opt_bool(&self, column: usize) -> Result<Option<bool>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(*value)),
            Value::Int(value @ (0 | 1)) => Ok(Some(*value == 1)),
            Value::Text(text) => match text.as_str() {
                "1" | "t" | "true" => Ok(Some(true)),
                "0" | "f" | "false" => Ok(Some(false)),
                _ => Err(self.unexpected(column, "a boolean")),
            },
            _ => Err(self.unexpected(column, "a boolean")),
        }
    }

    pub fn text(&self, column: usize) -> Result<&str> {
        self.required(column, "text", self.opt_text(column)?)
    }

    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.unexpected(column, "text")),
        }
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8]> {
        self.required(column, "bytes", self.opt_bytes(column)?)
    }

    pub fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Text(text) => Ok(Some(text.as_bytes())),
            _ => Err(self.unexpected(column, "bytes")),
        }
    }

    pub fn time(&self, column: usize) -> Result<DateTime<Utc>> {
        self.required(column, "a time", self.opt_time(column)?)
    }

    pub fn opt_time(&self, column: usize) -> Result<Option<DateTime<Utc>>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Time(time) => Ok(Some(*time)),
            Value::Text(text) => match parse_time(text) {
                Some(time) => Ok(Some(time)),
                None => Err(self.unexpected(column, "a time")),
            },
            _ => Err(self.unexpected(column, "a time")),
        }
    }

    pub fn uuid(&self, column: usize) -> Result<Uuid> {
        self.required(column, "a uuid", self.opt_uuid(column)?)
    }

    pub fn opt_uuid(&self, column: usize) -> Result<Option<Uuid>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Uuid(uuid) => Ok(Some(*uuid)),
            Value::Text(text) => match Uuid::parse_str(text) {
                Ok(uuid) => Ok(Some(uuid)),
                Err(_) => Err(self.unexpected(column, "a uuid")),
            },
            _ => Err(self.unexpected(column, "a uuid")),
        }
    }

    fn required<T>(&self, column: usize, wanted: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.unexpected(column, wanted))
    }

    fn unexpected(&self, column: usize, wanted: &str) -> Error {
        let found = match self.0.get(column) {
            Some(Value::Text(text)) => format!("the text {:?}", text.chars().take(64).collect::<String>()),
            Some(value) => value.kind().to_owned(),
            None => "nothing".to_owned(),
        };
        Error::new(
            ErrorKind::Corrupt,
            format!("column {column} of a metastore row has {found} where {wanted} was expected"),
        )
    }
}

/// A time as DuckDB writes it into a SQLite catalog: `2026-11-23 06:57:49.036332+00`.
///
/// Trailing zeros of the fraction are left out, and the texts still order as the times do.
pub(crate) struct TimeText(pub DateTime<Utc>);

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d %H:%M:%S"))?;
        let micros = self.0.timestamp_subsec_micros();
        if micros > 0 {
            let digits = format!("{micros:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("+00")
    }
}

/// Reads a time with or without fraction and offset; without an offset it is UTC.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    // The date itself has dashes, so an offset is looked for behind it.
    let (local, offset) = match text.get(10..)?.find(['+', '-', 'Z']) {
        Some(at) => text.split_at(at + 10),
        None => (text, "Z"),
    };
    let local = if local.len() == 10 {
        NaiveDate::parse_from_str(local, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?
    } else {
        NaiveDateTime::parse_from_str(&local.replacen('T', " ", 1), "%Y-%m-%d %H:%M:%S%.f").ok()?
    };
    let offset = FixedOffset::east_opt(parse_offset_seconds(offset)?)?;
    Some(local.and_local_timezone(offset).single()?.with_timezone(&Utc))
}

/// `Z`, `+02`, `-0330`, `+05:30`, `+05:30:00`.
fn parse_offset_seconds(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.get(1..)?.chars().filter(|letter| *letter != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4 | 6) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |pair| pair.parse::<i32>().ok());
    Some(sign * (part(0)? * 3600 + part(2)? * 60 + part(4)?))
}

#[cfg(test)]
mod tests;
