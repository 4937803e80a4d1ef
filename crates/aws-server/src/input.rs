//! What a request says, member by member.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ApiError, ApiResult};
use crate::value::{Value, unreadable};

/// The members of a request, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [(String, Value)]);

fn missing(name: &str) -> ApiError {
    let mut at = name.to_owned();
    at[..1].make_ascii_lowercase();
    ApiError::validation(format!(
        "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
    ))
}

fn wrong(name: &str, kind: &str) -> ApiError {
    unreadable(format!("{name} is no {kind}"))
}

impl<'a> Input<'a> {
    /// # Errors
    /// `SerializationException` for what is no structure.
    pub fn of(value: &'a Value) -> ApiResult<Self> {
        match value {
            Value::Map(members) => Ok(Self(members)),
            _ => Err(unreadable("it is no structure")),
        }
    }

    /// Refuses members that nothing here would look at.
    ///
    /// # Errors
    /// `ValidationException`.
    pub fn only(&self, names: &[&str]) -> ApiResult<()> {
        let unknown = self.0.iter().find(|(name, value)| *value != Value::Null && !names.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => {
                let name: String = name.chars().take(100).collect();
                Err(ApiError::validation(format!("{name} is not supported here")))
            }
            None => Ok(()),
        }
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().rev().find(|(member, _)| member == name).map(|(_, value)| value).filter(|v| **v != Value::Null)
    }

    pub fn text(&self, name: &str) -> ApiResult<Option<&'a str>> {
        match self.get(name) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "text")),
            None => Ok(None),
        }
    }

    pub fn needs_text(&self, name: &str) -> ApiResult<&'a str> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    pub fn int(&self, name: &str) -> ApiResult<Option<i64>> {
        match self.get(name) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(_) => Err(wrong(name, "whole number")),
            None => Ok(None),
        }
    }

    pub fn needs_int(&self, name: &str) -> ApiResult<i64> {
        self.int(name)?.ok_or_else(|| missing(name))
    }

    /// A number in bounds.
    pub fn bounded(&self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> ApiResult<Option<i64>> {
        match self.int(name)? {
            Some(number) if !bounds.contains(&number) => {
                let mut at = name.to_owned();
                at[..1].make_ascii_lowercase();
                let rule = if number < *bounds.start() {
                    format!("have value greater than or equal to {}", bounds.start())
                } else {
                    format!("have value less than or equal to {}", bounds.end())
                };
                Err(ApiError::constraint(&number.to_string(), &at, &rule))
            }
            number => Ok(number),
        }
    }

    pub fn bool(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.get(name) {
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(wrong(name, "truth value")),
            None => Ok(None),
        }
    }

    /// Milliseconds since 1970.
    pub fn time(&self, name: &str) -> ApiResult<Option<i64>> {
        match self.get(name) {
            Some(Value::Time(ms)) => Ok(Some(*ms)),
            Some(Value::Int(seconds)) => Ok(Some(seconds.saturating_mul(1_000))),
            // What is beyond is the nearest that there is.
            Some(Value::Float(seconds)) => Ok(Some((seconds * 1_000.0).round() as i64)),
            Some(_) => Err(wrong(name, "time")),
            None => Ok(None),
        }
    }

    pub fn needs_blob(&self, name: &str) -> ApiResult<Vec<u8>> {
        match self.get(name) {
            Some(Value::Blob(bytes)) => Ok(bytes.clone()),
            Some(Value::Text(text)) => STANDARD.decode(text).map_err(|_| wrong(name, "base64")),
            Some(_) => Err(wrong(name, "blob")),
            None => Err(missing(name)),
        }
    }

    pub fn list(&self, name: &str) -> ApiResult<Option<&'a [Value]>> {
        match self.get(name) {
            Some(Value::List(items)) => Ok(Some(items)),
            Some(_) => Err(wrong(name, "list")),
            None => Ok(None),
        }
    }

    pub fn needs_list(&self, name: &str) -> ApiResult<&'a [Value]> {
        self.list(name)?.ok_or_else(|| missing(name))
    }

    pub fn texts(&self, name: &str) -> ApiResult<Vec<String>> {
        let text = |item: &Value| match item {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(wrong(name, "list of texts")),
        };
        self.needs_list(name)?.iter().map(text).collect()
    }

    /// A map of texts, in the order in which it came.
    pub fn pairs(&self, name: &str) -> ApiResult<Option<Vec<(String, String)>>> {
        let Some(part) = self.part(name)? else { return Ok(None) };
        let pair = |(key, value): &(String, Value)| match value {
            Value::Text(text) => Ok((key.clone(), text.clone())),
            _ => Err(wrong(name, "map of texts")),
        };
        part.0.iter().map(pair).collect::<ApiResult<_>>().map(Some)
    }

    pub fn part(&self, name: &str) -> ApiResult<Option<Self>> {
        self.get(name).map(|value| Self::of(value).map_err(|_| wrong(name, "structure"))).transpose()
    }

    pub fn needs_part(&self, name: &str) -> ApiResult<Self> {
        self.part(name)?.ok_or_else(|| missing(name))
    }
}
