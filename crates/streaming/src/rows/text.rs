//! Bytes as text and JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiter::Jiter;
use polder_kernels::json::Json;
use polder_topic_log::format::Headers;
use polder_types::Result;

/// Bytes that are a text, as texts of PostgreSQL are: UTF-8 without zeros.
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none())
}

/// Whether a text is JSON that the functions of `jsonb` read.
pub fn is_json(text: &str) -> bool {
    let mut reader = Jiter::new(text.as_bytes());
    // What is quick takes most of what these functions take, and with two exceptions nothing else.
    let quick = reader.next_skip().is_ok() && reader.finish().is_ok();
    if quick && !has_large_exponent(text.as_bytes()) && memchr::memmem::find(text.as_bytes(), b"\\u0000").is_none() {
        return true;
    }
    Json::parse(text).is_ok()
}

/// Whether something like `1e1000` is in there, inside of a text or not.
fn has_large_exponent(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'e', b'E', text).any(|at| {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        if !before.is_some_and(u8::is_ascii_digit) {
            return false;
        }
        let behind = text.get(at + 1..).unwrap_or_default();
        let digits = behind.strip_prefix(b"-").or_else(|| behind.strip_prefix(b"+")).unwrap_or(behind);
        digits.iter().take(4).filter(|byte| byte.is_ascii_digit()).count() == 4
    })
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    Json::Text(text.to_owned()).to_string()
}

/// Headers as a JSON object.
///
/// # Errors
/// `Corrupt`.
pub fn headers(headers: Headers<'_>) -> Result<String> {
    let mut named: BTreeMap<&[u8], Vec<Json>> = BTreeMap::new();
    for header in headers.to_vec()? {
        let value = header.value.map_or(Json::Null, |value| Json::Text(text_or_hex(value)));
        named.entry(header.name.as_bytes()).or_default().push(value);
    }
    let entries = named.into_iter().map(|(name, mut values)| {
        let value = match values.pop() {
            Some(only) if values.is_empty() => only,
            last => Json::Array(values.into_iter().chain(last).collect()),
        };
        (text_or_hex(name), value)
    });
    Ok(Json::object(entries.collect()).to_string())
}

fn text_or_hex(bytes: &[u8]) -> String {
    text(bytes).map_or_else(
        || {
            bytes.iter().fold("\\x".to_owned(), |mut to, byte| {
                // A string takes all that is written.
                let _ = write!(to, "{byte:02x}");
                to
            })
        },
        str::to_owned,
    )
}

/// The text that a key of JSON stands for: of a string its text, of anything else the JSON.
pub fn key_of_json(json: String) -> String {
    match json.starts_with('"').then(|| Json::parse(&json)) {
        Some(Ok(Json::Text(text))) => text,
        _ => json,
    }
}

#[cfg(test)]
mod tests {
    use polder_kernels::json::Json;

    use super::is_json;

    #[test]
    fn what_is_json_is_what_the_functions_read() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let fixed = [
            "",
            " ",
            "1",
            "-0",
            "01",
            "1.",
            ".5",
            "1e5",
            "1E+5",
            "1e1000",
            "1e1001",
            "-1.5e-2000",
            "{\"a\": 1e99999}",
            "1e0005",
            "[\"1e5000\"]",
            "NaN",
            "Infinity",
            "-Infinity",
            "null",
            "nul",
            "true false",
            "[1,]",
            "{\"a\":}",
            "{a:1}",
            "\"",
            "\"\t\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\u0000\"",
            "\"\\\\u0000\"",
            "\"ä\"",
            "{} x",
            "\u{feff}1",
            "{\"a\":1,\"a\":2}",
            "'a'",
            "/**/1",
            "12345678901234567890123456789012345678901234567890",
            "\"\u{7f}\"",
        ];
        let others = [deep(100), deep(300), deep(501), deep(502), deep(100_000), format!("1{}", "0".repeat(5_000))];
        for text in fixed.iter().map(|text| (*text).to_owned()).chain(others) {
            let shown: String = text.chars().take(60).collect();
            assert_eq!(is_json(&text), Json::parse(&text).is_ok(), "{shown}");
        }
        // Every way to break one.
        let sound = r#"{"a": [1, -2.5e3, "x\n\u00e4"], "b": {"c": null, "d": true}}"#;
        for at in 0..sound.len() {
            for letter in ["", "\"", "\\", "}", ",", "0", "e", "\u{1}"] {
                let broken = format!("{}{letter}{}", &sound[..at], &sound[at + 1..]);
                assert_eq!(is_json(&broken), Json::parse(&broken).is_ok(), "{broken}");
            }
        }
    }
}
