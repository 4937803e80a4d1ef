//! Bytes as texts and as JSON.

use std::borrow::Cow;

use super::Json;
use super::normal::normal;

/// Bytes that are a text, as texts of PostgreSQL are: UTF-8 without zeros.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none())
}

/// A text as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> String {
    Json::Text(text.to_owned()).to_string()
}

/// Bytes as JSON in the form of `jsonb`: what they are if they are JSON, or else a JSON string of their text; `None` for bytes
/// that are no text.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let json = std::str::from_utf8(bytes).ok().and_then(normal);
    json.or_else(|| text(bytes).map(|text| Cow::Owned(quoted(text))))
}

/// The same as it is spelled.
#[must_use]
pub fn spelled_of_bytes(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let spelled = std::str::from_utf8(bytes).ok();
    let json = spelled.filter(|text| normal(text).is_some()).map(Cow::Borrowed);
    json.or_else(|| text(bytes).map(|text| Cow::Owned(quoted(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_json_or_the_text_that_they_are() {
        assert_eq!(of_bytes(b"{\"b\":1,\"a\":1}").as_deref(), Some("{\"a\": 1, \"b\": 1}"));
        assert_eq!(spelled_of_bytes(b"{\"b\":1,\"a\":1}").as_deref(), Some("{\"b\":1,\"a\":1}"));
        assert_eq!(spelled_of_bytes(b"no"), of_bytes(b"no"));
        assert_eq!(of_bytes(b"say \"no\"").as_deref(), Some("\"say \\\"no\\\"\""));
        assert_eq!(of_bytes(b"\"\\u0000\"").as_deref(), Some("\"\\\"\\\\u0000\\\"\""));
        assert_eq!((of_bytes(b"\xff"), of_bytes(b"a\0b")), (None, None));
    }
}
