//! Where one JSON value ends and the next begins, without reading what is in them.

use memchr::memchr;

/// How the values of a file follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One a line; a broken line breaks only itself.
    Lines,
    /// One after the other, over as many lines as they like.
    Stream,
    /// The elements of one array.
    Array,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A value in `start..end`, which nests `depth` deep.
    Value { start: usize, end: usize, depth: usize },
    /// Something that is none, up to `end`.
    Broken { start: usize, end: usize },
    /// Nothing but blanks and commas up to the buffer's end.
    Nothing,
    /// The buffer ends inside a value.
    More,
}

/// Tells whether text that begins with a bracket is JSON, and how its values follow each other.
pub(crate) fn style(sample: &[u8]) -> Option<Style> {
    let start = sample.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let text = &sample[start..];
    let next = text.iter().skip(1).find(|byte| !byte.is_ascii_whitespace());
    match (text[0], next) {
        (b'[', Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) => {}
        (b'{', Some(b'"' | b'}')) => {}
        _ => return None,
    }
    let line_end = memchr(b'\n', text).unwrap_or(text.len());
    let (line, rest) = text.split_at(line_end);
    let whole_line = matches!(value(line, 0, true), Found::Value { end, .. } if line[end..].trim_ascii().is_empty());
    Some(match text[0] {
        // A first line that is no whole value is either broken or the first of several.
        b'{' if whole_line || starts_record(rest) => Style::Lines,
        b'{' => Style::Stream,
        // `[1,2]` alone is an array of two; with another below it, each is a row.
        _ if whole_line && starts_record(rest) => Style::Lines,
        _ => Style::Array,
    })
}

/// True if the next line begins with a bracket at its very beginning.
fn starts_record(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    matches!(rest.first(), Some(b'{' | b'['))
}

/// The value at or behind `at`; commas between values mean nothing here.
pub(crate) fn value(buffer: &[u8], at: usize, last: bool) -> Found {
    let skip = buffer[at..].iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b',');
    let Some(start) = skip.map(|skip| at + skip) else { return Found::Nothing };
    match buffer[start] {
        b'{' | b'[' => nested(buffer, start, last),
        b'"' => match string_end(buffer, start + 1) {
            Some(end) => Found::Value { start, end, depth: 0 },
            None if last => Found::Broken { start, end: buffer.len() },
            None => Found::More,
        },
        _ => scalar(buffer, start, last),
    }
}

/// Numbers, words, and whatever else is no bracket and no string.
fn scalar(buffer: &[u8], start: usize, last: bool) -> Found {
    let len = buffer[start..]
        .iter()
        .skip(1)
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}' | b'{' | b'['));
    let end = match len {
        Some(len) => start + 1 + len,
        None if last => buffer.len(),
        None => return Found::More,
    };
    let is_value = matches!(buffer[start], b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
    if is_value { Found::Value { start, end, depth: 0 } } else { Found::Broken { start, end } }
}

fn nested(buffer: &[u8], start: usize, last: bool) -> Found {
    let (mut open, mut depth, mut at) = (0_usize, 0_usize, start);
    while let Some(byte) = buffer.get(at) {
        match byte {
            b'"' => match string_end(buffer, at + 1) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => break,
            },
            b'{' | b'[' => {
                open += 1;
                depth = depth.max(open);
            }
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Found::Value { start, end: at + 1, depth };
                }
            }
            _ => {}
        }
        at += 1;
    }
    if last { Found::Broken { start, end: buffer.len() } } else { Found::More }
}

/// Behind the closing quote of a string whose text begins at `at`.
fn string_end(buffer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', buffer.get(at..)?)?;
        if buffer[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}
