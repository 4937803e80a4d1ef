//! JSON as PostgreSQL's `jsonb` has it: keys sorted by length, the last of equal keys, numbers with all their digits.

pub mod arrays;
pub mod bytes;
pub mod normal;
mod order;

use std::cmp::Ordering;
use std::fmt::Write;

use polder_types::{Error, Result};

/// Arrays and objects inside of one another.
const DEPTH_MAX: usize = 500;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// Its digits, without an exponent where that is short.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    /// Sorted, each key once.
    Object(Vec<(String, Json)>),
}

/// The error of what is no JSON.
#[must_use]
pub fn wrong(text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    refuse("22P02", format!("invalid input syntax for type json: {shown:?}"))
}

fn refuse(code: &'static str, message: impl Into<String>) -> Error {
    Error::invalid(message).with_code(code)
}

/// How `jsonb` orders keys: shorter ones first.
fn key_order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Json {
    /// # Errors
    /// 22P02 for what is no JSON.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.blanks();
        if parser.at < text.len() { Err(wrong(text)) } else { Ok(value) }
    }

    /// An object of its entries, in any order.
    #[must_use]
    pub fn object(mut entries: Vec<(String, Json)>) -> Self {
        // Of equal keys the last one stays.
        entries.reverse();
        entries.sort_by(|left, right| key_order(&left.0, &right.0));
        entries.dedup_by(|left, right| left.0 == right.0);
        Self::Object(entries)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(entries) => {
                entries.binary_search_by(|(name, _)| key_order(name, key)).ok().map(|at| &entries[at].1)
            }
            _ => None,
        }
    }

    /// An element; negative numbers count from the end.
    #[must_use]
    pub fn element(&self, index: i64) -> Option<&Json> {
        let Self::Array(items) = self else { return None };
        place(index, items.len()).map(|at| &items[at])
    }

    /// One step of a path: a key, or an index.
    #[must_use]
    pub fn step(&self, step: &str) -> Option<&Json> {
        match self {
            Self::Object(_) => self.get(step),
            Self::Array(_) => self.element(step.trim().parse().ok()?),
            _ => None,
        }
    }

    /// What `jsonb_typeof` calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The text of a text, the JSON of anything else; none of null.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// True when this has all of that, as `@>` means it.
    #[must_use]
    pub fn contains(&self, that: &Json) -> bool {
        match (self, that) {
            (Self::Object(_), Self::Object(wanted)) => {
                wanted.iter().all(|(key, value)| self.get(key).is_some_and(|own| own.contains(value)))
            }
            (Self::Array(items), Self::Array(wanted)) => {
                wanted.iter().all(|value| items.iter().any(|own| own.contains(value)))
            }
            // An array may contain a plain value.
            (Self::Array(items), plain) if !matches!(plain, Self::Object(_)) => {
                items.iter().any(|own| !matches!(own, Self::Array(_)) && own.equals(plain))
            }
            (left, right) => left.equals(right),
        }
    }

    /// Whether both are the same value; `1.0` is `1`.
    #[must_use]
    pub fn equals(&self, that: &Json) -> bool {
        match (self, that) {
            (Self::Number(left), Self::Number(right)) => bare(left) == bare(right),
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Object(left), Self::Object(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| left.0 == right.0 && left.1.equals(&right.1))
            }
            (left, right) => left == right,
        }
    }

    /// Over several lines, indented by four.
    pub fn pretty(&self, indent: usize, out: &mut String) {
        let pad = |out: &mut String, indent: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * 4));
        };
        match self {
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    pad(out, indent + 1);
                    item.pretty(indent + 1, out);
                }
                pad(out, indent);
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    pad(out, indent + 1);
                    let _ = write!(out, "{}: ", quoted(key));
                    value.pretty(indent + 1, out);
                }
                pad(out, indent);
                out.push('}');
            }
            other => {
                let _ = write!(out, "{other}");
            }
        }
    }
}

/// Where an index lies; negative ones count from the end.
#[must_use]
pub fn place(index: i64, length: usize) -> Option<usize> {
    let at = if index < 0 { index.saturating_add(length as i64) } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// A number without zeros at its end.
fn bare(digits: &str) -> String {
    let text = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if text == "-0" { "0".into() } else { text.to_owned() }
}

/// A text as JSON writes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at > 0 { ", " } else { "" })?;
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if at > 0 { ", " } else { "" })?;
                    write!(f, "{}: {value}", quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self) -> Error {
        wrong(self.text)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        self.blanks();
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH_MAX {
            return Err(refuse("54001", "the JSON nests too deeply"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.error())
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(entries));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error());
            }
            let key = self.string()?;
            self.expect(b':')?;
            entries.push((key, self.value(depth + 1)?));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}')?;
                    return Ok(Json::object(entries));
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']')?;
                    return Ok(Json::Array(items));
                }
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop =
                rest.find(|letter: char| matches!(letter, '"' | '\\') || letter < ' ').ok_or_else(|| self.error())?;
            out.push_str(&rest[..stop]);
            self.at += stop + 1;
            match rest.as_bytes()[stop] {
                b'"' => return Ok(out),
                b'\\' => {
                    let letter = self.peek().ok_or_else(|| self.error())?;
                    self.at += 1;
                    out.push(match letter {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode()?,
                        _ => return Err(self.error()),
                    });
                }
                _ => return Err(self.error()),
            }
        }
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or_else(|| self.error())?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.error())
    }

    fn unicode(&mut self) -> Result<char> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.text[self.at..].starts_with("\\u") {
                return Err(self.error());
            }
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error());
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        if code == 0 {
            return Err(refuse("22P05", "\\u0000 cannot be converted to text"));
        }
        char::from_u32(code).ok_or_else(|| self.error())
    }

    fn number(&mut self) -> Result<Json> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while parser.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                parser.at += 1;
            }
            parser.at - from
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let whole = digits(self);
        if whole == 0 || (zero && whole > 1) {
            return Err(self.error());
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return Err(self.error());
            }
        }
        let mantissa = &self.text[start..self.at];
        if !matches!(self.peek(), Some(b'e' | b'E')) {
            return Ok(Json::Number(mantissa.to_owned()));
        }
        self.at += 1;
        let from = self.at;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        if digits(self) == 0 {
            return Err(self.error());
        }
        let exponent: i32 = self.text[from..self.at].parse().map_err(|_| self.error())?;
        Ok(Json::Number(plain(mantissa, exponent).ok_or_else(|| refuse("22003", "a number in JSON is out of range"))?))
    }
}

/// A number without its exponent.
fn plain(mantissa: &str, exponent: i32) -> Option<String> {
    if exponent.abs() > 1_000 {
        return None;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let text = if point <= 0 {
        format!("0.{}{digits}", "0".repeat((-point) as usize))
    } else if point as usize >= digits.len() {
        format!("{digits}{}", "0".repeat(point as usize - digits.len()))
    } else {
        format!("{}.{}", &digits[..point as usize], &digits[point as usize..])
    };
    let stripped = text.trim_start_matches('0');
    let text =
        if stripped.is_empty() || stripped.starts_with('.') { format!("0{stripped}") } else { stripped.to_owned() };
    Some(format!("{sign}{text}"))
}
