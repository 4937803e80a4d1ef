//! Web servers' access logs: the common log format, and the combined one with referrer and user agent.
//!
//! `host identity user [time] "request" status bytes "referrer" "user agent"`
//! (Apache HTTP Server, "Log Files", Common and Combined Log Format).

use polder_types::Result;

use super::{Content, Format, Opened};
use crate::infer::types;
use crate::text::layout::Layout;
use crate::text::reader::CellReader;
use crate::text::split::{Fault, Field, Scan, Splitter, cut_at_line, line_end};

/// The columns, and the SQL types that they have even when a whole log shows none.
pub(crate) const COLUMNS: [(&str, &str); 11] = [
    ("remote_host", "text"),
    ("identity", "text"),
    ("user_name", "text"),
    ("time", "timestamptz"),
    ("method", "text"),
    ("path", "text"),
    ("protocol", "text"),
    ("status", "bigint"),
    ("bytes", "bigint"),
    ("referrer", "text"),
    ("user_agent", "text"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weblog;

impl Splitter for Weblog {
    fn scan(&self, buffer: &[u8], at: usize, last: bool, fields: &mut Vec<Field>) -> Scan {
        let Some((line_end, end)) = line_end(buffer, at, last, b'\n') else { return Scan::More };
        if buffer[at..line_end].trim_ascii().is_empty() {
            return Scan::Blank { end };
        }
        let mut line = Line { buffer, at, end: line_end };
        match line.read(fields) {
            Ok(()) => Scan::Record { end },
            Err(what) => Scan::Broken { end, fault: Fault::NotThisFormat(what) },
        }
    }

    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        cut_at_line(buffer, least, last, b'\n')
    }

    /// Servers write `\"` and `\\` inside quotes; other escapes (`\x16`) stay as written.
    fn unescape(&self, raw: &[u8], text: &mut Vec<u8>) {
        let mut rest = raw;
        while let Some((byte, after)) = rest.split_first() {
            let escaped = (*byte == b'\\').then(|| after.first()).flatten().filter(|next| matches!(next, b'"' | b'\\'));
            text.push(*escaped.unwrap_or(byte));
            rest = if escaped.is_some() { &after[1..] } else { after };
        }
    }
}

/// What is left of a line.
struct Line<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl Line<'_> {
    fn read(&mut self, fields: &mut Vec<Field>) -> Result<(), &'static str> {
        for _ in 0..3 {
            let word = self.word().ok_or("no host, identity and user")?;
            fields.push(self.or_missing(word));
        }
        fields.push(self.between(b'[', b']').ok_or("no time in brackets")?);
        let request = self.quoted().ok_or("no request in quotes")?;
        fields.extend(self.request(request));
        for _ in 0..2 {
            let word = self.word().ok_or("no status and size")?;
            fields.push(self.or_missing(word));
        }
        for _ in 0..2 {
            let field = match self.quoted() {
                Some(field) => self.or_missing(field),
                None => Field::plain(self.at, self.at),
            };
            fields.push(field);
        }
        if self.rest().trim_ascii().is_empty() { Ok(()) } else { Err("text after the user agent") }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| **byte == b' ').count();
    }

    fn word(&mut self) -> Option<Field> {
        self.skip_blanks();
        let len = self.rest().iter().take_while(|byte| **byte != b' ').count();
        let field = Field::plain(self.at, self.at + len);
        self.at += len;
        (len > 0).then_some(field)
    }

    fn between(&mut self, open: u8, close: u8) -> Option<Field> {
        self.skip_blanks();
        if self.rest().first() != Some(&open) {
            return None;
        }
        let len = memchr::memchr(close, self.rest())?;
        let field = Field::plain(self.at + 1, self.at + len);
        self.at += len + 1;
        Some(field)
    }

    /// A quoted text. One that the line's end cuts off is taken as it is: logs are cut at a length.
    fn quoted(&mut self) -> Option<Field> {
        self.skip_blanks();
        if self.rest().first() != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        while at < self.end {
            match self.buffer[at] {
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                b'"' => break,
                _ => at += 1,
            }
        }
        let close = at.min(self.end);
        self.at = (close + 1).min(self.end);
        Some(Field { escaped, ..Field::plain(start, close) })
    }

    /// `-` stands for nothing.
    fn or_missing(&self, field: Field) -> Field {
        if field.bytes(self.buffer) == b"-" { Field { end: field.start, ..field } } else { field }
    }

    /// Method, path and protocol. Of a broken request the whole text is the path, so that it is not lost.
    fn request(&self, request: Field) -> [Field; 3] {
        let text = request.bytes(self.buffer);
        let nothing = Field { end: request.start, ..request };
        let first = text.iter().position(|byte| *byte == b' ');
        let last = text.iter().rposition(|byte| *byte == b' ');
        if let (Some(first), Some(last)) = (first, last)
            && last > first
            && text[..first].iter().all(u8::is_ascii_uppercase)
            && text[last + 1..].starts_with(b"HTTP/")
        {
            let start = request.start as usize;
            let part =
                |from: usize, to: usize| Field { escaped: request.escaped, ..Field::plain(start + from, start + to) };
            return [part(0, first), part(first + 1, last), part(last + 1, text.len())];
        }
        [nothing, self.or_missing(request), nothing]
    }
}

/// True if most of the first lines read as a log's.
fn recognise(content: &Content<'_>) -> bool {
    let (mut at, mut fields, mut good, mut bad) = (0, Vec::new(), 0, 0);
    while at < content.head.len() && good + bad < 100 {
        fields.clear();
        match Weblog.scan(content.head, at, content.is_whole(), &mut fields) {
            Scan::Record { .. } => good += 1,
            Scan::Broken { .. } => bad += 1,
            Scan::Blank { .. } => {}
            Scan::More => break,
        }
        let next = Weblog.cut(content.head, at + 1, content.is_whole());
        at = next.unwrap_or(content.head.len());
    }
    good > bad
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let columns = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let layout = Layout { columns, line: 1, ..Layout::default() };
    let usual: Result<Vec<_>> = COLUMNS.iter().map(|(_, sql)| types::from_sql(sql).map(Some)).collect();
    let reader = CellReader::new(Weblog, content.label, content.body.clone(), layout, content.options.nulls.as_deref());
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: FORMAT.name,
        reader: Box::new(reader.with_usual_types(usual?)),
        options: content.found(FORMAT.name),
        remarks: vec!["read as a web server's access log".into()],
        sure: true,
        section: String::new(),
    }])
}

pub(crate) const FORMAT: Format = Format {
    name: "weblog",
    aliases: &["accesslog", "clf"],
    is_text: true,
    options: &["encoding", "nulls"],
    recognise,
    open,
};
