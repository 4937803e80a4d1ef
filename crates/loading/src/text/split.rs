//! From bytes to records of cells. Each format brings a [`Splitter`]; all else is shared.

use polder_types::limits::FIELD_BYTES_MAX;

use crate::names::counted;

/// The longest record: a few of the longest fields. Past it the line is refused unread.
pub(crate) const RECORD_BYTES_MAX: usize = 2 * FIELD_BYTES_MAX;

/// A cell's place in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Field {
    pub start: u32,
    pub end: u32,
    /// It stood in quotes.
    pub quoted: bool,
    /// It holds escapes that must be undone.
    pub escaped: bool,
}

impl Field {
    /// `start` and `end` are below 4 GiB, as all buffers are.
    #[inline]
    pub(crate) fn plain(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end), quoted: false, escaped: false }
    }

    #[inline]
    pub(crate) fn quoted(start: usize, end: usize, escaped: bool) -> Self {
        Self { start: narrow(start), end: narrow(end), quoted: true, escaped }
    }

    #[inline]
    pub(crate) fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

#[allow(clippy::cast_possible_truncation, reason = "no buffer is longer than RECORD_BYTES_MAX and a window")]
#[inline]
fn narrow(place: usize) -> u32 {
    place as u32
}

/// Why a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    QuoteNeverClosed,
    TextAfterQuote,
    FieldTooLong,
    RecordTooLong,
    InvalidEncoding,
    ZeroByte,
    FieldCount { found: usize, expected: usize },
    NotThisFormat(&'static str),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::QuoteNeverClosed => write!(f, "a quote is never closed"),
            Self::TextAfterQuote => write!(f, "text after a closing quote"),
            Self::FieldTooLong => write!(f, "a field is longer than {FIELD_BYTES_MAX} bytes"),
            Self::RecordTooLong => write!(f, "the row is longer than {RECORD_BYTES_MAX} bytes"),
            Self::InvalidEncoding => write!(f, "invalid bytes for the encoding"),
            Self::ZeroByte => write!(f, "a byte that is zero, which no text can hold"),
            Self::FieldCount { found, expected } => {
                write!(f, "{} instead of {expected}", counted(*found as u64, "field"))
            }
            Self::NotThisFormat(what) => write!(f, "{what}"),
        }
    }
}

/// What stands at a place. `end` is behind the record's line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    Record {
        end: usize,
    },
    /// A line without anything on it.
    Blank {
        end: usize,
    },
    /// One line that is no record; reading goes on behind it.
    Broken {
        end: usize,
        fault: Fault,
    },
    /// The buffer ends inside the record, and the file goes on.
    More,
}

impl Scan {
    pub(crate) fn end(self) -> Option<usize> {
        match self {
            Self::Record { end } | Self::Blank { end } | Self::Broken { end, .. } => Some(end),
            Self::More => None,
        }
    }
}

/// How a format's bytes fall into records and cells.
///
/// Whatever follows a record in the buffer, `scan` must find the same end for it: threads begin at places that another
/// thread's scan has found.
pub(crate) trait Splitter: Send + Sync {
    /// Appends the fields of the record at `at`. `last`: nothing comes after the buffer.
    fn scan(&self, buffer: &[u8], at: usize, last: bool, fields: &mut Vec<Field>) -> Scan;

    /// The first end of a record at or behind `least`, when the buffer begins with a record.
    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize>;

    /// Lines that these bytes take.
    fn lines(&self, bytes: &[u8]) -> u64 {
        memchr::memchr_iter(b'\n', bytes).count() as u64
    }

    /// The line of the record at `at`, if the format numbers its records itself.
    fn line_at(&self, _buffer: &[u8], _at: usize) -> Option<u64> {
        None
    }

    /// Undoes the escapes of a field.
    fn unescape(&self, _raw: &[u8], _text: &mut Vec<u8>) {}

    /// Lengths and numbers stand between the cells: only the cells are text.
    fn is_framed(&self) -> bool {
        false
    }

    /// Rows may end in empty cells that have no column.
    fn tolerates_extra_empty(&self) -> bool {
        true
    }
}

/// The first end of a line at or behind `least`.
pub(crate) fn cut_at_line(buffer: &[u8], least: usize, last: bool, newline: u8) -> Option<usize> {
    let from = least.saturating_sub(1).min(buffer.len());
    match memchr::memchr(newline, &buffer[from..]) {
        Some(found) => Some(from + found + 1),
        None => last.then_some(buffer.len()),
    }
}

/// Where the line at `at` ends: its text's end, and the next line's beginning. `None`: not in this buffer.
#[inline]
pub(crate) fn line_end(buffer: &[u8], at: usize, last: bool, newline: u8) -> Option<(usize, usize)> {
    let (end, next) = match memchr::memchr(newline, buffer.get(at..)?) {
        Some(found) => (at + found, at + found + 1),
        None if last => (buffer.len(), buffer.len()),
        None => return None,
    };
    let end = if newline == b'\n' && end > at && buffer[end - 1] == b'\r' { end - 1 } else { end };
    Some((end, next))
}
