//! Text with a separator: comma, tab, semicolon, bar or another.

use polder_capability::LoadOptions;
use polder_types::limits::FIELD_BYTES_MAX;
use polder_types::{Error, Result};

use super::{Content, Format, Opened};
use crate::text::comments;
use crate::text::reader::CellReader;
use crate::text::split::{Fault, Field, Scan, Splitter, cut_at_line, line_end};

/// Stands for "no separator": it occurs in no UTF-8 text.
pub(crate) const NO_DELIMITER: u8 = 0xff;

/// How cells are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// [`NO_DELIMITER`] for text of one column.
    pub delimiter: u8,
    pub quote: Option<u8>,
    /// What makes a quote inside quotes a letter, besides doubling it.
    pub escape: Option<u8>,
    /// `\n`, or `\r` in files that have no other.
    pub newline: u8,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, newline: b'\n' }
    }
}

/// What a scan of one field found.
enum Stop {
    /// Another field begins here.
    Field(usize),
    /// The record ends before here.
    End(usize),
    Broken(Fault),
    More,
}

impl Dialect {
    /// A field that begins with a quote at `open`.
    fn quoted_field(&self, buffer: &[u8], open: usize, quote: u8, last: bool, fields: &mut Vec<Field>) -> Stop {
        let start = open + 1;
        let mut at = start;
        let mut escaped = false;
        let close = loop {
            let rest = &buffer[at.min(buffer.len())..];
            let found = match self.escape {
                Some(escape) => memchr::memchr2(quote, escape, rest),
                None => memchr::memchr(quote, rest),
            };
            let Some(found) = found else {
                return if last {
                    Stop::Broken(Fault::QuoteNeverClosed)
                } else if buffer.len() - start > FIELD_BYTES_MAX {
                    Stop::Broken(Fault::FieldTooLong)
                } else {
                    Stop::More
                };
            };
            let place = at + found;
            if place - start > FIELD_BYTES_MAX {
                return Stop::Broken(Fault::FieldTooLong);
            }
            match buffer.get(place + 1) {
                None if !last => return Stop::More,
                _ if buffer[place] != quote => (),
                Some(next) if *next == quote => (),
                _ => break place,
            }
            escaped = true;
            at = place + 2;
        };
        fields.push(Field::quoted(start, close, escaped));
        self.after_quote(buffer, close + 1, last)
    }

    /// Behind a closing quote only blanks, a separator or the end may come.
    fn after_quote(&self, buffer: &[u8], mut at: usize, last: bool) -> Stop {
        while buffer.get(at) == Some(&b' ') && self.delimiter != b' ' {
            at += 1;
        }
        match buffer.get(at) {
            None if last => Stop::End(at),
            None => Stop::More,
            Some(next) if *next == self.delimiter => Stop::Field(at + 1),
            Some(next) if *next == self.newline => Stop::End(at + 1),
            Some(b'\r') => match buffer.get(at + 1) {
                None if last => Stop::End(at + 1),
                None => Stop::More,
                Some(b'\n') => Stop::End(at + 2),
                Some(_) => Stop::Broken(Fault::TextAfterQuote),
            },
            Some(_) => Stop::Broken(Fault::TextAfterQuote),
        }
    }

    #[inline]
    fn plain_field(&self, buffer: &[u8], start: usize, last: bool, fields: &mut Vec<Field>) -> Stop {
        let (delimiter, newline) = (self.delimiter, self.newline);
        let rest = &buffer[start..];
        let Some(found) = rest.iter().position(|byte| *byte == delimiter || *byte == newline) else {
            if !last {
                return Stop::More;
            }
            fields.push(Field::plain(start, self.without_return(buffer, start, buffer.len())));
            return Stop::End(buffer.len());
        };
        let end = start + found;
        if rest[found] == delimiter {
            fields.push(Field::plain(start, end));
            return Stop::Field(end + 1);
        }
        fields.push(Field::plain(start, self.without_return(buffer, start, end)));
        Stop::End(end + 1)
    }

    #[inline]
    fn without_return(&self, buffer: &[u8], start: usize, end: usize) -> usize {
        if self.newline == b'\n' && end > start && buffer[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Where a quoted field begins, if one does: at once, or after blanks.
    #[inline]
    fn opening(&self, buffer: &[u8], at: usize) -> Option<(usize, u8)> {
        let quote = self.quote?;
        match buffer.get(at) {
            Some(first) if *first == quote => Some((at, quote)),
            Some(b' ') if self.delimiter != b' ' => {
                let blanks = buffer[at..].iter().take_while(|byte| **byte == b' ').count();
                (buffer.get(at + blanks) == Some(&quote)).then_some((at + blanks, quote))
            }
            _ => None,
        }
    }
}

impl Splitter for Dialect {
    #[inline]
    fn scan(&self, buffer: &[u8], at: usize, last: bool, fields: &mut Vec<Field>) -> Scan {
        match buffer.get(at) {
            Some(first) if *first == self.newline => return Scan::Blank { end: at + 1 },
            Some(b'\r') if buffer.get(at + 1) == Some(&b'\n') => return Scan::Blank { end: at + 2 },
            _ => {}
        }
        let mut start = at;
        loop {
            let stop = match self.opening(buffer, start) {
                Some((open, quote)) => self.quoted_field(buffer, open, quote, last, fields),
                None => self.plain_field(buffer, start, last, fields),
            };
            match stop {
                Stop::Field(next) => start = next,
                Stop::End(end) => return Scan::Record { end },
                Stop::More => return Scan::More,
                // Only the line where the trouble begins is given up: a stray quote must not swallow the file.
                Stop::Broken(fault) => {
                    return match line_end(buffer, at, last, self.newline) {
                        Some((_, end)) => Scan::Broken { end, fault },
                        None => Scan::More,
                    };
                }
            }
        }
    }

    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        let Some(quote) = self.quote else { return cut_at_line(buffer, least, last, self.newline) };
        let mut fields = Vec::new();
        // Always at the beginning of a record.
        let mut at = 0;
        while at < least {
            let Some(found) = memchr::memchr(quote, &buffer[at..]) else {
                return cut_at_line(buffer, least, last, self.newline);
            };
            let place = at + found;
            if place > least
                && let Some(end) = cut_at_line(&buffer[..place], least, false, self.newline)
            {
                return Some(end);
            }
            // Lines before the one with the quote are records, each of them.
            let record = memchr::memrchr(self.newline, &buffer[at..place]).map_or(at, |newline| at + newline + 1);
            fields.clear();
            at = self.scan(buffer, record, last, &mut fields).end()?;
        }
        Some(at)
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        memchr::memchr_iter(self.newline, bytes).count() as u64
    }

    fn unescape(&self, raw: &[u8], text: &mut Vec<u8>) {
        let mut bytes = raw.iter().copied();
        while let Some(byte) = bytes.next() {
            let escapes = Some(byte) == self.quote || Some(byte) == self.escape;
            text.push(if escapes { bytes.next().unwrap_or(byte) } else { byte });
        }
    }
}

/// One byte of a user's choice.
pub(super) fn one_byte(what: &str, letter: Option<char>) -> Result<Option<u8>> {
    letter
        .map(|letter| {
            u8::try_from(letter).ok().filter(u8::is_ascii).ok_or_else(|| {
                Error::unsupported(format!("{what} {letter:?} is no ASCII letter")).with_hint("convert the file first")
            })
        })
        .transpose()
}

fn sniff(content: &Content<'_>) -> Result<Option<Dialect>> {
    let delimiter = one_byte("separator", content.options.delimiter)?;
    let quote = one_byte("quote", content.options.quote)?;
    if delimiter.is_some() && delimiter == quote {
        return Err(Error::invalid("separator and quote are the same letter"));
    }
    let delimiter = delimiter.or_else(|| comments::separator(content.head).map(|(separator, _)| separator));
    let text = &content.head[comments::end(content.head)..];
    Ok(super::dialect::find(text, content.is_whole(), delimiter, quote))
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let sniffed = sniff(content)?;
    let sure = sniffed.is_some();
    let quote = one_byte("quote", content.options.quote)?;
    let dialect = sniffed.unwrap_or_else(|| super::dialect::one_column(content.head, quote));
    let (layout, comment) = comments::layout(&dialect, content.sample())?;
    let mut remarks: Vec<String> = comment.into_iter().collect();
    remarks.extend(layout.remark("line"));
    if !sure {
        remarks.push("no separator was found, so each line is one cell".into());
    }
    // Names that commas separate stand above cells that commas separate.
    let comma_is_free = dialect.delimiter != b',' && (sure || !layout.columns.iter().any(|name| name.contains(',')));
    let options = LoadOptions {
        delimiter: (dialect.delimiter != NO_DELIMITER).then_some(char::from(dialect.delimiter)),
        quote: dialect.quote.map(char::from),
        header: Some(layout.header),
        ..content.found(FORMAT.name)
    };
    let reader =
        CellReader::new(dialect, content.label, content.body.clone(), layout, content.options.nulls.as_deref());
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: FORMAT.name,
        reader: Box::new(reader.with_free_comma(comma_is_free)),
        options,
        remarks,
        sure: sure || is_called_table(content.name),
        section: String::new(),
    }])
}

/// Somebody has called it a table, so one column is what it has.
fn is_called_table(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["csv", "tsv", "psv", "tab"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

pub(crate) const FORMAT: Format = Format {
    name: "csv",
    aliases: &["tsv", "psv", "text"],
    is_text: true,
    options: &["delimiter", "quote", "header", "encoding", "nulls"],
    recognise: |content| sniff(content).is_ok_and(|dialect| dialect.is_some()),
    open,
};
