//! Columns separated by runs of blanks, as old statistics programs print them.

use polder_capability::LoadOptions;
use polder_types::Result;

use super::{Content, Format, Opened, dialect};
use crate::text::comments;
use crate::text::reader::CellReader;
use crate::text::split::{Field, Scan, Splitter, cut_at_line, line_end};

/// Splits at blanks and tabs; blanks at both ends of a line mean nothing; a quoted cell may hold blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Blanks {
    pub quote: Option<u8>,
}

impl Splitter for Blanks {
    fn scan(&self, buffer: &[u8], at: usize, last: bool, fields: &mut Vec<Field>) -> Scan {
        let Some((line_end, end)) = line_end(buffer, at, last, b'\n') else { return Scan::More };
        let is_blank = |byte: &u8| matches!(*byte, b' ' | b'\t');
        let before = fields.len();
        let mut start = at;
        loop {
            start += buffer[start..line_end].iter().take_while(|byte| is_blank(byte)).count();
            if start == line_end {
                break;
            }
            let rest = &buffer[start + 1..line_end];
            let close = (Some(buffer[start]) == self.quote)
                .then(|| rest.iter().position(|byte| Some(*byte) == self.quote))
                .flatten()
                .map(|found| start + 1 + found)
                .filter(|close| buffer[close + 1..line_end].first().is_none_or(is_blank));
            if let Some(close) = close {
                fields.push(Field::quoted(start + 1, close, false));
                start = close + 1;
                continue;
            }
            let len = buffer[start..line_end].iter().take_while(|byte| !is_blank(byte)).count();
            fields.push(Field::plain(start, start + len));
            start += len;
        }
        if fields.len() == before { Scan::Blank { end } } else { Scan::Record { end } }
    }

    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        cut_at_line(buffer, least, last, b'\n')
    }

    fn tolerates_extra_empty(&self) -> bool {
        false
    }
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let quote = super::csv::one_byte("quote", content.options.quote)?.unwrap_or(b'"');
    let splitter = Blanks { quote: Some(quote) };
    let (layout, comment) = comments::layout(&splitter, content.sample())?;
    let mut remarks = vec!["columns are separated by blanks".into()];
    remarks.extend(comment);
    remarks.extend(layout.remark("line"));
    let options =
        LoadOptions { quote: Some(char::from(quote)), header: Some(layout.header), ..content.found(FORMAT.name) };
    let reader =
        CellReader::new(splitter, content.label, content.body.clone(), layout, content.options.nulls.as_deref());
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: FORMAT.name,
        reader: Box::new(reader.with_free_comma(true)),
        options,
        remarks,
        sure: true,
        section: String::new(),
    }])
}

pub(crate) const FORMAT: Format = Format {
    name: "blanks",
    aliases: &["whitespace"],
    is_text: true,
    options: &["quote", "header", "encoding", "nulls"],
    recognise: |content| dialect::is_blanks(&content.head[comments::end(content.head)..], content.is_whole()),
    open,
};
