//! Lines that stand above the table and are none of it: notes that begin with `#`, and Excel's `sep=;`.

use polder_types::Result;

use super::layout::{self, Layout, Sample};
use super::split::{Scan, Splitter};

const MARK: u8 = b'#';

/// The separator that the first line names for Excel, and where that line ends.
pub(crate) fn separator(sample: &[u8]) -> Option<(u8, usize)> {
    const MARK: &[u8] = b"sep=";
    let (mark, rest) = sample.split_at_checked(MARK.len())?;
    let (separator, rest) = rest.split_first()?;
    let newline = if rest.starts_with(b"\r\n") { 2 } else { 1 };
    let fits = mark.eq_ignore_ascii_case(MARK) && separator.is_ascii() && !separator.is_ascii_alphanumeric();
    let ends = matches!(rest.first(), Some(b'\r' | b'\n')) && !matches!(*separator, b'\r' | b'\n' | b'"');
    (fits && ends).then_some((*separator, MARK.len() + 1 + newline))
}

/// Where the text behind such lines begins. Notes with nothing below them are the table.
pub(crate) fn end(sample: &[u8]) -> usize {
    let named = separator(sample).map_or(0, |(_, end)| end);
    named + notes_end(&sample[named..])
}

fn notes_end(sample: &[u8]) -> usize {
    let end = lines(sample).last().map_or(0, |(_, end)| *end);
    if sample[end..].trim_ascii().is_empty() { 0 } else { end }
}

/// The places of the lines at the beginning that start with the mark.
fn lines(sample: &[u8]) -> Vec<(usize, usize)> {
    let newline = if sample.contains(&b'\n') { b'\n' } else { b'\r' };
    let mut found = Vec::new();
    let mut start = 0;
    while sample.get(start) == Some(&MARK)
        && let Some(length) = memchr::memchr(newline, &sample[start..])
    {
        found.push((start, start + length + 1));
        start += length + 1;
    }
    found
}

/// The layout of a text whose first lines may be such notes, and what is to be said of them.
///
/// A line with as many cells as the rows have is one of them, or their header, unless a header follows it.
///
/// # Errors
/// As of [`layout::find`].
pub(crate) fn layout<S: Splitter>(splitter: &S, sample: Sample<'_>) -> Result<(Layout, Option<String>)> {
    let Some((_, named)) = separator(sample.bytes) else { return below(splitter, sample) };
    let (mut found, notes) = below(splitter, sample.behind(named))?;
    found.start += named as u64;
    found.line += 1;
    for (line, _) in &mut found.preamble {
        *line += 1;
    }
    let said = "the first line names the separator";
    Ok((found, Some(notes.map_or_else(|| said.to_owned(), |notes| format!("{said}; below it, {notes}")))))
}

/// As [`layout`], of a text that does not begin with the separator's name.
fn below<S: Splitter>(splitter: &S, sample: Sample<'_>) -> Result<(Layout, Option<String>)> {
    let bytes = sample.bytes;
    let end = notes_end(bytes);
    if end == 0 {
        return Ok((layout::find(splitter, sample)?, None));
    }
    let behind = layout::find(splitter, sample.behind(end))?;
    let notes = lines(bytes);
    let is_row = |(start, end): &(usize, usize)| {
        let mut fields = Vec::new();
        let scan = splitter.scan(&bytes[*start..*end], 0, true, &mut fields);
        matches!(scan, Scan::Record { .. }) && fields.len() == behind.columns.len()
    };
    let skipped = if behind.header { notes.len() } else { notes.iter().position(is_row).unwrap_or(notes.len()) };
    let start = notes.get(skipped).map_or(end, |(start, _)| *start);
    let mut found = if start == end { behind } else { layout::find(splitter, sample.behind(start))? };
    found.start += start as u64;
    found.line += skipped as u64;
    for (line, _) in &mut found.preamble {
        *line += skipped as u64;
    }
    let first = bytes[1..notes.first().map_or(1, |(_, end)| *end)].trim_ascii();
    let first: String = String::from_utf8_lossy(first).chars().take(80).collect();
    let what = match skipped {
        0 => return Ok((found, None)),
        1 => "the first line begins with # and is left out".to_owned(),
        many => format!("the first {many} lines begin with # and are left out"),
    };
    Ok((found, Some(format!("{what}: {first}"))))
}
