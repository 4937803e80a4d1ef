//! Lines of a copy in text or CSV, and their fields.

use polder_types::{Error, Result};

use crate::sql::copy_options::{CopyFormat, CopyOptions};

/// One field as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Null,
    Text(Vec<u8>),
}

/// What lines end with. The first one says it for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eol {
    Newline,
    Return,
    Both,
}

/// Finds where lines end, over pieces that come one after the other.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    /// Bytes of the current line that have been looked at.
    seen: usize,
    in_quotes: bool,
    eol: Option<Eol>,
}

impl LineEnds {
    /// The length of the first line without its end, and of its end; `None` while it is not all there. `is_last`: nothing
    /// follows what is in the buffer.
    ///
    /// # Errors
    /// `InvalidInput` (22P04) for a line that ends as the first one does not.
    pub(crate) fn next(
        &mut self,
        buffer: &[u8],
        options: &CopyOptions,
        is_last: bool,
    ) -> Result<Option<(usize, usize)>> {
        let csv = options.format == CopyFormat::Csv;
        let mut at = self.seen;
        while let Some(byte) = buffer.get(at).copied() {
            let escapes = match csv {
                true => self.in_quotes && byte == options.escape && options.escape != options.quote,
                false => byte == b'\\',
            };
            if escapes {
                if at + 1 >= buffer.len() {
                    break;
                }
                at += 2;
                continue;
            }
            if csv && byte == options.quote {
                self.in_quotes = !self.in_quotes;
            } else if matches!(byte, b'\n' | b'\r') && !self.in_quotes {
                let next = buffer.get(at + 1).copied();
                if byte == b'\r' && next.is_none() && !is_last && self.eol != Some(Eol::Return) {
                    // What comes next says what this is.
                    break;
                }
                let eol = match (byte, next) {
                    (b'\n', _) => Eol::Newline,
                    (_, Some(b'\n')) if self.eol != Some(Eol::Return) => Eol::Both,
                    _ => Eol::Return,
                };
                if self.eol.is_some_and(|known| known != eol) {
                    return Err(stray(byte, csv));
                }
                *self = Self { eol: Some(eol), ..Self::default() };
                return Ok(Some((at, if eol == Eol::Both { 2 } else { 1 })));
            }
            at += 1;
        }
        self.seen = at.min(buffer.len());
        Ok(None)
    }

    /// How many lines of the file a row goes over beyond its first, as PostgreSQL counts them: by the ends that the lines
    /// before it have.
    pub(crate) fn inside(&self, row: &[u8], is_first: bool) -> u64 {
        let end = if self.eol == Some(Eol::Newline) && !is_first { b'\n' } else { b'\r' };
        row.iter().map(|byte| u64::from(*byte == end)).sum()
    }

    /// Whether the last line is inside of quotes that were never closed.
    pub(crate) fn is_open(&self) -> bool {
        self.in_quotes
    }
}

fn stray(byte: u8, csv: bool) -> Error {
    let (kind, name) =
        (if csv { "unquoted" } else { "literal" }, if byte == b'\n' { "newline" } else { "carriage return" });
    let letter = if byte == b'\n' { 'n' } else { 'r' };
    let hint = match csv {
        true => format!("use quoted CSV fields to represent a {name}"),
        false => format!("use \"\\{letter}\" to represent a {name}"),
    };
    Error::invalid(format!("{kind} {name} found in data")).with_code("22P04").with_hint(hint)
}

/// The fields of a line in the text format.
pub(crate) fn text_fields(line: &[u8], options: &CopyOptions) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at <= line.len() {
        match line.get(at) {
            Some(b'\\') => {
                at += 2;
                continue;
            }
            Some(byte) if *byte != options.delimiter => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let raw = line.get(start..at.min(line.len())).unwrap_or_default();
        fields.push(if raw == options.null.as_bytes() { Field::Null } else { Field::Text(unescaped(raw)) });
        at += 1;
        start = at;
    }
    // A backslash at the very end has nothing behind it.
    if start < line.len() {
        let raw = line.get(start..).unwrap_or_default();
        fields.push(Field::Text(unescaped(raw)));
    }
    fields
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    if !raw.contains(&b'\\') {
        return raw.to_vec();
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0c),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(0x0b),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(next) = bytes.next_if(|next| (b'0'..=b'7').contains(next)) else { break };
                    value = value * 8 + u32::from(next - b'0');
                }
                out.push((value & 0xff) as u8);
            }
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(next) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                    value = value * 16 + char::from(next).to_digit(16).unwrap_or(0);
                }
                out.push((value & 0xff) as u8);
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out
}

/// The fields of a line of CSV. `is_null` says by the column's place whether a text, quoted or not, is a missing value.
///
/// # Errors
/// `InvalidInput` (22P04) for a quote that is not closed.
pub(crate) fn csv_fields(
    line: &[u8],
    options: &CopyOptions,
    is_null: impl Fn(usize, &[u8], bool) -> bool,
) -> Result<Vec<Field>> {
    let (delimiter, quote, escape) = (options.delimiter, options.quote, options.escape);
    let mut fields = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        let (mut text, mut quoted, mut inside) = (Vec::new(), false, false);
        let ended = loop {
            let Some(byte) = bytes.next() else { break true };
            if inside {
                let next = bytes.peek().copied();
                if byte == escape && (next == Some(quote) || (next == Some(escape) && escape != quote)) {
                    text.extend(bytes.next());
                } else if byte == quote {
                    inside = false;
                } else {
                    text.push(byte);
                }
            } else if byte == delimiter {
                break false;
            } else if byte == quote {
                (quoted, inside) = (true, true);
            } else {
                text.push(byte);
            }
        };
        if inside {
            return Err(Error::invalid("unterminated CSV quoted field").with_code("22P04"));
        }
        fields.push(if is_null(fields.len(), &text, quoted) { Field::Null } else { Field::Text(text) });
        if ended {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests;
