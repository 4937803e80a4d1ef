//! Records in blocks: first all places of cells, then column by column, which keeps the inner loops short and alike.

use polder_types::limits::FIELD_BYTES_MAX;

use super::split::{Fault, Field, Scan, Splitter};

/// Records handled at a time, so that their places stay in the cache.
pub(crate) const BLOCK_ROWS: usize = 2048;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub start: usize,
    pub end: usize,
    pub line: u64,
}

/// A record that is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BadRow {
    pub row: Row,
    pub fault: Fault,
}

/// Records of equal width. The fields of row `r` are at `r * width ..`.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub fields: Vec<Field>,
    pub rows: Vec<Row>,
    pub bad: Vec<BadRow>,
}

/// Reads the records of one unit, block by block.
pub(crate) struct Records<'a, S> {
    splitter: &'a S,
    buffer: &'a [u8],
    width: usize,
    at: usize,
    line: u64,
    /// The whole buffer is valid UTF-8, so records need not be looked at.
    valid: bool,
    /// No byte of it is zero.
    zeroless: bool,
}

impl<'a, S: Splitter> Records<'a, S> {
    pub(crate) fn new(splitter: &'a S, buffer: &'a [u8], width: usize, line: u64) -> Self {
        let valid = std::str::from_utf8(buffer).is_ok();
        let zeroless = memchr::memchr(0, buffer).is_none();
        Self { splitter, buffer, width, at: 0, line, valid, zeroless }
    }

    /// Fills `block` anew. False when nothing is left.
    pub(crate) fn next(&mut self, block: &mut Block) -> bool {
        block.fields.clear();
        block.rows.clear();
        block.bad.clear();
        while self.at < self.buffer.len() && block.rows.len() < BLOCK_ROWS {
            let before = block.fields.len();
            let scan = self.splitter.scan(self.buffer, self.at, true, &mut block.fields);
            // At the end of a unit nothing more can come; guard against a splitter that stands still.
            let end = scan.end().unwrap_or(self.buffer.len()).max(self.at + 1);
            let line = self.splitter.line_at(self.buffer, self.at).unwrap_or(self.line);
            let row = Row { start: self.at, end, line };
            let verdict = match scan {
                Scan::Record { .. } => self.judge(row, before, &mut block.fields),
                Scan::Blank { .. } => Verdict::Skip,
                Scan::Broken { fault, .. } => Verdict::Refuse(fault),
                Scan::More => Verdict::Refuse(Fault::RecordTooLong),
            };
            let quoted = block.fields[before..].iter().any(|field| field.quoted);
            self.line += if quoted { self.splitter.lines(&self.buffer[self.at..end]).max(1) } else { 1 };
            self.at = end;
            match verdict {
                Verdict::Keep => block.rows.push(row),
                Verdict::Skip => block.fields.truncate(before),
                Verdict::Refuse(fault) => {
                    block.fields.truncate(before);
                    block.bad.push(BadRow { row, fault });
                }
            }
        }
        !(block.rows.is_empty() && block.bad.is_empty() && self.at >= self.buffer.len())
    }

    fn judge(&self, row: Row, before: usize, fields: &mut Vec<Field>) -> Verdict {
        let mine = &fields[before..];
        let found = mine.len();
        if found != self.width {
            if found == 1 && mine[0].bytes(self.buffer).trim_ascii().is_empty() {
                return Verdict::Skip;
            }
            let extra_empty = self.splitter.tolerates_extra_empty()
                && found > self.width
                && mine[self.width..].iter().all(|field| field.bytes(self.buffer).is_empty());
            if !extra_empty {
                return Verdict::Refuse(Fault::FieldCount { found, expected: self.width });
            }
            fields.truncate(before + self.width);
        }
        let bytes = &self.buffer[row.start..row.end];
        if bytes.len() > FIELD_BYTES_MAX && fields[before..].iter().any(|field| field.len() > FIELD_BYTES_MAX) {
            return Verdict::Refuse(Fault::FieldTooLong);
        }
        if !self.valid && !self.is_text(bytes, &fields[before..]) {
            return Verdict::Refuse(Fault::InvalidEncoding);
        }
        // PostgreSQL's text, and so its clients, know no such letter.
        if !self.zeroless && fields[before..].iter().any(|field| field.bytes(self.buffer).contains(&0)) {
            return Verdict::Refuse(Fault::ZeroByte);
        }
        Verdict::Keep
    }

    /// Of text the whole record is looked at: a byte between its cells may be one of a cell that was taken apart.
    fn is_text(&self, record: &[u8], fields: &[Field]) -> bool {
        if self.splitter.is_framed() {
            return fields.iter().all(|field| std::str::from_utf8(field.bytes(self.buffer)).is_ok());
        }
        std::str::from_utf8(record).is_ok()
    }
}

enum Verdict {
    Keep,
    Skip,
    Refuse(Fault),
}
