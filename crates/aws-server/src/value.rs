//! Values, as JSON and CBOR have them in common, and JSON's way to write them.

use std::fmt;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{ApiError, ApiResult};

/// Values in one body: 500 records have about 2,500.
pub const VALUES_MAX: usize = 20_000;

/// Values within values.
pub const DEPTH_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Blob(Vec<u8>),
    /// Milliseconds since 1970.
    Time(i64),
    List(Vec<Value>),
    /// In the order in which it is written.
    Map(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A map of what there is: members that are `Null` are left out.
pub fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| *value != Value::Null);
    Value::Map(there.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A value, or nothing.
pub fn maybe(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

pub fn unreadable(why: impl fmt::Display) -> ApiError {
    ApiError::new("SerializationException", format!("the body cannot be read: {why}"))
        .with_status(StatusCode::BAD_REQUEST)
}

/// # Errors
/// `SerializationException`.
pub fn read_json(bytes: &[u8]) -> ApiResult<Value> {
    let mut left = VALUES_MAX;
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { left: &mut left, depth: 0 }.deserialize(&mut from).map_err(unreadable)?;
    from.end().map_err(unreadable)?;
    Ok(value)
}

/// Reads a value within the bounds.
struct Seed<'a> {
    left: &'a mut usize,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if self.depth > DEPTH_MAX {
            return Err(D::Error::custom("it is nested too deeply"));
        }
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("there are too many values"))?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::custom("a number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Seed { left: &mut *self.left, depth: self.depth + 1 })? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = from.next_key::<String>()? {
            members.push((name, from.next_value_seed(Seed { left: &mut *self.left, depth: self.depth + 1 })?));
        }
        Ok(Value::Map(members))
    }
}

/// Writes JSON as AWS does: bytes in base64, times in seconds.
pub fn write_json(value: &Value) -> Vec<u8> {
    let mut text = String::new();
    put_json(&mut text, value);
    text.into_bytes()
}

fn put_json(to: &mut String, value: &Value) {
    match value {
        Value::Null => to.push_str("null"),
        Value::Bool(value) => to.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => to.push_str(&value.to_string()),
        // With an exponent where it is large or small: 300 digits would be read back otherwise.
        Value::Float(value) => to.push_str(&format!("{value:?}")),
        Value::Text(text) => put_text(to, text),
        Value::Blob(bytes) => {
            to.push('"');
            STANDARD.encode_string(bytes, to);
            to.push('"');
        }
        Value::Time(ms) => to.push_str(&format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))),
        Value::List(items) => {
            to.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    to.push(',');
                }
                put_json(to, item);
            }
            to.push(']');
        }
        Value::Map(members) => {
            to.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                if number > 0 {
                    to.push(',');
                }
                put_text(to, name);
                to.push(':');
                put_json(to, value);
            }
            to.push('}');
        }
    }
}

fn put_text(to: &mut String, text: &str) {
    // A text is always JSON.
    to.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_and_written_within_bounds() {
        let text = r#"{"a":[1,-2,2.5,true,null,"\"ü\n"],"b":{}}"#;
        assert_eq!(String::from_utf8(write_json(&read_json(text.as_bytes()).unwrap())).unwrap(), text);
        let value = map([("d", Value::Blob(b"hello".to_vec())), ("t", Value::Time(1_500)), ("n", Value::Null)]);
        assert_eq!(write_json(&value), br#"{"d":"aGVsbG8=","t":1.500}"#);
        assert!(read_json(("[".repeat(20) + &"]".repeat(20)).as_bytes()).is_err());
        assert!(read_json(format!("[{}0]", "0,".repeat(VALUES_MAX)).as_bytes()).is_err());
        for wrong in ["", "{", "[1] 2", "18446744073709551615", "\u{0}"] {
            assert_eq!(read_json(wrong.as_bytes()).unwrap_err().code, "SerializationException", "{wrong}");
        }
    }
}
