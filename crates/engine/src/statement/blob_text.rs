//! Bytes as the text that the catalog keeps of a default: as DuckDB writes them, printable letters as they are and others
//! as `\xNN`.

use std::fmt::Write;

/// The text of some bytes.
pub(super) fn written(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'\'' | b'"') {
            text.push(byte as char);
        } else {
            // Writing into a text cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// The bytes of a text, as digits of 16.
pub(super) fn hex(text: &str) -> String {
    let mut digits = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let escaped = rest.strip_prefix("\\x").and_then(|after| after.get(..2));
        if let Some(pair) = escaped.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit())) {
            digits.push_str(&pair.to_ascii_lowercase());
            rest = &rest[4..];
            continue;
        }
        for byte in rest[..letter.len_utf8()].bytes() {
            let _ = write!(digits, "{byte:02x}");
        }
        rest = &rest[letter.len_utf8()..];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex(&written(&all)), expected);
        assert_eq!(written(b"a'b\\\x00"), "a\\x27b\\x5C\\x00");
        assert_eq!(hex("\\xé"), "5c78c3a9");
    }
}
