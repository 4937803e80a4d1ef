//! The order of `jsonb`: objects after arrays, then booleans, numbers, texts and null; the longer after the shorter, and
//! then element by element.

use super::Json;

/// An empty array that is not within another value: PostgreSQL has it before all others.
const NOTHING: u8 = 0;
const NULL: u8 = 1;
const TEXT: u8 = 2;
const NUMBER: u8 = 3;
const BOOL: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;

/// Behind a text or the digits of a number: less than all that may stand in them.
const END: u8 = 0;

impl Json {
    /// Bytes that are in the order of the values, and the same for equal ones: those of 1 are those of 1.0.
    #[must_use]
    pub fn sort_key(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Array(items) if items.is_empty() => out.push(NOTHING),
            other => write(other, &mut out),
        }
        out
    }
}

fn write(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => out.push(NULL),
        Json::Bool(value) => out.extend([BOOL, u8::from(*value)]),
        Json::Number(digits) => {
            out.push(NUMBER);
            write_number(digits, out);
        }
        Json::Text(text) => {
            out.push(TEXT);
            write_text(text, out);
        }
        Json::Array(items) => {
            out.push(ARRAY);
            out.extend((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Json::Object(entries) => {
            out.push(OBJECT);
            out.extend((entries.len() as u64).to_be_bytes());
            for (key, value) in entries {
                write_text(key, out);
                write(value, out);
            }
        }
    }
}

/// No text in JSON has a zero byte.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(END);
}

/// The sign, the place of the point before the first digit that is not zero, and the digits from that on; all of it turned
/// round for a negative number.
fn write_number(digits: &str, out: &mut Vec<u8>) {
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let leading = fraction.len() - fraction.trim_start_matches('0').len();
    let point = if whole.is_empty() { -(leading as i64) } else { whole.len() as i64 };
    let all = format!("{whole}{fraction}");
    let significant = all.trim_matches('0');
    if significant.is_empty() {
        out.push(ZERO);
        return;
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let turned = if negative { u8::MAX } else { 0 };
    // With the sign bit turned, negative places come before the others.
    let place = (point as u64) ^ (1 << 63);
    out.extend(place.to_be_bytes().map(|byte| byte ^ turned));
    out.extend(significant.bytes().chain([END]).map(|byte| byte ^ turned));
}

#[cfg(test)]
mod tests;
