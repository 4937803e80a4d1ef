//! Bytes as texts and as JSON, without a tree where that can be told quickly.

use jiter::Jiter;

use super::Json;

/// Bytes that are a text, as texts of PostgreSQL are: UTF-8 without zeros.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none())
}

/// Whether a text is JSON that the functions of `jsonb` read.
#[must_use]
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
#[must_use]
pub fn quoted(text: &str) -> String {
    Json::Text(text.to_owned()).to_string()
}

/// Bytes as JSON: what they are if they are JSON, or else a JSON string of their text; `None` for bytes that are no text.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(json) if is_json(json) => Some(json.to_owned()),
        _ => text(bytes).map(quoted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn bytes_are_json_or_the_text_that_they_are() {
        assert_eq!(of_bytes(b"{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(of_bytes(b"say \"no\"").as_deref(), Some("\"say \\\"no\\\"\""));
        assert_eq!(of_bytes(b"\"\\u0000\"").as_deref(), Some("\"\\\"\\\\u0000\\\"\""));
        assert_eq!((of_bytes(b"\xff"), of_bytes(b"a\0b")), (None, None));
    }
}
